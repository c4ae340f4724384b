"""The servers that a setting names: URLs, or a pool file."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from triplelake.config import find_conf, yaml_problem
from triplelake.errors import UsageError
from triplelake.pool.addresses import clean_url, looks_like_host, masked, same_server

_EXAMPLE = "`conf/pool.example.yaml` shows every key."


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A llama.cpp server.

    Args:
        url: base URL without a trailing slash.
        api_key: its key; never printed.
        slots: how many requests it decodes at once; None until it was asked.
        ca: certificates in PEM of authorities to trust besides the public ones; text, so that it goes to executors.
    """

    url: str
    api_key: str | None = field(default=None, repr=False)
    slots: int | None = None
    ca: str | None = field(default=None, repr=False)


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    api_key_env: str | None = None
    api_key_file: Path | None = None
    ca_file: Path | None = None
    slots: int | None = Field(default=None, ge=1)


class _PoolFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoints: tuple[_Entry, ...] = Field(min_length=1)


def names_file(setting: str) -> bool:
    """Whether the setting `pool` names a pool file."""
    return (
        setting != "embedded" and "://" not in setting and not (looks_like_host(setting) and not Path(setting).exists())
    )


def load_pool(setting: str, api_key: str | None, ca_file: Path | None = None) -> tuple[Endpoint, ...]:
    """The endpoints of the setting `pool`.

    Args:
        setting: URLs separated by commas, or the name of a pool file.
        api_key: key for those endpoints that do not name their own.
        ca_file: certificates of authorities, for those endpoints that do not name their own.

    Raises:
        UsageError: a URL, a file, a key of the file, an API key or a certificate that cannot be used.
    """
    if not names_file(setting):
        entries = tuple(_Entry(url=url.strip()) for url in setting.split(",") if url.strip())
        folder = Path()
    else:
        file = find_conf(setting, kind="pool file")
        entries = _read_pool_file(file)
        folder = file.parent
    if not names_file(setting) and not entries:
        raise UsageError("pool", "names no server", "Example: --pool http://gpu-1:8080,http://gpu-2:8080")
    common = _certificates(ca_file) if ca_file else None
    endpoints = tuple(
        Endpoint(
            clean_url(entry.url),
            _key_of(entry, folder, api_key),
            entry.slots,
            _certificates(folder / entry.ca_file.expanduser()) if entry.ca_file else common,
        )
        for entry in entries
    )
    forms = [same_server(endpoint.url) for endpoint in endpoints]
    if twice := next((endpoint.url for endpoint in endpoints if forms.count(same_server(endpoint.url)) > 1), None):
        raise UsageError(twice, "is named twice in the pool", "Name each server once; `slots` says how wide it is.")
    return endpoints


def _read_pool_file(file: Path) -> tuple[_Entry, ...]:
    try:
        tree = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(str(file), error.strerror or "cannot be read", "`pool` names a YAML file or URLs.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(str(file), f"is not valid YAML: {yaml_problem(error)}", _EXAMPLE) from None
    try:
        return _PoolFile.model_validate(tree).endpoints
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "pool file"
        reason = "unknown key" if first["type"] == "extra_forbidden" else first["msg"].lower()
        raise UsageError(str(file), f"{key}: {reason}", _EXAMPLE) from None


def _key_of(entry: _Entry, folder: Path, default: str | None) -> str | None:
    if entry.api_key_env and entry.api_key_file:
        raise UsageError(masked(entry.url), "has both api_key_env and api_key_file", "Keep one of them.")
    if entry.api_key_env:
        key = os.environ.get(entry.api_key_env)
        if not key:
            raise UsageError(
                entry.api_key_env, f"the key of {masked(entry.url)} is not set", f"export {entry.api_key_env}=…"
            )
    elif entry.api_key_file:
        key = _first_line(folder / entry.api_key_file.expanduser(), entry.url)
    else:
        key = default
    if key and not (key.isascii() and key.isprintable()):
        raise UsageError(
            masked(entry.url), "its API key holds characters that no HTTP header can carry", "Check the key."
        )
    return key or None


def _certificates(file: Path) -> str:
    """The text of a PEM file, so that executors need no file of their own."""
    remedy = "It must hold the certificates of the authority in PEM: -----BEGIN CERTIFICATE----- …"
    try:
        text = file.expanduser().read_text(encoding="ascii")
        ssl.create_default_context(cadata=text)
    except OSError as error:
        # An error of ssl is an OSError, too.
        reason = "holds no certificates" if isinstance(error, ssl.SSLError) else error.strerror or "cannot be read"
        raise UsageError(str(file), reason, remedy) from None
    except ValueError:
        raise UsageError(str(file), "holds no certificates", remedy) from None
    return text


def _first_line(file: Path, url: str) -> str:
    # A key file of llama-server has one key a line; editors leave "\r\n" behind, which is not part of a key.
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(str(file), f"the key file of {url} cannot be read: {error}", "Check api_key_file.") from None
    key = next((line.strip() for line in lines if line.strip()), None)
    if key is None:
        raise UsageError(str(file), f"the key file of {url} is empty", "Put the key on its first line.")
    return key
