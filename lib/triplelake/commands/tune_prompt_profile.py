"""The profile that `triplelake tune-prompt` ends with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import regex
from rich.console import Console

from triplelake.commands.tune_prompt import Tried
from triplelake.commands.tune_prompt_messages import Shown
from triplelake.console import say
from triplelake.errors import PoolError
from triplelake.prompt.profile import write_profile


def write_tuned(file: Path, tried: Tried, shown: Shown, console: Console, *, overwrite: bool) -> None:
    """Write the way that was chosen as a profile, with the table of all as comments, and tell how to use it.

    Args:
        shown: the table.

    Raises:
        PoolError: no way found a true triple, so that none was chosen for a reason.
        UsageError: the file cannot be written.
    """
    if not tried.found.chosen.right:
        raise PoolError(
            f"model {tried.alias}",
            f"finds no true triple, in whichever of {len(tried.found.arms)} ways it is asked; no profile is written",
            "It is too weak, or the texts are not what the ontology is about. Look at some answers: a run with "
            "--limit 5, then --show-request.",
        )
    head = (
        "How a model wants to be asked, chosen by triplelake tune-prompt. To use it: --profile THIS FILE; or put it",
        "into conf/models, where `profile: auto` finds it by the alias that the server declares.",
        "",
    )
    profile = replace(tried.profile, name=file.stem, match=(f"^{regex.escape(tried.alias)}$",))
    write_profile(file, profile, (*head, *shown.comments(), ""), overwrite=overwrite)
    say(console, f"Written:  {file}")
    other = ", in place of the one that knows this alias" if tried.known else ""
    say(console, f"To use:   --profile {file}; or put it into conf/models{other}: then `profile: auto` finds it")
