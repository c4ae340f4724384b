"""How a command ends: an exit code, and never a traceback."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from triplelake.console import log_to_terminal, say, terminal, visible
from triplelake.errors import Interrupted, TriplelakeError, classified
from triplelake.interrupts import STOPPED, listen, told_to_stop


def guarded(command: Callable[[Console], None]) -> int:
    """Run a command; every end is an exit code, and no end is a traceback."""
    console, errors = terminal(), terminal(stderr=True)
    listen()
    log_to_terminal()
    try:
        command(console)
    except KeyboardInterrupt:
        return _tell(errors, STOPPED)
    except Exception as error:
        if told_to_stop() and not isinstance(error, Interrupted):
            # The signal may have ended Spark's JVM first; what fails then is no news.
            return _tell(errors, STOPPED)
        return _tell(errors, _unexpected(error))
    return 0


def _tell(console: Console, error: TriplelakeError) -> int:
    console.print(Text(visible(f"error: {error.subject}: {error.reason}"), style="bold red"), soft_wrap=True)
    if error.remedy:
        say(console, error.remedy)
    return error.exit_code


def _unexpected(error: Exception) -> TriplelakeError:
    found = classified(error)  # an error of the project is itself
    if found is error or type(found) is not TriplelakeError:
        return found
    with tempfile.NamedTemporaryFile("w", prefix="triplelake-", suffix=".log", delete=False, encoding="utf-8") as log:
        traceback.print_exception(error, file=log)
    return TriplelakeError(found.subject, found.reason, f"{found.remedy} The details are in {log.name}.")
