"""Everything known before the first question: the prompt read, the pool surveyed, the key computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TypeVar

from triplelake.codes import Code
from triplelake.config import Settings, find_conf
from triplelake.engine.asking.gallery import gallery, most_tokens, read_gallery
from triplelake.engine.asking.ladder import Method
from triplelake.engine.asking.second_look import SecondLook, check_second_look, is_wanted, second_look
from triplelake.engine.planning.keys import content_hashes, extraction_key
from triplelake.errors import UsageError
from triplelake.evaluate.calibration_file import AUTO, NONE, CalibrationFile, choose, read_calibration
from triplelake.pool.client_factory import new_client
from triplelake.pool.embedded import EmbeddedServer
from triplelake.pool.endpoints import Endpoint, load_pool
from triplelake.pool.failures import ServerFailure
from triplelake.pool.protocol import ServerClient
from triplelake.pool.shares import total_slots
from triplelake.pool.survey import Survey, explained, survey
from triplelake.prompt.fewshot import Example
from triplelake.prompt.look import LookRenderer
from triplelake.prompt.ontology import Ontology
from triplelake.prompt.ontology_file import load_ontology
from triplelake.prompt.profile import MARKER, ModelProfile, find_profile, split_template
from triplelake.prompt.prompts import Prompt, load_prompts
from triplelake.prompt.render import Renderer, check_fits, template_text
from triplelake.prompt.template import HISTORY, KWARGS, check_turns, read_template
from triplelake.prompt.turns import ServerTemplate, conversation, read_turns
from triplelake.types import LANGS, Lang

_SURVEY_TIMEOUT_S = 30.0
_TEMPLATE_TRIES = 3
_REFUSAL = "HTTP 500:"
"""How the client tells the server's own 500 from that of a gateway (502, 504)."""

T = TypeVar("T")


@dataclass(frozen=True)
class PromptFiles:
    """The ontology and the prompts that a run asks with: they are checked before any server is needed."""

    ontology: Ontology | None
    prompts: Mapping[Lang, Prompt]


@dataclass(frozen=True)
class OpenPool:
    """A pool, and all that is needed to ask it in the way of a profile.

    Args:
        settings: of the run.
        survey: what the pool turned out to be.
        profile: how the model wants to be asked.
        template: what the server's chat template does, where the profile uses it.
        renderer: makes its prompts.
        prefix_tokens: tokens of the fixed prefix, by language.
        retrieved_tokens: those of the retrieved examples of a request at most, as estimated.
        key: the extraction key.
        contents: hashes of what the files say, as `content_hashes` has them.
        calibrated: what confidence is made with, if there is any.
        second_look: how each triple is asked about once more; None if it is not.
        left_out: texts of `prompt.gold` that are no examples, and why; empty for none.
    """

    settings: Settings
    prompt_files: PromptFiles
    survey: Survey
    profile: ModelProfile
    template: ServerTemplate | None
    renderer: Renderer
    prefix_tokens: Mapping[Lang, int]
    retrieved_tokens: Mapping[Lang, int]
    key: str
    contents: Mapping[str, str]
    calibrated: CalibrationFile | None
    second_look: SecondLook | None
    left_out: str = ""

    @property
    def slots(self) -> int:
        """Requests that the whole pool decodes at once."""
        return total_slots(self.survey.endpoints)

    @property
    def method(self) -> Method:
        """How every request of the run is asked."""
        return Method(
            model=self.survey.alias,
            answer=self.settings.answer,
            engine=self.survey.engine,
            renderer=self.renderer,
            ontology=self.prompt_files.ontology,
            stop_repeats=self.settings.asking.stop_repeats,
            prefix_tokens={lang: self.prefix_tokens[lang] + self.retrieved_tokens[lang] for lang in LANGS},
            second_look=self.second_look,
        )

    @property
    def versions(self) -> Mapping[str, str]:
        """What answers besides the settings: model, grammar engine, form of an answer, hashes of what the files say."""
        return {
            "model": self.survey.fingerprint,
            "grammar": self.survey.engine,
            "form": self.profile.answer,
            **self.contents,
        }


def read_prompt_files(settings: Settings) -> PromptFiles:
    """Read ontology and prompts.

    Raises:
        UsageError, InputError: a file is missing or cannot be used, or settings contradict each other.
    """
    check_second_look(settings)
    if settings.run.calibration not in (AUTO, NONE):
        read_calibration(find_conf(settings.run.calibration, kind="calibration"))
    return PromptFiles(load_ontology(settings.ontology), load_prompts(settings.prompt.dir))


@contextmanager
def open_pool(settings: Settings, prompt_files: PromptFiles) -> Iterator[OpenPool]:
    """Start or find the servers and make everything ready to ask them; an embedded server ends with the block.

    Raises:
        PoolError, UsageError, InputError, SetupError: the pool, its model or its context cannot do the work.
    """
    gold = read_gallery(settings, prompt_files.ontology)
    with open_servers(settings) as found:
        profile = find_profile(settings.profile, found.alias)
        check_second_look(settings, profile)
        yield prepare(settings, prompt_files, found, profile, gold)


