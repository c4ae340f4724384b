"""Dev texts, asked as a run asks them: through the product's grammar, of a server with the adapter so far."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from train_data import Course, request_of
from train_options import Options
from triplelake.config import Settings, load_settings
from triplelake.engine.asking.open_pool import PromptFiles, open_servers, prepare
from triplelake.engine.asking.places import ask_each, open_places
from triplelake.errors import TooManyFailures
from triplelake.evaluate.calibration_file import NONE
from triplelake.evaluate.metrics import Counts, strict_counts, total
from triplelake.evaluate.vocabulary import Vocabulary
from triplelake.pool.failures import ServerFailure
from triplelake.prompt.prompts import load_prompts

_CONTEXT = 2048
_MOST_FAILED = 0.2


@dataclass(frozen=True, slots=True)
class Look:
    """What an adapter made of the dev texts.

    Args:
        empty_right: of the texts without facts the share that was answered so; None without such texts.
        decoded: tokens of all answers.
    """

    f1: float
    precision: float
    recall: float
    texts: int
    empty_right: float | None
    decoded: int
    seconds: float

    def record(self) -> dict[str, Any]:
        """As JSON, rounded."""
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(self).items()}


class Asker:
    """Asks about the first dev texts.

    Args:
        model: GGUF of the base.
    """

    def __init__(self, course: Course, options: Options, model: Path) -> None:
        self._course = course
        self._lessons = course.dev[: options.dev_texts]
        self._prompt_files = PromptFiles(course.ontology, load_prompts(options.prompts))
        self._settings = {
            "pool": "embedded",
            "profile": str(course.folder / "profile.yaml"),
            "prompt.dir": options.prompts,
            "embedded.model": str(model),
            "embedded.slots": options.slots,
            "embedded.context_per_slot": _CONTEXT,
            "asking.probabilities": False,
            "run.calibration": NONE,
        }

    @property
    def texts(self) -> int:
        """How many are asked about."""
        return len(self._lessons)

    def ask(self, adapter: Path) -> Look:
        """Ask each text once.

        Args:
            adapter: a LoRA as GGUF.

        Raises:
            TriplelakeError: the server does not come up, or more than a fifth of the questions fail.
        """
        started = time.monotonic()
        settings = load_settings(None, self._settings | {"embedded.lora": str(adapter)}, {})
        counts, empty, decoded = self._answers(settings)
        found = total(counts)
        silent = [is_empty for is_empty, lesson in zip(empty, self._lessons, strict=True) if not lesson.facts]
        return Look(
            f1=found.f1,
            precision=found.precision,
            recall=found.recall,
            texts=len(counts),
            empty_right=sum(silent) / len(silent) if silent else None,
            decoded=decoded,
            seconds=time.monotonic() - started,
        )

    def _answers(self, settings: Settings) -> tuple[list[Counts], list[bool], int]:
        with open_servers(settings) as found:
            pool = prepare(settings, self._prompt_files, found, self._course.profile, ({}, ""))
            method, requests = pool.method, [request_of(each) for each in self._lessons]
            with open_places(found.endpoints, settings.asking) as places:
                answers = ask_each(method, places, requests)
        failed = Counter(str(each.code) for each in answers if isinstance(each, ServerFailure))
        if sum(failed.values()) > _MOST_FAILED * len(answers):
            told = ", ".join(f"{count} {code}" for code, count in failed.most_common())
            reason = f"gave no answer about {sum(failed.values())} of {len(answers)} dev texts ({told})"
            raise TooManyFailures(found.alias, reason, "To train without asking: --dev-texts 0.")
        words = Vocabulary(self._course.ontology)
        counts, empty, decoded = [], [], 0
        for lesson, request, answer in zip(self._lessons, requests, answers, strict=True):
            said: Sequence[tuple[str, str, str]] = ()
            if not isinstance(answer, ServerFailure):
                derived = method.read(request, answer.text, truncated=answer.truncated)
                said = [
                    (each.subject, each.predicate, each.object) for each in derived.triples if each.grounding != "none"
                ]
                decoded += answer.completion_tokens
            # What was not answered found nothing.
            gold, facts = words.relations(lesson.facts, lesson.lang), words.relations(said, lesson.lang)
            counts.append(strict_counts(gold, facts))
            empty.append(not facts and not isinstance(answer, ServerFailure))
        return counts, empty, decoded
