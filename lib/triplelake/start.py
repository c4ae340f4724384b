"""How a command starts: a signal while its modules are loaded ends it as one that comes later does."""

from __future__ import annotations

import sys
from importlib import import_module

from triplelake.interrupts import STOPPED, held, listen


def start(*words: str) -> int:
    """Run what the words and then this process's own order; returns the exit code.

    The command `triplelake` calls it without words, and `jobs/extract.py` with `extract`.
    """
    try:
        listen()
        # A module that is left while it is loaded raises whatever it likes; loading takes a second.
        with held():
            command = import_module("triplelake.cli.main").load((*words, *sys.argv[1:]))
        code: int = command()
    except KeyboardInterrupt:
        print(f"error: {STOPPED}", file=sys.stderr)
        return STOPPED.exit_code
    return code
