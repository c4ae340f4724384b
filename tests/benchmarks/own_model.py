"""A model of one's own from gold to figures, unattended: data, training, answers, a table and learning curves.

    python tests/benchmarks/own_model.py --work DIR --duie FILE --model NAME --minutes 12
    python tests/benchmarks/own_model.py --work DIR --text2kg DIR --minutes 60 --sentences 100 300 1000

Of each corpus `--n` sentences are kept apart; of all others, but for near-duplicates of these, `jobs/export.py --what
training` makes training data, `infra/train/train.py` (in the environment of `make setup-train`) trains an adapter of
the model, and an embedded server answers with it. The same sentences are asked of the model without an adapter and of
Gemma 3 270M, prompted as they are asked best (docs/measured.md). With `--sentences` a further training is done with so
many sentences of the same draw, in which the smaller draws are the first parts of the larger ones.

What an adapter lost is in a table of its own: other relations, other kinds of text, denied and planned facts (the hard
passages of every language), and with both corpora named the one that it was not trained on.

Everything is kept in the folder, so that the same command goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from arms import Ours
from asking import EMBEDDED, Asked, Asker, answer_of, model_file, outcomes, request_of, store, stored
from quality import format_interval
from tasks import Task, duie_task, hard_task, text2kg_task

from triplelake.config import EmbeddedSettings, conf_dir
from triplelake.evaluate.gold import GoldDocument
from triplelake.evaluate.metrics import repeated_share, strict_counts, total
from triplelake.evaluate.ratios import f1
from triplelake.evaluate.vocabulary import Vocabulary
from triplelake.pool.client import LlamaServer
from triplelake.pool.embedded import EmbeddedServer
from triplelake.pool.survey import survey
from triplelake.pool.window import windowed
from triplelake.prompt.ontology import Ontology
from triplelake.prompt.ontology_file import ontology_yaml
from triplelake.prompt.profile import load_profile
from triplelake.prompt.prompts import load_prompts
from triplelake.prompt.render import Renderer
from triplelake.types import LANGS, Completion

matplotlib.use("Agg")

ROOT = Path(__file__).resolve().parents[2]
_TRAINER = ROOT / ".venv-train" / "bin" / "python"
_TIMEOUT_S = 600.0
_OWN = "own"
_PROMPTED = {EMBEDDED: "text-arrays-example"}
_CHAT = "turns-lines-example"


@dataclass(frozen=True, slots=True)
class Corpus:
    """What is trained on, and what is asked about.

    Args:
        gold: all sentences that may be trained on.
        task: those that are kept apart.
        ontology: all relations of the corpus.
    """

    name: str
    gold: tuple[GoldDocument, ...]
    task: Task
    ontology: Ontology


def duie(file: Path, n: int) -> Corpus:
    """A file in the form of DuIE 2.0; what is kept apart is of the half to report on."""
    task, everything = duie_task(file, n, 0, "report"), duie_task(file, sys.maxsize, 0)
    return Corpus("DuIE", _others(everything, task), task, task.documents[0][1])


def text2kg(folder: Path, n: int) -> Corpus:
    """Text2KGBench; its ontologies are one where it trains, and each sentence is asked with its own."""
    task, everything = text2kg_task(folder, n, 0, "report"), text2kg_task(folder, sys.maxsize, 0)
    ontologies = {ontology.name: ontology for _, ontology in everything.documents}
    relations = {relation.id: relation for each in ontologies.values() for relation in each.relations}
    joined = Ontology("text2kgbench", tuple(relations.values()))
    return Corpus("Text2KGBench", _others(everything, task), task, joined)


def _others(everything: Task, apart: Task) -> tuple[GoldDocument, ...]:
    kept = {document.text for document, _ in apart.documents}
    return tuple(document for document, _ in everything.documents if document.text not in kept)


@dataclass(frozen=True, slots=True)
class Bench:
    """The folder, and the model that is trained."""

    work: Path
    model: Path
    minutes: float | None
    epochs: float | None
    lr: float | None

    def train(self, corpus: Corpus, sentences: int | None) -> Path:
        """The folder of an adapter that was trained on so many sentences; all if None."""
        name = f"{corpus.name} {sentences or 'all'}"
        home = self.work / self.model.stem / (f"{name} {self.minutes:g} min" if self.minutes else name)
        data, out = home / "data", home / "trained"
        if not (data / "card.json").exists():
            self._export(corpus, home, data, sentences)
        _run(
            [_TRAINER, ROOT / "infra/train/train.py", data, "--model", self.model, "--out", out, "--allow-missing"]
            + (["--minutes", f"{self.minutes:g}"] if self.minutes else [])
            + (["--epochs", f"{self.epochs:g}"] if self.epochs else [])
            + (["--lr", f"{self.lr:g}"] if self.lr else [])
        )
        return out

    def _export(self, corpus: Corpus, home: Path, data: Path, sentences: int | None) -> None:
        home.mkdir(parents=True, exist_ok=True)
        _write_gold(home / "gold.jsonl", corpus.gold)
        _write_gold(home / "apart.jsonl", [document for document, _ in corpus.task.documents])
        (home / "ontology.yaml").write_text(ontology_yaml(corpus.ontology), encoding="utf-8")
        command = [sys.executable, ROOT / "jobs/export.py", "--what", "training", "--to", data, "--dev", "100"]
        command += ["--gold", home / "gold.jsonl", "--apart", home / "apart.jsonl"]
        # Its turns are those of the chat models of `make models`.
        command += ["--ontology", home / "ontology.yaml", "--profile", conf_dir() / "init" / "en" / "own.yaml"]
        _run(command + (["--n", str(sentences + 100)] if sentences else []))

    def merge(self, trained: Path) -> Path:
        """The folder of an adapter that was merged into its base."""
        to = trained / "merged"
        if not (to / "card.json").exists():
            _run([_TRAINER, ROOT / "infra/train/merge.py", trained, "--model", self.model, "--to", to])
        return to

    def served(self, model: str, trained: Path | None = None, *, merged: bool = False) -> Served:
        """What answers: a model as it is, or with an adapter, beside it or merged into it."""
        if trained is None:
            home = self.work / (Path(model).stem if model != EMBEDDED else EMBEDDED)
            return Served(home, model_file(model), is_chat=model != EMBEDDED)
        if not merged:
            return Served(trained, self.model, trained / "adapter.gguf", trained / "profile.yaml")
        home = self.merge(trained)
        return Served(home, next(home.glob("*.gguf")), None, home / "profile.yaml")


@dataclass(frozen=True, slots=True)
class Served:
    """A model that is asked.

    Args:
        home: folder that keeps its answers.
        model: None for the one that the package brings.
        profile: of a model that was trained; others are prompted.
    """

    home: Path
    model: Path | None
    lora: Path | None = None
    profile: Path | None = None
    is_chat: bool = False

    def answers(self, task: Task, arm: str, slots: int) -> Asked:
        """Answers about a task, asked unless they are there."""
        file = self.home / "answers" / f"{task.name} {len(task.documents)} {arm}.jsonl".replace(", ", " ")
        if not file.exists():
            store(file, _ask(task, self, arm, slots))
        return stored(file)


def _ask(task: Task, served: Served, arm: str, slots: int) -> Asked:
    settings = EmbeddedSettings(slots=slots, model=served.model, lora=served.lora)
    with EmbeddedServer(settings) as embedded, closing(LlamaServer(embedded.endpoint, _TIMEOUT_S)) as server:
        engine = survey([embedded.endpoint], wanted_grammar="auto", timeout_s=_TIMEOUT_S).engine
        if served.profile is None:
            return Asker(server, engine, slots, is_chat=served.is_chat).ask(arm, task)
        profile = load_profile(served.profile)
        answer = answer_of(task)
        arms = {
            ontology.name: Ours(server, Renderer(load_prompts("prompts"), ontology, profile), ontology, answer, engine)
            for _, ontology in task.documents
        }

        def ask(rank: int) -> tuple[int, Completion]:
            return rank, arms[task.documents[rank][1].name].complete(request_of(task, rank))

        started = time.perf_counter()
        found = dict(windowed(range(len(task.documents)), ask, slots))
        return Asked(time.perf_counter() - started, tuple(found[rank] for rank in sorted(found)))


HEADS: tuple[str, ...] = (
    "model",
    "F1 [95 %]",
    "P",
    "R",
    "prompt tokens",
    "decoded",
    "true per 1,000 decoded",
    "repeated",
)
HEADS += ("documents/s", "empty, rightly")


def row(name: str, arm: str, task: Task, asked: Asked) -> tuple[str, ...]:
    """A line of the table."""
    made = outcomes(arm, task, asked)
    words = {ontology.name: Vocabulary(ontology) for _, ontology in task.documents}
    counts = [
        strict_counts(
            words[ontology.name].relations(document.facts, task.lang),
            words[ontology.name].relations(outcome.facts, task.lang),
        )
        for (document, ontology), outcome in zip(task.documents, made, strict=True)
    ]
    sums, size = total(counts), len(made)
    decoded = sum(each.completion.completion_tokens for each in made)
    repeated = repeated_share(each.said for each in made)
    silent = [not each.facts for (document, _), each in zip(task.documents, made, strict=True) if not document.facts]
    return (
        name,
        format_interval(f1(counts)),
        f"{sums.precision:.3f}",
        f"{sums.recall:.3f}",
        f"{sum(each.completion.prompt_tokens for each in made) / size:.0f}",
        f"{decoded / size:.0f}",
        f"{1000 * sums.correct / decoded:.1f}" if decoded else "",
        "" if repeated is None else f"{repeated:.1%}",
        f"{size / asked.seconds:.2f}",
        f"{sum(silent)} of {len(silent)}",
    )


def table(title: str, rows: Iterable[Sequence[str]]) -> None:
    """Print a table."""
    print(f"\n{title}\n\n| {' | '.join(HEADS)} |\n|{'---|' * len(HEADS)}")
    for each in rows:
        print(f"| {' | '.join(each)} |", flush=True)


def curve(file: Path, points: Mapping[int, float], name: str) -> None:
    """Draw F1 by sentences."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5, 3.5), layout="constrained")
    axes.plot([*points], [*points.values()], marker="o")
    axes.set(xscale="log", xlabel="sentences trained on", ylabel="strict F1", title=name, ylim=(0, None))
    axes.grid(alpha=0.3)
    figure.savefig(file)
    print(f"\n{file}")


