"""Every code that a failed request, or a failed try of one, can have: what it means and what follows from it.

The one table for all who ask "is that tried again?" or "whose fault is it?". `docs/error-codes.md` and its Chinese twin
are generated from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """Where the cause lies."""

    SERVER = "server"
    SETTINGS = "settings"
    REQUEST = "request"
    MODEL = "model"
    PROGRAM = "triplelake"
    UNCLEAR = "unclear"


class Code(StrEnum):
    """A word for what happened, as it stands in `attempts.error_code` and `attempts.failed_tries`."""

    CONNECTION = "connection"
    TIMEOUT = "timeout"
    HTTP_429 = "http_429"
    HTTP_500 = "http_500"
    HTTP_503 = "http_503"
    LOADING = "loading"
    UNAUTHORIZED = "unauthorized"
    OTHER_MODEL = "other_model"
    BAD_ANSWER = "bad_answer"
    BAD_REQUEST = "bad_request"
    CONTEXT_OVERFLOW = "context_overflow"
    EMPTY_ANSWER = "empty_answer"
    INVALID_JSON = "invalid_json"
    NOT_TRIPLES = "not_triples"
    UNFINISHED = "unfinished"
    UNGROUNDED = "ungrounded"
    UNKNOWN_PREDICATE = "unknown_predicate"
    TRUNCATED = "truncated"
    INTERNAL = "internal"

    @property
    def entry(self) -> Entry:
        """What the table says of it."""
        return CODES[self]

    @property
    def away(self) -> bool:
        """Whether a server that says it is not there for now, and may come back by itself."""
        return self.entry.passing or self is Code.TIMEOUT


@dataclass(frozen=True, slots=True)
class Words:
    """A sentence in the languages of the documentation."""

    en: str
    zh: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What a code means.

    Args:
        meaning: what happened.
        fault: where the cause lies.
        remedy: what a person does about it.
        retried: the same question may succeed later or elsewhere, and is put again.
        has_row: a request that ends with it is failed and has a row of `attempts`. Without a row it is asked again in
            a later wave, since the code says nothing of the request.
        passing: a server in use says it now and then, so that the first one is no reason to give a server up.
    """

    meaning: Words
    fault: Fault
    remedy: Words
    retried: bool = True
    has_row: bool = True
    passing: bool = False


