"""Whether confidence tells right triples from wrong ones: on the answers that `make bench-asking` has kept.

    python tests/benchmarks/confidence.py --answers DIR --duie FILE --text2kg DIR --models NAME … --n 60 [--report-n 60]

Options as of `asking.py`. Every figure of `choose` is cross-validated by document, its threshold the one of the largest
F1; with `--report-n` the fit and that threshold are tried on `report`, whose sentences no choice was made on, of this
corpus and of the others.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from asking import kept_in, request_of, stored, tasks_of
from tasks import Task

from triplelake.config import AnswerSettings
from triplelake.errors import InputError
from triplelake.evaluate.calibrate import JudgedTriple, cross_validated, fit
from triplelake.evaluate.sureness import Quality, quality
from triplelake.text import comparison_key
from triplelake.triples.confidence import features
from triplelake.triples.derive import derive

_ANSWER = AnswerSettings()


def judged(task: Task, file: Path) -> list[JudgedTriple]:
    """The triples of stored answers, each judged by gold."""
    found = []
    for rank, completion in enumerate(stored(file).completions):
        document, ontology = task.documents[rank]
        request = request_of(task, rank)
        derived = derive(request, completion.text, truncated=completion.truncated, ontology=ontology, answer=_ANSWER)
        gold = {_key(*fact) for fact in document.facts}
        known = features(request, derived, completion.token_logprobs, completion.token_chars)
        for triple, of_triple in zip(derived.triples, known or (), strict=False):
            key = _key(triple.subject, triple.predicate, triple.object)
            found.append(JudgedTriple(request.request_id, key in gold, repr(key), triple.predicate, of_triple))
    return found


def _key(subject: str, predicate: str, object_: str) -> tuple[str, str, str]:
    return comparison_key(subject), predicate, comparison_key(object_)


def _gold(task: Task) -> int:
    return sum(len({_key(*fact) for fact in document.facts}) for document, _ in task.documents)


def _print(name: str, triples: Sequence[JudgedTriple], found: Quality, least: float, kept_f1: float) -> None:
    everything, quarter = found.kept[-1].precision.value, found.kept[1].precision.value
    said = found.kept[-1].f1 or 0.0
    cells = (
        name,
        len(triples),
        f"{everything:.3f}",
        "" if found.auc is None else f"{found.auc:.3f}",
        f"{found.ece:.3f}",
        f"{quarter:.3f} ({quarter / everything:.1f} ×)" if everything else "",
        f"{said:.3f}",
        f"{kept_f1:.3f} ({kept_f1 / said:.2f} ×) from {least:.2f}" if said else "",
    )
    print(f"| {' | '.join(map(str, cells))} |")


def _kept_f1(triples: Sequence[JudgedTriple], confidences: Sequence[float], least: float, gold: int) -> float:
    """F1 of the facts that are said with a confidence of at least `least`."""
    kept = [each for each, sure in zip(triples, confidences, strict=True) if sure >= least]
    said = {(each.document, each.fact): each.right for each in kept}
    return 2 * sum(said.values()) / (len(said) + gold)


def _compare(name: str, chosen: tuple[Task, Path], others: Sequence[tuple[Task, Path]]) -> None:
    """A line for answers that were chosen on, and one for each of others under their fit and threshold."""
    triples, gold = judged(*chosen), _gold(chosen[0])
    try:
        made = fit(triples, source=name)
    except InputError as error:
        print(f"| {name}: {error.reason} |")
        return
    confidences = cross_validated(triples)
    found = quality(triples, confidences, gold=gold)
    least = found.best.confidence if found.best else 0.0
    _print(f"{name}, cross-validated", triples, found, least, _kept_f1(triples, confidences, least, gold))
    for other, file in others:
        if not (told := judged(other, file)):
            continue  # answers of earlier were stored without probabilities
        confidences = [made.confidence(each.features, each.predicate) or 0.0 for each in told]
        gold = _gold(other)
        found = quality(told, confidences, gold=gold)
        _print(f"{name}, kept apart: {other.name}", told, found, least, _kept_f1(told, confidences, least, gold))


def main() -> None:
    """Print a line for each arm of each model, or two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=Path, required=True, metavar="DIR")
    parser.add_argument("--models", nargs="+", default=["embedded"], metavar="MODEL")
    parser.add_argument("--duie", type=Path, metavar="FILE")
    parser.add_argument("--hant", action="store_true")
    parser.add_argument("--text2kg", type=Path, metavar="DIR")
    parser.add_argument("--n", type=int, default=60)
    parser.add_argument("--report-n", type=int)
    parser.add_argument("--seed", type=int, default=0, help="of the sentences of `choose`; those of `report`: 0")
    parser.add_argument("--slots", type=int, default=2)
    options = parser.parse_args()
    chosen = tasks_of(options, "choose", options.n, options.seed)
    reported = tasks_of(options, "report", options.report_n, 0) if options.report_n else []
    heads = (
        "arm",
        "triples",
        "precision",
        "AUC",
        "ECE",
        "precision of the surest quarter",
        "F1",
        "F1 from a threshold",
    )
    for model in options.models:
        for task in chosen:
            print(f"\n{model}, {task.name}\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
            folder = kept_in(options.answers, model, task, "choose", options.n, options.seed, options.slots)
            for file in sorted(folder.glob("*-*.jsonl")):
                if not judged(task, file):
                    continue
                folders = (
                    (other, kept_in(options.answers, model, other, "report", options.report_n, 0, options.slots))
                    for other in reported
                )
                others = [(other, there / file.name) for other, there in folders if (there / file.name).exists()]
                _compare(file.stem, (task, file), others)


if __name__ == "__main__":
    main()
