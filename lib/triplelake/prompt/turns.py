"""What a server's chat template puts around a whole conversation, so that examples can be turns of their own.

The template is asked once, for a conversation of markers; what it writes between them is the same for every other
conversation. Only what is really the same is believed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from triplelake.prompt.profile import BLANK_LINE, MARKER

_SYSTEM = "TRIPLELAKE-INSTRUCTIONS"
_ASKED = ("TRIPLELAKE-QUESTION-ONE", "TRIPLELAKE-QUESTION-TWO", MARKER)
_SAID = ("TRIPLELAKE-ANSWER-ONE", "TRIPLELAKE-ANSWER-TWO")


@dataclass(frozen=True, slots=True)
class Turns:
    """What stands around the messages of a conversation that begins with instructions.

    Args:
        opening: before the instructions.
        to_question: between the instructions and the first question.
        to_answer: between a question and its answer.
        to_next: between an answer and the next question.
        asked: behind the last question; the answer begins there.
    """

    opening: str
    to_question: str
    to_answer: str
    to_next: str
    asked: str

    def prefix(self, instructions: str, examples: Sequence[tuple[str, str]]) -> str:
        """All that stands before a question: the instructions, and examples as turns."""
        said = "".join(f"{question}{self.to_answer}{answer}{self.to_next}" for question, answer in examples)
        return f"{self.opening}{instructions}{self.to_question}{said}"


@dataclass(frozen=True, slots=True)
class ServerTemplate:
    """What a server's chat template does.

    Args:
        before, after: around a single message of the user.
        turns: around a conversation; None where it cannot be told.
    """

    before: str
    after: str
    turns: Turns | None = None


def conversation(*, system: bool) -> Sequence[Mapping[str, str]]:
    """Messages of markers, for `/apply-template`.

    Args:
        system: the instructions are a message of their own; else they begin the first question, as models without a
            system message are told.
    """
    first, *others = _ASKED
    opening = (
        [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": first}]
        if system
        else [{"role": "user", "content": _SYSTEM + BLANK_LINE + first}]
    )
    said = [{"role": "assistant", "content": text} for text in _SAID]
    asked = [{"role": "user", "content": text} for text in others]
    return [*opening, *(each for pair in zip(said, asked, strict=True) for each in pair)]


def read_turns(rendered: str) -> Turns | None:
    """What a template made of `conversation`; None where it does not treat all turns alike or loses one."""
    places = [_SYSTEM, _ASKED[0], _SAID[0], _ASKED[1], _SAID[1], _ASKED[2]]
    if any(rendered.count(marker) != 1 for marker in places):
        return None
    pieces = []
    for marker in places:
        piece, found, rendered = rendered.partition(marker)
        if not found:
            return None  # in another order
        pieces.append(piece)
    opening, to_question, to_answer, to_next, to_second, to_last = pieces
    if (to_answer, to_next) != (to_second, to_last):
        return None
    return Turns(opening, to_question, to_answer, to_next, rendered)
