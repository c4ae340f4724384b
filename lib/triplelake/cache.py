"""The folder of this user that keeps what was fetched or computed once."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from triplelake.errors import SetupError


def cache_dir() -> Path:
    """A folder of this user's that outlives the run; below the temporary folder where there is no home to write to.

    Raises:
        SetupError: none can be made, or others can write there: what lies in it is run and believed.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for folder in (base / "triplelake", Path(tempfile.gettempdir()) / f"triplelake-{os.getuid()}"):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            _refuse_shared(folder)
            return folder
    raise SetupError(str(base), "no folder to cache the model in can be written", "Set XDG_CACHE_HOME to one that can.")


def _refuse_shared(folder: Path) -> None:
    # Of the folder itself, not of what a link of somebody else leads to.
    state = folder.lstat() if folder.parent == Path(tempfile.gettempdir()) else folder.stat()
    if state.st_uid != os.getuid():
        reason = "belongs to another user"
    elif not stat.S_ISDIR(state.st_mode) or state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        reason = "can be written by other users"
    else:
        return
    raise SetupError(
        str(folder), f"{reason}, who could put another model there", f"chmod 700 {folder}, or set XDG_CACHE_HOME."
    )
