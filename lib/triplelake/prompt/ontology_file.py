"""Reading an ontology from YAML, CSV or TSV.

Each entry of the list `relations` (YAML), each row (CSV, TSV) is a relation with some of these fields:

    id                                              lands in `predicate`; the first name if missing
    name_zh, name_zh_hant, name_en                  shown to the model; one of them is enough
    aliases_zh, aliases_zh_hant, aliases_en         other names that an answer may use
    description_zh, description_zh_hant, description_en   shown beside the name
    subject_type, object_type                       any type if missing
    object_pattern                                  the whole object must match it (package `regex`)
    symmetric                                       true: holds with subject and object exchanged, too
    inverse                                         id of the relation that says the same the other way round

Aliases and types may be several: a list in YAML, separated by `|` in CSV. Several types mean each pair
of them. `zh` is Simplified. A missing Traditional name is made from the Simplified one with OpenCC and
the other way round; where a whole language is missing, the name of the other is shown.

An entry whose id has come before adds its pairs of types to that relation.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import yaml

from triplelake.config import find_conf
from triplelake.errors import InputError
from triplelake.prompt.files import nearest, not_yaml, read_text
from triplelake.prompt.ontology import Ontology, Relation
from triplelake.prompt.relations import FIELDS, LISTS, SUFFIX, Entry, relations_of

_SEPARATOR = "|"


@dataclass(frozen=True, slots=True)
class _Sheet:
    """What a file says before relations are made of it."""

    name: str
    entries: tuple[Entry, ...]


def load_ontology(setting: str) -> Ontology | None:
    """The ontology that the setting `ontology` names; None for `none`, where predicates are free.

    Raises:
        UsageError: there is no such file.
        InputError: the file cannot be used; the message names the line.
    """
    if setting == "none":
        return None
    file = find_conf(setting, kind="ontology")
    match file.suffix.lower():
        case ".yaml" | ".yml":
            sheet = _read_yaml(file)
        case ".csv":
            sheet = _read_table(file, ",")
        case ".tsv":
            sheet = _read_table(file, "\t")
        case _:
            raise InputError(str(file), "is not an ontology file by its name", "Use .yaml, .yml, .csv or .tsv.")
    if not sheet.entries:
        raise InputError(str(file), "holds no relation", "For free predicates set `ontology: none`.")
    relations, notes = relations_of(sheet.entries, file)
    return Ontology(sheet.name, relations, notes)


def ontology_yaml(ontology: Ontology) -> str:
    """An ontology in the form that `load_ontology` reads, with every name written out."""
    return yaml.safe_dump(
        {"name": ontology.name, "relations": [each for relation in ontology.relations for each in _entries(relation)]},
        allow_unicode=True,
        sort_keys=False,
        width=1000,
    )


def _entries(relation: Relation) -> Iterator[dict[str, object]]:
    """A relation as entries of a file, one for each of its pairs of types."""
    single = {"object_pattern": relation.object_pattern, "inverse": relation.inverse}
    for rank, signature in enumerate(relation.signatures):
        entry: dict[str, object] = {"id": relation.id}
        if not rank:
            entry |= {f"name_{SUFFIX[lang]}": name for lang, name in relation.names.items()}
            entry |= {f"aliases_{SUFFIX[lang]}": list(names) for lang, names in relation.aliases.items()}
            entry |= {f"description_{SUFFIX[lang]}": text for lang, text in relation.description.items()}
            entry |= {name: value for name, value in single.items() if value}
            entry |= {"symmetric": "true"} if relation.symmetric else {}
        types = {"subject_type": signature.subject_type, "object_type": signature.object_type}
        yield entry | {name: value for name, value in types.items() if value}


def _read_table(file: Path, delimiter: str) -> _Sheet:
    # strict: a stray quote is an error with its line, not a field that swallows the rest of the file.
    reader = csv.reader(StringIO(read_text(file, "ontology"), newline=""), delimiter=delimiter, strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        for column in header:
            _known(column, FIELDS, file, 1, "column")
        if len(set(header)) < len(header):
            raise InputError(f"{file}, line 1", "a column stands twice", "Keep one of them.")
        entries = []
        line = reader.line_num + 1  # a quoted cell may hold line breaks: a row begins where the last one ended
        for cells in reader:
            entries.append(Entry(line, _row(header, cells, f"{file}, line {line}")))
            line = reader.line_num + 1
    except csv.Error as error:
        place = f"{file}, line {reader.line_num}"
        raise InputError(
            place, f"is not valid CSV: {error}", "Mend that line; a quote inside a cell is doubled."
        ) from None
    return _Sheet(file.stem, tuple(entry for entry in entries if any(entry.values.values())))


def _row(header: list[str], cells: list[str], where: str) -> dict[str, tuple[str, ...]]:
    if any(cell.strip() for cell in cells[len(header) :]):
        reason = f"has {len(cells)} cells under {len(header)} columns"
        raise InputError(where, reason, "Quote a cell that holds the separator.")
    return {column: _cell(column, cell) for column, cell in zip(header, cells, strict=False)}


def _cell(column: str, cell: str) -> tuple[str, ...]:
    parts = cell.split(_SEPARATOR) if column in LISTS else [cell]
    return tuple(part.strip() for part in parts if part.strip())


def _read_yaml(file: Path) -> _Sheet:
    # Nodes instead of values: they carry lines, keep `no` and `1998` as text, and show a key that stands twice.
    try:
        root = yaml.compose(read_text(file, "ontology"), yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise not_yaml(file, error) from None
    fields = _mapping(root, ("name", "relations"), file) if root is not None else {}
    relations = fields.get("relations")
    if not isinstance(relations, yaml.SequenceNode):
        raise InputError(str(file), "has no list `relations`", "See conf/ontologies/general.yaml for the form.")
    entries = []
    for node in relations.value:
        values = {key: _scalars(key, value, file) for key, value in _mapping(node, FIELDS, file).items()}
        entries.append(Entry(_line(node), values))
    name = _scalars("name", fields["name"], file) if "name" in fields else ()
    return _Sheet(name[0] if name else file.stem, tuple(entries))


def _mapping(node: yaml.Node, known: tuple[str, ...], file: Path) -> Mapping[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        reason = f"is not a mapping with keys such as `{known[0]}`"
        raise InputError(f"{file}, line {_line(node)}", reason, "See conf/ontologies/general.yaml for the form.")
    found: dict[str, yaml.Node] = {}
    for key, value in node.value:
        _known(str(key.value), known, file, _line(key), "key")
        if key.value in found:
            raise InputError(f"{file}, line {_line(key)}", f"`{key.value}` stands twice in one entry", "Keep one.")
        found[key.value] = value
    return found


def _scalars(key: str, node: yaml.Node, file: Path) -> tuple[str, ...]:
    nodes = node.value if isinstance(node, yaml.SequenceNode) and key in LISTS else [node]
    if not all(isinstance(item, yaml.ScalarNode) for item in nodes):
        wanted = "a text or a list of texts" if key in LISTS else "one text"
        raise InputError(f"{file}, line {_line(node)}", f"`{key}` is not {wanted}", "See conf/ontologies/general.yaml.")
    texts = [item.value.strip() for item in nodes if item.tag != "tag:yaml.org,2002:null"]
    return tuple(text for text in texts if text)


def _known(name: str, known: tuple[str, ...], file: Path, line: int, what: str) -> None:
    if name not in known:
        raise InputError(f"{file}, line {line}", f"unknown {what} `{name}`", nearest(name, known))


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
