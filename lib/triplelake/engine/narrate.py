"""What a run tells a person, apart from its progress."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence

from pyspark.sql import functions as F
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table as Grid

from triplelake.console import say
from triplelake.engine.asking.first_answers import Suspicion
from triplelake.engine.asking.known import Found, known_models
from triplelake.engine.asking.open_pool import Opened
from triplelake.engine.asking.progress import duration
from triplelake.engine.asking.tally import Tally
from triplelake.engine.planning.draft import Draft
from triplelake.engine.planning.plan import Plan
from triplelake.engine.planning.source import Source
from triplelake.engine.run_row import Journal
from triplelake.evaluate.calibration_file import CalibrationFile
from triplelake.tables.lease import LEASE_S
from triplelake.tables.maintain import Size, WorkList
from triplelake.tables.records import Holder
from triplelake.tables.schemas import RUNS, TABLES, Table
from triplelake.tables.store import Store
from triplelake.types import Lang

_SERVERS_SHOWN = 8
_SHOWN_CHARS = 200


def waiting(console: Console, holder: Holder) -> None:
    """Another run may still hold the output."""
    say(
        console,
        f"Waiting:  run {holder.run_id} on {holder.host} held this output and may be dead; at most {LEASE_S:.0f} s",
    )


def pool_changed(console: Console, line: str) -> None:
    """What became of a server while the run goes on."""
    say(console, f"Pool:     {line}")


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


def idle(console: Console, told: Sequence[str]) -> None:
    """What was set and does nothing in this run."""
    for number, each in enumerate(told):
        say(console, f"{'Unused:' if not number else '':9} {each}")


def opened(console: Console, pool: Opened) -> None:
    """The ontology and the pool."""
    ontology = pool.question.ontology
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


def confidence(console: Console, found: CalibrationFile, key: str) -> None:
    """What confidence is made with."""
    fitted = (
        f"{found.triples:,} triples of {found.documents:,} documents judged by {found.judged_by}, AUC {found.auc:.2f}"
    )
    say(console, f"Sure:     confidence as fitted on {fitted}")
    if found.extraction_key != key:
        say(console, "          Those were asked with other settings, so that it may be off: judge some of yours")


def sifted(console: Console, before: float, least: float, unknown: int) -> None:
    """From which confidence on a triple counts as a fact, where that has changed.

    Args:
        unknown: current triples without a confidence.
    """
    if not least:
        say(
            console,
            f"Facts:    all that nothing speaks against, with and without a confidence; it was at least {before:g}",
        )
        return
    if least == 1.0:
        say(console, "Facts:    none: not even the surest are as sure as run.precision wants; ask for less")
        return
    say(console, f"Facts:    those with a confidence of at least {least:g}; it was {before:g}")
    if unknown:
        say(
            console,
            f"          {unknown:,} triples have none, and are no facts: --republish gives it where it can be had",
        )


def notes(console: Console, pool: Opened, langs: Collection[Lang]) -> None:
    """What there is to know of the ontology and the prompts, if texts of these languages are asked about."""
    ontology = pool.question.ontology
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


def answering(console: Console, servers: int, langs: Collection[Lang]) -> None:
    """What was seen before the first wave."""
    each = "the server answers" if servers == 1 else f"each of {servers} servers answers"
    say(console, f"Checked:  {each} a known sentence ({', '.join(sorted(langs))})")


def known(console: Console, found: Sequence[Found]) -> None:
    """What the model made of the known texts, beside what other models did."""
    for number, each in enumerate(found):
        head = "Known:" if not number else ""
        failed = f"; {len(each.unanswered)} not answered: {', '.join(sorted(set(each.unanswered)))}"
        failed = failed if each.unanswered else ""
        if not each.answers:
            say(console, f"{head:9} nothing is known of how well the model answers ({each.lang}){failed}")
            continue
        counts = each.counts
        others = ", ".join(
            f"{name} {recall:.0%} and {precision:.0%}"
            for name, figures in known_models().items()
            for recall, precision in [figures[each.lang]]
        )
        told = f"{counts.recall:.0%} of the facts of {len(each.answers)} known texts found ({each.lang}), "
        told += f"{counts.precision:.0%} of the triples right"
        say(console, f"{head:9} {told}; others: {others}{failed}")


def known_left_out(console: Console) -> None:
    """The known texts are of the shipped relations; a tuned model may know others only."""
    say(console, "Known:    the known texts are not asked about: this model was tuned to relations of its own")


def suspicious(console: Console, found: Suspicion, output: str) -> None:
    """What is wrong with the first answers, with some of them."""
    say(console, f"Warning:  {found.summary}. Likely, {found.cause}")
    for each in found.seen:
        say(console, f"          {each.text[:_SHOWN_CHARS]}\n          → {each.completion[:_SHOWN_CHARS]}")
    if found.seen:
        whole_of_one(console, found.seen[0].request_id, output)


def whole_of_one(console: Console, request_id: str, output: str) -> None:
    """How to look at an answer."""
    shown = f"python jobs/extract.py --show-request {request_id} --output {output}"
    say(console, f"          The whole of one, with the settings of this command: {shown}")


def resumed(console: Console, plan: Plan) -> None:
    """Say that an interrupted run left work."""
    say(console, f"Going on with the plan of an earlier run ({plan.requests} requests).")


def covered(console: Console) -> None:
    """Say that there is no work."""
    say(console, "Plan:     nothing new to extract; an earlier run has done all of this input")


def estimate(console: Console, store: Store, pool: Opened, draft: Draft) -> None:
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


def summary(console: Console, store: Store, journal: Journal) -> None:
    """What a run did, and three queries to try."""
    tally = journal.tally
    grid = Grid.grid(padding=(0, 2))
    rows = [
        (
            "documents",
            _counts(
                (journal.documents, "published"), (journal.rejected, _rejected(journal)), (journal.removed, "removed")
            ),
        ),
        ("answers", _counts((tally.answered, "asked"), (tally.failed, "failed"), (journal.reused, "reused"))),
        ("triples", f"{journal.triples:,}"),
    ]
    if tally.seconds:
        rate = (
            f"{tally.answered / tally.seconds:.2f} requests/s, {tally.completion_tokens / tally.seconds:.0f} tokens/s"
        )
        rows.append(("rate", f"{rate} over {duration(tally.seconds)}"))
    if tally.failed_tries:
        causes = ", ".join(f"{count:,} {code}" for code, count in tally.failed_tries.most_common())
        rows.append(("asked again", causes))
    for name, value in rows:
        grid.add_row(name, value)
    say(console, "")
    console.print(grid, highlight=False)
    if len(tally.endpoints) > 1:
        say(console, "")
        console.print(_servers(tally), highlight=False)
    say(console, "")
    say(console, "Try:")
    for query in (
        "SELECT subject, predicate, object, documents FROM facts ORDER BY documents DESC LIMIT 10",
        "SELECT predicate, mentions, facts FROM relations ORDER BY mentions DESC",
        "SELECT error_code, count(*) FROM failures GROUP BY error_code",
    ):
        say(console, f'  python jobs/sql.py --output {shlex.quote(store.output)} "{query}"')


def _rejected(journal: Journal) -> str:
    lost = journal.lost_lines
    return f"rejected ({lost:,} lines)" if lost > journal.rejected else "rejected"


def suggested(console: Console, file: str, count: int) -> None:
    """Where the predicates of an open run are written."""
    say(console, f"\nOntology: the {count} most frequent predicates, to be edited and used with --ontology: {file}")


def tables(console: Console, store: Store, size: Size) -> None:
    """What there is to maintain."""
    say(console, f"Tables:   {store.output}: {len(TABLES)} tables, {_size(size)}")


def work_lists(console: Console, lists: Sequence[WorkList], *, dry_run: bool) -> None:
    """What became of the rows of `requests`."""
    finished = [each for each in lists if not each.needed]
    needed = [each for each in lists if each.needed]
    parts = []
    if finished:
        rows = sum(each.rows for each in finished)
        parts.append(f"{rows:,} rows of {_plans(finished, 'finished')} {'would be dropped' if dry_run else 'dropped'}")
    if needed:
        rows = sum(each.rows for each in needed)
        parts.append(f"{rows:,} rows of {_plans(needed, 'unfinished')} stay to go on with")
    say(console, f"Requests: {'; '.join(parts) or 'no work list is left'}")


def packed(console: Console, table: Table, before: Size, after: Size | None) -> None:
    """What packing made of a table; `after` is None where it was not done."""
    what = f"{table.name}, {_size(before)}"
    say(console, f"Pack:     {what} {f'are now {_size(after)}' if after else 'would be written together'}")


def removed(console: Console, table: Table, size: Size) -> None:
    """What was removed of a table's old files."""
    say(console, f"Remove:   {table.name}, {_size(size)} removed that nobody needs any more")