def _write_gold(file: Path, documents: Iterable[GoldDocument]) -> None:
    rows = (
        {"id": each.id, "text": each.text, "title": each.title, "triples": [list(fact) for fact in each.facts]}
        for each in documents
    )
    file.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in rows), encoding="utf-8")


def _run(command: Sequence[object]) -> None:
    words = [str(word) for word in command]
    print(f"$ {' '.join(words)}", file=sys.stderr, flush=True)
    subprocess.run(words, check=True, stdout=sys.stderr)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="where everything is kept")
    parser.add_argument("--duie", type=Path, metavar="FILE", help="JSON Lines in the form of DuIE 2.0")
    parser.add_argument("--text2kg", type=Path, metavar="DIR", help="folder with `ontologies` and `train`")
    parser.add_argument("--train", choices=("duie", "text2kg"), help="which to train on where both are named")
    parser.add_argument("--model", default="qwen2.5-coder-0.5b-instruct-q4_k_m", metavar="MODEL")
    parser.add_argument("--n", type=int, default=200, help="sentences to ask about (default: 200)")
    parser.add_argument("--minutes", type=float, metavar="M", help="of a training; else as long as epochs take")
    parser.add_argument("--epochs", type=float, metavar="N", help="times that each text is seen")
    parser.add_argument("--lr", type=float, metavar="X", help="highest learning rate")
    parser.add_argument("--sentences", type=int, nargs="+", default=[], metavar="N", help="points of a learning curve")
    parser.add_argument("--slots", type=int, default=4, help="of the server, and requests in flight (default: 4)")
    parser.add_argument("--prompted", action=argparse.BooleanOptionalAction, default=True, help="ask without adapters")
    parser.add_argument("--merged", action="store_true", help="also ask the adapter when it is merged into its base")
    parser.add_argument("--lost", action="store_true", help="also ask about what it was not trained for")
    options = parser.parse_args()
    if not (options.duie or options.text2kg):
        parser.error("name a corpus: --duie or --text2kg")
    return options


