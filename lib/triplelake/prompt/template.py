"""What a server's chat template puts around a message, and whether an answer can begin right behind it.

A grammar counts from the first decoded token. A template that opens a block of thoughts, or leaves the assistant's turn
to be opened by the model, would have it put into the wrong place: the run is refused, with a profile that is right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import regex

from triplelake.errors import PoolError
from triplelake.prompt.profile import MARKER, ModelProfile, profile_lines, split_template
from triplelake.prompt.turns import Turns

SUBJECT = "the server's chat template"
KWARGS: Mapping[str, object] = {"enable_thinking": False, "thinking": False, "date_string": "26 Jul 2024"}
"""What templates are told (`chat_template_kwargs`): not to think, by the two names in use; and a date that stays, since
the one of today would make every question a new one tomorrow. A template takes what it knows."""

_ASKED, _SAID = "TRIPLELAKE-FIRST", "TRIPLELAKE-SECOND"
HISTORY: Sequence[Mapping[str, str]] = (
    {"role": "user", "content": _ASKED},
    {"role": "assistant", "content": _SAID},
    {"role": "user", "content": MARKER},
)
"""Messages that show how a template opens and ends a turn of the assistant."""

_THOUGHTS = {
    **{f"<{name}>": f"</{name}>" for name in ("think", "thinking", "thought", "reasoning", "reason", "seed:think")},
    "[THINK]": "[/THINK]",
    "◁think▷": "◁/think▷",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "<|START_THINKING|>": "<|END_THINKING|>",
    "<|inner_prefix|>": "<|inner_suffix|>",
    "<unused94>": "<unused95>",
    "<|channel>thought": "<channel|>",
    "<|channel|>analysis<|message|>": "<|end|><|start|>assistant<|channel|>final<|message|>",
}
_CHANNELS = "<|start|>assistant"
_FINAL = "<|channel|>final<|message|>"
_ENDS_TURN = regex.compile(r"\s*(<[^<>\s]{1,40}>|\[/?[A-Z_]{1,20}\])")
_ANY = ModelProfile("any", "server")
_DATES = ("%d %b %Y", "%d %B %Y", "%Y-%m-%d", "%B %d, %Y", "%Y年%m月%d日")


def read_template(
    rendered: str, history: str | None, now: datetime | None = None, profile: ModelProfile = _ANY
) -> tuple[str, str]:
    """What the template puts before and after a message.

    Args:
        rendered: what `/apply-template` made of one user message that is `MARKER`.
        history: what it made of `HISTORY`; None if it refuses such messages.
        now: the time; that of the clock if None.
        profile: what else the offered profile says.

    Raises:
        PoolError: the message is not there exactly once, or no answer can begin behind it. The remedy holds a profile
            that does it right, to be saved as it is.
    """
    before, after = split_template(rendered)
    _Place(before, after, _Offer(profile, before)).check(history, now)
    return before, after


def check_turns(turns: Turns, before: str, now: datetime | None = None, profile: ModelProfile = _ANY) -> None:
    """The same of a conversation, which may be written otherwise than a single message.

    Args:
        before: what stands before a single message, for the offered profile.

    Raises:
        PoolError: no answer can begin behind the last question.
    """
    history = _ASKED + turns.to_answer + _SAID + turns.to_next
    place = _Place(turns.opening + turns.to_question, turns.asked, _Offer(profile, before, turns.to_next))
    place.check(history, now)


@dataclass(frozen=True, slots=True)
class _Offer:
    """A profile to be saved, as text: what stands before a message, and between an answer and the next question."""

    profile: ModelProfile
    before: str
    next: str = ""

    def told(self, what: str, after: str) -> str:
        profile = replace(
            self.profile,
            name="mine",
            template="text",
            match=(),
            prefix=self.before,
            suffix=after,
            next=self.next,
            examples="turns" if self.next else "text",
        )
        lines = [f"  {line}" for line in profile_lines(profile, always=("name", "template", "prefix", "suffix"))]
        return "\n".join([f"{what}; save it as mine.yaml and say --profile mine.yaml:", *lines])


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an answer begins: what stands before and after the question, and what to offer where it is wrong."""

    before: str
    after: str
    offer: _Offer

    def check(self, history: str | None, now: datetime | None) -> None:
        before, after = self.before, self.after
        for opens, closes in _THOUGHTS.items():
            if after.rfind(opens) > after.rfind(closes):
                reason = (
                    f"opens a block of thoughts ({opens}), in which the grammar would hold the thoughts, not the answer"
                )
                closed = f"{after.rstrip()}\n\n{closes}\n\n" if closes.startswith("</") else after.rstrip() + closes
                raise PoolError(SUBJECT, reason, self.offer.told("This profile closes it at once", closed))
        if after.rstrip().endswith(_CHANNELS):
            reason = "leaves the channel of the answer to the model, before which no grammar can begin"
            raise PoolError(SUBJECT, reason, self.offer.told("This profile names it", after.rstrip() + _FINAL))
        if history is not None and history.count(_ASKED) == history.count(_SAID) == 1:
            self._check_turn(history)
        today = (now or datetime.now(UTC), (now or datetime.now()))
        dates = (day for each in today for form in _DATES if (day := each.strftime(form)) in before + after)
        if date := next(dates, None):
            reason = f"writes the date of today ({date}) into the prompt: tomorrow every question would be asked again"
            raise PoolError(SUBJECT, reason, self.offer.told("This profile keeps today's", after))

    def _check_turn(self, history: str) -> None:
        opening, said = history.partition(_ASKED)[2].split(_SAID, 1)
        ending = _ENDS_TURN.match(said)
        shown, whole = self.after.rstrip(), opening.rstrip()
        if whole.startswith(shown) and len(whole) > len(shown):
            reason = "does not open the assistant's turn: it does nothing for `add_generation_prompt`"
            raise PoolError(SUBJECT, reason, self.offer.told("This profile opens it as the template does", opening))
        if ending and shown.startswith(whole) and shown.endswith(ending[1]) and len(shown) > len(whole):
            reason = f"ends the assistant's turn ({ending[1]}) before the answer"
            raise PoolError(SUBJECT, reason, self.offer.told("This profile leaves it open", opening))
