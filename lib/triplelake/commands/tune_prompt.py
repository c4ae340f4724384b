"""Every way of asking, tried on the same texts: what `triplelake tune-prompt` does with a pool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console

from triplelake.codes import Code
from triplelake.commands.tune_texts import Texts
from triplelake.config import Settings
from triplelake.console import say
from triplelake.engine.asking.gallery import read_gallery
from triplelake.engine.asking.known import as_shipped
from triplelake.engine.asking.ladder import Method
from triplelake.engine.asking.open_pool import OpenPool, PromptFiles, open_servers, prepare
from triplelake.engine.asking.places import Place, ask_each, open_places
from triplelake.errors import PoolError, TooManyFailures, UsageError
from triplelake.evaluate.calibration_file import NONE
from triplelake.evaluate.metrics import repeated_count
from triplelake.evaluate.tuning import Cost, Said, Text, Tuned, tuned
from triplelake.evaluate.vocabulary import Vocabulary
from triplelake.pool.failures import ServerFailure
from triplelake.pool.survey import Survey
from triplelake.prompt.arms import Arm, arms_of, without_turns
from triplelake.prompt.fewshot import Example
from triplelake.prompt.profile import ModelProfile, find_profile, is_known
from triplelake.triples.parse import AnswerError, parse_answer
from triplelake.types import Completion, Lang, Request

_FEWEST_WITHOUT_FACTS = 3
"""Arms whose agreement says something: of two, more than half are both, and each agrees as much as the other."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of trying.

    Args:
        alias: of the model, as the servers declare it.
        known: `profile: auto` knows the alias already.
        profile: that asks in the way that was chosen.
        found: the figures.
        notes: what could not be tried, and texts that were not answered.
    """

    alias: str
    known: bool
    profile: ModelProfile
    found: Tuned
    notes: tuple[str, ...]


def tune_prompt(
    settings: Settings, prompt_files: PromptFiles, texts: Texts, console: Console, names: Sequence[str] | None = None
) -> Tried:
    """Ask every arm about every text, one arm after the other, and choose.

    Args:
        names: of the arms; those that are worth trying if None.

    Raises:
        PoolError, UsageError, InputError, SetupError: the pool cannot do the work, or an arm cannot be tried.
        TooManyFailures: more questions of an arm failed than `run.max_failure_rate` allows.
    """
    # A calibration is of one way of asking, and nothing here is made with it.
    settings = settings.model_copy(update={"run": settings.run.model_copy(update={"calibration": NONE})})
    if settings.profile != "auto":
        # What a profile cannot be asked in is told before a server is started.
        arms_of([find_profile(settings.profile, "")], names)
    gold = read_gallery(settings, prompt_files.ontology)
    with open_servers(settings) as survey:
        found = _Candidates(settings, prompt_files, survey, gold)
        ready = found.ready(names)
        if len(ready) < _FEWEST_WITHOUT_FACTS and any(each.kind == "own" for each in texts.texts):
            reason = f"leaves {len(ready)} ways of asking; without gold their agreement chooses, which needs three"
            raise UsageError("--arms", reason, "Name more of them, or --arms all; or give gold or a judged sheet.")
        questions = sum(len(each.requests) for each in texts.texts)
        say(console, f"Pool:     {survey.alias}, {next(iter(ready.values())).slots} slots")
        say(console, f"Texts:    {len(texts.texts):,}, {questions:,} questions: {texts.told}")
        answered: dict[str, list[Said | Code]] = {}
        with open_places(survey.endpoints, settings.asking) as places:
            for rank, (name, pool) in enumerate(ready.items(), start=1):
                say(console, f"Asking:   {rank} of {len(ready)}: {name}")
                answered[name] = _try(pool, places, texts.texts)
    texts_left, said, lost = _answered_by_all(texts.texts, answered)
    made = tuned(texts_left, said)
    profile = ready[made.chosen.name].profile
    return Tried(survey.alias, is_known(survey.alias), profile, made, (*texts.notes, *found.notes, *lost))


@dataclass
class _Candidates:
    """The arms of a pool, made ready before the first question: a prompt that does not fit is told at once.

    Args:
        gold: of which further examples are taken, as `read_gallery` gives it.
        notes: what cannot be tried.
    """

    settings: Settings
    prompt_files: PromptFiles
    survey: Survey
    gold: tuple[Mapping[Lang, tuple[Example, ...]], str]
    notes: list[str] = field(default_factory=list)

    def ready(self, names: Sequence[str] | None) -> dict[str, OpenPool]:
        """The arms by their names."""
        given, alias = self.settings.profile, self.survey.alias
        unknown = given == "auto" and not is_known(alias)
        # A server without a template of its own falls back to one and does not say so: the answers have to tell.
        bases = [find_profile(name, alias) for name in (["chat", "base"] if unknown else [given])]
        arms = arms_of(bases, names)
        if names is None:
            arms = self._described(arms)
        if unknown and (without := self._without_template(arms)):
            self.notes.append(f"not tried with the server's chat template, which {without}")
            arms = [arm for arm in arms if arm.profile.template != "server"]
        return dict(self._each(arms))

    def _described(self, arms: Sequence[Arm]) -> list[Arm]:
        """The arms whose form of an answer every prompt describes; one of earlier may lack a form that came later."""
        prompts = self.prompt_files.prompts.values()
        lacked = {arm.profile.answer: prompt for arm in arms for prompt in prompts if not prompt.describes(arm.profile)}
        for form, prompt in lacked.items():
            self.notes.append(f"not tried: {form}, which `forms` in {prompt.file} lacks")
        return [arm for arm in arms if arm.profile.answer not in lacked]

    def _without_template(self, arms: Sequence[Arm]) -> str:
        """Why the server's template cannot be used; empty if it can, or if nothing else is to be tried."""
        chat = [arm for arm in arms if arm.profile.template == "server"]
        if 0 < len(chat) < len(arms):
            try:
                self._prepare(chat[0])
            except PoolError as error:
                return error.reason
        return ""

    def _each(self, arms: Sequence[Arm]) -> Iterator[tuple[str, OpenPool]]:
        for arm in arms:
            pool = self._prepare(arm)
            if arm.profile.examples == "turns" and pool.template and not pool.template.turns:
                twin = without_turns(arm)
                self.notes.append(f"{arm.name} is {twin.name}: the server's template does not write every turn alike")
                arm, pool = twin, self._prepare(twin)
            yield arm.name, pool

    def _prepare(self, arm: Arm) -> OpenPool:
        return prepare(self.settings, self.prompt_files, self.survey, arm.profile, self.gold)


