"""Training data out of gold, judged sheets and tables: from what was named to the folder that a trainer reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from rich.console import Console

from triplelake.commands.training_messages import tell_training
from triplelake.commands.training_sources import Sources, TrainingChoice, check_sources
from triplelake.engine.planning.keys import content_hashes
from triplelake.errors import InputError, UsageError
from triplelake.evaluate.ontologies import read_ontology
from triplelake.export.target import Target
from triplelake.prompt.ontology import Ontology
from triplelake.prompt.profile import ModelProfile, find_profile
from triplelake.prompt.prompts import Prompt, load_prompts
from triplelake.prompt.render import Renderer, template_text
from triplelake.training.card import (
    FILES,
    Card,
    DrawCard,
    Hashes,
    end_of_answer,
    part_card,
    template_marks,
    text_hashes,
)
from triplelake.training.files import written
from triplelake.training.lines import LineMaker, MadeLine
from triplelake.training.parts import Parts, split
from triplelake.training.texts import AGAIN, KnownText, merged
from triplelake.training.traditional import traditional
from triplelake.triples.identity import text_hash
from triplelake.types import Lang
from triplelake.version import __version__

if TYPE_CHECKING:
    from triplelake.commands.training_tables import Lake


def export_training(choice: TrainingChoice, console: Console) -> Card:
    """Write training data, whole or not at all.

    Spark is started only where tables are read.

    Raises:
        UsageError: no source, or a profile that an own model cannot be asked with.
        InputError: a file cannot be read, or nothing in it can be trained on.
        OutputError: the target is there already, or cannot be written; or the output holds no tables.
    """
    profile = _profile(choice)
    check_sources(choice)
    target = Target(choice.to, FILES, choice.overwrite)
    target.check()
    prompts = load_prompts(choice.settings.prompt.dir)
    lake = _lake(choice)
    ontology = _ontology(choice, lake)
    sources = Sources(choice, lake)
    texts, again = merged(sources.texts())
    apart = [(each.text, each.whole) for each in sources.apart()]
    maker = LineMaker(Renderer(prompts, ontology, profile), ontology, choice.settings.answer, template_marks(profile))
    lines, left_out = _lines(texts, maker)
    left_out += Counter({AGAIN: again, **sources.left_out})
    parts = _split(lines, [text for text, _ in apart], choice, left_out)
    copies = _copies(parts.train, maker) if choice.hant else []
    train = (*parts.train, *copies)
    card = Card(
        made_by=__version__,
        format=choice.form,
        profile=profile.name,
        instructions=profile.instructions,
        answer=profile.answer,
        ontology=ontology.name if ontology else None,
        end=end_of_answer(profile),
        train=part_card(train, _ids(ontology)),
        dev=part_card(parts.dev, _ids(ontology)),
        copies=len(copies),
        texts_left_out=dict((+(left_out + parts.left_out)).most_common()),
        facts_left_out=dict((+maker.left_out).most_common()),
        draw=DrawCard(**asdict(choice.wanted), hant=choice.hant),
        contents=_contents(prompts, ontology, profile),
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


def _contents(prompts: Mapping[Lang, Prompt], ontology: Ontology | None, profile: ModelProfile) -> Mapping[str, str]:
    """Hashes of what the model is asked with, as a run with this profile stores them."""
    asked = {lang: prompt.filled(profile) for lang, prompt in prompts.items()}
    return content_hashes(asked, ontology, (*template_text(profile, None), *profile.stop))


def _lake(choice: TrainingChoice) -> Lake | None:
    if choice.output is None:
        return None
    # Spark is imported late, so that gold and sheets alone take a second.
    from triplelake.commands.training_tables import Lake

    return Lake.open(choice.output)


def _ontology(choice: TrainingChoice, lake: Lake | None) -> Ontology | None:
    if choice.ontology is None and lake is not None and "ontology" not in choice.settings.model_fields_set:
        return lake.ontology()
    return read_ontology(choice.ontology or choice.settings.ontology)


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
