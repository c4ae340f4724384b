"""How a command ends: an exit code, and never a traceback."""

from __future__ import annotations

import signal
import tempfile
import traceback
from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from triplelake.console import log_to_terminal, say, terminal, visible
from triplelake.errors import Interrupted, TriplelakeError, classified


def guarded(command: Callable[[Console], None]) -> int:
    """Run a command; every end is an exit code, and no end is a traceback."""
    console, errors = terminal(), terminal(stderr=True)
    signal.signal(signal.SIGTERM, _interrupt)
    log_to_terminal()
    try:
        command(console)
    except TriplelakeError as error:
        return _tell(errors, error)
    except KeyboardInterrupt:
        return _tell(errors, Interrupted("run", "stopped by a signal", "The same command goes on."))
    except Exception as error:
        return _tell(errors, _unexpected(error))
    return 0


def _tell(console: Console, error: TriplelakeError) -> int:
    console.print(Text(visible(f"error: {error.subject}: {error.reason}"), style="bold red"), soft_wrap=True)
    if error.remedy:
        say(console, error.remedy)
    return error.exit_code


def _unexpected(error: Exception) -> TriplelakeError:
    found = classified(error)
    if type(found) is not TriplelakeError:
        return found
    with tempfile.NamedTemporaryFile("w", prefix="triplelake-", suffix=".log", delete=False, encoding="utf-8") as log:
        traceback.print_exception(error, file=log)
    return TriplelakeError(found.subject, found.reason, f"{found.remedy} The details are in {log.name}.")


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt
