"""What is current, and what a run makes of it: one definition, which the program and all queries use.

Of the states of a document the newest `published` or `removed` one counts, newest by `sequence`: the rank of the commit
that wrote it, whatever the clocks said. A document is known to a run only if its current state is of the run's very
text, settings, source and kept columns. So a run that goes back to earlier settings publishes the earlier answers
again, and asks nothing.

These are plain SELECTs, as in `views.py`: Spark runs them in a job, and the tests run them in SQLite, thousands of runs
against a model of a few lines of Python.
"""

from __future__ import annotations

from typing import Literal

Decision = Literal["new", "changed", "moved", "asked_otherwise", "failed", "relabelled", "known", "rejected"]
"""What is to be done with a record of the input; see `DECIDED`."""

CURRENT_DOCUMENTS = """
SELECT * FROM (
  SELECT *, row_number() OVER (PARTITION BY doc_id ORDER BY sequence DESC, state_at DESC) AS state_rank
  FROM $documents WHERE state IN ('published', 'removed')) ranked
WHERE state_rank = 1 AND state = 'published'"""


def _place(source: str) -> str:
    """A source as it is compared: stores have several names, and a file of this machine may be written as a URI."""
    for written, meant in (("s3a://", "s3://"), ("s3n://", "s3://"), ("file:///", "/")):
        source = f"replace({source}, '{written}', '{meant}')"
    return source


DECIDED = f"""
SELECT i.*, c.doc_id AS was_id, c.source AS was_source,
  CASE
    WHEN i.reason IS NOT NULL THEN 'rejected'
    WHEN c.doc_id IS NULL THEN 'new'
    WHEN c.doc_version <> i.doc_version AND {_place("c.source")} IS DISTINCT FROM {_place("i.source")} THEN 'moved'
    WHEN c.doc_version <> i.doc_version THEN 'changed'
    WHEN c.extraction_key <> :key THEN 'asked_otherwise'
    WHEN :retry_failed AND c.failed > 0 THEN 'failed'
    WHEN {_place("c.source")} IS DISTINCT FROM {_place("i.source")} OR c.kept IS DISTINCT FROM i.kept THEN 'relabelled'
    ELSE 'known'
  END AS decision
FROM $records i LEFT JOIN $current c ON i.doc_id = c.doc_id"""
"""Each record of the input with what is to be done with it. Only `known` and `rejected` are not planned.

`kept` stands for the kept columns, in a form that can be compared. A `moved` document has its id from another source
and another text: two corpora that number their documents alike. A `relabelled` one says the same as before.
"""

LACKING = f"""
SELECT c.*, i.doc_id IS NULL AS lacking, coalesce(s.unread, w.unread, 0) = 1 AS unread
FROM $current c
LEFT JOIN (SELECT DISTINCT doc_id FROM $records WHERE reason IS NULL) i ON i.doc_id = c.doc_id
LEFT JOIN (
  SELECT {_place("source")} AS place,
         max(CASE WHEN reason IS NOT NULL AND doc_id IS NULL THEN 1 ELSE 0 END) AS unread
  FROM $records GROUP BY {_place("source")}) s ON s.place = {_place("c.source")}
CROSS JOIN (
  SELECT max(CASE WHEN reason IS NOT NULL AND doc_id IS NULL THEN 1 ELSE 0 END) AS unread FROM $records) w"""
"""Each current document: whether the input is `lacking` it, and whether it may be among what was `unread`.

It may be where something of its source could not be read; and, of a source that the input has no more, where anything
could not be read, since a file may have got another name. A record that was read, and rejected for its id alone, has an
id here.
"""

RENAMED = f"""
SELECT i.doc_id, c.doc_id AS was_id
FROM $decided i
JOIN $current c ON {_place("c.source")} = {_place("i.source")} AND c.doc_version = i.doc_version
LEFT JOIN (SELECT DISTINCT doc_id FROM $decided WHERE reason IS NULL) k ON k.doc_id = c.doc_id
WHERE i.decision = 'new' AND k.doc_id IS NULL"""
"""New documents whose very text is current already, from the same source, under an id that the input has no more."""

OVERLAP = """
SELECT sum(lacking) AS lacking, sum(suspects) AS suspects,
       sum(CASE WHEN suspects > 0 THEN lacking END) AS left_over,
       min(CASE WHEN suspects > 0 THEN source END) AS source,
       min(CASE WHEN suspects > 0 THEN doc_id END) AS doc_id
FROM (
  SELECT r.source, o.lacking, o.doc_id,
         CASE WHEN 2 * r.fresh > r.documents AND 2 * o.lacking > o.documents THEN r.fresh ELSE 0 END AS suspects
  FROM (
    SELECT source, count(*) AS documents, count(CASE WHEN decision = 'new' THEN 1 END) AS fresh
    FROM $decided WHERE reason IS NULL GROUP BY source) r
  JOIN (
    SELECT c.source, count(*) AS documents, count(CASE WHEN i.doc_id IS NULL THEN 1 END) AS lacking,
           min(CASE WHEN i.doc_id IS NULL THEN c.doc_id END) AS doc_id
    FROM $current c LEFT JOIN (SELECT doc_id FROM $decided WHERE reason IS NULL) i ON i.doc_id = c.doc_id
    GROUP BY c.source) o
  ON o.source = r.source
  WHERE r.fresh > 0 AND o.lacking > 0) sources"""
"""One row: what the sources of the input that have new documents have in the output and no more in the input.

`suspects` counts the new documents of sources whose documents are mostly new, and were mostly others.
"""

OVERTAKING = """
SELECT plan_id FROM (
  SELECT plan_id, max(CASE WHEN state IN ('published', 'removed') THEN sequence END) AS settled
  FROM $documents GROUP BY plan_id) plans
WHERE plan_id <> :plan_id
  AND settled > (SELECT min(sequence) FROM $documents WHERE plan_id = :plan_id)"""
"""Plans that have changed what is current since one was made: what the one says of its input may not stand any more.

They may be older than the one, where they were gone on with after it was made.
"""

QUERIES = {"decided": DECIDED, "lacking": LACKING, "renamed": RENAMED, "overlap": OVERLAP, "overtaking": OVERTAKING}
