"""How a command ends: an exit code, and never a traceback."""

from __future__ import annotations

import logging
import signal
import tempfile
import traceback
from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from triplelake.errors import Interrupted, TriplelakeError, classified


def guarded(command: Callable[[Console], None]) -> int:
    """Run a command; every end is an exit code, and no end is a traceback."""
    console = Console(stderr=False)
    errors = Console(stderr=True)
    signal.signal(signal.SIGTERM, _interrupt)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
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
    console.print(Text(f"error: {error.subject}: {error.reason}", style="bold red"), soft_wrap=True)
    if error.remedy:
        console.print(Text(error.remedy), soft_wrap=True)
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