CODES: Mapping[Code, Entry] = {
    Code.CONNECTION: Entry(
        Words("The server cannot be reached, or the connection broke", "无法连接服务器，或连接中断"),
        Fault.SERVER,
        Words("Is it running, and reachable from every executor?", "检查服务器是否在运行，各执行器能否连上它。"),
        has_row=False,
        passing=True,
    ),
    Code.TIMEOUT: Entry(
        Words("No answer came in time, or no place was free in time", "没有及时得到回答，或没有及时等到空位"),
        Fault.UNCLEAR,
        Words(
            "Is the server overloaded or wedged? Else raise asking.timeout_s or asking.deadline_s.",
            "检查服务器是否过载或卡死；否则调大 asking.timeout_s 或 asking.deadline_s。",
        ),
    ),
    Code.HTTP_429: Entry(
        Words("The server, or a gateway before it, limits its rate (HTTP 429)", "服务器或其前面的网关限流（HTTP 429）"),
        Fault.SERVER,
        Words("Set asking.requests_per_s below its limit.", "把 asking.requests_per_s 设到限额以下。"),
        has_row=False,
        passing=True,
    ),
    Code.HTTP_500: Entry(
        Words("The server failed inside (HTTP 5xx other than 503)", "服务器内部出错（503 以外的 HTTP 5xx）"),
        Fault.UNCLEAR,
        Words(
            "Look at its log. If the same request fails on every server, the request is the cause.",
            "查看服务器日志。若同一请求在每台服务器上都失败，原因在请求。",
        ),
        passing=True,
    ),
    Code.HTTP_503: Entry(
        Words("The server takes nothing now (HTTP 503)", "服务器暂不接受请求（HTTP 503）"),
        Fault.SERVER,
        Words("Look at its log; give it fewer requests (`slots`).", "查看服务器日志；减少发给它的请求（`slots`）。"),
        has_row=False,
        passing=True,
    ),
    Code.LOADING: Entry(
        Words("The server is loading its model", "服务器正在加载模型"),
        Fault.SERVER,
        Words("Wait: it is used as soon as it is ready.", "等待：加载完成后即会使用。"),
        has_row=False,
        passing=True,
    ),
    Code.UNAUTHORIZED: Entry(
        Words("The server refuses the key (HTTP 401, 403)", "服务器拒绝密钥（HTTP 401、403）"),
        Fault.SETTINGS,
        Words(
            "Set TRIPLELAKE__API_KEY, or `api_key_env` or `api_key_file` in the pool file.",
            "设置 TRIPLELAKE__API_KEY，或在服务器列表文件中设置 `api_key_env` 或 `api_key_file`。",
        ),
        retried=False,
        has_row=False,
    ),
    Code.OTHER_MODEL: Entry(
        Words("The server answers as another model than the run's", "服务器以另一个模型的名字回答"),
        Fault.SERVER,
        Words(
            "Restart it with the GGUF and the `--alias` of the others.", "用与其他服务器相同的 GGUF 和 `--alias` 重启。"
        ),
        has_row=False,
    ),
    Code.BAD_ANSWER: Entry(
        Words("What came is no answer of a llama-server", "收到的不是 llama-server 的回答"),
        Fault.SERVER,
        Words("Is a proxy or another program in between?", "检查中间是否有代理或其他程序。"),
    ),
    Code.BAD_REQUEST: Entry(
        Words("The server refuses the question (HTTP 4xx)", "服务器拒绝该问题（HTTP 4xx）"),
        Fault.REQUEST,
        Words(
            "Its message says why; `--show-request ID` shows the question.",
            "原因见其消息；`--show-request ID` 显示该问题。",
        ),
        retried=False,
    ),
    Code.CONTEXT_OVERFLOW: Entry(
        Words(
            "The question does not fit a slot, halved three times either",
            "问题超出一个槽位的上下文，三次对半切分后仍然如此",
        ),
        Fault.REQUEST,
        Words(
            "More context per slot, a smaller ontology or chunking.max_tokens.",
            "增大每个槽位的上下文，或减小本体、chunking.max_tokens。",
        ),
        retried=False,
    ),
    Code.EMPTY_ANSWER: Entry(
        Words("The model said nothing", "模型什么也没说"),
        Fault.MODEL,
        Words(
            "Is it asked in the form that it was trained on (--profile)?", "检查提问形式是否与其训练一致（--profile）。"
        ),
    ),
    Code.INVALID_JSON: Entry(
        Words(
            "The answer is neither JSON nor lines: the grammar was not in force",
            "回答既不是 JSON 也不是行：语法没有生效",
        ),
        Fault.SERVER,
        Words(
            "Look at the server's log for its grammar engine (answer.grammar).",
            "查看服务器日志中的语法引擎（answer.grammar）。",
        ),
    ),
    Code.NOT_TRIPLES: Entry(
        Words("The answer is JSON or lines, but no list of triples", "回答是 JSON 或行，但不是三元组列表"),
        Fault.SERVER,
        Words(
            "Look at the server's log for its grammar engine (answer.grammar).",
            "查看服务器日志中的语法引擎（answer.grammar）。",
        ),
    ),
    Code.UNFINISHED: Entry(
        Words("The answer ends in the middle, and no limit was reached", "回答在中途结束，且未达到任何上限"),
        Fault.MODEL,
        Words("Do the profile's `stop` texts occur in answers?", "检查 profile 的 `stop` 文本是否会出现在回答中。"),
    ),
    Code.UNGROUNDED: Entry(
        Words("An argument does not stand in the text", "主体或客体不在原文中"),
        Fault.SERVER,
        Words(
            "Under `constrain` the grammar was not in force: look at the server's log.",
            "在 `constrain` 下说明语法没有生效：查看服务器日志。",
        ),
    ),
    Code.UNKNOWN_PREDICATE: Entry(
        Words("A predicate is none of the ontology's", "某个谓词不在本体中"),
        Fault.SERVER,
        Words(
            "Under `constrain` the grammar was not in force: look at the server's log.",
            "在 `constrain` 下说明语法没有生效：查看服务器日志。",
        ),
    ),
    Code.TRUNCATED: Entry(
        Words(
            "The answer reached its limit of length. On an `ok` row the whole triples before the cut are kept",
            "回答达到长度上限。在 `ok` 行中，截断之前的完整三元组予以保留",
        ),
        Fault.MODEL,
        Words(
            "Raise answer.max_tokens, or does the model repeat itself (--profile)?",
            "调大 answer.max_tokens；或检查模型是否重复（--profile）。",
        ),
    ),
    Code.INTERNAL: Entry(
        Words("A defect of triplelake met this request", "triplelake 的缺陷影响了该请求"),
        Fault.PROGRAM,
        Words("Report it with the message and the executor's log.", "请附上消息和执行器日志报告。"),
        retried=False,
    ),
}
