"""Pieces of a prompt: text of the project's own, and text from outside, which is data.

Where text from outside may hold the text of a special token (`</s>`, `<|im_end|>`, `[INST]`), it is a part of its own,
to be tokenised without special tokens. All other text is joined.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import regex

from triplelake.prompt.answer_form import AnswerForm
from triplelake.prompt.prompts import Labels
from triplelake.readings import LINE_END

# The one rule for what a document's text may hold: special tokens of every known model family have one of these
# (`</s>`, `<|im_end|>`, `<｜User｜>`, `[INST]`, `>>ABSTRACT<<`), or a control character. A false alarm costs one call
# to /tokenize, which is why a bracket before a number, as in a reference, is none.
_MAY_BE_SPECIAL = regex.compile(r"[<\N{FULLWIDTH VERTICAL LINE}]|[\[|][/\p{L}_]|[\x00-\x08\x0e-\x1b\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a prompt.

    Args:
        untrusted: text of a document that may hold the text of a special token: tokenise it with
            `parse_special: false` and send the tokens.
    """

    text: str
    untrusted: bool = False


@dataclass(frozen=True, slots=True)
class RenderedPrompt:
    """A prompt as neighbouring parts; one trusted part unless the request's text looks like a special token."""

    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The whole prompt as one string, for people, logs and estimates."""
        return "".join(part.text for part in self.parts)


def question(labels: Labels, title: str, context: str, text: str) -> tuple[Part, ...]:
    """Title, context and text, each on its own line behind its label; an empty title or context has no line."""
    parts = []
    for label, field in ((labels.title, title), (labels.context, context)):
        if field:
            parts += [Part(label), document_text(field), Part("\n")]
    return (*parts, Part(labels.text), document_text(text))


def document_text(text: str) -> Part:
    """Text from outside in one line, marked where it may hold the text of a special token."""
    return Part(LINE_END.sub(" ", text), untrusted=_MAY_BE_SPECIAL.search(text) is not None)


def answer_text(written: str, form: AnswerForm) -> Iterator[Part]:
    """The answer of an example from outside, line by line where its form has lines.

    The bars of its form are not taken for those of a special token, unless a bracket stands before one
    (`[|endofturn|]`).
    """
    for number, line in enumerate(written.split("\n")):
        if number:
            yield Part("\n")
        strings = line.replace(form.bar, " ") if form.bar and f"[{form.bar}" not in line else line
        yield Part(document_text(line).text, untrusted=document_text(strings).untrusted)


def joined(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Neighbours that are not marked as one part, so that an ordinary prompt is one string."""
    found: list[Part] = []
    for part in parts:
        if found and not part.untrusted and not found[-1].untrusted:
            found[-1] = Part(found[-1].text + part.text)
        elif part.text:
            found.append(part)
    return tuple(found)
