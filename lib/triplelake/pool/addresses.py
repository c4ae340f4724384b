"""Addresses of servers: what people write, and what answers there instead of a llama-server.

A remedy never repeats an address that is wrong: it names the corrected one, or says what to look for.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from triplelake.errors import UsageError

_EXAMPLE = "Example: http://gpu-1:8080,http://gpu-2:8080"
# What llama-server and the OpenAI clients of other programs put behind the base address.
_API_PATH = re.compile(
    r"(?:/v1)?(?:/(?:chat/completions|completions?|models|embeddings|responses|messages|health|props|slots|metrics|"
    r"tokenize|detokenize|apply-template|infill|rerank))?/*\Z"
)
_HOST_PORT = re.compile(r"(?:[\w.-]+|\[[0-9a-fA-F:]+\]):\d{1,5}(?:/\S*)?\Z")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_TITLE = re.compile(r"<title[^>]*>\s*([^<]{1,80})", re.IGNORECASE)
_HTML = re.compile(r"\s*<(?:!doctype\s+html|html)", re.IGNORECASE)
_WANTS_TLS = re.compile(r"plain HTTP request was sent to HTTPS|HTTP request to an HTTPS server", re.IGNORECASE)
_LOGIN = re.compile(r"log-?in|sign-?in|sso|oauth|saml|auth|登录|登入|登錄|password", re.IGNORECASE)
_TLS_WAIT_S = 3.0

_LOGIN_REMEDY = (
    "A login stands between this machine and the server, and a job cannot log in. Name the server's own address, as it "
    "is inside the network, or let the gateway pass requests with an API key."
)


def masked(text: str) -> str:
    """A text without what stands before the host and behind `?` or `#` in its URLs, where passwords and keys are."""
    return re.sub(r"[?#][^\s,]*", "", re.sub(r"(?<=//)[^/@\s]*@", "", text))


def looks_like_host(setting: str) -> bool:
    """Whether a setting is `host:port`, or several of them, without `http://`."""
    entries = [entry.strip() for entry in setting.split(",") if entry.strip()]
    return bool(entries) and all(_HOST_PORT.match(entry) for entry in entries)


def clean_url(url: str) -> str:
    """A base URL without a trailing slash.

    Raises:
        UsageError: it is no URL of a server, or one with parts that a base address cannot have. The remedy has the
            corrected one.
    """
    if _HOST_PORT.match(url):
        raise UsageError(masked(url), "lacks http:// or https://", f"Write http://{_base_of(f'http://{masked(url)}')}")
    try:
        parts = urlsplit(url)
        good = parts.scheme in _DEFAULT_PORTS and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good or "//" in parts.path or re.search(r"\s", url):
        raise UsageError(masked(url), "is not the URL of a server", _EXAMPLE)
    corrected = f"{parts.scheme}://{_base_of(url)}"
    if parts.username or parts.password:
        # The URL lands in a column of `attempts`, on the screen and in logs.
        raise UsageError(
            masked(url), "carries a user or password", "Give the key with `api_key_env` or `api_key_file`."
        )
    if parts.query or parts.fragment or "?" in url or "#" in url:
        reason = "has a query (`?…`) or a fragment (`#…`), which the address of a server has not"
        raise UsageError(
            masked(url), reason, f"Write {corrected}; a key is given with `api_key_env` or `api_key_file`."
        )
    if parts.path.rstrip("/") and _api_path(parts.path):
        reason = (
            f"ends with `{_api_path(parts.path)}`, a path of the API; the job puts its own paths behind the address"
        )
        raise UsageError(masked(url), reason, f"Write {corrected}")
    return corrected


def same_server(url: str) -> str:
    """A form of a base URL that is equal for two that name the same host, port and path."""
    parts = urlsplit(url)
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    return f"{(parts.hostname or '').lower()}:{port}{parts.path}"


def _api_path(path: str) -> str:
    found = _API_PATH.search(path)
    return found[0].rstrip("/") if found else ""


def _base_of(url: str) -> str:
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    return parts.netloc.rpartition("@")[2] + path[: len(path) - len(_api_path(path))]


@dataclass(frozen=True, slots=True)
class Finding:
    """What answers at an address instead of a llama-server; reason and remedy as those of a `PoolError`."""

    reason: str
    remedy: str


def of_redirect(url: str, path: str, status: int, location: str) -> Finding:
    """An answer that sends the client elsewhere: it is not followed, since the key would go along."""
    shown = masked(location) or "nowhere"
    if _LOGIN.search(location):
        return Finding(f"redirects to a login ({shown})", _LOGIN_REMEDY)
    reason = f"redirects to {shown} (HTTP {status}), and redirects are not followed: a key would go along"
    try:
        target = urlsplit(location)
        whole = target.scheme in _DEFAULT_PORTS and bool(target.hostname)
    except ValueError:
        whole = False
    if not whole:
        return Finding(reason, "Name the address at which the server itself answers.")
    base = masked(location).rstrip("/").removesuffix(path).rstrip("/")
    if base == url:
        return Finding(reason, "It redirects to itself: mend the gateway, or name the server's own address.")
    return Finding(reason, f"If that is the server, name it by that address: {base}")


def of_page(url: str, status: int, headers: Mapping[str, str], raw: bytes) -> Finding | None:
    """A web page where JSON was asked for; None if it is none."""
    text = raw[:4096].decode("utf-8", "replace")
    if status == 400 and _WANTS_TLS.search(text):
        return _wants_tls(url)
    if "text/html" not in headers.get("Content-Type", "").lower() and not _HTML.match(text):
        return None
    title = _TITLE.search(text)
    named = f" (“{' '.join(title[1].split())}”)" if title else ""
    if status in (200, 401, 403) and _LOGIN.search(text):
        return Finding(f"answers with a login page{named}", _LOGIN_REMEDY)
    return Finding(
        f"answers with a web page{named}, HTTP {status}",
        "Something else than a llama-server listens there: a web interface, a gateway, another program. Name host and "
        "port of the server itself; its log says them.",
    )


def of_absence(path: str, status: int, message: str) -> Finding:
    """A server that has not what every llama-server has."""
    return Finding(
        f"does not answer as a llama-server does ({path}: HTTP {status}: {message})",
        "Either another program listens there (vLLM, Ollama, a gateway to a service): only llama-server can be "
        "used, asked directly. Or the server stands below a path of its gateway, which then belongs to its address.",
    )


def of_tls(url: str, error: BaseException) -> Finding | None:
    """Why no encrypted connection came about; None if the cause is another."""
    found = next((each for each in _causes(error) if isinstance(each, ssl.SSLError)), None)
    if found is None:
        return None
    if isinstance(found, ssl.SSLCertVerificationError):
        return _of_certificate(found)
    if any(
        word in (found.reason or "") for word in ("WRONG_VERSION", "HTTP_REQUEST", "RECORD_LAYER", "UNKNOWN_PROTOCOL")
    ):
        plain = f"http://{url.partition('://')[2]}"
        return Finding("speaks no TLS at that port", f"Write {plain}, or name the port that speaks https.")
    return Finding(
        f"breaks off the TLS handshake ({found.reason or found})",
        "Look at its log; does it want a client's certificate?",
    )


def _of_certificate(error: ssl.SSLCertVerificationError) -> Finding:
    words = error.verify_message or error.reason or "it cannot be verified"
    if "hostname" in words.lower() or "ip address" in words.lower():
        return Finding(f"has a certificate for another name ({words})", "Name the server as its certificate does.")
    if "expired" in words or "not yet valid" in words:
        return Finding(
            f"has a certificate that is not valid now ({words})", "Renew it, and look at this machine's clock."
        )
    return Finding(
        f"has a certificate of an authority that is not known here ({words})",
        "If it is your own authority: --set asking.ca_file=CA.pem, or `ca_file` in the pool file. The driver reads it "
        "and gives it to the executors. With REQUESTS_CA_BUNDLE instead, the file must lie on every executor, too.",
    )


def of_plain(url: str) -> Finding | None:
    """Whether a server that does not answer http speaks https there; None if not. Asks it for a handshake."""
    parts = urlsplit(url)
    if parts.scheme != "http":
        return None
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((parts.hostname or "", parts.port or 80), timeout=_TLS_WAIT_S) as sock,
            context.wrap_socket(sock, server_hostname=parts.hostname),
        ):
            pass
    except (OSError, ValueError):
        return None
    return _wants_tls(url)


def _wants_tls(url: str) -> Finding:
    return Finding("speaks https at that port, and was asked with http", f"Write https://{url.partition('://')[2]}")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what is below it: requests and urllib3 put the cause among the arguments or into `reason`."""
    seen: set[int] = set()
    left = [error]
    while left:
        each = left.pop(0)
        if not isinstance(each, BaseException) or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        left += [*each.args, getattr(each, "reason", None), each.__cause__, each.__context__]
