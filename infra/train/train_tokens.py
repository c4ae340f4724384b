"""Texts as token ids: the prompt is read, the answer and what ends it are learnt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from train_data import Course
from triplelake.errors import InputError
from triplelake.prompt.profile import MARKER, ModelProfile
from triplelake.training.lines import Line


class Tokenizer(Protocol):
    """What is used of a tokenizer of transformers."""

    def __call__(self, text: str, *, add_special_tokens: bool) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Sample:
    """A text as token ids.

    Args:
        prompt: of which nothing is learnt.
        answer: with what ends it.
    """

    prompt: tuple[int, ...]
    answer: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


@dataclass(frozen=True, slots=True)
class Encoded:
    """Texts that are trained on, and how many are not.

    Args:
        too_long: of more tokens than allowed.
        special: that hold the text of a special token, which a run sends as ordinary text.
    """

    samples: tuple[Sample, ...]
    too_long: int
    special: int

    @property
    def tokens(self) -> int:
        """Of prompts and answers together."""
        return sum(map(len, self.samples))

    @property
    def held(self) -> frozenset[int]:
        """Ids that any of them holds."""
        return frozenset(token for each in self.samples for token in each.prompt + each.answer)


def encode(
    lessons: Iterable[Line], tokenizer: Tokenizer, end: str, *, max_tokens: int, special: Sequence[str] = ()
) -> Encoded:
    """Tokenise texts as the server reads a prompt and as a model goes on behind it.

    Args:
        end: what ends an answer; it is learnt.
        special: texts of the tokenizer's special tokens.
    """
    samples: list[Sample] = []
    too_long = breaking = 0
    for lesson in lessons:
        if any(each in field for field in (lesson.text, lesson.title, lesson.context) for each in special):
            breaking += 1
            continue
        sample = encode_one(lesson.prompt, lesson.answer + end, tokenizer)
        if len(sample) > max_tokens:
            too_long += 1
        else:
            samples.append(sample)
    return Encoded(tuple(samples), too_long, breaking)


def encode_one(prompt: str, answer: str, tokenizer: Tokenizer) -> Sample:
    """A prompt and its answer, cut where the server stops reading and begins to write.

    A prompt is tokenised by itself, with what the tokenizer puts before every text (BOS). What follows is taken from
    both together where they are cut there, since some tokenizers put a space before a text that begins.
    """
    read = _ids(tokenizer, prompt, special=True)
    both = _ids(tokenizer, prompt + answer, special=True)
    alone = _ids(tokenizer, answer, special=False)
    goes_on = both[: len(read)] == read and len(both) > len(read)
    return Sample(tuple(read), tuple(_without_added_end(both[len(read) :], alone) if goes_on else alone))


def _without_added_end(found: list[int], alone: list[int]) -> list[int]:
    # A tokenizer that puts EOS behind every text would teach two ends.
    return found[:-1] if len(found) > 1 and alone and found[-1] != alone[-1] and found[-2] == alone[-1] else found


def _ids(tokenizer: Tokenizer, text: str, *, special: bool) -> list[int]:
    return list(tokenizer(text, add_special_tokens=special)["input_ids"])


def check_left(course: Course, encoded: Encoded, fewest: int) -> None:
    """Whether enough texts are left.

    Raises:
        InputError: there are not.
    """
    if len(encoded.samples) < fewest:
        reason = (
            f"leaves {len(encoded.samples)} of {len(course.train)} texts: {encoded.too_long} are longer than "
            f"--max-tokens, {encoded.special} hold the text of a special token"
        )
        raise InputError(str(course.folder), reason, "Set --max-tokens higher, or export shorter texts.")


def check_template(course: Course, render: Any, *, allow: bool) -> str:
    """Whether the profile asks in the model's own template; what is to be told of it, empty for nothing.

    Args:
        render: makes a prompt of messages, as `apply_chat_template` of a tokenizer does; None for a model without a
            template.
        allow: a template that differs is told, not refused.

    Raises:
        InputError: it asks in another one; both are shown.
    """
    profile = course.profile
    if render is None:
        return "" if profile.template == "plain" else f"the model has no template of its own to compare {profile.name}"
    shown = str(render([{"role": "user", "content": MARKER}]))
    if profile.template == "plain":
        return f"the model has a chat template, and profile {profile.name} goes without: {shown!r}"
    asked = f"{profile.prefix}{MARKER}{profile.suffix}" if profile.template == "text" else _of_data(course, shown)
    if shown.endswith(asked):
        before = shown[: -len(asked)]
        return f"the model's template puts {before!r} before a message, and the profile nothing" if before else ""
    told = f"{asked!r} in profile {profile.name}, and {shown!r} in the model's own template"
    if allow:
        return f"asked in another template than the model's: {told}"
    remedy = "Set prefix, suffix and stop of the profile to those of the model and export again, or --allow-template."
    raise InputError(f"{course.folder}/profile.yaml", f"a message is {told}", remedy)


def _of_data(course: Course, shown: str) -> str:
    """What stands around a message in the prompts themselves, if it is what the template puts there."""
    before, _, after = shown.partition(MARKER)
    right = all(each.prompt.startswith(before) and each.prompt.endswith(after) for each in course.train)
    return shown if right else course.train[0].prompt


def special_texts(profile: ModelProfile, known: Iterable[str]) -> tuple[str, ...]:
    """Texts that end or begin a turn, wherever they stand."""
    return tuple(dict.fromkeys(each for each in (*known, *profile.stop) if each.strip()))
