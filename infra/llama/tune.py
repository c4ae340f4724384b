"""Find the settings with which a host's card answers the most of the job's questions, and write them down.

    tune.py --questions FILE [--prefix DIR] [--gpu N] [--seconds S] [--slots N …] …

Each setup is tried with real servers (serve.sh), kept full with the job's own questions as the job does it. First the
defaults of serve.sh; then one setting after the other, each value with the best of what was found so far. A value
replaces another only if it gives 2 % more. At the end the best and the defaults are tried once more, one after the
other. The best goes to PREFIX/etc/tuned.env, which serve.sh's units read, and all that was tried to tuned.json there.

Take the host out of the pool before (`pool.py stop HOST`) and back after it (`pool.py up`). Runs on the hosts, so it
needs Python 3.10 and its standard library only.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tune_search import BATCHES, ENGINES, KV_TYPES, LAYOUTS, axes, search, start_setup
from tune_trial import NONE, Bench, Question, Result, Setup

EXIT_USAGE, EXIT_PREREQUISITE, EXIT_FAILED = 2, 3, 4
_NOT_OURS = ("SERVE_HOST", "SERVE_PORT", "SERVE_INDEX", "SERVE_API_KEY_FILE", "SERVE_TLS_CERT", "SERVE_TLS_KEY")
_COLUMNS = ("slots", "KV", "KV type", "batch", "servers", "grammar", "answers/s", "tokens/s", "cut", "")


class CannotTune(Exception):
    """What is wrong, with the exit code of infra's commands."""

    def __init__(self, code: int, subject: str, reason: str, remedy: str) -> None:
        super().__init__(code, subject, reason, remedy)
        self.code = code
        self.text = f"error: {subject}: {reason}\n  {remedy}"


def main(argv: list[str] | None = None) -> int:
    options = parse(argv)
    try:
        tune(options)
    except CannotTune as error:
        print(error.text, file=sys.stderr)
        return error.code
    return 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The options; an axis that is not named has the values of the module."""
    parser = argparse.ArgumentParser(
        prog="tune.py",
        description=__doc__.partition("\n\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Exit codes: 0 good, 2 wrong usage, 3 something is missing here, 4 no setup answered.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--questions", type=Path, required=True, metavar="FILE", help="what infra/questions.py has written")
    add("--prefix", type=Path, default=Path("/opt/triplelake"), metavar="DIR", help="default: /opt/triplelake")
    add("--gpu", type=int, default=0, metavar="N", help="the card to tune; all cards of a host get its settings")
    add("--seconds", type=float, default=60.0, metavar="S", help="to count for in each trial, at least (60)")
    add("--slots", type=int, nargs="+", metavar="N", help="of all servers of the card together")
    add("--kv-layout", nargs="+", choices=LAYOUTS, default=LAYOUTS)
    add("--kv-type", nargs="+", choices=KV_TYPES, default=KV_TYPES)
    add("--batch", nargs="+", type=batch, default=BATCHES, metavar="BATCH/UBATCH", help="as 2048/1024")
    add("--servers", type=int, nargs="+", metavar="K", help="servers that share the card (as many as now)")
    add("--grammar", nargs="+", choices=(*ENGINES, NONE), default=ENGINES, help="`none` tells what a grammar costs")
    add("--dry-run", action="store_true", help="say what would be tried, and do nothing")
    return parser.parse_args(argv)


def batch(text: str) -> tuple[int, int]:
    """`2048/1024` as two numbers."""
    size, _, part = text.partition("/")
    if not (size.isdigit() and part.isdigit() and 0 < int(part) <= int(size)):
        raise argparse.ArgumentTypeError(f"{text} is not BATCH/UBATCH, as 2048/1024")
    return int(size), int(part)


def tune(options: argparse.Namespace) -> None:
    """Try, tell, and write the best down.

    Raises:
        CannotTune: a file is missing or unfit, the host still serves, or no setup answers.
    """
    questions = read_questions(options.questions, options.grammar)
    fixed = read_settings(options.prefix)
    serving = list(listening(options.prefix))
    if serving and not options.dry_run:
        raise CannotTune(
            EXIT_PREREQUISITE,
            ", ".join(serving),
            "a server still runs on this host, and would share what is measured",
            "Take the host out of the pool and stop it: python infra/pool.py stop HOST",
        )
    device = device_of(fixed)
    start = start_setup(device, fixed, options)
    if options.dry_run:
        for axis in axes(device, fixed, options):
            values = ", ".join(_short(setup) for setup in axis.setups(start))
            print(f"{axis.name}: {values}")
        print(f"Questions: {len(questions)}. Nothing was done (--dry-run).")
        return
    here = Path(__file__).resolve().parent
    base = {name: value for name, value in {**os.environ, **fixed}.items() if name not in _NOT_OURS}
    bench = Bench(here / "serve.sh", base, questions, options.seconds, options.gpu)
    print(f"| {' | '.join(_COLUMNS)} |\n{'|---' * len(_COLUMNS)}|", flush=True)
    tried: list[Result] = []

    def measure(setup: Setup) -> Result:
        result = bench.measure(setup)
        tried.append(result)
        print(_line(result), flush=True)
        return result

    best = search(start, axes(device, fixed, options), measure)
    if not best.per_s:
        raise CannotTune(EXIT_FAILED, str(options.prefix), "no setup has answered", f"The first: {tried[0].problem}")
    if best.setup != start:
        best = duel(start, best.setup, measure)
    write(options, fixed, best, tried)


def duel(start: Setup, best: Setup, measure: Callable[[Setup], Result]) -> Result:
    """The winner of the two, tried in turn: the best of many trials owes a part of its lead to luck."""
    first, second = measure(start), measure(best)
    if first.per_s and second.per_s:
        print(f"\nThe best over the defaults, one after the other: {second.per_s / first.per_s:.2f}")
    return second if second.per_s > first.per_s else first


def read_questions(path: Path, engines: Sequence[str]) -> list[Question]:
    """The lines of the file.

    Raises:
        CannotTune: it is missing, is no such file, or has no grammar of an engine.
    """
    remedy = "Write it where the job runs: python infra/questions.py --input CORPUS --pool POOL --out FILE"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not UTF-8"
        raise CannotTune(EXIT_USAGE, f"--questions {path}", reason, remedy) from None
    questions: list[Question] = []
    for number, line in enumerate(lines, start=1):
        try:
            question: dict[str, Any] = json.loads(line)
            missing = {engine for engine in engines if engine != NONE} - set(question["grammars"])
            dict(question["body"])
        except (ValueError, KeyError, TypeError):
            raise CannotTune(EXIT_USAGE, f"--questions {path}", f"line {number} is no question", remedy) from None
        if missing:
            raise CannotTune(EXIT_USAGE, f"--questions {path}", f"line {number} lacks {', '.join(missing)}", remedy)
        questions.append(question)
    if not questions:
        raise CannotTune(EXIT_USAGE, f"--questions {path}", "is empty", remedy)
    return questions


def read_settings(prefix: Path) -> dict[str, str]:
    """What the host's first server is given, without what was tuned before; nothing where none was deployed."""
    files = settings_files(prefix)
    return read_file(files[0]) if files else {"SERVE_PREFIX": str(prefix)}


