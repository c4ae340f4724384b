"""Make tests/spark/v2/kg.zip anew: an output of schema version 2, as the last commit with that version wrote it.

    python tests/spark/make_v2_tables.py

It takes the program and its test harness out of that commit, and runs four jobs against the scripted server: a first
run, one with other settings over fewer documents that removes one, one with a damaged record, and one that goes back.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

COMMIT = "befc405"
HERE = Path(__file__).resolve().parent
FIXTURE = HERE / "v2" / "kg.zip"

_JOBS = """
import json, sys
from pathlib import Path
from harness.bench import Bench

documents = [
    {"id": "river", "title": "江河志", "text": "青河發源於松山，流經松城，最後注入青湖。"},
    {"id": "writer", "title": "苏晚晴", "text": "苏晚晴生于临川，是小说家。她的第一本书叫做《渡口》。"},
    {"id": "ship", "title": "Meridian Star", "text": "The Meridian Star was built at Harrow Quay."},
    {"id": "gone", "title": "", "text": "Captain Edda Lund commanded the ship."},
]
bench = Bench.make(Path(sys.argv[1]))
read = {"corpus__id_column": "id", "corpus__title_column": "title"}
file = bench.corpus(documents)
bench.extract(file, **read)
documents[2]["text"] += " Captain Edda Lund commanded it."
bench.corpus(documents[:3])
bench.extract(file, **read, answer__max_tokens=200, run__mode="replace")
with file.open("a") as out:
    out.write('{"id": "river", "text"')
bench.extract(file, **read, answer__max_tokens=200)
bench.extract(bench.corpus(documents[:1], "first.jsonl"), **read)
"""


def main() -> None:
    """Run the jobs of that commit, and keep what they wrote."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tree = folder / "tree"
        tree.mkdir()
        archive = subprocess.run(
            ["git", "archive", COMMIT], cwd=HERE.parents[1], capture_output=True, check=True
        ).stdout
        subprocess.run(["tar", "-x", "-C", tree], input=archive, check=True)
        environment = {**os.environ, "PYTHONPATH": f"{tree / 'lib'}:{tree / 'tests' / 'e2e'}"}
        subprocess.run([sys.executable, "-c", _JOBS, folder], env=environment, cwd=folder, check=True)
        FIXTURE.parent.mkdir(exist_ok=True)
        with ZipFile(FIXTURE, "w", ZIP_DEFLATED, compresslevel=9) as out:
            for file in sorted((folder / "kg").rglob("*")):
                # Checksums are Hadoop's own, which reads files without them as well.
                if file.is_file() and not file.name.endswith(".crc"):
                    out.write(file, file.relative_to(folder))


if __name__ == "__main__":
    main()
