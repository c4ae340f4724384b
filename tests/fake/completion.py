"""`/completion`: what a request asks, what is said, and how the answer is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fake import answers
from fake.bodies import bad, overflow
from fake.faults import Fault
from fake.settings import ServerSettings
from fake.tokens import BOS, count, cut, is_token, join, piece, tokenize
from fake.work import Job

_NO_PROMPT = (
    '"prompt" elements must be a string, a list of tokens, a JSON object containing a prompt string, '
    "or a list of mixed strings & tokens."
)
_UNCONSTRAINED = "Sure! Here are the facts of the text:\n- the first one\n- the second one"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as text, and its tokens."""

    text: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Said:
    """An answer: its text, how it ended, and its tokens, the one that ends it included."""

    content: str
    stop_type: str
    predicted: int
    stopping_word: str = ""
    truncated: bool = False


def read_prompts(given: object) -> list[Prompt]:
    """The prompts of a request, each with BOS as the server puts it."""
    if isinstance(given, str):
        return [_prompt([given])]
    if not isinstance(given, list):
        raise bad(_NO_PROMPT)
    if not given:
        raise bad('"prompt" must not be empty')
    if any(_is_id(part) for part in given):
        return [_prompt(given)]
    if not all(isinstance(each, str) or (isinstance(each, list) and any(map(_is_id, each))) for each in given):
        raise bad(_NO_PROMPT)
    return [_prompt([each] if isinstance(each, str) else each) for each in given]


def _prompt(parts: Sequence[Any]) -> Prompt:
    text = BOS if isinstance(parts[0], str) else ""
    tokens = len(text) // len(BOS)
    ids: list[int] = []
    for part in parts:
        if _is_id(part):
            ids.append(part)
            continue
        if not isinstance(part, str):
            raise bad(_NO_PROMPT)
        text += _text_of(ids) + part
        tokens += len(ids) + count(part)
        ids = []
    return Prompt(text + _text_of(ids), tokens + len(ids))


def _is_id(part: object) -> bool:
    return isinstance(part, int) and not isinstance(part, bool)


def _text_of(ids: Sequence[int]) -> str:
    if not all(map(is_token, ids)):
        raise bad("Prompt contains invalid tokens")
    return join(ids)


def check(body: Mapping[str, Any], prompt: Prompt, settings: ServerSettings) -> None:
    """Refuse what the server refuses before it decodes."""
    if not isinstance(limit := body.get("n_predict", -1), int | float):
        kind = "string" if isinstance(limit, str) else "null"
        raise bad(f"Field 'n_predict': [json.exception.type_error.302] type must be number, but is {kind}")
    grammar = body.get("grammar")
    if isinstance(grammar, str) and grammar and answers.refused(grammar, llguidance=settings.llguidance):
        raise bad("Failed to initialize samplers: failed to parse grammar")
    if prompt.tokens >= settings.n_ctx:
        raise overflow(prompt.tokens, settings.n_ctx)


def decode(
    body: Mapping[str, Any],
    prompt: Prompt,
    question: answers.Question | None,
    settings: ServerSettings,
    fault: Fault | None,
) -> Said:
    """The answer, after stop words and limits."""
    limit = int(body.get("n_predict", -1))
    left = settings.n_ctx - prompt.tokens
    room = left if limit < 0 else min(max(limit, 1), left)
    grammar = body.get("grammar") if isinstance(body.get("grammar"), str) else ""
    content, ends = answers.answer(prompt.text, question, grammar or "", most_tokens=room)
    if fault and fault.kind == "truncated":
        room = min(room, max(1, answers.predicted(content) // 2))
    elif fault:
        content, ends = _spoilt(content, fault, grammar or ""), True
    tokens = answers.predicted(content)
    stops = body.get("stop")
    found = _stop(content, stops if isinstance(stops, list) else [])
    if found:
        at, word = found
        tokens = answers.predicted(content[: at + len(word)])
        if tokens <= room:
            return Said(content[:at], "word", tokens, word)
    if tokens >= room or not ends:
        return Said(cut(content, room), "limit", min(tokens, room), truncated=tokens >= room == left)
    return Said(content, "eos", tokens + 1)


def _spoilt(content: str, fault: Fault, grammar: str) -> str:
    match fault.kind:
        case "invalid":
            return content[:-1] + ",}"
        case "unconstrained":
            return _UNCONSTRAINED
        case "ungrounded":
            found = answers.frame(grammar)
            predicate = found.branches[0].predicates[0] if found else "x"
            return found.write([("Zzyzx", predicate, "Qwghlm")]) if found else '[["Zzyzx","x","Qwghlm"]]'
    return content


def _stop(content: str, words: Sequence[object]) -> tuple[int, str] | None:
    found = [(at, word) for word in words if isinstance(word, str) and word and (at := content.find(word)) >= 0]
    return min(found, default=None)


def write(body: Mapping[str, Any], prompt: Prompt, said: Said, job: Job, alias: str, *, step_s: float) -> Any:
    """The answer's JSON: all of it, or the fields asked for, flat."""
    fresh = job.prompt_tokens - job.cached
    wanted = body.get("response_fields")
    whole = {
        "index": 0,
        "content": said.content,
        "tokens": [],
        "id_slot": job.slot,
        "stop": True,
        "model": alias,
        "tokens_predicted": said.predicted,
        "tokens_evaluated": prompt.tokens,
        "generation_settings": {"n_predict": job.n_predict, "max_tokens": job.n_predict, "stream": False},
        "prompt": "" if wanted else prompt.text,
        "has_new_line": "\n" in said.content,
        "truncated": said.truncated,
        "stop_type": said.stop_type,
        "stopping_word": said.stopping_word,
        "tokens_cached": prompt.tokens + said.predicted - 1,
        "timings": {
            "cache_n": job.cached,
            "prompt_n": fresh,
            "predicted_n": said.predicted,
            "predicted_ms": said.predicted * step_s * 1000,
        },
    }
    if isinstance(asked := body.get("n_probs"), int) and asked > 0:
        whole["completion_probabilities"] = probabilities(said)
    if not isinstance(wanted, list) or not wanted:
        return whole
    return {path: value for path in wanted if (value := _at(whole, path)) is not None}


def probabilities(said: Said) -> list[dict[str, Any]]:
    """An entry for each token of an answer, and for its end where it ended by itself."""
    pieces = [piece(number) for number in tokenize(said.content, special=False)]
    return entries([*pieces, *([""] if said.stop_type == "eos" else [])])


def entries(pieces: Sequence[str]) -> list[dict[str, Any]]:
    """An entry for each of these tokens."""
    return [_entry(text) for text in pieces]


def _entry(text: str) -> dict[str, Any]:
    token = {"id": 1, "token": text, "bytes": list(text.encode()), "logprob": answers.logprob(text)}
    return {**token, "top_logprobs": [token]}


def _at(whole: Any, path: str) -> Any:
    for name in path.split("/"):
        if not isinstance(whole, dict) or name not in whole:
            return None
        whole = whole[name]
    return whole
