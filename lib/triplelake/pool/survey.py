"""The first look at a pool: who is there, with how many slots, which model and which grammar engine."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, replace
from typing import get_args

from tenacity import Retrying, retry_if_exception, stop_after_delay, stop_when_event_set, wait_fixed
from tenacity.nap import sleep_using_event

from triplelake.codes import Code
from triplelake.config import WantedEngine
from triplelake.errors import PoolError
from triplelake.pool.adapters import loaded_adapters, wrong_adapters
from triplelake.pool.addresses import of_plain
from triplelake.pool.answers import ModelInfo, Props
from triplelake.pool.client import WrongAddress
from triplelake.pool.client_factory import new_client
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.failures import ServerFailure
from triplelake.pool.protocol import CompletionClient
from triplelake.types import GrammarEngine

# No model says this unless it is made to.
_PROBE_ANSWER = "zq-7-甲"
_PROBES: dict[GrammarEngine, str] = {
    "llguidance": f'%llguidance {{}}\nstart: "{_PROBE_ANSWER}"\n',
    "gbnf": f'root ::= "{_PROBE_ANSWER}"\n',
}
_PROBE_TOKENS = 32
_LOADING_WAIT_S = 600.0
_LOADING_PAUSE_S = 1.0
_SETTLE_S = 30.0
"""How long servers that load their model are waited for when another is ready; later they join by themselves."""

_PARALLEL = 32


@dataclass(frozen=True, slots=True)
class Away:
    """A server that is not there for now: as it is configured, and why in words for a person."""

    endpoint: Endpoint
    error: PoolError


@dataclass(frozen=True, slots=True)
class Survey:
    """What a pool turned out to be.

    Args:
        endpoints: with `slots` known, never more than the server has.
        fingerprint: what identifies the model in the `extraction_key`: its declared name, quantisation,
            parameters and vocabulary; never a path or a build.
        alias: the name that the model declares, without folders.
        n_ctx: tokens of prompt and answer that fit a slot of every endpoint.
        engine: the grammar engine that every endpoint follows.
        away: servers that are down, or not ready.
        notes: what a server does not do as the pool file says.
    """

    endpoints: tuple[Endpoint, ...]
    fingerprint: str
    alias: str
    n_ctx: int
    engine: GrammarEngine
    away: tuple[Away, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _SurveyedServer:
    endpoint: Endpoint
    fingerprint: str
    alias: str
    n_ctx: int
    engines: frozenset[GrammarEngine]
    notes: tuple[str, ...]


def survey(
    endpoints: Sequence[Endpoint],
    *,
    wanted_grammar: WantedEngine,
    timeout_s: float,
    loading_wait_s: float = _LOADING_WAIT_S,
    loading_pause_s: float = _LOADING_PAUSE_S,
    settle_s: float = _SETTLE_S,
) -> Survey:
    """Ask every endpoint what it is, and make it follow a grammar.

    One that is down or not ready does not keep the others from working; one that is asked wrongly, or is another than
    it should be, is somebody's mistake and ends it.

    Args:
        wanted_grammar: an engine, or `auto` for the first of `GrammarEngine` that all have.
        timeout_s: seconds to wait for one answer.
        loading_wait_s, loading_pause_s: how long and how often to ask a server that loads its model.
        settle_s: how long to wait for such servers once another one is ready.

    Raises:
        PoolError: no endpoint is there; or one refuses the key, ignores grammars or lacks the wanted engine, or
            answers with an adapter of which its name does not tell, or two serve different models. It names them and
            says what to do.
    """
    candidates: tuple[GrammarEngine, ...] = get_args(GrammarEngine) if wanted_grammar == "auto" else (wanted_grammar,)
    over = threading.Event()

    def look(endpoint: Endpoint) -> _SurveyedServer | Away:
        patient = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, ServerFailure) and error.code == Code.LOADING),
            stop=stop_after_delay(loading_wait_s) | stop_when_event_set(over),
            wait=wait_fixed(loading_pause_s),
            sleep=sleep_using_event(over),
            reraise=True,
        )
        try:
            return patient(_look, endpoint, candidates, timeout_s)
        except ServerFailure as failure:
            mistake = _mistake(failure, endpoint)
            if mistake:
                raise mistake from None
            error = explained(failure, endpoint)
            if failure.code.away:
                return Away(endpoint, error)
            raise error from None

    with ThreadPoolExecutor(min(_PARALLEL, len(endpoints)), thread_name_prefix="survey") as executor:
        looks = [executor.submit(look, endpoint) for endpoint in endpoints]
        try:
            _settle(looks, settle_s)
        finally:
            over.set()
    seen = [each.result() for each in looks]
    found = [each for each in seen if isinstance(each, _SurveyedServer)]
    away = tuple(each for each in seen if isinstance(each, Away))
    if not found:
        raise _nobody(away)
    first = found[0]
    for other in found:
        if other.fingerprint != first.fingerprint:
            raise PoolError(
                other.endpoint.url,
                f"serves another model than {first.endpoint.url}: {other.fingerprint} and {first.fingerprint}",
                "All servers of a run must serve the same model: same GGUF, same --alias NAME@HASH.",
            )
    return Survey(
        endpoints=tuple(each.endpoint for each in found),
        fingerprint=first.fingerprint,
        alias=first.alias,
        n_ctx=min(each.n_ctx for each in found),
        engine=_common_engine(found, candidates),
        away=away,
        notes=(*(note for each in found for note in each.notes), *_unlike(found)),
    )


def _settle(looks: Sequence[Future[_SurveyedServer | Away]], settle_s: float) -> None:
    """Wait until all were looked at; once one is ready, no longer than `settle_s` for the others."""
    pending = set(looks)
    deadline: float | None = None
    while pending:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        done, pending = wait(pending, left, return_when=FIRST_COMPLETED)
        if not done:
            return
        if any(isinstance(each.result(), _SurveyedServer) for each in done) and deadline is None:
            deadline = time.monotonic() + settle_s


def _nobody(away: Sequence[Away]) -> PoolError:
    """The error of a pool of which no server is there: the first one's, and that it is not alone."""
    first, others = away[0].error, len(away) - 1
    if not others:
        return first
    return PoolError(first.subject, f"{first.reason}, nor can any of the {others} others be used", first.remedy)


