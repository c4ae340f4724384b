"""The survey against scripted servers: what it finds, and what it says of what it cannot use."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from triplelake.config import WantedEngine
from triplelake.errors import PoolError
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.survey import Survey, declared_name, survey

MakeServer = Callable[..., Endpoint]
_NUMBERS = count()


def forced(grammar: str) -> str:
    """The one text that a probe's grammar admits."""
    return grammar.split('"')[1]


@pytest.fixture(scope="module")
def http() -> Iterator[HTTPServer]:
    """One HTTP server; each scripted llama-server is a folder of it."""
    with HTTPServer(threaded=True) as server:
        yield server


@pytest.fixture
def serve(http: HTTPServer) -> MakeServer:
    def make(
        *,
        engines: tuple[str, ...] = ("gbnf",),
        ignores: bool = False,
        alias: str = "atom@12ab",
        loading: int = 0,
        status: int = 200,
        loras: Sequence[tuple[str, float]] | None = None,
        **props: Any,
    ) -> Endpoint:
        left = loading

        def handle(request: Request) -> Response:
            nonlocal left
            if status != 200:
                return Response(json.dumps({"error": {"message": "no"}}), status)
            if left:
                left -= 1
                return Response(json.dumps({"error": {"message": "Loading model"}}), 503)
            return Response(json.dumps(answer(request)[0]), answer(request)[1])

        def answer(request: Request) -> tuple[Any, int]:
            if request.path.endswith("/lora-adapters"):
                loaded = [{"id": i, "path": path, "scale": scale} for i, (path, scale) in enumerate(loras or ())]
                return (loaded, 200) if loras is not None else ({"error": {"message": "File Not Found"}}, 404)
            if request.path.endswith("/props"):
                known = {"total_slots": 8, "default_generation_settings": {"n_ctx": 2048}, "model_alias": alias}
                return {**known, **props}, 200
            if request.path.endswith("/v1/models"):
                meta = {"n_vocab": 65_000, "n_params": 7_000, "ftype": "Q8_0", "n_ctx_train": 4096, "size": 1}
                return {"data": [{"id": alias, "meta": meta}]}, 200
            grammar = request.get_json()["grammar"]
            engine = "llguidance" if grammar.startswith("%llguidance") else "gbnf"
            if engine not in engines and not ignores:
                return {"error": {"message": "failed to parse grammar"}}, 400
            text = "2" if ignores else forced(grammar)
            return {"content": text, "model": alias, "tokens_evaluated": 1, "tokens_predicted": 1}, 200

        folder = f"/{next(_NUMBERS)}"
        for path in ("/props", "/v1/models", "/lora-adapters", "/completion"):
            http.expect_request(folder + path).respond_with_handler(handle)
        return Endpoint(http.url_for(folder), "k")

    return make


def look(*endpoints: Endpoint, wanted: WantedEngine = "auto", **kwargs: float) -> Survey:
    return survey(endpoints, wanted_grammar=wanted, timeout_s=5, **{"loading_pause_s": 0.01, **kwargs})


def trouble(*endpoints: Endpoint, wanted: WantedEngine = "auto", **kwargs: float) -> PoolError:
    with pytest.raises(PoolError) as caught:
        look(*endpoints, wanted=wanted, **kwargs)
    assert caught.value.remedy
    return caught.value


def test_what_it_finds(serve: MakeServer) -> None:
    small = serve(total_slots=4, default_generation_settings={"n_ctx": 1024})
    found = look(serve(), small)
    assert [endpoint.slots for endpoint in found.endpoints] == [8, 4]
    assert found.endpoints[1].api_key == "k"
    assert (found.alias, found.n_ctx) == ("atom@12ab", 1024)
    assert found.fingerprint == "atom@12ab Q8_0 7000p 65000v"


@pytest.mark.parametrize(("asked_for", "gets"), [(None, 8), (3, 3), (99, 8)])
def test_slots_are_those_asked_for_and_there(serve: MakeServer, asked_for: int | None, gets: int) -> None:
    endpoint = serve()
    found = look(Endpoint(endpoint.url, "k", asked_for))
    assert found.endpoints[0].slots == gets


@pytest.mark.parametrize(
    ("wanted", "first", "second", "engine"),
    [
        ("auto", ("llguidance", "gbnf"), ("llguidance", "gbnf"), "llguidance"),
        ("auto", ("llguidance", "gbnf"), ("gbnf",), "gbnf"),
        ("gbnf", ("llguidance", "gbnf"), ("llguidance", "gbnf"), "gbnf"),
        ("llguidance", ("llguidance",), ("llguidance", "gbnf"), "llguidance"),
    ],
)
def test_all_share_the_engine(
    serve: MakeServer, wanted: WantedEngine, first: tuple[str, ...], second: tuple[str, ...], engine: str
) -> None:
    assert look(serve(engines=first), serve(engines=second), wanted=wanted).engine == engine


def test_a_server_without_the_wanted_engine_is_named(serve: MakeServer) -> None:
    plain = serve()
    error = trouble(serve(engines=("llguidance", "gbnf")), plain, wanted="llguidance")
    assert error.subject == plain.url
    assert "LLAMA_LLGUIDANCE" in error.remedy


