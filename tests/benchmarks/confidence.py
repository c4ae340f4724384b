"""Whether confidence tells right triples from wrong ones: on the answers that `make bench-asking` has kept.

    python tests/benchmarks/confidence.py --answers DIR --duie FILE --text2kg DIR --models NAME … --n 60 [--report-n 60]

Options as of `asking.py`. Every figure of `choose` is cross-validated by document; with `--report-n` a fit on all of
`choose` is tried on `report`, whose sentences no choice was made on.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from asking import _request, _stored
from tasks import Task, duie_task, text2kg_task, traditional

from triplelake.config import AnswerSettings
from triplelake.evaluate.calibrate import JudgedTriple, Quality, cross_validated, fit, quality
from triplelake.text import comparison_key
from triplelake.triples.confidence import features
from triplelake.triples.derive import derive

_ANSWER = AnswerSettings()


def judged(task: Task, file: Path) -> list[JudgedTriple]:
    """The triples of stored answers, each judged by gold."""
    found = []
    for rank, completion in enumerate(_stored(file).completions):
        document, ontology = task.documents[rank]
        request = _request(task, rank)
        derived = derive(request, completion.text, truncated=completion.truncated, ontology=ontology, answer=_ANSWER)
        gold = {_key(*fact) for fact in document.facts}
        known = features(request, derived, completion.token_logprobs, completion.token_chars)
        for triple, of_triple in zip(derived.triples, known or (), strict=False):
            right = _key(triple.subject, triple.predicate, triple.object) in gold
            found.append(
                JudgedTriple(
                    request.request_id,
                    right,
                    repr(_key(triple.subject, triple.predicate, triple.object)),
                    triple.predicate,
                    of_triple,
                )
            )
    return found


def _key(subject: str, predicate: str, object_: str) -> tuple[str, str, str]:
    return comparison_key(subject), predicate, comparison_key(object_)


def _gold(task: Task) -> int:
    return sum(len({_key(*fact) for fact in document.facts}) for document, _ in task.documents)


def _print(name: str, triples: Sequence[JudgedTriple], found: Quality) -> None:
    everything, quarter = found.kept[-1], found.kept[1]
    gain = found.best.f1 / everything.f1 if found.best and found.best.f1 and everything.f1 else 0.0
    cells = (
        name,
        len(triples),
        f"{everything.precision.value:.3f}",
        f"{found.auc or 0.0:.3f}",
        f"{found.ece:.3f}",
        f"{quarter.precision.value:.3f} ({quarter.precision.value / everything.precision.value:.1f} ×)",
        f"{everything.f1:.3f}",
        f"{found.best.f1:.3f} ({gain:.2f} ×)" if found.best else "",
        f"{found.best.share:.0%} from {found.best.confidence:.2f}" if found.best else "",
    )
    print(f"| {' | '.join(map(str, cells))} |")


def _tasks(options: argparse.Namespace, split: str, n: int) -> list[Task]:
    tasks = []
    if options.duie:
        tasks.append(duie_task(options.duie, n, options.seed if split == "choose" else 0, split))  # type: ignore[arg-type]  # choose or report
        if options.hant:
            tasks.append(traditional(tasks[0]))
    if options.text2kg:
        tasks.append(text2kg_task(options.text2kg, n, options.seed if split == "choose" else 0, split))  # type: ignore[arg-type]
    return tasks


def main() -> None:
    """Print a line for each arm of each model."""
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

    def files(model: str, task: Task, split: str, n: int) -> list[Path]:
        what = f"{task.name} {split} {n} {options.seed if split == 'choose' else 0} {options.slots}".replace(", ", " ")
        return sorted(each for each in (options.answers / model / what).glob("*.jsonl") if each.stem != "plain")

    heads = ("arm", "triples", "precision", "AUC", "ECE", "precision of the surest quarter", "F1", "best F1", "keeping")
    for model in options.models:
        reported = _tasks(options, "report", options.report_n) if options.report_n else []
        for number, task in enumerate(_tasks(options, "choose", options.n)):
            print(f"\n{model}, {task.name}\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
            for file in files(model, task, "choose", options.n):
                triples = judged(task, file)
                if not triples:
                    continue
                _print(
                    f"{file.stem}, cross-validated",
                    triples,
                    quality(triples, cross_validated(triples), gold=_gold(task)),
                )
                for other in reported[number : number + 1]:
                    kept = next(
                        (f for f in files(model, other, "report", options.report_n) if f.name == file.name), None
                    )
                    if kept is None:
                        continue
                    made = fit(triples, source=str(file))
                    told = judged(other, kept)
                    if not told:  # stored without probabilities
                        continue
                    confidences = [made.confidence(each.features, each.predicate) for each in told]
                    _print(f"{file.stem}, kept apart", told, quality(told, confidences, gold=_gold(other)))


if __name__ == "__main__":
    main()
