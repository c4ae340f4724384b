"""A title above the header of a spreadsheet's export is told as the likely cause, with the way out."""

from __future__ import annotations

import gzip
import re
import subprocess
from pathlib import Path

import pytest

from triplelake.config import load_settings
from triplelake.corpus.inputs import find_input
from triplelake.errors import InputError

ROWS = "1,陶行知创办了晓庄学校。,2024-01-01\n2,蔡元培担任北京大学校长。,2024-01-02\n"
HEADER = "id,正文,日期\n"


@pytest.mark.parametrize(
    ("above", "line"),
    [
        ("某公司2024年报告,,\n导出时间：2024-05-01,,\n", 3),
        ("某公司2024年報告\n", 2),
        ("Annual report\n\n", 3),
        ('"Annual\nreport",,\n', 3),
        ("sep=,\nAnnual report,,\n", 3),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030", "utf-16"])
def test_the_line_of_the_header_is_named_and_the_command_reads_on(
    above: str, line: int, encoding: str, tmp_path: Path
) -> None:
    file = tmp_path / "导出.csv"
    file.write_text(above + HEADER + ROWS, encoding)
    remedy = _refused(file)
    assert f"line {line} like the header: id, 正文, 日期" in remedy
    [(command, made)] = re.findall(r"\n  (.*) > (\S+)\n", remedy)
    out = tmp_path / made.strip("'")
    assert out != file
    out.write_bytes(subprocess.run(["bash", "-c", command], capture_output=True, check=True, cwd=tmp_path).stdout)
    found = find_input(load_settings(None, {"input": (str(out),)}, {}))
    assert found.columns is not None
    assert found.columns.text == "正文"
    assert len(found.sample) == 2


def test_of_tabs_and_of_a_compressed_file(tmp_path: Path) -> None:
    file = tmp_path / "in.tsv.gz"
    file.write_bytes(gzip.compress(("报告\t\t\n" + HEADER + ROWS).replace(",", "\t").encode()))
    assert f"gzip -dc {file} | tail -n +2 > in.table.tsv" in _refused(file)


@pytest.mark.parametrize(
    "text",
    ["a,b\nx,y\n", "a,,\n1,2,3\n4,5,6\n", "body,note\nlong,short\n", "id,b,c\n" + ROWS, "one\ntwo\nthree\n"],
)
def test_an_ordinary_table_is_not_said_to_have_a_title(text: str, tmp_path: Path) -> None:
    file = tmp_path / "in.csv"
    file.write_text(text, encoding="utf-8")
    assert "looks like a title" not in _refused(file)


def _refused(file: Path) -> str:
    with pytest.raises(InputError) as caught:
        find_input(load_settings(None, {"input": (str(file),)}, {}))
    return caught.value.remedy