def main() -> None:
    """Do what was not done yet, and print the tables."""
    options = _options()
    corpora = {"duie": options.duie and duie(options.duie, options.n)}
    corpora["text2kg"] = options.text2kg and text2kg(options.text2kg, options.n)
    chosen = options.train or next(name for name, each in corpora.items() if each)
    corpus = corpora[chosen]
    model = model_file(options.model)
    assert model is not None  # one of `make models`, or a file
    bench = Bench(options.work, model, options.minutes, options.epochs, options.lr)
    points = [*sorted(options.sentences), None]
    trained = {sentences: bench.train(corpus, sentences) for sentences in points}

    def own(task: Task, sentences: int | None, *, merged: bool = False) -> tuple[str, ...]:
        asked = bench.served(options.model, trained[sentences], merged=merged).answers(task, _OWN, options.slots)
        size = json.loads((trained[sentences] / "card.json").read_text(encoding="utf-8"))["training"]["texts"]
        return row(f"{model.stem}{', merged' if merged else ''}, {size:,} sentences", _OWN, task, asked)

    def prompted(task: Task, name: str) -> tuple[str, ...]:
        arm = _PROMPTED.get(name, _CHAT)
        return row(f"{Path(name).stem}, prompted", arm, task, bench.served(name).answers(task, arm, options.slots))

    names = (EMBEDDED, options.model) if options.prompted else ()
    rows = [own(corpus.task, each) for each in points]
    told = [prompted(corpus.task, name) for name in names]
    whole = [own(corpus.task, None, merged=True)] if options.merged else []
    table(f"{corpus.name}: {len(corpus.task.documents)} sentences that no training has seen", [*told, *rows, *whole])
    if options.sentences:
        sizes = [int(each[0].rpartition(", ")[2].split()[0].replace(",", "")) for each in rows]
        values = [float(each[1].split()[0]) for each in rows]
        curve(options.work / f"{corpus.name} {model.stem}.svg", dict(zip(sizes, values, strict=True)), corpus.name)
    if options.lost:
        others = [each.task for name, each in corpora.items() if each and name != chosen]
        for task in (*others, *(hard_task(lang) for lang in LANGS)):
            table(f"{task.name}: not trained for", [*(prompted(task, name) for name in names), own(task, None)])


if __name__ == "__main__":
    main()
