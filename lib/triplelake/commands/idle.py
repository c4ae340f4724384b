"""Settings that change nothing beside the others: a run names them, since whoever set one expects something of it."""

from __future__ import annotations

from triplelake.config import BudgetSettings, CorpusFormat, EmbeddedSettings, Settings, leaves
from triplelake.corpus.readers import READERS


def idle_settings(settings: Settings, form: CorpusFormat, *, probing: bool = False) -> list[str]:
    """What was set and does nothing in this run, each with the reason.

    A value that is the default is never named: it may stand in a settings file for all to see.

    Args:
        form: the format of the input, not `auto`.
        probing: some questions are drawn and asked before the run.
    """
    corpus, run, asking, chunking = settings.corpus, settings.run, settings.asking, settings.chunking
    embedded = settings.pool == "embedded"
    reader = READERS.get(form)
    spark_reads = reader is None and f"Spark reads {form}"
    is_binary = reader is not None and reader.binary and f"{form} is no plain text"
    reasons = {
        "corpus.encoding": spark_reads or is_binary,
        "corpus.split_mb": spark_reads,
        "corpus.id_prefix": (reader is None or reader.named_by_content)
        and not corpus.id_columns
        and "documents without an id column are named by their content",
        "chunking.target_tokens": chunking.target_tokens > chunking.max_tokens
        and f"chunking.max_tokens, {chunking.max_tokens}, is less",
        "asking.timeout_s": asking.timeout_s > asking.deadline_s
        and f"asking.deadline_s, {asking.deadline_s:g}, is less",
        "asking.ca_file": embedded and "the embedded server is asked over http",
        "prompt.retrieved": settings.prompt.gold is None and "prompt.gold names no examples to retrieve",
        "run.sheet_rows": not run.sample and "no sheet is written without --sample",
        **{
            f"budget.{key}": probing and "a probe asks as many questions as it says"
            for key in BudgetSettings.model_fields
        },
        "budget.success": not any(settings.budget.model_dump(exclude={"success"}).values())
        and settings.cost.max is None
        and "no budget is set",
        "run.seed": not (run.sample or probing) and "nothing is drawn without --sample or --probe",
        "run.allow_removals": run.mode != "replace" and "only --mode replace removes",
        **{f"embedded.{key}": not embedded and "the pool is not `embedded`" for key in EmbeddedSettings.model_fields},
    }
    defaults = dict(leaves(Settings().public()))
    set_anew = [key for key, value in leaves(settings.public()) if value != defaults[key]]
    told = [f"{key}: {reasons[key]}" for key in set_anew if reasons.get(key)]
    if embedded and settings.api_key:
        told.append("api_key: the embedded server has a key of its own")
    return told


def idle_for_republish(settings: Settings) -> list[str]:
    """The same where all answers of these settings are published again, whatever was read and asked when."""
    run = settings.run.model_dump(include={"limit", "sample", "retry_failed"})
    return [f"run.{key}: --republish goes over all answers of these settings" for key, value in run.items() if value]
