"""`triplelake extract --init DIR`: the files that a new user edits, in the user's language."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Literal, get_args

from rich.console import Console

from triplelake.config import conf_dir
from triplelake.console import say
from triplelake.errors import UsageError

InitLang = Literal["zh", "zh-Hant", "en"]
INIT_LANGS: tuple[InitLang, ...] = get_args(InitLang)

_SETTINGS = "extract.yaml"
_TRADITIONAL = frozenset({"TW", "HK", "MO"})
_NEXT: Mapping[InitLang, str] = {
    "en": """\
Written: {folder}
  extract.yaml     the settings: name your texts there
  ontology.yaml    the relations to look for
  prompts/         how the model is asked, with three examples
  own.yaml         how a model that was trained on your judgements is asked (docs/own-model.md)
Edit them, then:
  triplelake extract --config {folder}/extract.yaml --limit 20""",
    "zh": """\
已写入：{folder}
  extract.yaml     设置：在这里写上你的文本
  ontology.yaml    要抽取的关系
  prompts/         怎样向模型提问，附三个示例
  own.yaml         怎样向用你的判断微调过的模型提问（docs/own-model.zh-CN.md）
修改之后执行：
  triplelake extract --config {folder}/extract.yaml --limit 20""",
    "zh-Hant": """\
已寫入：{folder}
  extract.yaml     設定：在這裡寫上你的文本
  ontology.yaml    要擷取的關係
  prompts/         怎樣向模型提問，附三個範例
  own.yaml         怎樣向用你的判斷微調過的模型提問（docs/own-model.zh-CN.md）
修改之後執行：
  triplelake extract --config {folder}/extract.yaml --limit 20""",
}


def init(folder: Path, lang: InitLang | None, console: Console) -> None:
    """Write them into a folder that is not there yet, or is empty.

    Args:
        lang: of the comments and the examples; if None, that of the user's locale.

    Raises:
        UsageError: there is something already, or the folder cannot be made.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"--init {folder}", "is there already", "Name a folder that is not there yet, or is empty.")
    lang = lang or locale_lang(os.environ)
    try:
        shutil.copytree(conf_dir() / "init" / lang, folder, dirs_exist_ok=True)
        settings = folder / _SETTINGS
        text = Template(settings.read_text(encoding="utf-8")).substitute(folder=folder)
        settings.write_text(text, encoding="utf-8")
    except OSError as error:
        reason = f"cannot be written: {error.strerror or error}"
        raise UsageError(f"--init {folder}", reason, "Name a folder that you may write to.") from None
    say(console, _NEXT[lang].format(folder=folder))


def locale_lang(environ: Mapping[str, str]) -> InitLang:
    """The language of a locale, by the variables that programs go by."""
    named = next((environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environ.get(name)), "")
    language, _, region = named.partition(".")[0].partition("_")
    if language.lower() != "zh":
        return "en"
    return "zh-Hant" if region.upper() in _TRADITIONAL else "zh"
