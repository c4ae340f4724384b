"""What a location is, for inputs and outputs alike."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triplelake.corpus.files import list_files, list_roots, open_file
from triplelake.errors import InputError, OutputError
from triplelake.export.target import Target
from triplelake.filesystems import (
    absolute,
    beside,
    lacks_library,
    local_file,
    locate,
    looks_like_catalog,
    masked,
    one_line,
    without_wildcards,
)
from triplelake.tables.outputs import check_output

NAMES = ["知识图谱", "知識圖譜", "a b", "50%25", "50%", "a#b", "a?b", "a'b", "a`b", "a\\b", "a:b", "{a,b}", "[x]", "a*"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("prefix", ["", "file://", "file:"])
def test_every_name_is_taken_as_it_is_written(tmp_path: Path, name: str, prefix: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "d.txt").write_text("x")
    written = f"{prefix}{folder}"
    assert locate(written).path == str(folder)
    [file] = list_files([written])
    assert open_file(file.path).read() == b"x"
    with Target(f"{written}/out.csv").writing() as draft:
        draft.write("", iter(["y"]))
    assert (folder / "out.csv").read_text() == "y"
    assert absolute(written).removeprefix("file://") == str(folder)
    assert locate(beside(written, "sql")).path == f"{folder}/sql"
    with pytest.raises(OutputError, match="holds other files"):
        check_output(written)


def test_one_place_is_one_location_however_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there" / "job").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "there" / "job")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for written in ("there/kg", "./there//kg/", "~/there/kg", "link/../kg", f"{tmp_path}/there/kg"):
        assert absolute(written) == locate(written).path == f"{tmp_path}/there/kg"
    for written in (f"file://{tmp_path}/link/../kg/", f"file:{tmp_path}/there/kg"):
        assert absolute(written) == f"file://{tmp_path}/there/kg"
        assert locate(written).path == f"{tmp_path}/there/kg"
    assert absolute("link/kg") == f"{tmp_path}/link/kg"


def test_options_of_a_store_are_no_part_of_a_path() -> None:
    written = "s3a://lake/知识 图谱/?endpoint_override=localhost:9000&scheme=http"
    assert absolute(written) == "s3a://lake/知识 图谱"
    assert beside(written, "sql") == "s3a://lake/知识 图谱/sql?endpoint_override=localhost:9000&scheme=http"
    assert absolute("s3://b/why?not") == "s3://b/why?not"
    assert absolute("dbfs:/kg/") == "dbfs:/kg"


@pytest.mark.parametrize("written", ["", "  ", "a\0b", "a\udcffb"])
def test_what_names_no_place_is_refused(written: str) -> None:
    for read in (absolute, locate, check_output):
        with pytest.raises((InputError, OutputError)):
            read(written)


@pytest.mark.parametrize(
    ("output", "expected"),
    [("main.kg", True), ("out/kg", False), ("kg", False), ("s3://b/kg", False), ("./a.b", False), ("a.b.c", False)],
)
def test_names_that_can_be_of_a_catalog(output: str, expected: bool) -> None:
    assert looks_like_catalog(output) is expected


def test_an_existing_name_is_no_glob_and_a_glob_is_expanded_before_spark_sees_it(tmp_path: Path) -> None:
    for name in ("[x]", "x", "{a}"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "d.txt").write_text(name)
    assert list_roots([f"{tmp_path}/[x]"]) == [f"{tmp_path}/[x]"]
    assert list_roots([f"{tmp_path}/?", f"file://{tmp_path}/{{a}}"]) == [f"{tmp_path}/x", f"file://{tmp_path}/{{a}}"]
    assert without_wildcards("/a/[x]{y}*?\\") == r"/a/\[x\]\{y\}\*\?\\"
    with pytest.raises(InputError, match="matches no file"):
        list_roots([f"{tmp_path}/*.none"])


SECRETS = [
    "s3://AKIA:geheim@b/x",
    "s3://AKIA:geheim/+geheim@b/x",
    "s3://AKIA:ge@heim@b/x",
    "s3://geheim@b/x",
    "http://a:8080,http://u:geheim@b:8080",
    "abfss://c:geheim@account.dfs.core.windows.net/x",
    "abfss://c@account.dfs.core.windows.net/x?sig=geheim",
    "s3://b/x?access_key=geheim&region=eu&secret_key=geheim",
]


@pytest.mark.parametrize("written", SECRETS)
def test_a_secret_in_a_location_is_refused_and_not_shown(written: str) -> None:
    assert "geheim" not in masked(written) and "heim" not in masked(written)
    for read in (absolute, locate, check_output, Target):
        with pytest.raises((InputError, OutputError)) as caught:
            read(written)
        assert "heim" not in str(caught.value) and "carries" in caught.value.reason


@pytest.mark.parametrize(
    "written",
    [
        "abfss://container@account.dfs.core.windows.net/x",
        "hdfs://namenode:8020/user@x",
        "http://a:8080,http://b:1/x@y",
        "s3://b/a:b@c?region=eu",
        "/a/b:c@d?key=e",
        "张三:李四@王五",
    ],
)
def test_what_only_looks_like_a_secret_is_kept(written: str) -> None:
    assert masked(written) == written


@given(st.text(alphabet=st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_a_local_name_survives_whatever_it_holds(name: str) -> None:
    if name in (".", "..") or not name.strip():
        return
    assert absolute(f"/x/{name}") == locate(f"/x/{name}").path == os.path.join("/x", name)


def test_a_file_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert local_file("~/金 标.jsonl") == tmp_path / "金 标.jsonl"
    assert local_file("金 标.jsonl") == Path("金 标.jsonl")
    assert local_file("file:///知识/金 标.jsonl") == local_file("file:/知识/金 标.jsonl") == Path("/知识/金 标.jsonl")
    (tmp_path / "ab:").mkdir()
    (tmp_path / "ab:" / "c").touch()
    assert local_file("ab:/c") == Path("ab:/c")


@pytest.mark.parametrize("written", ["s3a://b/金 标.jsonl", "abfss://b@a/g.jsonl", Path("s3://b/g.jsonl")])
def test_a_file_that_only_this_machine_reads_is_not_looked_for_in_a_store(written: str | Path) -> None:
    with pytest.raises(InputError, match=r"lies in a store.*on this machine only") as caught:
        local_file(written)
    assert "://b" in caught.value.subject  # as it was written, though a Path has lost a slash
    for secret in ("s3://K:geheim@b/g.jsonl", Path("s3://K:geheim@b/g.jsonl")):
        with pytest.raises(InputError) as caught:
            local_file(secret)
        assert "geheim" not in str(caught.value)


JAVA = """An error occurred while calling o46.tableExists.
: org.apache.hadoop.fs.UnsupportedFileSystemException: No FileSystem for scheme "s3"
\tat org.apache.hadoop.fs.FileSystem.getFileSystemClass(FileSystem.java:3581)
\tat org.apache.hadoop.fs.FileSystem.createFileSystem(FileSystem.java:3612)
"""


def test_what_java_says_is_told_without_how_it_got_there() -> None:
    said = 'org.apache.hadoop.fs.UnsupportedFileSystemException: No FileSystem for scheme "s3"'
    assert one_line(ValueError(JAVA)) == said
    assert one_line(ValueError("a plain\n  one")) == "a plain one"


@pytest.mark.parametrize(
    ("said", "library"),
    [
        (JAVA, True),
        ("java.lang.ClassNotFoundException: Class org.apache.hadoop.fs.s3a.S3AFileSystem not found", True),
        ("ClassNotFoundException: Class com.google.cloud.hadoop.fs.gcs.GoogleHadoopFileSystem not found", True),
        ("org.apache.hadoop.fs.s3a.UnknownStoreException: `s3a://b/x': the bucket does not exist", False),
    ],
)
def test_a_store_that_spark_has_no_library_for_is_known_from_one_out_of_reach(said: str, library: bool) -> None:
    assert lacks_library(ValueError(said)) is library


def test_an_output_in_a_store_is_looked_at_as_one_of_this_machine_is() -> None:
    place = locate("mock://b/输出")  # a store of Arrow's own, in memory
    for folder in ("empty", "kg/runs/_delta_log", "table/_delta_log"):
        place.fs.create_dir(f"{place.path}/{folder}", recursive=True)
    for file in ("file", "语料 库/第 一.jsonl", "kg/more.txt"):
        place.fs.create_dir(f"{place.path}/{file}".rpartition("/")[0], recursive=True)
        place.fs.open_output_stream(f"{place.path}/{file}").close()
    for free in ("empty", "kg", "new", "kg/runs/deeper"):
        check_output(f"mock://b/输出/{free}")
    for taken, reason in (
        ("语料 库", "holds other files already .第 一.jsonl"),
        ("table", "itself"),
        ("file", "is a file"),
    ):
        with pytest.raises(OutputError, match=reason):
            check_output(f"mock://b/输出/{taken}")
    check_output("nosuchstore://b/kg")  # Spark may know it
