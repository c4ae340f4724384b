"""The gold whose likest texts are shown as further examples: `prompt.gold`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from heapq import nlargest
from pathlib import Path

from triplelake.config import Settings
from triplelake.corpus.tokens import estimate_tokens
from triplelake.errors import InputError, UsageError
from triplelake.evaluate.gold import READERS, GoldDocument, gold_format
from triplelake.evaluate.judged_sentences import is_sheet, judged_sentences
from triplelake.evaluate.review import read_review
from triplelake.prompt.fewshot import Example, check_spans, foreign, usable
from triplelake.prompt.ontology import Ontology
from triplelake.prompt.profile import ModelProfile
from triplelake.prompt.render import Renderer
from triplelake.prompt.retrieval import Gallery
from triplelake.text import detect_language
from triplelake.types import Lang


def read_gallery(settings: Settings, ontology: Ontology | None) -> tuple[Mapping[Lang, tuple[Example, ...]], str]:
    """The examples of `prompt.gold`, by language, and how many of its texts are none and why, for a person.

    There is nothing of either where it is not set.

    A sheet that people have judged (.csv, .tsv) gives its sentences with the triples that are right; one without any is
    none, since what nobody found in it is not known.

    An example is what the grammar could say: subject and object stand verbatim in the text, every relation is one of
    the ontology, and the text is no longer than a chunk may be.

    Raises:
        InputError: the file cannot be read, or none of its documents can be an example.
    """
    file = settings.prompt.gold
    if file is None:
        return {}, ""
    found: dict[Lang, list[Example]] = defaultdict(list)
    reasons: Counter[str] = Counter()
    for lang, example, reason in _examples(_documents(file), settings, ontology):
        if reason:
            reasons[reason] += 1
        else:
            found[lang].append(example)
    told = "; ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
    if not found:
        remedy = "It needs the ontology's relations, and subject and object copied from the text."
        raise InputError(str(file), f"none of its documents can be an example: {told or 'it holds none'}", remedy)
    left_out = f"{file}: {sum(reasons.values()):,} of its texts are no examples: {told}" if told else ""
    return {lang: tuple(each) for lang, each in found.items()}, left_out


def gallery(examples: Mapping[Lang, tuple[Example, ...]], settings: Settings, profile: ModelProfile) -> Gallery | None:
    """What shows them; None for none.

    Raises:
        UsageError: the model was tuned to be shown none.
    """
    if examples and profile.is_tuned:
        reason = f"shows examples, and model profile {profile.name} is of a model that was tuned to be shown none"
        raise UsageError("prompt.gold", reason, "Leave it out; or name a profile with `instructions: full`.")
    shown = {lang: usable(each, profile) for lang, each in examples.items()}
    return Gallery(shown, settings.prompt.retrieved) if any(shown.values()) else None


def most_tokens(renderer: Renderer, lang: Lang, settings: Settings) -> int:
    """Tokens of the retrieved examples of a request at most, as estimated."""
    return sum(nlargest(settings.prompt.retrieved, map(estimate_tokens, renderer.retrievable(lang))))


def _documents(file: Path) -> list[GoldDocument]:
    if not is_sheet(file):
        return READERS[gold_format(file)](file)
    judged = judged_sentences(read_review(file))
    return [GoldDocument(str(rank), each.text, each.right) for rank, each in enumerate(judged) if each.right]


def _examples(
    documents: list[GoldDocument], settings: Settings, ontology: Ontology | None
) -> Iterator[tuple[Lang, Example, str]]:
    for document in documents:
        lang = detect_language(document.text)
        example = Example(document.text, document.title, "", document.facts)
        yield lang, example, _unfit(example, lang, settings, ontology)


def _unfit(example: Example, lang: Lang, settings: Settings, ontology: Ontology | None) -> str:
    """Why a document is no example; empty if it is one."""
    if not example.text.strip():
        return "have no text"
    if estimate_tokens(example.text) > settings.chunking.max_tokens:
        return "are longer than chunking.max_tokens"
    if ontology is not None and foreign([example], ontology, lang):
        return "have a relation that the ontology lacks, or an object that its pattern forbids"
    try:
        check_spans(example, "gold")
    except InputError:
        return "have a subject or an object that does not stand in their text"
    return ""
