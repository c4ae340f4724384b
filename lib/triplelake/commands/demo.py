"""The demo: the sample corpus, asked of a real model, and what of it is right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table as Grid

from triplelake.commands.extract import extract
from triplelake.commands.sql import show_query
from triplelake.config import Settings, conf_dir
from triplelake.console import say
from triplelake.evaluate.gold import Fact, read_facts
from triplelake.evaluate.scores import scores
from triplelake.spark import open_session
from triplelake.tables.store import Store
from triplelake.tables.views import register

_SMOKE_TEST = """\
This demo asks Gemma 3 270M, a very small model, so that it runs on any machine in a few minutes.
It is a smoke test: it shows that everything works. It is not a judge of what triplelake can find:
most of its facts are wrong. A real model, asked about the same passages:
  TRIPLELAKE__API_KEY=… triplelake demo --pool http://gpu-1:8080   your llama-server
  triplelake demo --model path/to/model.gguf                       a model file on this machine
"""
_COLUMNS = ("language", "match", "texts", "gold", "said", "right", "precision", "recall", "F1", "95 %")
_FACTS = """\
SELECT subject, predicate, object, round(confidence, 2) AS confidence, example
FROM facts ORDER BY confidence DESC NULLS LAST, fact_id LIMIT 10"""
_USED = """
SELECT DISTINCT doc_id, subject, predicate, object FROM current_triples
WHERE grounding <> 'none' AND size(flags) = 0"""


def demo(settings: Settings, console: Console) -> None:
    """Extract the sample corpus, then show precision and recall on its gold triples beside ten facts.

    Args:
        settings: of `conf/demo.yaml`; `output` is set.

    Raises:
        TriplelakeError: as `extract`.
    """
    assert settings.output is not None  # conf/demo.yaml names it
    if settings.pool == "embedded" and settings.embedded.model is None:
        say(console, _SMOKE_TEST)
    extract(settings, console)
    store = Store(open_session("triplelake demo"), settings.output)
    register(store)
    say(console, "\nAgainst the gold triples of the sample (strict: all three agree; pair: subject and object do):")
    console.print(_scores(store), highlight=False)
    say(console, f"\n{_FACTS}")
    show_query(settings.output, _FACTS, console, rows=10)
    say(console, "\nYour own file:\n  triplelake extract --input FILE --output out/kg")


def _scores(store: Store) -> Grid:
    grid = Grid(*_COLUMNS, box=None, padding=(0, 2, 0, 0))
    languages = {row["doc_id"]: row["lang"] for row in store.spark.table("current_documents").collect()}
    for score in scores(read_facts(conf_dir() / "demo" / "gold.jsonl"), _predicted(store), languages):
        counts, f1 = score.counts, score.f1
        grid.add_row(
            *(score.group, score.match),
            *map(str, (score.documents, counts.gold, counts.predicted, counts.correct)),
            *(f"{value:.2f}" for value in (counts.precision, counts.recall, f1.value)),
            f"{f1.low:.2f}–{f1.high:.2f}",
        )
    return grid


def _predicted(store: Store) -> Mapping[str, list[Fact]]:
    """What `facts` counts, by document."""
    found: dict[str, list[Fact]] = defaultdict(list)
    for row in store.spark.sql(_USED).collect():
        found[row["doc_id"]].append((row["subject"], row["predicate"], row["object"]))
    return found