def fingerprint(model: ModelInfo) -> str:
    """The model's identity as text: stable over machines, paths and builds."""
    return f"{declared_name(model.alias)} {model.ftype or 'unknown type'} {model.n_params}p {model.n_vocab}v"


def declared_name(alias: str) -> str:
    """An alias as it is, or the file name where the alias is the path of a GGUF."""
    is_path = alias.lower().endswith(".gguf") or alias.startswith(("/", "./", "../", "~"))
    return re.split(r"[\\/]", alias)[-1] if is_path else alias


def _look(endpoint: Endpoint, candidates: Sequence[GrammarEngine], timeout_s: float) -> _SurveyedServer:
    server = new_client(endpoint, timeout_s)
    try:
        props = server.props()
        model = server.model()
        if wrong := wrong_adapters(declared_name(model.alias), loaded_adapters(server)):
            raise PoolError(
                endpoint.url,
                wrong,
                "Start it with one adapter, `--lora FILE`, and `--alias MODEL+ADAPTER@HASH`: serve.sh of infra/llama "
                "makes that name of both files.",
            )
        engines = frozenset(engine for engine in candidates if _follows(server, engine))
    finally:
        server.close()
    _check_single(endpoint, props, timeout_s)
    slots = min(endpoint.slots or props.total_slots, props.total_slots)
    url, notes = endpoint.url, []
    if endpoint.slots and endpoint.slots > slots:
        notes.append(f"{url} has {slots} slots, not the {endpoint.slots} of the pool file: {slots} are used")
    if endpoint.api_key and _answers_anybody(endpoint, timeout_s):
        notes.append(f"{url} does not ask for the key: it was started without one, and answers whoever reaches it")
    if declared_name(model.alias) != model.alias:
        notes.append(f"{url} declares no name (`--alias NAME@HASH`): the results remember the name of its file")
    return _SurveyedServer(
        endpoint=replace(endpoint, slots=slots),
        fingerprint=fingerprint(model),
        alias=declared_name(model.alias),
        n_ctx=props.n_ctx,
        engines=engines,
        notes=tuple(notes),
    )


