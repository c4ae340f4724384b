"""The ontology that an output was made with."""

from __future__ import annotations

import json

from pyspark.sql import functions as F

from triplelake.errors import TriplelakeError
from triplelake.prompt.ontology import Ontology
from triplelake.prompt.ontology_file import load_ontology
from triplelake.tables.schemas import RUNS, SEQUENCE
from triplelake.tables.store import Store


def stored_ontology(store: Store) -> Ontology | None:
    """The ontology of the newest run that asked anything, if its file can still be read and it had one."""
    asked = store.read(RUNS).where("extraction_key IS NOT NULL")
    newest = asked.orderBy(F.desc(SEQUENCE), F.desc("ended_at")).select("settings").first()
    if newest is None:
        return None
    try:
        return load_ontology(json.loads(newest["settings"])["ontology"])
    except TriplelakeError:
        # It names relations for people; an export or a report does without.
        return None
