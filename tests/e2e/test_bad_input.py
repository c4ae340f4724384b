"""What a person who made a mistake sees: a screen that names the input, the reason and the remedy; nothing is written.

Most mistakes are answered before Spark is started. Those cases run with a SPARK_HOME that does not exist, so that
a start of Spark would show as another exit code.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession
from rich.console import Console

from triplelake.cli.extract import extract_command
from triplelake.commands.extract import extract
from triplelake.config import load_settings

ROOT = Path(__file__).resolve().parents[2]
EXTRACT = ROOT / "jobs" / "extract.py"
USAGE, INPUT, POOL, OUTPUT = 2, 3, 4, 6
MESSAGE, SCREEN = 12, 30
"""Lines, at most: of the message, and of it with the settings and what was found before it."""


class FakeLlama(ThreadingHTTPServer):
    """Answers like a llama-server with GBNF whose model never finds a triple."""

    daemon_threads = True

    def __init__(self, alias: str = "gemma-3-270m@0123456789ab", key: str = "k", n_ctx: int = 100_000) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.alias, self.key, self.n_ctx = alias, key, n_ctx
        self.url = f"http://127.0.0.1:{self.server_port}"

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        match path:
            case "/health":
                return 200, {"status": "ok"}
            case "/props":
                slot = {"n_ctx": self.n_ctx}
                return 200, {"total_slots": 4, "default_generation_settings": slot, "model_alias": self.alias}
            case "/v1/models":
                meta = {"n_vocab": 262144, "n_params": 268098176, "ftype": "Q4_K", "n_ctx_train": 32768, "size": 1}
                return 200, {"data": [{"id": self.alias, "meta": meta}]}
            case "/tokenize":
                return 200, {"tokens": list(range(len(body["content"])))}
            case "/completion":
                return self._complete(body["grammar"])
        return 404, {"error": {"message": f"no {path}"}}

    def _complete(self, grammar: str) -> tuple[int, dict[str, Any]]:
        if grammar.startswith("%llguidance"):
            return 400, {"error": {"message": "failed to parse grammar"}}
        is_probe = grammar.count("\n") == 1
        text = grammar.split('"')[1] if is_probe else "[]"
        return 200, {"content": text, "model": self.alias, "tokens_evaluated": 9, "tokens_predicted": 2}


class _Handler(BaseHTTPRequestHandler):
    server: FakeLlama

    def do_GET(self) -> None:
        self._reply({})

    def do_POST(self) -> None:
        self._reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _reply(self, body: dict[str, Any]) -> None:
        status, answer = self.server.answer(self.path, body)
        if self.headers["Authorization"] != f"Bearer {self.server.key}":
            status, answer = 401, {"error": {"message": "Invalid API Key", "type": "authentication_error"}}
        payload = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the test's own output is enough."""


StartServer = Callable[..., FakeLlama]


@pytest.fixture(scope="module")
def start() -> Iterator[StartServer]:
    servers = []

    def start_one(**kwargs: Any) -> FakeLlama:
        server = FakeLlama(**kwargs)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server

    yield start_one
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def server(start: StartServer) -> FakeLlama:
    return start()


@dataclass(frozen=True)
class Ending:
    """How a command ended and what it showed."""

    code: int
    out: str
    err: str

    def tells(self, code: int, *parts: str) -> None:
        """The exit code, and a message that fits a screen and holds all of `parts`."""
        screen = f"{self.out}\n{self.err}"
        assert self.code == code, screen
        assert self.err.startswith("error: "), screen
        for part in parts:
            assert part in self.err, screen
        assert "Traceback" not in screen
        assert "This should not happen" not in screen
        assert len(self.err.splitlines()) <= MESSAGE, screen
        assert len([line for line in screen.splitlines() if line.strip()]) <= SCREEN, screen