def listening(prefix: Path) -> Iterator[str]:
    """The addresses of this host's servers at which something listens."""
    for file in settings_files(prefix):
        settings = read_file(file)
        host, port = settings.get("SERVE_HOST", "127.0.0.1"), int(settings.get("SERVE_PORT", "8080"))
        with socket.socket() as probe:
            probe.settimeout(5)
            if probe.connect_ex((host, port)) == 0:
                yield f"{host}:{port}"


def settings_files(prefix: Path) -> list[Path]:
    return sorted((prefix / "etc").glob("llama-server@*.env"))


def read_file(path: Path) -> dict[str, str]:
    """The settings of serve.sh in a file as systemd reads it."""
    words = (shlex.split(line, comments=True) for line in path.read_text(encoding="utf-8").splitlines())
    return dict(word.partition("=")[::2] for line in words for word in line if word.startswith("SERVE_"))


def device_of(fixed: Mapping[str, str]) -> str:
    """As serve.sh decides it."""
    wanted = fixed.get("SERVE_DEVICE", "auto")
    return wanted if wanted != "auto" else ("gpu" if card(0) else "cpu")


def card(number: int) -> str:
    """Name of a card; empty where there is none."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader", f"--id={number}"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def write(options: argparse.Namespace, fixed: Mapping[str, str], best: Result, tried: Sequence[Result]) -> None:
    """Both files, and what is left to do by hand."""
    folder = options.prefix / "etc"
    folder.mkdir(parents=True, exist_ok=True)
    on, at = card(options.gpu) or "the CPU", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    record = {"at": at, "card": on, "seconds": options.seconds, "questions": str(options.questions)}
    whole = {**record, "best": asdict(best), "tried": [asdict(each) for each in tried]}
    _replace(folder / "tuned.json", json.dumps(whole, indent=1) + "\n")
    # How many servers share a card is the inventory's: it has made their units.
    chosen = {name: value for name, value in best.setup.environment().items() if name != "SERVE_SERVERS_PER_GPU"}
    lines = "".join(f"{name}={value}\n" for name, value in chosen.items() if name not in fixed)
    head = f"# Written by tune.py at {at}, measured on {on}: {best.per_s:.2f} answers/s. See tuned.json.\n"
    _replace(folder / "tuned.env", head + lines)
    print(f"\nWritten: {folder / 'tuned.env'}. Start the servers with it: python infra/pool.py up")
    if best.setup.servers != int(fixed.get("SERVE_SERVERS_PER_GPU", "1")):
        print(f"Before that, in the inventory: servers_per_gpu: {best.setup.servers}")
    if best.setup.engine != ENGINES[0]:
        print(f"In conf/extract.yaml: answer: {{grammar: {best.setup.engine}}}")


def _replace(path: Path, text: str) -> None:
    """As a whole or not at all."""
    new = path.with_suffix(path.suffix + ".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def _short(setup: Setup) -> str:
    layout = f"{setup.kv_layout} {setup.kv_type} {setup.batch}/{setup.ubatch}"
    return f"{setup.servers} x {setup.slots} slots {layout} {setup.engine}"


def _line(result: Result) -> str:
    setup = result.setup
    cut = f"{result.cut / result.answers:.0%}" if result.answers else ""
    figures = (f"{result.per_s:.2f}", f"{result.tokens_per_s:.0f}", cut) if not result.problem else ("", "", "")
    cells = (
        str(setup.slots),
        setup.kv_layout,
        setup.kv_type,
        f"{setup.batch}/{setup.ubatch}",
        str(setup.servers),
        setup.engine,
        *figures,
        result.problem,
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
