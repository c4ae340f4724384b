"""What a shell completes, made by shtab of the parsers: a script, so that a key press starts no Python."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from triplelake.errors import SetupError

SHELLS = ("bash", "zsh", "fish", "tcsh")
_FILES = frozenset({"FILE", "GGUF", "PATH", "POOL"})
"""How options name what can stand in a file of this machine."""
_FOLDERS = frozenset({"DIR"})


def completion(
    main: argparse.ArgumentParser,
    commands: Mapping[str, argparse.ArgumentParser],
    summaries: Mapping[str, str],
    shell: str,
) -> str:
    """The script that teaches a shell the commands, their options and what stands behind these.

    Args:
        main: the parser of what is no command; it gets the commands as its own.

    Raises:
        SetupError: shtab is not installed.
    """
    try:
        import shtab
    except ImportError:
        remedy = "Install it: pip install 'triplelake[completion]'"
        raise SetupError("--print-completion", "needs the package shtab, which is not here", remedy) from None
    tree = main.add_subparsers(metavar="COMMAND", parser_class=argparse.ArgumentParser)
    for name, parser in commands.items():
        copy = tree.add_parser(name, help=summaries[name], parents=[parser], add_help=False)
        for action in copy._actions:  # argparse has no public list of its options
            _complete_files(action, shtab.FILE, shtab.DIRECTORY)
    script: str = shtab.complete(main, shell)
    return script


def _complete_files(action: Any, file: object, folder: object) -> None:
    if action.metavar in _FILES:
        action.complete = file
    elif action.metavar in _FOLDERS:
        action.complete = folder
