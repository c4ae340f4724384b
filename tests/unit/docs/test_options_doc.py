"""What is written about the options is what the code declares."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from triplelake.config import Settings, known_keys, leaves, load_settings

ROOT = Path(__file__).resolve().parents[3]
EXTRACT = ROOT / "conf" / "extract.yaml"
OF_EACH_RUN = {"input", "output"}
"""Keys without a useful default: they stand in the file as comments."""
SECRET = {"api_key"}


@pytest.fixture(scope="module")
def make_docs() -> ModuleType:
    sys.path.insert(0, str(ROOT / "infra"))
    spec = importlib.util.spec_from_file_location("make_docs", ROOT / "infra" / "make_docs.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def documents(make_docs: ModuleType) -> Mapping[str, str]:
    """What is generated, by its name in docs/."""
    made: Mapping[str, str] = make_docs.documents()
    return made


def stale(made: Mapping[str, str]) -> list[str]:
    """The files of docs/ that are not what is made now."""
    return [name for name, text in made.items() if (ROOT / "docs" / name).read_text(encoding="utf-8") != text]


def test_what_is_committed_is_what_the_code_says(make_docs: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    # The errors of all modules take seconds, and the slow test below looks at them.
    written = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    monkeypatch.setattr(make_docs.errors_doc, "document", lambda: written)
    assert stale(make_docs.documents()) == [], "run: make docs"


@pytest.mark.slow
def test_what_is_committed_of_errors_is_what_the_code_says(documents: Mapping[str, str]) -> None:
    assert stale(documents) == [], "run: make docs"


@pytest.mark.slow
def test_every_error_says_what_to_do(documents: Mapping[str, str]) -> None:
    rows = [line for line in documents["errors.md"].splitlines() if line.startswith("| ")]
    assert len(rows) > 100
    assert [row for row in rows if row.endswith("|  |")] == []
    assert any("`prefix` and `suffix` say nothing with" in row for row in rows), "a reason that stands in a variable"


@pytest.mark.slow
def test_a_reason_stands_beside_the_remedy_of_its_own_branch(documents: Mapping[str, str]) -> None:
    rows = documents["errors.md"].splitlines()
    # Both reasons of `_ask` in preflight stand in one variable; the remedy of the second is a constant of the module.
    [down] = [row for row in rows if "does not answer a known sentence" in row]
    [weak] = [row for row in rows if "finds nothing where its prompt shows" in row]
    assert "curl …/health" in down and "--profile chat" in weak


def test_every_setting_and_every_exit_code_is_in_the_document(make_docs: ModuleType) -> None:
    text = make_docs.document()
    assert set(known_keys()) <= set(re.findall(r"^\| `([\w.]+)` \|", text, re.MULTILINE))
    assert re.findall(r"^\| (\d+) \|", text, re.MULTILINE) == ["0", "1", "2", "3", "4", "5", "6", "7", "8", "130"]


def test_the_shipped_configuration_names_every_key_with_its_default() -> None:
    written = dict(leaves(yaml.safe_load(EXTRACT.read_text(encoding="utf-8"))))
    defaults = dict(leaves(Settings().model_dump(mode="json")))
    expected = {key: value for key, value in defaults.items() if key not in OF_EACH_RUN | SECRET}
    assert written == expected
    commented = set(re.findall(r"^# (\w+): ", EXTRACT.read_text(encoding="utf-8"), re.MULTILINE))
    assert commented >= OF_EACH_RUN
    assert "TRIPLELAKE__API_KEY" in EXTRACT.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["extract.yaml", "demo.yaml"])
def test_the_shipped_configurations_load(name: str) -> None:
    assert load_settings(ROOT / "conf" / name, environ={}).pool == "embedded"


def test_a_key_of_digits_is_a_key() -> None:
    assert load_settings(environ={"TRIPLELAKE__API_KEY": "0123"}).api_key == "0123"