def removable(console: Console, table: Table, files: int, days: int | None) -> None:
    """What would be removed, by what the table keeps now; `days` are what it would keep from then on."""
    then = f"; it would keep files for {days} days from then on" if days else ""
    say(console, f"Remove:   {table.name}, {_files(files)} would be removed that nobody needs any more{then}")


def maintained(console: Console, before: Size, after: Size) -> None:
    """What maintenance came to."""
    say(console, f"Done:     a reader of all tables opens {_size(after)}; it was {_size(before)}")


def upgraded(console: Console, steps: Sequence[str], *, dry_run: bool = False) -> None:
    """What an upgrade has done, or would do, and what follows."""
    for each in steps:
        say(console, f"Upgrade:  {each}{' (would be)' if dry_run else ''}")
    if not steps:
        say(console, "Upgrade:  nothing to do; the tables have today's columns")
    elif not dry_run:
        say(console, "Done:     no answer is lost. --republish, with the settings of a run, reads its answers as today")


def _size(size: Size) -> str:
    return f"{_files(size.files)} of {decimal(size.bytes)}"


def _files(count: int) -> str:
    return f"{count:,} file{'s' if count != 1 else ''}"


def _plans(lists: Sequence[WorkList], kind: str) -> str:
    return f"{len(lists):,} {kind} plan{'s' if len(lists) != 1 else ''}"