@dataclass(frozen=True)
class Desk:
    """A folder with a good corpus, where a command is run without Spark."""

    folder: Path
    pool: str

    @property
    def output(self) -> Path:
        return self.folder / "kg"

    def file(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text, encoding="utf-8")
        return str(self.folder / name)

    def extract(self, *more: str, **variables: str) -> Ending:
        """The command with a good input, output and pool before `more`; a later option is the stronger one."""
        good = ("--input", str(self.folder / "good.jsonl"), "--output", str(self.output), "--pool", self.pool)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TRIPLELAKE")}
        environment |= {"SPARK_HOME": str(self.folder / "no spark"), "TRIPLELAKE__API_KEY": "k"} | variables
        done = subprocess.run(
            [sys.executable, EXTRACT, *good, *more],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
        return Ending(done.returncode, done.stdout, done.stderr)


def write_corpus(file: Path) -> None:
    rows = [{"id": "1", "text": "鲁迅出生于绍兴。"}, {"id": "2", "text": "Ada Lovelace was born in London."}]
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def desk(tmp_path: Path, server: FakeLlama) -> Iterator[Desk]:
    write_corpus(tmp_path / "good.jsonl")
    desk = Desk(tmp_path, server.url)
    yield desk
    assert not desk.output.exists()


def test_all_is_well_up_to_the_start_of_spark(desk: Desk) -> None:
    # Without this, the tests below could pass for a reason of another kind.
    ending = desk.extract()
    assert ending.code == 7, ending
    ending.tells(7, "Spark: does not start", "`make setup`")


# The command line and the settings


def test_unknown_option(desk: Desk) -> None:
    desk.extract("--inptu", "x").tells(USAGE, "--inptu: unknown option", "Did you mean --input?")


def test_set_without_a_value(desk: Desk) -> None:
    desk.extract("--set", "run.limit").tells(USAGE, "--set run.limit", "key=value", "--set run.limit=20")


def test_unknown_setting(desk: Desk) -> None:
    desk.extract("--set", "run.limt=5").tells(USAGE, "run.limt: unknown setting", "Did you mean `run.limit`?")


def test_unknown_setting_of_the_environment(desk: Desk) -> None:
    ending = desk.extract(TRIPLELAKE__CORPUS__TEXT_COLUM="x")
    ending.tells(USAGE, "corpus.text_colum", "Did you mean `corpus.text_column`?")


def test_value_out_of_range(desk: Desk) -> None:
    desk.extract("--set", "run.lanes=9").tells(USAGE, "run.lanes", "less than or equal to 4", "docs/options.md")


def test_broken_yaml(desk: Desk) -> None:
    file = desk.file("broken.yaml", "run:\n  limit: [1\ncorpus: {}\n")
    desk.extract("--config", file).tells(USAGE, file, "is not valid YAML", "line 3", "Mend that line.")


def test_configuration_that_is_not_there(desk: Desk) -> None:
    desk.extract("--config", "nowhere.yaml").tells(USAGE, "nowhere.yaml", "No such file", "--config")


# The corpus


def test_wrong_path(desk: Desk) -> None:
    wrong = str(desk.folder / "god.jsonl")
    desk.extract("--input", wrong).tells(INPUT, wrong, "no such file or folder", "good.jsonl")


def test_wrong_column(desk: Desk) -> None:
    ending = desk.extract("--text-column", "txet")
    ending.tells(INPUT, "txet: no such column", "Did you mean `text`?", "Columns: id, text.")


def test_no_column_with_a_known_name(desk: Desk) -> None:
    file = desk.file("other.csv", "编号,文本\n1,鲁迅出生于绍兴。\n")
    desk.extract("--input", file).tells(INPUT, "corpus.text_column", "编号, 文本", "--text-column")


@pytest.mark.parametrize(
    ("name", "text"), [("empty.jsonl", ""), ("empty.json", "[]"), ("empty.txt", ""), ("empty.csv", "text\n")]
)
def test_empty_corpus(desk: Desk, name: str, text: str) -> None:
    file = desk.file(name, text)
    desk.extract("--input", file).tells(INPUT, file, "holds no documents", "--input")


def test_nothing_but_broken_records(desk: Desk) -> None:
    file = desk.file("broken.jsonl", "{oops\n" * 5)
    desk.extract("--input", file).tells(INPUT, file, "none of its records can be read", "byte 0: is not JSON")


def test_encoding_that_is_unclear(desk: Desk) -> None:
    file = desk.folder / "old.txt"
    file.write_bytes("龘靐".encode("gb18030"))
    ending = desk.extract("--input", str(file))
    ending.tells(INPUT, str(file), "its encoding is unclear", "--encoding gb18030  龘靐")


def test_html_in_the_encoding_that_was_named(desk: Desk) -> None:
    file = desk.folder / "page.html"
    file.write_bytes("<html><body><p>龘靐</p></body></html>".encode("gb18030"))
    ending = desk.extract("--input", str(file), "--encoding", "gb18030")
    ending.tells(INPUT, str(file), "looks like HTML", "<p>龘靐</p>", "--html-to-text")


# What is asked


ONTOLOGY = """\
name: mine
relations:
  - {id: born_in, name_en: place of birth, subject_type: person, object_type: place}
  - {id: spouse, name_en: spouse}
  - {id: born_in, name_en: place of birth, subject_type: person, object_type: place}
"""


def test_relation_that_stands_twice(desk: Desk) -> None:
    file = desk.file("mine.yaml", ONTOLOGY)
    desk.extract("--ontology", file).tells(INPUT, file, "line 5", "line 3", "born_in")


def test_ontology_that_is_not_there(desk: Desk) -> None:
    desk.extract("--ontology", "ontologies/generl.yaml").tells(USAGE, "generl.yaml", "no such ontology", "general.yaml")


def test_ontology_too_long_for_a_slot(desk: Desk, start: StartServer) -> None:
    ending = desk.extract("--pool", start(n_ctx=2048).url)
    ending.tells(INPUT, "ontologies/general.yaml", "a slot of the server has 2048", "prompt.shots")


def test_example_that_is_not_in_its_text(desk: Desk) -> None:
    shutil.copytree(ROOT / "conf" / "prompts", desk.folder / "prompts")
    file = desk.folder / "prompts" / "en.yaml"
    text = file.read_text(encoding="utf-8")
    example = "examples:\n  - text: Mira Lund was born in Oslo.\n    triples: [[Mira Lund, born_in, Bergen]]\n"
    file.write_text(text.replace("examples:\n", example, 1), encoding="utf-8")
    ending = desk.extract("--set", f"prompt.dir={desk.folder / 'prompts'}")
    ending.tells(INPUT, f"{file}, example 1", "“Bergen” does not stand in its text", "verbatim")


# The servers


def test_server_that_is_down(desk: Desk) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    desk.extract("--pool", url).tells(POOL, url, "cannot be reached", "Connection refused", f"curl {url}/health")


def test_wrong_key(desk: Desk) -> None:
    desk.extract(TRIPLELAKE__API_KEY="wrong").tells(POOL, desk.pool, "refuses the API key", "TRIPLELAKE__API_KEY")


def test_no_key(desk: Desk) -> None:
    desk.extract(TRIPLELAKE__API_KEY="").tells(POOL, desk.pool, "wants an API key", "TRIPLELAKE__API_KEY")


def test_two_models_in_one_pool(desk: Desk, start: StartServer) -> None:
    other = start(alias="gemma-3-270m@ba9876543210").url
    ending = desk.extract("--pool", f"{desk.pool},{other}")
    ending.tells(POOL, other, desk.pool, "another model", "ba9876543210", "--alias NAME@HASH")


def test_model_without_a_profile(desk: Desk, start: StartServer) -> None:
    ending = desk.extract("--pool", start(alias="mystery@1").url)
    ending.tells(USAGE, "mystery@1", "is known to no model profile", "profile: chat")


def test_model_file_that_is_not_there(desk: Desk) -> None:
    desk.extract("--pool", "embedded", "--model", "no.gguf").tells(USAGE, "no.gguf: no such model file", "--model")


# The output


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    ("name", "reason"),
    [("", "is a file"), ("_delta_log/0.json", "is a Delta table itself"), ("notes.txt", "holds other files already")],
)
def test_output_that_is_something_else(desk: Desk, name: str, reason: str) -> None:
    taken = desk.folder / "taken"
    file = taken / name if name else taken
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("{}")
    before = content(desk.folder)
    desk.extract("--output", str(taken)).tells(OUTPUT, str(taken), reason, "Choose another --output")
    assert content(desk.folder) == before


