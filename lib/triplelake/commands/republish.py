"""The triples of an output made anew from its raw answers, from the settings to the row in `runs`."""

from __future__ import annotations

from functools import partial

from rich.console import Console

from triplelake.commands import confidence_messages, messages
from triplelake.commands.confidence import sift, tell_unlooked
from triplelake.commands.gold_answers import run_of_keys
from triplelake.commands.idle import idle_for_republish
from triplelake.config import Settings
from triplelake.engine.asking.open_pool import read_prompt_files
from triplelake.engine.earlier_runs import last_key
from triplelake.engine.run_row import RunRow
from triplelake.errors import UsageError
from triplelake.evaluate.calibration_file import check_confidence, choose
from triplelake.spark import open_session, versions
from triplelake.tables.lease import Lease
from triplelake.tables.publish import Publisher
from triplelake.tables.store import Store


def republish(settings: Settings, console: Console) -> RunRow:
    """Rebuild `triples` from the raw answers with today's parsing and grounding; asks nothing.

    Raises:
        UsageError, OutputError: no output was named, or no run with these settings wrote to it.
    """
    if settings.output is None:
        raise UsageError("--output", "is missing", "Name the path, or catalog.schema, of the tables.")
    prompt_files = read_prompt_files(settings)
    messages.idle(console, idle_for_republish(settings))
    spark = open_session("triplelake republish")
    store = Store(spark, settings.output)
    store.require()
    run_row = RunRow("republish", settings)
    run_row.versions = versions(spark)
    run_row.extraction_key = last_key(store, settings)
    asked = run_of_keys(store, [run_row.extraction_key])
    if asked.model is not None:
        run_row.versions |= {"model": asked.model, "form": asked.form}
    calibrated = choose(settings.run.calibration, model=asked.model or "", form=asked.form)
    check_confidence(settings, calibrated)
    if calibrated is not None:
        confidence_messages.confidence(console, calibrated, run_row.extraction_key)
    lease = Lease(store, run_row.run_id, partial(messages.waiting, console))
    with run_row.recorded(store, lease):
        lease.take()
        publisher = Publisher(
            store,
            run_row.run_id,
            run_row.extraction_key,
            run_row.run_id,
            prompt_files.ontology,
            settings.answer,
            calibrated.calibration if calibrated else None,
            lease.check,
        )
        result = publisher.republish()
        sift(store, settings, console)
        tell_unlooked(store, calibrated, console)
        run_row.documents, run_row.triples = result.documents, result.triples
    messages.summary(console, store, run_row)
    return run_row
