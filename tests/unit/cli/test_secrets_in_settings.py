"""Keys and passwords never come back out of the settings: not in an error, not on the screen."""

from __future__ import annotations

from pathlib import Path

import pytest

from triplelake.cli.parsing import Parser, read_settings
from triplelake.config import find_conf, load_settings
from triplelake.errors import UsageError
from triplelake.pool.endpoints import load_pool


def refused(**settings: object) -> str:
    with pytest.raises(UsageError) as caught:
        load_settings(None, settings, {})
    assert "geheim" not in str(caught.value)
    return str(caught.value)


def test_a_location_with_a_secret_is_refused_wherever_it_stands() -> None:
    assert "input: s3://***@b/x" in refused(input=["a.txt", "s3://K:geheim@b/x"])
    assert "AWS_ACCESS_KEY_ID" in refused(output="s3://K:geheim@b/x")
    assert "api_key_file" in refused(pool="http://a,http://u:geheim@b")


@pytest.mark.parametrize("key", ["api_key", " api_key ", "api-key", "API_KEY"])
def test_a_key_in_a_command_line_is_refused_with_the_way_out(key: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_settings({"set": [f"{key}=geheim"]})
    assert "geheim" not in str(caught.value) and "TRIPLELAKE__API_KEY" in caught.value.remedy
    with pytest.raises(UsageError) as caught:
        read_settings({"set": [f"{key}:geheim"]})
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("value", [["geheim"], {"a": "geheim"}, 4711])
def test_a_key_of_a_wrong_type_is_not_shown(value: object) -> None:
    said = refused(api_key=value)
    assert "api_key" in said and "4711" not in said


def test_an_unknown_option_is_told_without_its_value() -> None:
    with pytest.raises(UsageError) as caught:
        Parser(prog="x.py").parse(["--api-key=geheim"])
    assert "geheim" not in str(caught.value) and "--api-key" in str(caught.value)


def test_broken_yaml_is_told_by_its_place_and_not_by_its_line(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text('output: kg\napi_key: "geheim\n')
    with pytest.raises(UsageError) as caught:
        load_settings(file, {}, {})
    assert "geheim" not in str(caught.value) and "line" in caught.value.reason
    with pytest.raises(UsageError) as caught:
        load_pool(str(file), None)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("kind", ["ontology", "pool file", "prompt folder"])
def test_a_file_of_the_settings_in_a_store_is_refused_without_its_key(kind: str) -> None:
    for written in ("s3://K:geheim@b/x.yaml", Path("s3://K:geheim@b/x.yaml")):
        with pytest.raises(UsageError, match="carries a user, a password or a key") as caught:
            find_conf(written, kind=kind)
        assert "geheim" not in str(caught.value)
    with pytest.raises(UsageError, match=r"s3a://b/x\.yaml: lies in a store"):
        find_conf("s3a://b/x.yaml", kind=kind)