# What only Spark can see


@pytest.fixture
def here(
    tmp_path: Path, server: FakeLlama, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ending]:
    """The command in this process, whose Spark all these cases share."""
    write_corpus(tmp_path / "good.jsonl")
    monkeypatch.setenv("TRIPLELAKE__API_KEY", "k")

    def extract(*more: str) -> Ending:
        good = ("--input", str(tmp_path / "good.jsonl"), "--output", str(tmp_path / "kg"), "--pool", server.url)
        capfd.readouterr()
        code = extract_command([*good, *more])
        shown = capfd.readouterr()
        return Ending(code, shown.out, shown.err)

    return extract


@pytest.mark.spark
def test_foreign_table_among_ours(here: Callable[..., Ending], tmp_path: Path) -> None:
    from triplelake.spark import open_session

    foreign = tmp_path / "kg" / "documents"
    open_session("tests").range(3).write.format("delta").save(str(foreign))
    before = content(tmp_path / "kg")
    here().tells(OUTPUT, str(foreign), "is not a table of triplelake", "Choose another --output")
    assert content(tmp_path / "kg") == before


@pytest.mark.spark
def test_wrong_column_of_parquet(here: Callable[..., Ending], tmp_path: Path) -> None:
    from triplelake.spark import open_session

    folder = str(tmp_path / "rows.parquet")
    open_session("tests").createDataFrame([("a", "b")], "text string, heading string").write.parquet(folder)
    ending = here("--input", folder, "--title-column", "headin")
    ending.tells(INPUT, "headin: no such column", "Did you mean `heading`?")
    assert not (tmp_path / "kg").exists()


