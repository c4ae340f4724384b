"""How a model wants to be asked: the profiles of `conf/models/`.

    name: atom-7b-chat
    match: ["atom-7b"]          # regular expressions searched in the server's alias, for `profile: auto`
    template: text              # plain | server | text
    prefix: "Human: "           # with `template: text` only; the server adds BOS by itself
    suffix: "\\n</s><s>Assistant:"
    next: "\\n</s><s>Human: "   # between an answer and the next question; with `examples: turns` only
    stop: ["</s>"]              # strings that end an answer; a line break in an answer of lines means a blank line
    examples: turns             # turns: of a conversation; text (default): in the one message
    answer: objects             # objects: {"subject": …}; arrays (default): ["subject", …];
                                # lines: subject|relation|object; grouped: relations, subjects
    empty: told                 # how a text without facts is shown: example (default), told or untold
    instructions: line          # what a tuned model is told: one line, or one with the `relations`; full (default): all

`profile: auto` takes the profile whose `match` knows the server's alias, and never guesses.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal

import regex

from triplelake.config import conf_dir, find_conf
from triplelake.errors import InputError, PoolError, UsageError
from triplelake.prompt.answer_form import FORMS, LINES, AnswerForm, FormName
from triplelake.prompt.files import Section, read_yaml_as, write_new

Template = Literal["plain", "server", "text"]
Examples = Literal["text", "turns"]
Empty = Literal["example", "told", "untold"]
Instructions = Literal["full", "relations", "line"]
BLANK_LINE = "\n\n"
MARKER = "TRIPLELAKE-MESSAGE"
"""The user message to send to `/apply-template`; `split_template` finds it again."""


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """How a model wants to be asked.

    Args:
        match: patterns that are searched, whatever the case, in a server's alias.
        template: `plain`: a base model goes on with the prompt as it is; `server`: the server's own chat
            template, asked once; `text`: `prefix` and `suffix` around the prompt.
        next: what stands between an answer and the next question.
        stop: strings that end an answer.
        examples: `turns`: questions and answers of a conversation; `text`: all in one message.
        answer: the form of an answer.
        empty: how the model learns that a text may hold no fact: by an `example` and a sentence, by being `told` so in
            a sentence, or not at all (`untold`); the grammar admits the empty answer in any case.
        instructions: `full`: all of a prompt's instructions, and examples. A model that was tuned to the job is told
            one line, in which the `relations` are named, or one `line` without them, and is shown no example.
    """

    name: str
    template: Template
    match: tuple[str, ...] = ()
    prefix: str = ""
    suffix: str = ""
    next: str = ""
    stop: tuple[str, ...] = ()
    examples: Examples = "text"
    answer: FormName = "arrays"
    empty: Empty = "example"
    instructions: Instructions = "full"

    @property
    def is_tuned(self) -> bool:
        """Whether it is of a model that was tuned to the job, which needs no example."""
        return self.instructions != "full"

    @property
    def ends(self) -> tuple[str, ...]:
        """Strings that end an answer.

        A line break that is to end an answer would leave the first of its lines, so that lines end with a blank one.
        """
        return tuple(dict.fromkeys(BLANK_LINE if self._is_break(each) else each for each in self.stop))

    @property
    def form(self) -> AnswerForm:
        """The form of an answer; its grammar ends lines with a blank one where the model is to say that."""
        return replace(LINES, end=BLANK_LINE) if any(map(self._is_break, self.stop)) else FORMS[self.answer]

    def _is_break(self, stop: str) -> bool:
        """Whether a stop ends an answer of lines with a line break."""
        return self.answer == LINES.name and stop != "" and not stop.strip("\n")


class _ProfileForm(Section):
    name: str
    template: Template
    match: tuple[str, ...] = ()
    prefix: str = ""
    suffix: str = ""
    next: str = ""
    stop: tuple[str, ...] = ()
    examples: Examples = "text"
    answer: FormName = "arrays"
    empty: Empty = "example"
    instructions: Instructions = "full"


def find_profile(setting: str, model_alias: str) -> ModelProfile:
    """The profile that the setting `profile` names; `auto` goes by the alias that the server declares.

    Args:
        model_alias: `model_alias` of `/props`; used for `auto` only.

    Raises:
        UsageError: there is no such profile; or `auto`, and not exactly one profile knows the alias.
        InputError: a profile cannot be used.
    """
    if setting != "auto":
        is_file = Path(setting).suffix in {".yaml", ".yml"}
        return load_profile(find_conf(setting if is_file else f"models/{setting}.yaml", kind="model profile"))
    profiles = _shipped()
    found = _knowing(profiles, model_alias)
    if len(found) == 1:
        return found[0]
    reason = (
        "is known to no model profile, and a prompt template is never guessed"
        if not found
        else f"is known to several model profiles: {', '.join(p.name for p in found)}"
    )
    raise UsageError(
        f"model {model_alias}",
        reason,
        "Set one of these lines in the configuration (or --set KEY=VALUE):\n"
        "  profile: chat        a chat model; the server's own chat template is used\n"
        "  profile: base        a base model, without a template\n"
        f"  profile: NAME        a profile of {conf_dir() / 'models'}: {', '.join(p.name for p in profiles)}\n"
        "Which one is best on your texts, and a profile for it: `triplelake tune-prompt`.",
    )


def is_known(model_alias: str) -> bool:
    """Whether `profile: auto` has a profile, or several, for an alias."""
    return bool(_knowing(_shipped(), model_alias))


def load_profile(file: Path) -> ModelProfile:
    """Read one profile.

    Raises:
        InputError: not YAML, an unknown key, a wrong value, a pattern that is none.
    """
    form = read_yaml_as(file, _ProfileForm, "model profile")
    if form.template != "text" and (form.prefix or form.suffix):
        reason = f"`prefix` and `suffix` say nothing with `template: {form.template}`"
        raise InputError(str(file), reason, "Remove them, or set `template: text`.")
    if form.template == "text" and not (form.prefix or form.suffix):
        raise InputError(str(file), "`template: text` needs `prefix` or `suffix`", "For none use `template: plain`.")
    if form.examples == "turns" and form.template == "plain":
        raise InputError(str(file), "`examples: turns` needs a chat template", "Set `template: server` or `text`.")
    if (form.examples == "turns" and form.template == "text") != bool(form.next):
        reason = "`next` and `examples: turns` with `template: text` go together"
        raise InputError(str(file), reason, "Say in `next` what stands between an answer and the next question.")
    if form.instructions != "full" and (form.examples != "text" or form.empty != "example"):
        reason = f"`examples` and `empty` say nothing with `instructions: {form.instructions}`"
        raise InputError(str(file), reason, "Remove them: a tuned model is shown no example.")
    for pattern in form.match:
        try:
            regex.compile(pattern)
        except regex.error as error:
            reason = f"`match`: {pattern!r} is no regular expression: {error}"
            raise InputError(str(file), reason, "Mend it; a name as it is needs no regular expression.") from None
    return ModelProfile(**dict(form))


def _shipped() -> list[ModelProfile]:
    return [load_profile(file) for file in sorted((conf_dir() / "models").glob("*.yaml"))]


def _knowing(profiles: Sequence[ModelProfile], alias: str) -> list[ModelProfile]:
    return [p for p in profiles if any(regex.search(m, alias, regex.IGNORECASE) for m in p.match)]


def profile_lines(profile: ModelProfile, *, always: Collection[str] = ("name", "template")) -> list[str]:
    """The lines of a profile's file.

    Args:
        always: keys that are written whatever they say; the others only where they are not as they are by default.
    """
    usual = ModelProfile(profile.name, profile.template)
    values = {each.name: getattr(profile, each.name) for each in fields(profile)}
    # A JSON text is a YAML text, too, where what is not printable is escaped.
    return [
        f"{name}: {json.dumps(value, ensure_ascii=not _is_printable(value))}"
        for name, value in values.items()
        if name in always or value != getattr(usual, name)
    ]


def _is_printable(value: object) -> bool:
    return json.dumps(value, ensure_ascii=False).isprintable()


def write_profile(file: Path, profile: ModelProfile, comments: Sequence[str], *, overwrite: bool) -> None:
    """Write a profile that says in full how a model is asked, under lines of comment.

    Raises:
        OutputError: the file is there already, or cannot be written.
    """
    lines = profile_lines(profile, always=("name", "template", "match", "examples", "answer", "empty"))
    text = "".join(f"{line}\n" for line in (*(f"# {each}".rstrip() for each in comments), *lines))
    write_new(file, text, overwrite=overwrite)


def split_template(rendered: str) -> tuple[str, str]:
    """What a server's template puts before and after a message.

    Args:
        rendered: what `/apply-template` made of one user message that is `MARKER`.

    Raises:
        PoolError: the message is not there exactly once.
    """
    if rendered.count(MARKER) != 1:
        raise PoolError(
            "the server's chat template",
            f"shows a user message {rendered.count(MARKER)} times",
            "Set `profile` to one with `template: text`; conf/models/atom-7b-chat.yaml is an example.",
        )
    before, after = rendered.split(MARKER)
    return before, after
