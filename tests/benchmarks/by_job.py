"""The figures of `asking.py` again, by what users run: `jobs/extract.py`, its tables, and `jobs/evaluate.py`.

    python tests/benchmarks/by_job.py --duie FILE --n 200 --split report --model NAME --profile chat

The sentences, relations and examples are those of `asking.py` with the same options, so that the F1 of its arm is to be
expected here: but for what llama.cpp's batches change in a last digit, and what a run makes of a document beside.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from asking import EMBEDDED, model_file
from tasks import Split, Task, duie_task, fit, own_shots, traditional

from triplelake.config import conf_dir
from triplelake.evaluate.ontologies import write_ontology
from triplelake.prompt.prompts import load_prompts

_JOBS = Path(__file__).parents[2] / "jobs"


def write_task(folder: Path, task: Task) -> None:
    """Corpus, gold, relations and prompts of a task, as a user has them."""
    documents, ontology = [document for document, _ in task.documents], task.documents[0][1]
    rows = [{"id": str(rank), "text": document.text} for rank, document in enumerate(documents)]
    gold = [{**row, "triples": document.facts} for row, document in zip(rows, documents, strict=True)]
    for name, lines in (("corpus.jsonl", rows), ("gold.jsonl", gold)):
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (folder / name).write_text(text, encoding="utf-8")
    write_ontology(ontology, folder / "relations.csv")
    prompts = fit(load_prompts("prompts"), own_shots(), ontology)
    (folder / "prompts").mkdir()
    for lang, prompt in prompts.items():
        tree: dict[str, Any] = yaml.safe_load((conf_dir() / "prompts" / f"{lang}.yaml").read_text(encoding="utf-8"))
        shown = [
            {"title": each.title, "context": each.context, "text": each.text, "triples": [[*t] for t in each.triples]}
            for each in prompt.examples
        ]
        tree["examples"] = [{key: value for key, value in each.items() if value != ""} for each in shown]
        (folder / "prompts" / f"{lang}.yaml").write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")


def _run(job: str, *arguments: object) -> None:
    subprocess.run([sys.executable, _JOBS / job, *map(str, arguments)], check=True)


def _extract(folder: Path, options: argparse.Namespace) -> Sequence[object]:
    model = model_file(options.model)
    return (
        *("--input", folder / "corpus.jsonl", "--output", folder / "kg", "--ontology", folder / "relations.csv"),
        *("--pool", "embedded", "--profile", options.profile, *(("--model", model) if model else ())),
        *("--set", f"prompt.dir={folder / 'prompts'}", "--set", f"embedded.slots={options.slots}"),
    )


def main() -> None:
    """Run both jobs, and print what the second one says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--duie", type=Path, required=True, metavar="FILE", help="JSON Lines in the form of DuIE 2.0")
    parser.add_argument("--hant", action="store_true", help="the sentences in Traditional Chinese")
    parser.add_argument("--n", type=int, default=200, help="sentences (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="of their choice (default: 0)")
    parser.add_argument("--split", choices=get_args(Split), default="report", help="default: report")
    parser.add_argument("--model", default=EMBEDDED, metavar="MODEL", help=f"as for asking.py (default: {EMBEDDED})")
    parser.add_argument("--profile", default="auto", metavar="NAME", help="default: auto")
    parser.add_argument("--slots", type=int, default=2, help="of the server (default: 2)")
    options = parser.parse_args()
    task = duie_task(options.duie, options.n, options.seed, options.split)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_task(folder, traditional(task) if options.hant else task)
        _run("extract.py", *_extract(folder, options))
        _run("evaluate.py", "--output", folder / "kg", "--gold", folder / "gold.jsonl")


if __name__ == "__main__":
    main()