@pytest.mark.spark
def test_texts_that_are_all_blank(here: Callable[..., Ending], tmp_path: Path) -> None:
    file = tmp_path / "blank.jsonl"
    file.write_text('{"text": "  "}\n' * 4)
    here("--input", str(file)).tells(INPUT, str(file), "none of its records can be read", "byte 0")
    assert not (tmp_path / "kg").exists()


@pytest.mark.spark
def test_a_dry_run_over_a_new_output_writes_nothing(here: Callable[..., Ending], tmp_path: Path) -> None:
    ending = here("--dry-run")
    assert (ending.code, ending.err) == (0, "")
    assert "2 documents, 2 chunks, 2 requests to ask" in ending.out
    assert not (tmp_path / "kg").exists()


# A disk that is full: a small one of the command's own, in a mount namespace that ends with it.

ON_A_SMALL_DISK = """
mount -t tmpfs -o size=256k tmpfs disk || exit 99
"$@"
code=$?
cp -r disk/kg kept
exit $code
"""


@pytest.mark.spark
@pytest.mark.infra  # takes a minute or two
def test_full_disk(desk: Desk, tmp_path: Path, spark: SparkSession) -> None:
    namespace = ["unshare", "--user", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*namespace, "true"], capture_output=True).returncode:
        pytest.skip("this machine allows no mount namespace, so no small disk can be made")
    documents = 60
    rows = [
        {"id": str(n), "text": f"{os.urandom(400).hex()} was born in {os.urandom(8).hex()}."} for n in range(documents)
    ]
    file = desk.file("many.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "disk").mkdir()
    command: list[str | Path] = [
        sys.executable,
        EXTRACT,
        "--input",
        file,
        "--id-column",
        "id",
        "--output",
        "disk/kg",
        "--pool",
        desk.pool,
    ]
    environment = {name: value for name, value in os.environ.items() if name != "SPARK_HOME"}
    done = subprocess.run(
        [*namespace, "sh", "-c", ON_A_SMALL_DISK, "sh", *command],
        cwd=tmp_path,
        env=environment | {"TRIPLELAKE__API_KEY": "k"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
    )
    ending = Ending(done.returncode, done.stdout, done.stderr)
    ending.tells(OUTPUT, "disk", "is full", "Make room", "the same command goes on")
    # The same command where there is room.
    given = {"input": (str(file),), "corpus.id_column": "id", "pool": desk.pool, "api_key": "k", "run.preflight": False}
    settings = load_settings(None, given | {"output": str(tmp_path / "kept")}, {})
    extract(settings, Console(file=io.StringIO()))
    kept = {
        name: DeltaTable(tmp_path / "kept" / name).to_pyarrow_table().to_pydict() for name in ("attempts", "documents")
    }
    asked = kept["attempts"]["request_id"]
    assert len(asked) == len(set(asked)) >= documents
    states = zip(kept["documents"]["doc_id"], kept["documents"]["state"], strict=True)
    assert sorted(doc_id for doc_id, state in states if state == "published") == sorted(row["id"] for row in rows)