@contextmanager
def open_servers(settings: Settings) -> Iterator[Survey]:
    """Start or find the servers and look at them; an embedded one ends with the block.

    Raises:
        PoolError, UsageError, SetupError: the pool cannot do the work.
    """
    with _endpoints(settings) as endpoints:
        yield survey(endpoints, wanted_grammar=settings.answer.grammar, timeout_s=_SURVEY_TIMEOUT_S)


def prepare(
    settings: Settings,
    prompt_files: PromptFiles,
    found: Survey,
    profile: ModelProfile,
    gold: tuple[Mapping[Lang, tuple[Example, ...]], str],
) -> OpenPool:
    """All that asking in the way of a profile needs.

    Args:
        found: what the pool turned out to be.
        gold: what `read_gallery` gives.

    Raises:
        PoolError, InputError: no answer can begin behind the server's template; the prompt does not fit a slot.
    """
    examples, left_out = gold
    ontology, prompts = prompt_files.ontology, prompt_files.prompts

    def ask(server: ServerClient) -> tuple[ServerTemplate | None, Renderer, Mapping[Lang, int], SecondLook | None]:
        template = server_template(server, profile) if profile.template == "server" else None
        renderer = Renderer(
            prompts,
            ontology,
            profile,
            template,
            shots=settings.prompt.shots,
            gallery=gallery(examples, settings, profile),
        )
        return (
            template,
            renderer,
            {lang: len(server.tokenize(renderer.prefix(lang), special=True)) for lang in LANGS},
            second_look(server, LookRenderer(prompts, ontology, profile, template), found.engine)
            if is_wanted(settings, profile)
            else None,
        )

    template, renderer, prefix_tokens, look = _of_any(found.endpoints, settings.asking.timeout_s, ask)
    retrieved_tokens = {lang: most_tokens(renderer, lang, settings) for lang in LANGS}
    check_fits(max(prefix_tokens[lang] + retrieved_tokens[lang] for lang in LANGS), found.n_ctx, settings)
    key = extraction_key(settings, fingerprint=found.fingerprint, engine=found.engine, prompt=renderer.identity())
    asked_in = (*template_text(profile, template), *profile.stop)
    asked = {lang: prompt.filled(profile) for lang, prompt in prompts.items()}
    contents = content_hashes(asked, ontology, asked_in, examples)
    calibrated = choose(settings.run.calibration, model=found.fingerprint, form=profile.answer)
    return OpenPool(
        settings,
        prompt_files,
        found,
        profile,
        template,
        renderer,
        prefix_tokens,
        retrieved_tokens,
        key,
        contents,
        calibrated,
        look,
        left_out,
    )


def server_template(server: ServerClient, profile: ModelProfile) -> ServerTemplate:
    """What the server's chat template does, as far as the profile needs it.

    Raises:
        PoolError: no answer can begin behind it.
    """
    rendered = server.apply_template([{"role": "user", "content": MARKER}], KWARGS)
    if profile.examples == "turns":
        for system in (True, False):
            told = _if_accepted(server, conversation(system=system))
            if turns := read_turns(told) if told else None:
                before, after = split_template(rendered)
                check_turns(turns, before, profile=profile)
                return ServerTemplate(before, after, turns)
    before, after = read_template(rendered, _if_accepted(server, HISTORY), profile=profile)
    return ServerTemplate(before, after)


def _if_accepted(server: ServerClient, messages: Sequence[Mapping[str, str]]) -> str | None:
    """What the template makes of messages; None if it refuses them, as it may what it is not made for.

    It says so with 400 or 500. A 500 may be the trouble of a moment, so only one that stays is believed: another
    template would be another question, and everything would be asked again.
    """
    for _ in range(_TEMPLATE_TRIES):
        try:
            return server.apply_template(messages, KWARGS)
        except ServerFailure as failure:
            if failure.code == Code.BAD_REQUEST:
                return None
            if failure.code != Code.HTTP_500 or _REFUSAL not in failure.message:
                raise
    return None


@contextmanager
def _endpoints(settings: Settings) -> Iterator[tuple[Endpoint, ...]]:
    if settings.pool == "embedded":
        with EmbeddedServer(settings.embedded, looks=settings.asking.second_look != "none") as server:
            yield (server.endpoint,)
        return
    if settings.embedded.model is not None or settings.embedded.lora is not None:
        raise UsageError("--model, --lora", "go with `pool: embedded` only", "Leave them out, or the pool.")
    yield load_pool(settings.pool, settings.api_key, settings.asking.ca_file)


def _of_any(endpoints: Sequence[Endpoint], timeout_s: float, ask: Callable[[ServerClient], T]) -> T:
    """What the first server says that answers: all serve the same model.

    Raises:
        PoolError: none answers, or one refuses what it is asked.
    """
    *first, last = endpoints
    for endpoint in (*first, last):
        with closing(new_client(endpoint, timeout_s)) as server:
            try:
                return ask(server)
            except ServerFailure as failure:
                if endpoint is last or not failure.code.away:
                    raise explained(failure, endpoint) from None
    raise AssertionError("the last server answers or fails")
