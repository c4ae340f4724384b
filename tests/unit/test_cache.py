"""The folder that keeps what was fetched or computed once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from triplelake.cache import cache_dir
from triplelake.errors import SetupError


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
def test_a_cache_that_others_can_write_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "triplelake"
    (tmp_path / "triplelake").chmod(mode)
    with pytest.raises(SetupError, match="can be written by other users") as caught:
        cache_dir()
    assert "chmod 700" in caught.value.remedy


def test_a_cache_of_somebody_else_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    owner = tmp_path.stat().st_uid
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    with pytest.raises(SetupError, match="belongs to another user"):
        cache_dir()


def test_the_cache_moves_where_it_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    assert cache_dir() == tmp_path / f"triplelake-{os.getuid()}"
