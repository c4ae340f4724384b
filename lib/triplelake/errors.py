"""Every error that ends a command, each class with the exit code that the command leaves.

- 1 TriplelakeError: a defect of triplelake itself
- 2 UsageError: an option or a setting that cannot be
- 3 InputError: the corpus, the ontology or the prompts
- 4 PoolError: the llama.cpp servers
- 5 TooManyFailures: more requests failed than `run.max_failure_rate` allows
- 6 OutputError: the tables: not ours, not writable, in use
- 7 SetupError: Spark, Java or Delta are not there as they must be
- 8 BudgetSpent: a budget ended the run; the same command goes on
- 130 Interrupted: stopped by a person or a scheduler; the same command goes on
"""

from __future__ import annotations

import re


class TriplelakeError(Exception):
    """An error told to a person: what it is about, why it failed, what to do.

    Args:
        subject: what was looked at, as the user wrote it (a path, an option, a URL).
        reason: why it cannot be used, in one sentence without a full stop.
        remedy: what to do now, in a sentence or a few lines; may be empty.
    """

    exit_code = 1

    def __init__(self, subject: str, reason: str, remedy: str = "") -> None:
        super().__init__(subject, reason, remedy)
        self.subject = subject
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        text = f"{self.subject}: {self.reason}"
        return f"{text}\n{self.remedy}" if self.remedy else text


class UsageError(TriplelakeError):
    """An option or a setting is unknown, malformed or contradicts another."""

    exit_code = 2


class InputError(TriplelakeError):
    """The corpus, the ontology or a prompt file cannot be used as it is."""

    exit_code = 3


class PoolError(TriplelakeError):
    """No server of the pool can do the work: down, key refused, different models, too weak."""

    exit_code = 4


class TooManyFailures(TriplelakeError):
    """More requests failed than `run.max_failure_rate` allows; what succeeded is kept."""

    exit_code = 5


class OutputError(TriplelakeError):
    """The output cannot be written or is not what triplelake left there."""

    exit_code = 6


class SetupError(TriplelakeError):
    """Spark, Java or Delta Lake are missing or of the wrong version."""

    exit_code = 7


class BudgetSpent(TriplelakeError):
    """A budget ended the run before all was asked; what was asked is kept and published."""

    exit_code = 8


class Interrupted(TriplelakeError):
    """The run was stopped from outside; everything committed is kept."""

    exit_code = 130


_DISK_FULL = "No space left on device"
_CALLED = re.compile(r"An error occurred while calling \S+\s*: ")
_STACK = re.compile(r"\n\s+at \S+\(.*", re.DOTALL)
_AWAY = re.compile(
    r"^(?:Caused by: |: )?[\w.$]*(?:AccessDeniedException|UnknownHostException|ConnectException|SocketTimeoutException"
    r"|NoRouteToHostException|AWS\w+Exception|SdkClientException|UnknownStoreException)\b.*",
    re.MULTILINE,
)
_STORE = re.compile(r"\b(?:s3[an]?|gs|abfss?|wasbs?|hdfs)://|\bfs\.s3a\b|\bawssdk\b")
_UNREADABLE = re.compile(r"\[FAILED_READ_FILE\.(?P<kind>\w+)\] Encountered error while reading file (?P<file>.+?)\. ")
_LOST_EXECUTORS = re.compile(
    r"ExecutorLostFailure|MetadataFetchFailed|FetchFailed\(|failed the maximum allowable number of times"
    r"|Exiting due to error from cluster scheduler|Master removed our application"
)
_CHANGED_TABLE = ("DELTA_METADATA_CHANGED", "DELTA_PROTOCOL_CHANGED", "DELTA_CONCURRENT_")


def classified(error: Exception) -> TriplelakeError:
    """What an error that nothing expected is to a person.

    Itself, a full disk, tables that others change, a store or executors that are lost, a damaged file, or a defect.
    """
    if isinstance(error, TriplelakeError):
        return error
    text = _words(error)
    if _DISK_FULL in text:
        return OutputError("disk", "is full", "Make room; everything committed is kept, and the same command goes on.")
    if any(name in text for name in _CHANGED_TABLE):
        return OutputError(
            "tables",
            "were changed by somebody else while this run wrote to them",
            "Alter them while no run is alive. Everything committed is kept, and the same command goes on.",
        )
    if _STORE.search(text) and (away := _AWAY.search(text)):
        return OutputError(
            "store",
            f"refuses, or cannot be reached: {away[0].removeprefix('Caused by: ').removeprefix(': ')[:500]}",
            "Check the network and the credentials. Everything committed is kept, and the same command goes on.",
        )
    if _LOST_EXECUTORS.search(text):
        return SetupError(
            "Spark's executors",
            "were lost faster than their work could be done again",
            "The cluster's events say why: too little memory (spark.executor.memoryOverhead), machines that are taken "
            "away, a worker that is shut down. Everything committed is kept, and the same command goes on.",
        )
    if damaged := _UNREADABLE.search(text):
        return InputError(
            damaged["file"],
            "has another type in a column than the other files"
            if damaged["kind"] == "PARQUET_COLUMN_DATA_TYPE_MISMATCH"
            else "is gone since the run began"
            if damaged["kind"] == "FILE_NOT_EXIST"
            else "is damaged: it could not be read to its end",
            "Write it again, or leave it out with a glob. Everything committed is kept, and the same command goes on.",
        )
    first = (without_java(text).strip() or type(error).__name__).splitlines()[0]
    return TriplelakeError(type(error).__name__, first[:500], "This should not happen. The same command goes on.")


def without_java(text: str) -> str:
    """What an exception of Java says, without what Py4J puts before it and the calls that led to it."""
    return _STACK.sub("", _CALLED.sub("", text, count=1))


def _words(error: Exception) -> str:
    try:
        return str(error)
    except Exception:
        # Py4J asks the JVM for the words, which may be gone.
        return type(error).__name__