def _check_single(endpoint: Endpoint, first: Props, timeout_s: float) -> None:
    """Ask again on a connection of its own: behind a load balancer another server may answer.

    Raises:
        PoolError: one does. Servers that are alike cannot be told apart by this.
    """
    again = new_client(endpoint, timeout_s)
    try:
        second = again.props()
    finally:
        again.close()
    if second != first:
        changed = [name for name in Props.__slots__ if getattr(first, name) != getattr(second, name)]
        raise PoolError(
            endpoint.url,
            f"is answered by several servers: two requests found different values of {', '.join(changed)}",
            "A load balancer in front of the servers does not know which slots are free or which prompt a slot keeps. "
            "Name each server itself: --pool http://gpu-1:8080,http://gpu-2:8080, or a pool file.",
        )


def _answers_anybody(endpoint: Endpoint, timeout_s: float) -> bool:
    """Whether a server tells its properties to one who has no key."""
    with closing(new_client(replace(endpoint, api_key=None), timeout_s)) as server:
        try:
            server.props()
        except ServerFailure:
            return False
    return True


def _unlike(found: Sequence[_SurveyedServer]) -> Iterator[str]:
    """What only counts for all where it is the smallest."""
    least, most = (bound(found, key=lambda each: each.n_ctx) for bound in (min, max))
    if least.n_ctx < most.n_ctx:
        yield (
            f"{least.endpoint.url} has {least.n_ctx} tokens per slot, {most.endpoint.url} has {most.n_ctx}: "
            f"{least.n_ctx} count for all"
        )


def _follows(server: CompletionClient, engine: GrammarEngine) -> bool:
    """Whether a server obeys a grammar of an engine; a refused (400) and an ignored one are both a no."""
    try:
        answer = server.complete("1 + 1 =", grammar=_PROBES[engine], max_tokens=_PROBE_TOKENS)
    except ServerFailure as failure:
        if failure.code == Code.BAD_REQUEST:
            return False
        raise
    return answer.text == _PROBE_ANSWER


def _common_engine(found: Sequence[_SurveyedServer], candidates: Sequence[GrammarEngine]) -> GrammarEngine:
    for engine in candidates:
        if all(engine in each.engines for each in found):
            return engine
    last = candidates[-1]
    url = next(each.endpoint.url for each in found if last not in each.engines)
    if last == "llguidance":
        raise PoolError(
            url,
            "does not follow llguidance grammars",
            "Build llama.cpp with -DLLAMA_LLGUIDANCE=ON, or set answer.grammar to `gbnf` or `auto`.",
        )
    raise PoolError(
        url,
        "ignores grammars: it answered freely where only one answer was allowed",
        "Is it a llama-server, asked directly and not through a gateway that drops `grammar`?",
    )


_REMEDIES: dict[Code, Callable[[Endpoint], str]] = {
    Code.CONNECTION: lambda e: (
        f"Start it with `llama-server -m MODEL.gguf -np SLOTS --port …`, or check it with `curl {e.url}/health`."
    ),
    Code.TIMEOUT: lambda e: f"Is it overloaded or wedged? Check with `curl {e.url}/health`, or raise asking.timeout_s.",
    Code.LOADING: lambda e: f"Wait for its model: `curl {e.url}/health` says when it is there.",
    Code.UNAUTHORIZED: lambda _: (
        "Set the key in TRIPLELAKE__API_KEY (setting `api_key`), or per endpoint with "
        "`api_key_env` or `api_key_file` in the pool file."
    ),
}


def _mistake(failure: ServerFailure, endpoint: Endpoint) -> PoolError | None:
    """The error of an address that is somebody's mistake; None if the server may just be away."""
    finding = failure.finding if isinstance(failure, WrongAddress) else None
    if finding is None and failure.code is Code.CONNECTION:
        finding = of_plain(endpoint.url)
    return PoolError(endpoint.url, finding.reason, finding.remedy) if finding else None


def explained(failure: ServerFailure, endpoint: Endpoint) -> PoolError:
    """What a failure means to a person who wants to use the server."""
    reasons = {
        Code.CONNECTION: f"cannot be reached ({failure.message})",
        Code.TIMEOUT: f"does not answer ({failure.message})",
        Code.LOADING: "is still loading its model",
        Code.UNAUTHORIZED: "refuses the API key" if endpoint.api_key else "wants an API key, and none is set",
    }
    remedy = _REMEDIES.get(failure.code)
    return PoolError(
        endpoint.url,
        reasons.get(failure.code, f"does not answer as a llama-server does ({failure.message})"),
        remedy(endpoint) if remedy else f"Check that a llama.cpp server listens there: `curl {endpoint.url}/props`.",
    )
