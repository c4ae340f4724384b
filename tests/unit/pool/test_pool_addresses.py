"""Addresses that people write, and what answers there: each is told for what it is, with a remedy that helps."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from triplelake.codes import Code
from triplelake.errors import PoolError, UsageError
from triplelake.pool.client import LlamaServer, WrongAddress
from triplelake.pool.endpoints import Endpoint, load_pool, names_file
from triplelake.pool.survey import survey


@pytest.mark.parametrize(
    ("written", "corrected"),
    [
        ("http://gpu-1:8080/v1", "http://gpu-1:8080"),
        ("http://gpu-1:8080/v1/", "http://gpu-1:8080"),
        ("https://gpu-1/v1/chat/completions", "https://gpu-1"),
        ("http://gpu-1:8080/completion", "http://gpu-1:8080"),
        ("http://gpu-1:8080/health", "http://gpu-1:8080"),
        ("http://gate/team-7/v1/models", "http://gate/team-7"),
        ("http://gpu-1:8080/?model=atom", "http://gpu-1:8080"),
        ("http://gpu-1:8080/v1?api_key=geheim", "http://gpu-1:8080"),
        ("http://gpu-1:8080/#/chat", "http://gpu-1:8080"),
        ("gpu-1:8080", "http://gpu-1:8080"),
        ("10.0.0.7:8080", "http://10.0.0.7:8080"),
        ("gpu-1:8080/v1", "http://gpu-1:8080"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("http://gpu-0:1,gpu-1:8080", "http://gpu-1:8080"),
    ],
)
def test_the_remedy_has_the_corrected_address(written: str, corrected: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_pool(written, None)
    words = caught.value.remedy.replace(";", " ").split()
    assert words[:2] == ["Write", corrected]
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    "setting",
    [
        "ftp://me:geheim@a",
        "http://me:geheim@a:x",
        "http://a b",
        "http://",
        "http:/a:1,http://b",
        "https://http://a",
        ",",
    ],
)
def test_what_is_no_address_is_refused_without_its_password(setting: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_pool(setting + ("" if "://" in setting else "http://"), None)
    assert caught.value.remedy
    assert "geheim" not in str(caught.value)


def test_a_base_path_stays_and_a_file_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_pool("http://gate/llama-1/", None)[0].url == "http://gate/llama-1"
    assert names_file("pool.yaml")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pool:8080").write_text("endpoints: [{url: 'http://a'}]")
    assert load_pool("pool:8080", None)[0].url == "http://a"


@pytest.mark.parametrize("pair", ["http://a,http://A:80", "https://a/x,https://a:443/x/"])
def test_one_server_in_two_spellings_is_named_twice(pair: str) -> None:
    with pytest.raises(UsageError, match="twice"):
        load_pool(pair, None)


def trouble(url: str, ca: str | None = None) -> PoolError:
    with pytest.raises(PoolError) as caught:
        survey([Endpoint(url, ca=ca)], wanted_grammar="auto", timeout_s=5, loading_wait_s=0)
    assert caught.value.remedy
    return caught.value


def base(server: HTTPServer) -> str:
    return server.url_for("").rstrip("/")


@pytest.mark.parametrize(
    ("location", "says", "remedy"),
    [
        ("https://gpu-1.example/props", "redirects to https://gpu-1.example/props", "address: https://gpu-1.example"),
        ("/ui/", "redirects to /ui/", "itself answers"),
        ("https://sso.example/login?token=geheim", "login", "cannot log in"),
        ("https:///x", "redirects", "itself answers"),
    ],
)
def test_a_redirect_is_told_and_not_followed(httpserver: HTTPServer, location: str, says: str, remedy: str) -> None:
    httpserver.expect_request("/props").respond_with_data("", status=302, headers={"Location": location})
    error = trouble(base(httpserver))
    assert says in error.reason
    assert remedy in error.remedy
    assert base(httpserver) not in error.remedy
    assert "geheim" not in str(error)


@pytest.mark.parametrize("status", [200, 401])
def test_a_login_page_is_told(httpserver: HTTPServer, status: int) -> None:
    page = "<!DOCTYPE html><html><title>统一登录</title><form><input type=password></form></html>"
    httpserver.expect_request("/props").respond_with_data(page, status=status, content_type="text/html")
    error = trouble(base(httpserver))
    assert "login page (“统一登录”)" in error.reason
    assert "cannot log in" in error.remedy


@pytest.mark.parametrize(
    ("page", "status", "says"),
    [
        ("<html><title>Grafana</title></html>", 200, "web page (“Grafana”)"),
        ("<html><title>502 Bad Gateway</title></html>", 502, "web page (“502 Bad Gateway”)"),
        ("<html>400: The plain HTTP request was sent to HTTPS port</html>", 400, "speaks https"),
        ('{"detail":"Not Found"}', 404, "as a llama-server does"),
        ("404 page not found", 404, "as a llama-server does"),
    ],
)
def test_what_else_listens_there_is_told(httpserver: HTTPServer, page: str, status: int, says: str) -> None:
    httpserver.expect_request("/props").respond_with_data(page, status=status)
    error = trouble(base(httpserver))
    assert says in error.reason
    assert f"curl {base(httpserver)}" not in error.remedy


def test_a_redirect_in_the_middle_of_a_run_says_nothing_of_the_request(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/completion").respond_with_data("", status=307, headers={"Location": "/login"})
    with pytest.raises(WrongAddress) as caught:
        LlamaServer(Endpoint(base(httpserver)), 5).complete("x", grammar=None, max_tokens=1)
    assert caught.value.code is Code.CONNECTION


def test_a_load_balancer_is_seen_where_its_servers_differ(httpserver: HTTPServer) -> None:
    slots = count(4)

    def answer(request: Request) -> Response:
        if request.path == "/props":
            settings = {"default_generation_settings": {"n_ctx": 64}, "model_alias": "m"}
            return Response(json.dumps({**settings, "total_slots": next(slots)}))
        if request.path == "/v1/models":
            meta = {"n_vocab": 9, "n_params": 7, "n_ctx_train": 9, "size": 1}
            return Response(json.dumps({"data": [{"id": "m", "meta": meta}]}))
        if request.path == "/lora-adapters":
            return Response("[]")
        text = request.get_json()["grammar"].split('"')[1]
        return Response(json.dumps({"content": text, "model": "m", "tokens_evaluated": 1, "tokens_predicted": 1}))

    for path in ("/props", "/v1/models", "/lora-adapters", "/completion"):
        httpserver.expect_request(path).respond_with_handler(answer)
    error = trouble(base(httpserver))
    assert "several servers" in error.reason
    assert "total_slots" in error.reason
    assert "Name each server itself" in error.remedy


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and localhost that signs itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command")
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


@pytest.fixture
def encrypted(certified: tuple[Path, Path]) -> Iterator[HTTPServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certified)
    with HTTPServer(host="127.0.0.1", ssl_context=context) as server:
        server.expect_request("/slots").respond_with_json([])
        yield server


def test_a_private_authority_is_told_and_then_trusted(
    encrypted: HTTPServer, certified: tuple[Path, Path], tmp_path: Path
) -> None:
    url = base(encrypted)
    error = trouble(url)
    assert "authority" in error.reason
    assert "asking.ca_file" in error.remedy
    [by_setting] = load_pool(url, None, certified[0])
    file = tmp_path / "pool.yaml"
    file.write_text(f"endpoints: [{{url: '{url}', ca_file: '{certified[0]}'}}]")
    [by_file] = load_pool(str(file), None)
    for endpoint in (by_setting, by_file):
        # What goes to an executor is the text, not a path.
        assert endpoint.ca == certified[0].read_text()
        assert LlamaServer(endpoint, 5).slots() == ()


def test_a_name_that_the_certificate_lacks_is_told(encrypted: HTTPServer, certified: tuple[Path, Path]) -> None:
    error = trouble(base(encrypted).replace("127.0.0.1", "127.0.0.2"), certified[0].read_text())
    assert "another name" in error.reason or "cannot be reached" in error.reason


def test_http_to_an_https_port_and_the_other_way_round(encrypted: HTTPServer, httpserver: HTTPServer) -> None:
    secure, plain = base(encrypted), base(httpserver)
    error = trouble(secure.replace("https", "http"))
    assert "speaks https" in error.reason
    assert error.remedy == f"Write {secure}"
    error = trouble(plain.replace("http", "https"))
    assert "speaks no TLS" in error.reason
    assert f"Write {plain}," in error.remedy


@pytest.mark.parametrize(
    "make", [lambda file: None, lambda file: file.write_text("no certificate"), lambda file: file.write_bytes(b"\xff")]
)
def test_a_file_of_certificates_that_is_none_is_refused(tmp_path: Path, make: Callable[[Path], object]) -> None:
    file = tmp_path / "ca.pem"
    make(file)
    with pytest.raises(UsageError) as caught:
        load_pool("https://a", None, file)
    assert caught.value.subject == str(file)
