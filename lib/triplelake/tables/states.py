"""The states of a document, as columns of Spark: a state that does not exist is found by the type checker."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from triplelake.types import DocumentState


def in_state(state: DocumentState) -> Column:
    """Whether a row of `documents` has the state; without regard to newer rows of the document."""
    return F.col("state") == state


def state_column(state: DocumentState) -> Column:
    """The value of `state` for new rows of `documents`."""
    return F.lit(state)
