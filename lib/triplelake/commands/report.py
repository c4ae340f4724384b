"""The report of an output, from its tables to one HTML file."""

from __future__ import annotations

from rich.console import Console
from rich.filesize import decimal

from triplelake.console import say
from triplelake.export.target import Target
from triplelake.prompt.ontology_file import load_ontology
from triplelake.report.gather import gather
from triplelake.report.model import SHOWN_DOCUMENTS
from triplelake.report.page import page
from triplelake.spark import open_session
from triplelake.tables.ontology import stored_ontology
from triplelake.tables.store import Store
from triplelake.tables.views import Views
from triplelake.types import PageLang


def make_report(
    output: str,
    target: Target,
    console: Console,
    *,
    lang: PageLang = "en",
    ontology: str | None = None,
    documents: int = SHOWN_DOCUMENTS,
) -> None:
    """Write the report.

    Args:
        output: path, or `catalog.schema`, of the tables.
        ontology: setting of the one that names relations; None for that of the newest run.
        documents: how many are shown.

    Raises:
        OutputError: no tables are there, or the target cannot be written.
        InputError: an ontology that cannot be read.
    """
    names = load_ontology(ontology) if ontology else None
    store = Store(open_session("triplelake report"), output)
    store.require()
    with console.status("counting"):
        report = gather(store, Views(store, fixed=True), documents)
    text = page(report, lang, names or stored_ontology(store))
    with target.writing() as draft:
        draft.write("", iter([text]))
    say(console, f"Wrote:    {target.written}: {decimal(draft.bytes)}")
