"""The pictures and tables of `docs/architecture.md` and its Chinese twin, from the code that they show.

The text of the pages is written by hand. Between the marks `<!-- NAME -->` and `<!-- /NAME -->` stands what is made
here. Words for people are here too; each table of words must name exactly the values that the code has.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import get_args

import networkx as nx

from triplelake.codes import CODES, Words
from triplelake.config import FORMATS, Settings, leaves
from triplelake.export.choice import FORMS
from triplelake.prompt.answer_form import FormName
from triplelake.prompt.profile import Template
from triplelake.tables.current import DECIDED, Decision
from triplelake.tables.schemas import ATTEMPTS, CHUNKS, DOCUMENTS, PLANS, REQUESTS, RUNS, TABLES, TRIPLES, Table
from triplelake.tables.views import VIEWS
from triplelake.types import LANGS, AttemptStatus, DocumentState, GrammarEngine, Grounding, RunCommand, RunStatus

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "lib" / "triplelake"
PAGES = {"architecture.md": "en", "architecture.zh-CN.md": "zh"}

_FACE = "api"
"""A module beside the packages that stands above them, as a package does."""

_OWNERS = {
    "doc_id": DOCUMENTS,
    "chunk_id": CHUNKS,
    "request_id": REQUESTS,
    "plan_id": PLANS,
    "run_id": RUNS,
}
"""The table in which a column names the row itself."""

_TRANSITIONS = (
    ("[*]", "rejected", "unreadable"),
    ("[*]", "planned", "plan"),
    ("planned", "published", "every chunk answered"),
    ("published", "planned", "edited, or asked otherwise"),
    ("published", "published", "republish"),
    ("published", "removed", "replace"),
    ("removed", "planned", "in the input again"),
)

_STATES: Mapping[str, Mapping[str, Words]] = {
    "documents.state": {
        "planned": Words("a plan holds it; what it said before stays current", "已列入计划；此前的结果仍然有效"),
        "published": Words(
            "every chunk has an answer or has failed, and its triples are there",
            "每一块都有了回答或已失败，三元组已在表中",
        ),
        "removed": Words("`--mode replace` did not find it in the input", "`--mode replace` 在输入中没有找到它"),
        "rejected": Words("a record that could not be read, with place and reason", "读不出来的记录，附位置和原因"),
    },
    "decision": {
        "new": Words("its id is not current", "没有这个编号的当前文档"),
        "changed": Words("current with another text or title", "当前的正文或标题不同"),
        "moved": Words(
            "current with another text, from another source: the run stops unless `--allow-moved`",
            "当前的文本不同，且来自另一个来源：运行停下，除非加 `--allow-moved`",
        ),
        "asked_otherwise": Words("current, and asked with another extraction key", "是当前文档，但用另一个提取键问过"),
        "failed": Words("`--retry-failed`, and some of its chunks failed", "加了 `--retry-failed`，且有的块失败了"),
        "relabelled": Words("only its source or kept columns differ", "只有来源或保留的列不同"),
        "known": Words("current as it is: nothing is done", "已是当前状态：什么也不做"),
        "rejected": Words("it could not be read", "读不出来"),
    },
    "attempts.status": {
        "ok": Words("a good answer with triples", "有三元组的好回答"),
        "empty": Words("a good answer without triples", "没有三元组的好回答"),
        "failed": Words("no good answer; `error_code` says why", "没有好回答；`error_code` 说明原因"),
    },
    "triples.grounding": {
        "exact": Words("both arguments stand in the text, character by character", "主体和客体都逐字出现在原文中"),
        "normalised": Words(
            "they differ in what a key ignores, or by a line end", "只在键所不计的地方或折行处与原文不同"
        ),
        "none": Words(
            "one does not stand there (`answer.grounding: verify` only)",
            "有一个不在原文中（仅 `answer.grounding: verify`）",
        ),
    },
    "runs.status": {
        "succeeded": Words("exit code 0", "退出码 0"),
        "budget_spent": Words("a budget ended it; the same command goes on", "因预算用完而结束；同样的命令接着做"),
        "failed": Words(
            "an error ended it; `error`, `remedy` and `exit_code` say which",
            "因错误而结束；见 `error`、`remedy`、`exit_code`",
        ),
        "interrupted": Words("a signal ended it; the same command goes on", "因信号而结束；同样的命令接着做"),
    },
}

_FATES: Mapping[tuple[bool, bool], Words] = {
    (True, True): Words(
        "put again, elsewhere first; when tries or time are used up, a row `failed`",
        "重试，先换一台；次数或时间用完后成为 `failed` 行",
    ),
    (True, False): Words(
        "put again, elsewhere first; then left for a later wave: it says nothing of the request",
        "重试，先换一台；之后留给以后的波次：与请求本身无关",
    ),
    (False, True): Words(
        "not put again as it is: a row `failed`; a question that overflows a slot is cut in two first",
        "不会原样重试：成为 `failed` 行；装不下槽位的问题先切成两半",
    ),
    (False, False): Words("the server is not asked any more", "不再向该服务器提问"),
}

_SETTINGS = (
    *("run.bucket_size", "run.wave_s", "run.lanes", "run.grace_s", "run.max_failure_rate"),
    *("asking.tries", "asking.timeout_s", "asking.deadline_s", "asking.patience_s"),
)

_HEADS: Mapping[str, Words] = {
    "where": Words("where", "在哪里"),
    "value": Words("value", "值"),
    "meaning": Words("meaning", "含义"),
    "codes": Words("codes", "错误码"),
    "fate": Words("what becomes of the request", "请求的去向"),
    "setting": Words("setting", "设置"),
    "default": Words("default", "默认值"),
    "kind": Words("what", "种类"),
    "known": Words("known today", "现有"),
}

_KINDS: Mapping[str, Words] = {
    "format": Words("format of the input", "输入格式"),
    "lang": Words("language asked in", "提问的语言"),
    "engine": Words("grammar engine", "语法引擎"),
    "form": Words("form of an answer", "回答的形式"),
    "template": Words("template of a prompt", "提示词的模板"),
    "export": Words("form of an export", "导出的形式"),
}


def documents() -> dict[str, str]:
    """The pages with today's pictures, by their names below `docs/`."""
    return {name: fill((ROOT / "docs" / name).read_text("utf-8"), lang) for name, lang in PAGES.items()}


