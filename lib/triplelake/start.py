"""How a command of `jobs/` starts: a signal while its modules are loaded ends it as one that comes later does."""

from __future__ import annotations

import sys
from importlib import import_module

from triplelake.interrupts import STOPPED, held, listen


def start(command: str) -> int:
    """Load a command of `triplelake.cli` and run it with this process's words; returns the exit code."""
    try:
        listen()
        # A module that is left while it is loaded raises whatever it likes; loading takes a second.
        with held():
            run = getattr(import_module("triplelake.cli"), command)
        code: int = run(sys.argv[1:])
    except KeyboardInterrupt:
        print(f"error: {STOPPED}", file=sys.stderr)
        return STOPPED.exit_code
    return code
