"""Ways of asking that a model can be tried with, each a model profile: the arms of `triplelake tune-prompt`.

An arm is named after the keys of a profile, `EXAMPLES-ANSWER-EMPTY`, as in `turns-relations-told`. EXAMPLES is `turns`
or `text` where the model has a chat template, and `plain` where it is a base model, which knows no turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import cast, get_args

from triplelake.errors import UsageError
from triplelake.prompt.answer_form import FORMS, FormName
from triplelake.prompt.files import nearest
from triplelake.prompt.profile import Empty, ModelProfile

ALL = "all"
"""In place of names: every arm that a profile can be asked in."""

_TURNS, _TEXT, _PLAIN = "turns", "text", "plain"
NAMES = tuple("-".join(parts) for parts in product((_TURNS, _TEXT, _PLAIN), FORMS, get_args(Empty)))

# By docs/measured.md. Lines find most with chat models, and with a base model no more than arrays. Objects cost more
# tokens than arrays and find no more; groups by subject find less than by relation. What is not told of empty answers
# finds no more than what is told.
_WORTH_TRYING: tuple[str, ...] = (
    "turns-arrays-example",
    "turns-arrays-told",
    "turns-lines-example",
    "turns-relations-example",
    "turns-relations-told",
    "text-arrays-example",
    "plain-arrays-example",
    "plain-arrays-told",
    "plain-relations-example",
)


@dataclass(frozen=True, slots=True)
class Arm:
    """A way of asking, and the profile that asks so."""

    name: str
    profile: ModelProfile


def check_names(names: Sequence[str]) -> None:
    """Refuse what is no arm.

    Raises:
        UsageError: with the nearest one.
    """
    if unknown := next((name for name in names if name != ALL and name not in NAMES), None):
        reason = "is no way of asking; one is EXAMPLES-ANSWER-EMPTY"
        raise UsageError(f"--arms {unknown}", reason, nearest(unknown, [*NAMES, ALL]))


def arms_of(bases: Sequence[ModelProfile], names: Sequence[str] | None = None) -> list[Arm]:
    """The arms of some profiles, in the order of their names; without names those that are worth trying.

    Args:
        bases: what stands around messages is theirs. Without names their own ways of asking come first, and where none
            of them knows turns the examples stand in one message.

    Raises:
        UsageError: an arm is none, none of the profiles can be asked so, or one is of a tuned model.
    """
    check_names(names or ())
    if tuned := next((base for base in bases if base.is_tuned), None):
        reason = "is of a model that was tuned to one way of asking; in another one it finds less"
        raise UsageError(f"model profile {tuned.name}", reason, "Ask it so, and measure with `triplelake evaluate`.")
    everything = ALL in (names or ())
    if names is None:
        worth = _WORTH_TRYING
        if not any(_TURNS in _shapes(base) for base in bases):
            worth = tuple(name.replace(_TURNS, _TEXT, 1) for name in worth)
        wanted = dict.fromkeys((*map(name_of, bases), *worth))
    else:
        wanted = dict.fromkeys(NAMES if everything else names)
    made = {name: _arm(name, bases) for name in wanted}
    if names and not everything and (vain := next((name for name, arm in made.items() if arm is None), None)):
        told = ", ".join(dict.fromkeys(base.name for base in bases))
        reason = f"cannot be asked with the model profile {told}"
        remedy = (
            "`turns` and `text` need a chat template (template: server, or text; turns with `next`), `plain` a base "
            "model. Another profile: --profile NAME"
        )
        raise UsageError(f"--arms {vain}", reason, remedy)
    return [arm for arm in made.values() if arm]


def name_of(profile: ModelProfile) -> str:
    """The arm that a profile is."""
    return f"{_PLAIN if profile.template == 'plain' else profile.examples}-{profile.answer}-{profile.empty}"


def without_turns(arm: Arm) -> Arm:
    """The same arm with its examples in one message."""
    return Arm(arm.name.replace(_TURNS, _TEXT, 1), replace(arm.profile, examples="text", next=""))


def _arm(name: str, bases: Sequence[ModelProfile]) -> Arm | None:
    shape, answer, empty = name.split("-")
    base = next((base for base in bases if shape in _shapes(base)), None)
    if base is None:
        return None
    asked = replace(base, answer=cast(FormName, answer), empty=cast(Empty, empty))
    if shape == _TURNS:
        return Arm(name, replace(asked, examples="turns"))
    return Arm(name, replace(asked, examples="text", next=""))


def _shapes(base: ModelProfile) -> tuple[str, ...]:
    if base.template == "plain":
        return (_PLAIN,)
    return (_TURNS, _TEXT) if base.template == "server" or base.next else (_TEXT,)
