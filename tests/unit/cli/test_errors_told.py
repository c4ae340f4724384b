"""What an error that nothing expected is to a person: of a store that was lost on the way it is no defect."""

from __future__ import annotations

import pytest

from triplelake.errors import InputError, OutputError, SetupError, TriplelakeError, classified

STACK = "\n\tat org.apache.hadoop.fs.s3a.S3AUtils.translateException(S3AUtils.java:277)"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            "An error occurred while calling o99.save.\n: java.nio.file.AccessDeniedException: s3a://b/kg/runs: "
            f"software.amazon.awssdk.S3Exception: ExpiredToken (Status Code: 400){STACK}",
            "java.nio.file.AccessDeniedException: s3a://b/kg/runs: software.amazon.awssdk.S3Exception: ExpiredToken "
            "(Status Code: 400)",
        ),
        (
            "[TASK_WRITE_FAILED] Task failed while writing rows to s3://b/知识/attempts.\n"
            f"Caused by: java.net.UnknownHostException: s3.eu-central-1.amazonaws.com{STACK}",
            "java.net.UnknownHostException: s3.eu-central-1.amazonaws.com",
        ),
        (
            f"Job aborted.{STACK}\nCaused by: org.apache.hadoop.fs.s3a.AWSClientIOException: upload part: Connection "
            f"refused{STACK}",
            "org.apache.hadoop.fs.s3a.AWSClientIOException: upload part: Connection refused",
        ),
    ],
)
def test_a_store_that_is_lost_is_no_defect(said: str, reason: str) -> None:
    error = classified(RuntimeError(said))
    assert isinstance(error, OutputError)
    assert error.reason == f"refuses, or cannot be reached: {reason}"
    assert "same command goes on" in error.remedy


@pytest.mark.parametrize(
    ("kind", "more", "reason"),
    [
        ("NO_HINT", "", "is damaged: it could not be read to its end"),
        ("FILE_NOT_EXIST", "File does not exist. ", "is gone since the run began"),
        (
            "PARQUET_COLUMN_DATA_TYPE_MISMATCH",
            "Data type mismatches when reading Parquet column [text]. Expected Spark type string. ",
            "has another type in a column than the other files",
        ),
    ],
)
def test_a_file_of_the_input_that_spark_cannot_read_is_named(kind: str, more: str, reason: str) -> None:
    said = (
        f"An error occurred while calling o78.count.\n: org.apache.spark.SparkException: [FAILED_READ_FILE.{kind}] "
        f"Encountered error while reading file file:///data/语料 1.0/b.parquet. {more} SQLSTATE: KD001{STACK}"
    )
    error = classified(RuntimeError(said))
    assert isinstance(error, InputError)
    assert (error.subject, error.reason) == ("file:///data/语料 1.0/b.parquet", reason)
    assert "leave it out with a glob" in error.remedy


@pytest.mark.parametrize(
    "said",
    [
        "Job aborted due to stage failure: ResultStage 132 (collect at store.py:261) has failed the maximum allowable "
        "number of times: 4. Most recent failure reason:\norg.apache.spark.shuffle.MetadataFetchFailedException: "
        "Missing an output location for shuffle 29 partition 0",
        "Job aborted due to stage failure: Task 3 in stage 7.0 failed 4 times, most recent failure: Lost task 3.3 in "
        "stage 7.0 (TID 9) (10.0.0.7 executor 12): ExecutorLostFailure (executor 12 exited caused by one of the tasks)",
        "Job 5 cancelled because SparkContext was shut down: Exiting due to error from cluster scheduler: Master "
        "removed our application: FAILED",
    ],
)
def test_executors_that_are_lost_are_no_defect(said: str) -> None:
    error = classified(RuntimeError(f"An error occurred while calling o99.collect.\n: SparkException: {said}{STACK}"))
    assert isinstance(error, SetupError)
    assert "were lost faster" in error.reason
    assert "same command goes on" in error.remedy


def test_a_defect_stays_one_and_java_adds_nothing() -> None:
    error = classified(RuntimeError(f"An error occurred while calling o1.x.\n: java.lang.Error: a{STACK}"))
    assert type(error) is TriplelakeError
    assert error.reason == "java.lang.Error: a"
    elsewhere = classified(RuntimeError("java.net.ConnectException: Connection refused: no store is spoken of"))
    assert type(elsewhere) is TriplelakeError