def fill(page: str, lang: str) -> str:
    """A page with everything between its marks made anew.

    Raises:
        KeyError: a mark has a name that nothing here has.
    """

    shown = pictures(lambda words: words.en if lang == "en" else words.zh)

    def made(mark: re.Match[str]) -> str:
        return f"<!-- {mark[1]} -->\n{shown[mark[1]]}<!-- /{mark[1]} -->"

    return re.sub(r"<!-- (\w+) -->\n.*?<!-- /\1 -->", made, page, flags=re.DOTALL)


def pictures(of: Callable[[Words], str]) -> Mapping[str, str]:
    """Everything that a page can show, by the name of its mark; pictures are the same in every language."""
    return {
        "rooms": _mermaid("flowchart TD", _rooms()),
        "tables": _mermaid("erDiagram", _tables()),
        "views": _mermaid("flowchart LR", _views()),
        "documents": _mermaid("stateDiagram-v2", _transitions()),
        "states": _state_table(of),
        "codes": _code_table(of),
        "settings": _setting_table(of),
        "kinds": _kind_table(of),
    }


def _mermaid(kind: str, lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in ("```mermaid", kind, *(f"  {line}" for line in lines), "```"))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ["---"] * len(head), *rows))


def _rooms() -> Iterator[str]:
    """Packages and their imports, without those that follow from others; modules beside them are one node."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_edges_from(edge for file in LIBRARY.rglob("*.py") for edge in _imports(file))
    assert nx.is_directed_acyclic_graph(graph), "rooms that import one another in a circle"
    beside = sorted(path.stem for path in LIBRARY.glob("*.py") if path.stem not in ("__init__", _FACE))
    yield f'beside["{", ".join(beside)}"]'
    for room, used in sorted(nx.transitive_reduction(graph).edges):
        yield f"{room} --> {used}"


def _imports(file: Path) -> Iterator[tuple[str, str]]:
    def room(parts: Sequence[str]) -> str:
        return parts[0] if parts and (parts[0] == _FACE or (LIBRARY / parts[0]).is_dir()) else "beside"

    own = file.relative_to(LIBRARY).with_suffix("").parts
    if own == ("__init__",) or own == ("start",):
        return  # the face and the start of a command lead into the house, wherever it begins
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "triplelake":
            parts = (node.module or "").split(".")[1:]
            for named in [parts] if parts else [[each.name] for each in node.names]:
                if room(own) != room(named):
                    yield room(own), room(named)


def _tables() -> Iterator[str]:
    for table in TABLES:
        yield f"{table.name} {{"
        for column in table.columns:
            kind = re.sub(r"\W.*", "", str(column.type))
            key = " PK" if _OWNERS.get(column.name) is table else " FK" if column.name in _OWNERS else ""
            yield f"  {kind} {column.name}{key}"
        yield "}"
    for name, owner in _OWNERS.items():
        assert name in owner.names, f"{owner.name} has no {name}"
        for table in TABLES:
            if table is not owner and name in table.names:
                yield f'{owner.name} ||--o{{ {table.name} : "{name}"'


def _views() -> Iterator[str]:
    known = {table.name for table in TABLES} | set(VIEWS)
    for view, query in VIEWS.items():
        for source in dict.fromkeys(re.findall(r"\$(\w+)", query)):
            if source in known:
                yield f"{source}[({source})] --> {view}" if source not in VIEWS else f"{source} --> {view}"


def _transitions() -> Iterator[str]:
    assert {state for _, state, _ in _TRANSITIONS} == set(get_args(DocumentState))
    for before, after, why in _TRANSITIONS:
        yield f"{before} --> {after}: {why}"


def _told(table: Table, column: str) -> list[str]:
    """The values of a column, as its comment lists them: `planned, published, removed or rejected`."""
    [comment] = [each.comment for each in table.columns if each.name == column]
    return re.split(r", | or ", comment)


def _values() -> Mapping[str, Iterable[str]]:
    """What stands in the columns that have a few values each, by the code."""
    return {
        "documents.state": get_args(DocumentState),
        "decision": get_args(Decision),
        "attempts.status": get_args(AttemptStatus),
        "triples.grounding": get_args(Grounding),
        "runs.status": get_args(RunStatus),
    }


def _state_table(of: Callable[[Words], str]) -> str:
    values = {name: set(found) for name, found in _values().items()}
    assert values == {name: set(words) for name, words in _STATES.items()}, "a value without words, or words without"
    assert set(_told(DOCUMENTS, "state")) == values["documents.state"]
    assert set(re.findall(r"(?:THEN|ELSE) '(\w+)'", DECIDED)) == values["decision"]
    assert set(_told(ATTEMPTS, "status")) == values["attempts.status"]
    assert set(_told(TRIPLES, "grounding")) == values["triples.grounding"]
    assert set(_told(RUNS, "command")) == set(get_args(RunCommand))
    assert set(_told(RUNS, "status")) == values["runs.status"]
    rows = [(f"`{name}`", f"`{value}`", of(words)) for name, each in _STATES.items() for value, words in each.items()]
    return _table([of(_HEADS[name]) for name in ("where", "value", "meaning")], rows)


def _code_table(of: Callable[[Words], str]) -> str:
    rows = []
    for fate, words in _FATES.items():
        codes = [code for code, entry in CODES.items() if (entry.retried, entry.has_row) == fate]
        rows.append((", ".join(f"`{code}`" for code in codes), of(words)))
    return _table([of(_HEADS[name]) for name in ("codes", "fate")], rows)


def _setting_table(of: Callable[[Words], str]) -> str:
    defaults = dict(leaves(Settings().model_dump(mode="json")))
    rows = [(f"`{name}`", f"{defaults[name]:g}") for name in _SETTINGS]
    return _table([of(_HEADS[name]) for name in ("setting", "default")], rows)


def _kind_table(of: Callable[[Words], str]) -> str:
    known: Mapping[str, Iterable[str]] = {
        "format": (each for each in FORMATS if each != "auto"),
        "lang": LANGS,
        "engine": get_args(GrammarEngine),
        "form": get_args(FormName),
        "template": get_args(Template),
        "export": FORMS,
    }
    rows = [(of(_KINDS[name]), ", ".join(f"`{value}`" for value in values)) for name, values in known.items()]
    return _table([of(_HEADS[name]) for name in ("kind", "known")], rows)
