"""What an open run leaves behind: its most frequent predicates as an ontology that a person can edit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import yaml
from pyspark.sql import Row
from pyspark.sql import functions as F

from triplelake.errors import OutputError
from triplelake.filesystems import locate
from triplelake.prompt.relations import SUFFIX
from triplelake.tables.store import Store
from triplelake.tables.views import Views
from triplelake.text import comparison_key
from triplelake.types import LANGS, TRAITS, Lang

MOST = 50
"""Relations: the model reads all of them with every chunk, so a longer list would have to be cut anyway."""

_LOOKED_AT = 20 * MOST
_FILE = "suggested_ontology.yaml"
_HEAD = """\
# The most frequent predicates of an open run, the most frequent first. Edit them, then: --ontology THIS FILE
#   - Write together what means the same: keep one, the others are its aliases_zh, aliases_zh_hant or aliases_en.
#   - Delete what is none of your business. Few relations are faster than many.
#   - Give each an id that can stay for ever: it is the value of `predicate`.
#   - With subject_type and object_type, triples of other types are flagged.
# 一次开放抽取中最常见的谓词，按次数排列。修改后使用：--ontology 本文件
#   - 意思相同的合并为一个，其余写进 aliases_zh 或 aliases_en；不需要的删掉，关系少则快。
#   - 每个关系给一个永远不变的 id，它就是 predicate 的值；写上 subject_type、object_type，类型不符的三元组会被标记。
"""


@dataclass(frozen=True, slots=True)
class Used:
    """A predicate of an open run.

    Args:
        example: a fact, as (subject, object).
        lang: of the texts that it was said of, mostly.
        aliases: other writings of it.
    """

    predicate: str
    mentions: int
    example: tuple[str, str]
    lang: Lang
    aliases: tuple[str, ...] = ()


def suggest(store: Store) -> tuple[str, int] | None:
    """Write the file beside the tables, or for a catalog into this folder; where it is and how many relations it has.

    None where nothing was found.
    """
    used = most_used(store)
    if not used:
        return None
    place = locate(store.beside(_FILE), OutputError)
    with place.fs.open_output_stream(place.path) as out:
        out.write(as_ontology(used).encode())
    return place.written(place.path), len(used)


def most_used(store: Store) -> list[Used]:
    """The predicates of the current triples, the most frequent first; at most `MOST`."""
    rows = (
        Views(store)["current_triples"]
        .where("grounding <> 'none'")
        .groupBy("predicate")
        .agg(
            F.count(F.lit(1)).alias("mentions"),
            F.min(F.struct("subject", "object")).alias("example"),
            *(F.count_if(F.col("lang") == lang).alias(lang) for lang in LANGS),
        )
        .orderBy(F.desc("mentions"), "predicate")
        .limit(_LOOKED_AT)
        .collect()
    )
    return merged(Used(row["predicate"], row["mentions"], tuple(row["example"]), _mostly(row)) for row in rows)[:MOST]


def _mostly(row: Row) -> Lang:
    """The language of most mentions, of its scripts the one with more; the first of `LANGS` of what is even."""
    most = max(LANGS, key=lambda lang: sum(row[script] for script in _scripts(lang)))
    return max(_scripts(most), key=lambda script: row[script])


def _scripts(lang: Lang) -> tuple[Lang, ...]:
    twin = TRAITS[lang].twin
    return (lang, twin) if twin else (lang,)


def merged(used: Iterable[Used]) -> list[Used]:
    """Those that differ in script, case or width only become one: an ontology may not hold a name twice.

    Args:
        used: the most frequent first; of several writings its own stays.
    """
    found: dict[str, Used] = {}
    for each in used:
        first = found.setdefault(comparison_key(each.predicate), each)
        if first is not each:
            found[comparison_key(each.predicate)] = replace(
                first, mentions=first.mentions + each.mentions, aliases=(*first.aliases, each.predicate)
            )
    return sorted(found.values(), key=lambda each: -each.mentions)


def as_ontology(used: Sequence[Used]) -> str:
    """The file's text, in the form that `--ontology` reads."""
    lines = [_HEAD, "name: suggested\nrelations:\n"]
    for each in used:
        # A line break in a surface would end the comment, and other control characters are not allowed in YAML.
        example = "".join(char if char.isprintable() else " " for char in " – ".join(each.example))
        lines.append(f"  # {each.mentions:,} mentions, as in: {' '.join(example.split())}\n")
        suffix = SUFFIX[each.lang]
        entry: dict[str, object] = {"id": each.predicate, f"name_{suffix}": each.predicate}
        if each.aliases:
            entry[f"aliases_{suffix}"] = list(each.aliases)
        text = yaml.safe_dump([entry], allow_unicode=True, sort_keys=False, width=10_000)
        lines += [f"  {line}\n" for line in text.splitlines()]
    return "".join(lines)