@pytest.mark.parametrize("wanted", ["auto", "gbnf"])
def test_a_server_that_ignores_grammars_is_named(serve: MakeServer, wanted: WantedEngine) -> None:
    deaf = serve(ignores=True)
    error = trouble(serve(), deaf, wanted=wanted)
    assert error.subject == deaf.url
    assert "ignores grammars" in error.reason


def test_two_models_are_both_named(serve: MakeServer) -> None:
    one, other = serve(alias="atom@12ab"), serve(alias="atom@34cd")
    text = str(trouble(one, other))
    assert all(part in text for part in (one.url, other.url, "atom@12ab", "atom@34cd"))


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_says_where_it_is_set(serve: MakeServer, status: int) -> None:
    endpoint = serve(status=status)
    error = trouble(endpoint)
    assert "refuses the API key" in error.reason
    assert "TRIPLELAKE__API_KEY" in error.remedy
    assert "none is set" in trouble(Endpoint(endpoint.url)).reason


DOWN = Endpoint("http://127.0.0.1:9")


def test_a_pool_is_those_that_answer(serve: MakeServer) -> None:
    well, late = serve(), serve(loading=5)
    found = look(DOWN, serve(status=503), well, late, serve(loading=10**9), settle_s=0.5)
    assert [endpoint.url for endpoint in found.endpoints] == [well.url, late.url]
    down, busy, loads = found.away
    assert down.endpoint == DOWN and "cannot be reached" in down.error.reason
    assert "HTTP 503" in busy.error.reason and "loading its model" in loads.error.reason


def test_a_pool_of_which_nobody_is_there_names_the_first(serve: MakeServer) -> None:
    error = trouble(DOWN, serve(loading=10**9), loading_wait_s=0.05)
    assert error.subject == DOWN.url
    assert error.reason.endswith(", nor can any of the 1 others be used")
    assert "curl http://127.0.0.1:9/health" in error.remedy


@pytest.mark.parametrize("wrong", [{"status": 401}, {"alias": "atom@34cd"}, {"ignores": True}, {"status": 404}])
def test_a_mistake_ends_it_though_others_answer(serve: MakeServer, wrong: dict[str, Any]) -> None:
    mistaken = serve(**wrong)
    assert trouble(serve(), DOWN, mistaken).subject == mistaken.url


def test_more_slots_in_the_pool_file_than_there_are_is_told(serve: MakeServer) -> None:
    wide, narrow = serve(), serve(total_slots=4)
    found = look(Endpoint(wide.url, None, 3), Endpoint(narrow.url, None, 16))
    assert [endpoint.slots for endpoint in found.endpoints] == [3, 4]
    assert found.notes == (f"{narrow.url} has 4 slots, not the 16 of the pool file: 4 are used",)


def test_what_a_server_does_not_do_as_it_was_meant_is_told(serve: MakeServer) -> None:
    keyless = serve(alias="/models/atom.gguf")
    assert [note.removeprefix(keyless.url)[:31] for note in look(keyless).notes] == [
        " does not ask for the key: it w",
        " declares no name (`--alias NAM",
    ]
    small, large = serve(default_generation_settings={"n_ctx": 1024}), serve()
    [note] = look(Endpoint(large.url), Endpoint(small.url)).notes
    assert note == f"{small.url} has 1024 tokens per slot, {large.url} has 2048: 1024 count for all"


def test_what_is_no_llama_server_is_named(serve: MakeServer) -> None:
    assert "as a llama-server does" in trouble(serve(status=404)).reason


def test_loading_is_waited_for_up_to_a_bound(serve: MakeServer) -> None:
    assert look(serve(loading=5)).n_ctx == 2048
    assert "loading its model" in trouble(serve(loading=10**9), loading_wait_s=0.05).reason


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("atom@12ab", "atom@12ab"),
        ("ggml-org/gemma:Q8_0", "ggml-org/gemma:Q8_0"),
        ("/models/7b/atom.gguf", "atom.gguf"),
        ("C:\\models\\atom.gguf", "atom.gguf"),
        ("org/atom.gguf", "atom.gguf"),
    ],
)
def test_a_path_is_no_name(alias: str, name: str) -> None:
    assert declared_name(alias) == name


def test_an_adapter_that_the_name_tells_of(serve: MakeServer) -> None:
    assert look(serve(alias="atom+own@12ab", loras=[("/x/own.gguf", 1.0)])).alias == "atom+own@12ab"
    assert look(serve(loras=[])).alias == "atom@12ab"


@pytest.mark.parametrize(
    ("alias", "loras", "reason"),
    [
        (
            "atom@12ab",
            [("/x/own.gguf", 1.0)],
            "answers with the adapter own.gguf, of which its name atom@12ab does not",
        ),
        ("atom+own@12ab", [("/x/own.gguf", 0.5)], "adds 0.5 times its adapter own.gguf"),
        ("atom+own@12ab", [("/x/own.gguf", 1.0), ("/x/b.gguf", 0.0)], "has loaded 2 adapters (own.gguf, b.gguf)"),
    ],
)
def test_answers_with_an_adapter_are_never_taken_for_others(
    serve: MakeServer, alias: str, loras: list[tuple[str, float]], reason: str
) -> None:
    error = trouble(serve(alias=alias, loras=loras))
    assert reason in error.reason
    assert "--lora" in error.remedy
