"""`--init`: what it writes can be used as it is, says the same as what is shipped, and overwrites nothing."""

from __future__ import annotations

import io
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from triplelake.cli.extract import extract_command
from triplelake.commands.init import InitLang, init, locale_lang
from triplelake.config import load_settings
from triplelake.prompt.ontology_file import load_ontology
from triplelake.prompt.profile import find_profile, load_profile
from triplelake.prompt.prompts import Prompt, load_prompts
from triplelake.prompt.render import Renderer
from triplelake.types import LANGS, Lang, Request

BOTH = pytest.mark.parametrize(("lang", "asked"), [("zh", "zh-Hans"), ("zh-Hant", "zh-Hant"), ("en", "en")])


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """A command takes SIGTERM for itself."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@BOTH
def test_what_is_written_is_a_job(tmp_path: Path, lang: InitLang, asked: Lang) -> None:
    folder = tmp_path / "my job"
    said = io.StringIO()
    init(folder, lang, Console(file=said, width=200))
    assert f"--config {folder}/extract.yaml" in said.getvalue()
    settings = load_settings(folder / "extract.yaml", environ={})
    ontology, prompts = load_ontology(settings.ontology), load_prompts(settings.prompt.dir)
    assert ontology and len(prompts[asked].examples) == 3
    assert [example.triples for example in prompts[asked].examples].count(()) == 1
    renderer = Renderer(prompts, ontology, find_profile("base", "any"))
    assert not [note for note in renderer.notes if note.lang == asked]
    own = load_profile(folder / "own.yaml")
    assert own.is_tuned
    for each in LANGS:
        assert renderer.render(Request("", "x", "", "", each)).text
        assert Renderer(prompts, ontology, own).render(Request("", "x", "", "", each)).text


@BOTH
def test_it_asks_as_the_shipped_prompt_does(lang: InitLang, asked: Lang, tmp_path: Path) -> None:
    init(tmp_path, lang, Console(file=io.StringIO()))
    own, shipped = (load_prompts(place)[asked] for place in (tmp_path / "prompts", "prompts"))
    assert _but_examples(own) == _but_examples(shipped)


def _but_examples(prompt: Prompt) -> tuple[object, ...]:
    return (
        prompt.instructions,
        prompt.open_instructions,
        prompt.labels,
        prompt.relation_separator,
        prompt.relation_with_description,
    )


def test_what_is_there_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "extract.yaml").write_text("mine")
    assert extract_command(["--init", str(tmp_path)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["extract.yaml"]
    assert (tmp_path / "extract.yaml").read_text() == "mine"
    assert extract_command(["--init", str(tmp_path / "extract.yaml" / "below")]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("environ", "lang"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LC_ALL": "C", "LANG": "zh_TW"}, "en"),
        ({"LC_ALL": "", "LANG": "zh"}, "zh"),
        ({"LC_MESSAGES": "zh_TW.Big5", "LANG": "zh_CN"}, "zh-Hant"),
        ({"LANG": "zh_HK"}, "zh-Hant"),
        ({"LANG": "zha_CN"}, "en"),
        ({}, "en"),
    ],
)
def test_the_language_is_that_of_the_locale(environ: dict[str, str], lang: str) -> None:
    assert locale_lang(environ) == lang
