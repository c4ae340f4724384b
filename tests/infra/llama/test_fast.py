"""What infra/llama/fast changes in a source of llama.cpp, and what it refuses to change."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from llama_host import LLAMA, Host, assert_refused, contents, read_manifest

sys.path.insert(0, str(LLAMA / "fast"))

import apply

FILES = sorted(file.name for pattern in ("*.h", "*.inc") for file in (LLAMA / "fast").glob(pattern))
SERVER = "tools/server/server-context.cpp"


def test_each_edit_is_made_once_and_every_file_is_used(source: Path) -> None:
    apply.apply(source)
    assert sorted(file.name for file in (source / "common" / "fast").iterdir()) == FILES
    edited = "".join((source / name).read_text("utf-8") for name in {edit.file for edit in apply.EDITS})
    copied = "".join(file.read_text("utf-8") for file in (source / "common" / "fast").iterdir())
    for name in FILES:
        assert f'#include "fast/{name}"' in edited + copied
    server = (source / SERVER).read_text("utf-8")
    assert server.index("fast/before_slots.inc") < server.index("fast_tell_forced(") < server.index("fast_round.token(")
    assert "std::max<int32_t>(common_speculative_n_max(&params.speculative), fast::MAX_FORCED)" in server


# Every file has an end, and beside a line that an edit has made there is always a place.
FINDABLE = [edit for edit in apply.EDITS if edit.pattern != r"\Z" and "fast_run;" not in edit.pattern]


@pytest.mark.parametrize("edit", FINDABLE, ids=lambda edit: edit.pattern[:30])
def test_a_place_that_is_not_there_or_there_twice_is_told_and_nothing_is_written(
    source: Path, edit: apply.Edit
) -> None:
    file = source / edit.file
    place = file.read_text("utf-8")
    for text in ("another version\n", f"{place}\n{place}\n"):
        file.write_text(text, "utf-8")
        before = contents(source)
        with pytest.raises(apply.DoesNotFit, match=edit.file):
            apply.apply(source)
        assert contents(source) == before


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(apply.DoesNotFit, match="is not there"):
        apply.apply(tmp_path)


def test_a_build_says_whether_it_is_fast(builder: Host, offline: list[str | Path]) -> None:
    assert builder.run("build.sh", "--cpu", *offline).returncode == 0
    assert read_manifest(builder.prefix / "llama")["inputs"]["fast"].startswith("sha256:")
    done = builder.run("build.sh", "--cpu", "--no-fast", *offline)
    assert done.returncode == 0 and "Fast:         none" in done.stdout
    assert read_manifest(builder.prefix / "llama")["inputs"]["fast"] == "none"
    assert builder.called().count("configure") == 2


def test_another_source_is_refused_or_built_as_it_is(builder: Host, source: Path, offline: list[str | Path]) -> None:
    (source / SERVER).write_text("another version\n", "utf-8")
    done = builder.run("build.sh", "--cpu", *offline)
    assert_refused(done, 4, "this source of llama.cpp", "is not as infra/llama/fast knows it")
    assert SERVER in done.stderr and "--no-fast" in done.stderr
    done = builder.run("build.sh", "--cpu", "--no-fast", *offline)
    assert done.returncode == 0, done.stderr


def test_another_form_of_the_changes_is_another_build(builder: Host, offline: list[str | Path], tmp_path: Path) -> None:
    builder.scripts = shutil.copytree(LLAMA, tmp_path / "scripts")
    assert builder.run("build.sh", "--cpu", *offline).returncode == 0
    with (tmp_path / "scripts" / "fast" / "crew.h").open("a") as file:
        file.write("// changed\n")
    assert builder.run("build.sh", "--cpu", *offline).returncode == 0
    assert builder.called().count("configure") == 2
