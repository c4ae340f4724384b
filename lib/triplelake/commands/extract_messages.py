"""What an extraction tells a person of its input, its pool and its work."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from pyspark.sql import functions as F
from rich.console import Console

from triplelake.console import say
from triplelake.engine.asking.budget import REQUESTS, TOKENS, Budget
from triplelake.engine.asking.open_pool import OpenPool
from triplelake.engine.asking.progress import duration
from triplelake.engine.planning.draft import Draft
from triplelake.engine.planning.plan import Plan
from triplelake.engine.planning.source import Source
from triplelake.errors import BudgetSpent
from triplelake.tables.schemas import RUNS
from triplelake.tables.store import Store
from triplelake.types import Lang


def source(console: Console, found: Source) -> None:
    """The input, the columns chosen and the encodings."""
    columns = found.columns
    named = [f"text from `{columns.text}`"]
    if columns.title:
        named.append(f"title from `{columns.title}`")
    if columns.id:
        named.append(f"id from {' and '.join(f'`{name}`' for name in columns.id)}")
    say(console, f"Input:    {found.description}; {', '.join(named)}{' (HTML)' if columns.html else ''}")
    for number, encoding in enumerate(found.encodings):
        say(console, f"{'Encoding:' if not number else '':9} {encoding}")
    for number, note in enumerate(found.notes):
        say(console, f"{'Note:' if not number else '':9} {note}")


def opened(console: Console, pool: OpenPool) -> None:
    """The ontology and the pool."""
    ontology = pool.prompt_files.ontology
    relations = f"{ontology.name}, {len(ontology.relations)} relations" if ontology else "none: predicates are free"
    say(console, f"Ontology: {relations}")
    servers = len(pool.survey.endpoints)
    say(
        console,
        f"Pool:     {servers} server{'s' if servers > 1 else ''}, {pool.slots} slots, model {pool.survey.alias}, "
        f"grammar {pool.survey.engine}",
    )
    for each in pool.survey.away:
        say(console, f"          Without {each.endpoint.url}, which {each.error.reason}: it joins when it can be used")
    for note in pool.survey.notes:
        say(console, f"          {note}")
    if pool.settings.pool == "embedded" and pool.settings.embedded.model is None:
        say(console, "          It is small: it shows that all works, and little of what a larger one finds")


def notes(console: Console, pool: OpenPool, langs: Collection[Lang]) -> None:
    """What there is to know of the ontology and the prompts, if texts of these languages are asked about."""
    ontology = pool.prompt_files.ontology
    told = [
        note.text
        for note in (*(ontology.notes if ontology else ()), *pool.renderer.notes)
        if note.lang is None or note.lang in langs
    ]
    if pool.left_out:
        told.append(pool.left_out)
    for number, text in enumerate(told):
        say(console, f"{'Note:' if not number else '':9} {text}")


def changed(console: Console, lines: Sequence[str], answers: Mapping[str, int], key: str) -> None:
    """What differs from the newest run, and how many answers stay usable."""
    for line in lines:
        say(console, f"Changed:  {line}")
    usable = answers.get(key, 0)
    others = sum(answers.values()) - usable
    kept = f"{others:,} were asked with other settings and stay as they are"
    say(
        console,
        f"          {usable:,} answers can be used again, {kept}",
    )


def bounds(console: Console, budget: Budget) -> None:
    """What the run may use up."""
    found = []
    if budget.requests is not None:
        found.append(f"at most {budget.requests:,} requests ({REQUESTS})")
    if budget.tokens is not None:
        found.append(f"at most {budget.tokens:,} tokens of prompt and answer ({TOKENS})")
    for setting, at in sorted(budget.deadlines.items(), key=lambda each: each[1]):
        found.append(f"asking ends in {duration(max(0.0, at - budget.clock()))} ({setting})")
    for number, text in enumerate(found):
        say(console, f"{'Budget:' if not number else '':9} {text}")


def spent(console: Console, error: BudgetSpent) -> None:
    """That a budget ended the run, where this is a success."""
    say(console, f"\nBudget:   {error.subject}: {error.reason}. {error.remedy}")


def resumed(console: Console, plan: Plan) -> None:
    """Say that an interrupted run left work."""
    say(console, f"Going on with the plan of an earlier run ({plan.requests} requests).")


def covered(console: Console) -> None:
    """Say that there is no work."""
    say(console, "Plan:     nothing new to extract; an earlier run has done all of this input")


def estimate(console: Console, store: Store, pool: OpenPool, draft: Draft) -> None:
    """Tokens and time of a plan, by the rate of earlier runs with the same key."""
    plan = draft.plan
    cached = sum(count * pool.prefix_tokens[lang] for lang, count in draft.langs.items())
    retrieved = sum(count * pool.retrieved_tokens[lang] for lang, count in draft.langs.items())
    shown = f", at most {retrieved:,} of retrieved examples" if retrieved else ""
    told = f"about {cached + plan.est_tokens + retrieved:,} of prompt ({cached:,} from the cache{shown})"
    say(console, f"Tokens:   {told}")
    done = (
        store.read(RUNS)
        .where((F.col("command") == "extract") & (F.col("extraction_key") == pool.key) & (F.col("asking_s") > 0))
        .agg(F.sum("answered").alias("answered"), F.sum("asking_s").alias("seconds"))
        .collect()[0]
    )
    if done["answered"]:
        say(console, f"Time:     about {duration(plan.requests * done['seconds'] / done['answered'])}, by earlier runs")
    else:
        say(console, "Time:     not known yet; --dry-run --probe 20 asks 20 of the questions, and tells")


def suggested(console: Console, file: str, count: int) -> None:
    """Where the predicates of an open run are written."""
    say(console, f"\nOntology: the {count} most frequent predicates, to be edited and used with --ontology: {file}")