def _try(pool: OpenPool, places: Sequence[Place], texts: Sequence[Text]) -> list[Said | Code]:
    """What an arm makes of each text, or the code of a failure."""
    found: dict[int, Said | Code] = {}
    # The known texts are about the shipped ontology, whatever the run has.
    for method, known in ((pool.method, False), (as_shipped(pool), True)):
        ranks = [rank for rank, text in enumerate(texts) if (text.kind == "known") is known]
        requests = [request for rank in ranks for request in texts[rank].requests]
        answers = iter(ask_each(method, places, requests))
        vocabulary = Vocabulary(method.ontology)
        for rank in ranks:
            pairs = [(request, next(answers)) for request in texts[rank].requests]
            found[rank] = _said(method, vocabulary, pairs)
    failed = Counter(each for each in found.values() if isinstance(each, Code))
    most = pool.settings.run.max_failure_rate
    if sum(failed.values()) > most * len(texts):
        raise TooManyFailures(
            pool.survey.alias,
            f"gave no answer about {sum(failed.values())} of {len(texts)} texts ({_told(failed)})",
            "Look at the servers' logs. To go on with fewer texts: --set run.max_failure_rate=0.5",
        )
    return [found[rank] for rank in range(len(texts))]


def _said(
    method: Method, vocabulary: Vocabulary, answers: Sequence[tuple[Request, Completion | ServerFailure]]
) -> Said | Code:
    """The sum over the chunks of a text; a fact that two of them say is one."""
    facts: list[tuple[str, str, str]] = []
    cost = Cost()
    for request, answer in answers:
        if isinstance(answer, ServerFailure):
            return answer.code
        derived = method.read(request, answer.text, truncated=answer.truncated)
        found = [(each.subject, each.predicate, each.object) for each in derived.triples if each.grounding != "none"]
        facts += vocabulary.relations(found, request.lang)
        try:
            items = parse_answer(answer.text, truncated=answer.truncated).items
        except AnswerError:
            items = ()
        cost += Cost(
            # Where an answer was left, it had said a triple again that is not in its text.
            triples=len(items) + answer.left,
            repeated=repeated_count(items) + answer.left,
            answers=1,
            empty=not found,
            cut=answer.truncated,
            decoded=answer.completion_tokens,
        )
    return Said(tuple(dict.fromkeys(facts)), cost)


def _answered_by_all(
    texts: Sequence[Text], answered: dict[str, list[Said | Code]]
) -> tuple[list[Text], dict[str, list[Said]], tuple[str, ...]]:
    """The texts that every arm got an answer to, what each made of them, and a note on the others.

    Arms are compared on the same texts.
    """
    kept = [rank for rank in range(len(texts)) if all(isinstance(each[rank], Said) for each in answered.values())]
    said = {name: [one for rank in kept if isinstance(one := each[rank], Said)] for name, each in answered.items()}
    failed = Counter(each for found in answered.values() for each in found if isinstance(each, Code))
    lost = len(texts) - len(kept)
    if len({texts[rank].chooses for rank in kept}) < 2:
        reason = f"leave no text of one half that every arm got an answer to ({_told(failed)})"
        raise TooManyFailures("failed questions", reason, "Look at the servers' logs, or ask about more texts (--n).")
    notes = (f"{lost:,} texts are left out, of which not every arm got an answer: {_told(failed)}",) if lost else ()
    return [texts[rank] for rank in kept], said, notes


def _told(codes: Counter[Code]) -> str:
    return ", ".join(f"{count:,} {code}" for code, count in codes.most_common())
