"""What setup.py and the tools' settings promise."""

from __future__ import annotations

import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest
import setuptools

import triplelake

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    told: dict[str, Any] = {}
    monkeypatch.setattr(setuptools, "setup", lambda **keywords: told.update(keywords))
    monkeypatch.chdir(ROOT)
    runpy.run_path("setup.py")
    return told


def test_spark_and_delta_stay_out_of_the_core(metadata: dict[str, Any]) -> None:
    assert not [name for name in metadata["install_requires"] if "spark" in name]
    assert {"delta-spark==4.4.0", "pyspark>=4.1,<4.2"} <= set(metadata["extras_require"]["spark"])
    extras = {"spark", "connect", "embedded", "calibrate", "completion", "infra", "train", "docs", "dev"}
    assert set(metadata["extras_require"]) == extras


def test_the_version_stands_in_one_place(metadata: dict[str, Any]) -> None:
    assert metadata["version"] == triplelake.__version__


def test_every_room_and_the_settings_are_packaged(metadata: dict[str, Any]) -> None:
    rooms = {p.parent.relative_to(ROOT / "lib") for p in (ROOT / "lib").rglob("__init__.py")}
    assert {".".join(room.parts) for room in rooms} | {"triplelake.conf"} <= set(metadata["packages"])


def test_a_registry_finds_what_it_shows(metadata: dict[str, Any]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert (metadata["long_description"], metadata["long_description_content_type"]) == (readme, "text/markdown")
    assert metadata["license"] == "Apache-2.0" and metadata["keywords"]
    assert len(set(metadata["classifiers"])) == len(metadata["classifiers"]) > 5
    # setuptools refuses a licence among them beside the expression.
    assert not [each for each in metadata["classifiers"] if each.startswith("License ::")]


def test_the_same_delta_for_python_and_java(metadata: dict[str, Any]) -> None:
    jars = (ROOT / "infra" / "delta_jars.txt").read_text(encoding="utf-8")
    (pin,) = (name for name in metadata["extras_require"]["spark"] if name.startswith("delta-spark"))
    version = pin.partition("==")[2]
    assert f"/delta-spark_4.1_2.13-{version}.jar " in jars
    defaults = (ROOT / "conf" / "spark-defaults.conf").read_text(encoding="utf-8")
    assert f"io.delta:delta-spark_4.1_2.13:{version}" in defaults


def test_pyproject_is_for_tools_only() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(settings) == {"build-system", "tool"}
