"""Training data out of gold, judged sheets and tables: from what was named to the folder that a trainer reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from triplelake.config import ChunkingSettings, Settings
from triplelake.engine.keys import content_hashes
from triplelake.engine.sheets import is_sheet, judged_sentences
from triplelake.engine.training_told import tell_training
from triplelake.engine.tune_texts import with_texts
from triplelake.errors import InputError, UsageError
from triplelake.evaluate.gold import READERS, GoldDocument, gold_format
from triplelake.evaluate.ontologies import read_ontology
from triplelake.evaluate.review import read_review
from triplelake.export.target import Target
from triplelake.prompt.ontology import Ontology
from triplelake.prompt.profile import ModelProfile, find_profile
from triplelake.prompt.prompts import load_prompts
from triplelake.prompt.render import Renderer, template_text
from triplelake.training.card import FILES, Card, DrawCard, Hashes, LineForm, end_of_answer, part_card, text_hashes
from triplelake.training.files import written
from triplelake.training.lines import LineMaker, MadeLine
from triplelake.training.parts import Parts, Wanted, split
from triplelake.training.texts import AGAIN, KnownText, cut_document, merged
from triplelake.training.traditional import traditional
from triplelake.triples.identity import text_hash

if TYPE_CHECKING:
    from triplelake.engine.training_tables import Lake


@dataclass(frozen=True, slots=True)
class TrainingChoice:
    """What training data is made of, and how.

    Args:
        to: path of the folder.
        settings: profile, prompts, input, chunking and bounds of an answer.
        gold, review: files that are known to be right, in their order.
        gold_format: of all gold files, if their first lines do not tell.
        apart: gold or sheets that an evaluation is kept for.
        output: tables; None where none are read.
        facts: the accepted facts of the tables are a source.
        min_confidence, precision: so are their triples that are so sure, or of which such a share is expected right.
        ontology: whose relations are asked about; else that of the settings, or of the newest run.
        hant: Traditional copies of Simplified lines are added.
    """

    to: str
    settings: Settings
    gold: tuple[Path, ...] = ()
    review: tuple[Path, ...] = ()
    gold_format: str | None = None
    apart: tuple[Path, ...] = ()
    output: str | None = None
    facts: bool = False
    min_confidence: float | None = None
    precision: float | None = None
    ontology: str | None = None
    form: LineForm = "jsonl"
    wanted: Wanted = field(default_factory=Wanted)
    hant: bool = False
    overwrite: bool = False

    @property
    def reads_tables(self) -> bool:
        """Whether facts or triples of tables are a source."""
        return self.facts or self.min_confidence is not None or self.precision is not None


def export_training(choice: TrainingChoice, console: Console) -> Card:
    """Write training data, whole or not at all.

    Spark is started only where tables are read.

    Raises:
        UsageError: no source, or a profile that an own model cannot be asked with.
        InputError: a file cannot be read, or nothing in it can be trained on.
        OutputError: the target is there already, or cannot be written; or the output holds no tables.
    """
    profile = _profile(choice)
    _check_sources(choice)
    target = Target(choice.to, FILES, choice.overwrite)
    target.check()
    prompts = load_prompts(choice.settings.prompt.dir)
    lake = _lake(choice)
    ontology = _ontology(choice, lake)
    sources = _Sources(choice, lake)
    texts, again = merged(sources.texts())
    apart = [(each.text, each.whole) for each in sources.apart()]
    end = end_of_answer(profile)
    maker = LineMaker(Renderer(prompts, ontology, profile), ontology, choice.settings.answer, end)
    lines, left_out = _lines(texts, maker)
    left_out += Counter({AGAIN: again, **sources.left_out})
    parts = _split(lines, [text for text, _ in apart], choice, left_out)
    copies = _copies(parts.train, maker) if choice.hant else []
    train = (*parts.train, *copies)
    asked = {lang: prompt.filled(profile) for lang, prompt in prompts.items()}
    card = Card(
        made_by=version("triplelake"),
        format=choice.form,
        profile=profile.name,
        instructions=profile.instructions,
        answer=profile.answer,
        ontology=ontology.name if ontology else None,
        end=end,
        train=part_card(train, _ids(ontology)),
        dev=part_card(parts.dev, _ids(ontology)),
        copies=len(copies),
        texts_left_out=dict((+(left_out + parts.left_out)).most_common()),
        facts_left_out=dict((+maker.left_out).most_common()),
        draw=DrawCard(
            n=choice.wanted.n,
            dev=choice.wanted.dev,
            empty=choice.wanted.empty,
            per_relation=choice.wanted.per_relation,
            seed=choice.wanted.seed,
            hant=choice.hant,
        ),
        contents=content_hashes(asked, ontology, (*template_text(profile, None), *profile.stop)),
        hashes=Hashes(
            train=text_hashes(train),
            dev=text_hashes(parts.dev),
            apart=tuple(dict.fromkeys(name for text, whole in apart for name in (text_hash(text), whole) if name)),
        ),
    )
    files = {"train": [each.line for each in train], "dev": [each.line for each in parts.dev]}
    with target.writing() as draft:
        for name, pieces in written(card, profile, ontology, files):
            draft.write(name, pieces)
    tell_training(console, card, choice.to, sources.notes)
    return card


def _profile(choice: TrainingChoice) -> ModelProfile:
    setting = choice.settings.profile
    if setting == "auto":
        reason = "is missing: training data is written as the model will be asked, and no server tells that yet"
        raise UsageError("--profile", reason, "Name the profile of the model to be (docs/own-model.md shows one).")
    profile = find_profile(setting, "")
    if not profile.is_tuned:
        raise UsageError(
            f"--profile {setting}",
            "is of a model that is told everything in every prompt (`instructions: full`)",
            "A model of your own needs the short form: set `instructions: line` in the profile, or `relations` for a "
            "model that shall learn to heed their list.",
        )
    if profile.template == "server":
        raise UsageError(
            f"--profile {setting}",
            "has the chat template of a server, and none is asked here",
            "Set `template: text`, with `prefix` and `suffix` as the template writes them.",
        )
    return profile


def _check_sources(choice: TrainingChoice) -> None:
    if not (choice.gold or choice.review or choice.reads_tables):
        reason = "has no source: neither gold nor a sheet, and nothing of the tables"
        raise UsageError("--what training", reason, "Name --gold, --review, --facts, --min-confidence or --precision.")
    if choice.reads_tables and choice.output is None:
        reason = "is missing: --facts, --min-confidence and --precision read its tables"
        raise UsageError("--output", reason, "Name the path, or catalog.schema, of the tables.")
    if choice.min_confidence is not None and choice.precision is not None:
        raise UsageError("--precision", "goes without --min-confidence", "Set one of them.")
    wanted = choice.wanted
    if not 0 <= wanted.empty < 1:
        raise UsageError(f"--empty {wanted.empty:g}", "is no share below 1", "0.1 is one in ten.")
    if wanted.dev < 0 or (wanted.dev > 1 and not wanted.dev.is_integer()):
        raise UsageError(f"--dev {wanted.dev:g}", "is neither a share nor a number of texts", "Such as 0.1, or 200.")
    if wanted.n is not None and wanted.dev >= max(1, wanted.n):
        reason = f"leaves nothing of --n {wanted.n} to train on"
        raise UsageError(f"--dev {wanted.dev:g}", reason, "--n counts the texts of dev, too: raise it.")


def _lake(choice: TrainingChoice) -> Lake | None:
    if choice.output is None:
        return None
    # Spark is imported late, so that gold and sheets alone take a second.
    from triplelake.engine.training_tables import Lake

    return Lake.open(choice.output)


def _ontology(choice: TrainingChoice, lake: Lake | None) -> Ontology | None:
    if choice.ontology is None and lake is not None and "ontology" not in choice.settings.model_fields_set:
        return lake.ontology()
    return read_ontology(choice.ontology or choice.settings.ontology)


@dataclass
class _Sources:
    """What the named files and tables know.

    Attributes:
        left_out: texts that never became any, by the reason why.
        notes: for a person.
    """

    choice: TrainingChoice
    lake: Lake | None
    left_out: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def texts(self) -> Iterator[KnownText]:
        """What is known best comes first."""
        for file in self.choice.gold:
            yield from self._of_file(file)
        for file in self.choice.review:
            yield from self._of_sheet(file)
        if self.lake is not None and self.choice.reads_tables:
            yield from self.lake.texts(self.choice, self.notes)

    def apart(self) -> Iterator[KnownText]:
        """The texts of the files that are kept for an evaluation."""
        for file in self.choice.apart:
            yield from self._of_sheet(file) if is_sheet(file) else self._of_file(file)

    def _of_file(self, file: Path) -> Iterator[KnownText]:
        if is_sheet(file):
            raise UsageError(f"--gold {file}", "is a sheet by its name", f"Name it with --review {file}.")
        format = self.choice.gold_format or gold_format(file)
        documents, chunking = self._with_texts(READERS[format](file), file, is_own=format != "duie")
        for document in documents:
            if not document.text.strip():
                self.left_out[f"no text for a document of {file.name}"] += 1
            name = document.id if format == "jsonl" else f"{file.name}#{document.id}"
            yield from cut_document(document, chunking, origin=f"gold:{file.name}", name=name, is_complete=True)

    def _with_texts(
        self, gold: Sequence[GoldDocument], file: Path, *, is_own: bool
    ) -> tuple[Sequence[GoldDocument], ChunkingSettings]:
        """Gold with its texts, and how they are cut."""
        settings = self.choice.settings
        if any(each.text for each in gold):
            return gold, settings.chunking
        if settings.input:
            return with_texts(gold, file, settings), settings.chunking
        if self.lake is not None:
            return self.lake.with_texts(gold, is_own=is_own), self.lake.chunking()
        raise InputError(
            str(file),
            "holds no texts, and there is neither an output nor an input with them",
            "Write `text` into its lines; or name the texts with the same ids: --output PATH, or --input FILE "
            "--id-column NAME.",
        )

    def _of_sheet(self, file: Path) -> Iterator[KnownText]:
        review = read_review(file)
        if review.open:
            self.notes.append(f"{file.name}: {review.open:,} rows have no verdict yet and say nothing")
        for judged in judged_sentences(review):
            document = GoldDocument(judged.document, judged.text, judged.right)
            yield from cut_document(
                document,
                self.choice.settings.chunking,
                origin=f"sheet:{file.name}",
                name=f"{file.name}#{judged.document}",
                is_complete=False,
            )


def _lines(texts: Sequence[KnownText], maker: LineMaker) -> tuple[list[MadeLine], Counter[str]]:
    made = [maker.make(each) for each in texts]
    left_out = Counter(each for each in made if isinstance(each, str))
    return [each for each in made if not isinstance(each, str)], left_out


def _split(lines: Sequence[MadeLine], apart: Sequence[str], choice: TrainingChoice, left_out: Counter[str]) -> Parts:
    names = ", ".join(map(str, (*choice.gold, *choice.review))) or str(choice.output)
    if not any(each.relations for each in lines):
        told = "; ".join(f"{count:,}: {reason}" for reason, count in (+left_out).most_common())
        raise InputError(
            names,
            f"gives no text with a fact that an answer could say ({told or 'it holds none'})",
            "It needs relations of the ontology (--ontology), and subject and object copied from the text.",
        )
    return split(lines, apart, choice.wanted)


def _copies(lines: Sequence[MadeLine], maker: LineMaker) -> list[MadeLine]:
    # Facts that the copies lack would be counted as if the sources lacked them.
    maker = replace(maker, left_out=Counter())
    made = [maker.make(known) for each in lines if (known := traditional(each))]
    return [each for each in made if not isinstance(each, str)]


def _ids(ontology: Ontology | None) -> list[str]:
    return [relation.id for relation in ontology.relations] if ontology else []
