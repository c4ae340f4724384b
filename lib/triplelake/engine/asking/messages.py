"""What asking tells a person, apart from its progress."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich.console import Console

from triplelake.console import say
from triplelake.engine.asking.first_answers import Suspicion
from triplelake.engine.asking.known import KnownAnswers, known_models
from triplelake.types import Lang

_SHOWN_CHARS = 200


def answering(console: Console, servers: int, langs: Collection[Lang]) -> None:
    """What was seen before the first wave."""
    each = "the server answers" if servers == 1 else f"each of {servers} servers answers"
    say(console, f"Checked:  {each} a known sentence ({', '.join(sorted(langs))})")


def known(console: Console, found: Sequence[KnownAnswers]) -> None:
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


def pool_changed(console: Console, line: str) -> None:
    """What became of a server while the run goes on."""
    say(console, f"Pool:     {line}")


def suspicious(console: Console, found: Suspicion, output: str) -> None:
    """What is wrong with the first answers, with some of them."""
    say(console, f"Warning:  {found.summary}. Likely, {found.cause}")
    for each in found.seen:
        say(console, f"          {each.text[:_SHOWN_CHARS]}\n          → {each.completion[:_SHOWN_CHARS]}")
    if found.seen:
        whole_of_one(console, found.seen[0].request_id, output)


def whole_of_one(console: Console, request_id: str, output: str) -> None:
    """How to look at an answer."""
    shown = f"triplelake extract --show-request {request_id} --output {output}"
    say(console, f"          The whole of one, with the settings of this command: {shown}")