def _servers(tally: Tally) -> Grid:
    """What each server did; of many, those with the most trouble."""
    grid = Grid(box=None, padding=(0, 1, 0, 0), header_style="")
    # Narrow enough for a terminal of 80 columns.
    for name in ("server", "answered", "failed", "again", "tokens", "p50 s", "p95 s", "p99 s"):
        grid.add_column(name, justify="left" if name == "server" else "right", no_wrap=True)
    troubled = sorted(
        tally.endpoints.items(), key=lambda each: (-each[1].failed - each[1].failed_tries.total(), each[0])
    )
    for url, each in troubled[:_SERVERS_SHOWN]:
        counts = (each.answered, each.failed, each.failed_tries.total(), each.completion_tokens)
        latencies = (each.latencies.percentile(share) for share in (0.5, 0.95, 0.99))
        grid.add_row(
            url.partition("://")[2] or "none reached",
            *(f"{count:,}" for count in counts),
            *("" if ms is None else f"{ms / 1000:.2f}" for ms in latencies),
        )
    if len(troubled) > _SERVERS_SHOWN:
        grid.add_row(f"and {len(troubled) - _SERVERS_SHOWN} more: runs.endpoints")
    return grid


def _counts(first: tuple[int, str], *others: tuple[int, str]) -> str:
    """The first count always, the others where there is anything to count."""
    return ", ".join(f"{count:,} {what}" for count, what in (first, *(other for other in others if other[0])))
