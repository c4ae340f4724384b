"""Reading the setting `pool`."""

from __future__ import annotations

from pathlib import Path

import pytest

from triplelake.errors import UsageError
from triplelake.pool.endpoints import Endpoint, load_pool


def write(folder: Path, text: str) -> str:
    file = folder / "pool.yaml"
    file.write_text(text, encoding="utf-8")
    return str(file)


def test_urls_share_the_key() -> None:
    pool = load_pool(" http://a:1/ , https://b", "k")
    assert pool == (Endpoint("http://a:1", "k"), Endpoint("https://b", "k"))


def test_a_key_is_never_printed() -> None:
    assert "geheim" not in repr(load_pool("http://a", "geheim"))


def test_pool_file_with_every_kind_of_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "from-env")
    (tmp_path / "b.key").write_bytes(b"from-file\r\nsecond\r\n")
    file = write(
        tmp_path,
        "endpoints:\n- {url: 'http://a', api_key_env: A_KEY, slots: 3}\n"
        "- {url: 'http://b', api_key_file: b.key}\n- {url: 'http://c'}\n",
    )
    assert load_pool(file, "default") == (
        Endpoint("http://a", "from-env", 3),
        Endpoint("http://b", "from-file"),
        Endpoint("http://c", "default"),
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("endpoints: [{url: 'http://a', slot: 3}]", "slot: unknown key"),
        ("endpoints: [{url: 'http://a', slots: 0}]", "slots"),
        ("endpoints: []", "endpoints"),
        ("servers: []", "endpoints"),
        ("- http://a", "pool file"),
        ("endpoints: [", "YAML"),
        ("endpoints: [{url: 'gpu-1:8080'}]", "gpu-1:8080"),
        ("endpoints: [{url: 'http://a', api_key_env: NOT_SET_ANYWHERE}]", "NOT_SET_ANYWHERE"),
        ("endpoints: [{url: 'http://a', api_key_file: none.key}]", "none.key"),
        ("endpoints: [{url: 'http://a', api_key_file: x, api_key_env: y}]", "both"),
    ],
)
def test_bad_pool_files_are_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_pool(write(tmp_path, text), None)
    assert says in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("setting", "says"),
    [("http://a,http://a/", "twice"), ("ftp://a", "ftp"), ("http://a:x", "URL"), ("nowhere.yaml", "nowhere.yaml")],
)
def test_bad_settings_are_named(setting: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        load_pool(setting, None)


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError) as caught:
        load_pool("http://me:hidden@a:1", None)
    assert "hidden" not in str(caught.value)
    assert "http://a:1" in str(caught.value)


@pytest.mark.parametrize("key", ["钥匙", "a\nb"])
def test_a_key_that_no_header_carries_is_refused(key: str) -> None:
    with pytest.raises(UsageError, match="API key") as caught:
        load_pool("http://a", key)
    assert key not in str(caught.value)


def test_the_shipped_example_is_valid(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    example = Path(__file__).resolve().parents[3] / "conf" / "pool.example.yaml"
    monkeypatch.setenv("LLAMA_API_KEY", "one")
    (tmp_path / "llama.key").write_text("two\n")
    pool = load_pool(write(tmp_path, example.read_text(encoding="utf-8")), "three")
    assert [endpoint.api_key for endpoint in pool] == ["one", "two", "three"]
