"""A known sentence for every server before the first wave: who cannot answer it shall not be asked a million."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import product

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from triplelake.codes import Code
from triplelake.engine.asking.ladder import Method
from triplelake.engine.asking.open_pool import OpenPool
from triplelake.errors import PoolError
from triplelake.pool.client_factory import new_client
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.failures import ServerFailure
from triplelake.pool.protect import protect
from triplelake.pool.protocol import CompletionClient
from triplelake.pool.survey import Away
from triplelake.prompt import fewshot
from triplelake.prompt.fewshot import Example
from triplelake.prompt.ontology import Ontology
from triplelake.types import Completion, Lang, Request

_PARALLEL = 32
_TRIES = 5
_LONGEST_PAUSE_S = 2.0
_SHOWN_CHARS = 300

GRAMMAR = "Look at the server's log for its grammar engine; another one: answer.grammar. Or restart the server."
_TEMPLATE = (
    "Either the model is asked in another form than it was trained on (--profile; `--profile chat` takes the template "
    "of the server), or it is too weak. To run all the same: --set run.preflight=false"
)


def preflight(pool: OpenPool, langs: Collection[Lang]) -> tuple[Away, ...]:
    """Ask every server, in each language that the run will ask in, about the first example of its prompt.

    The answer stands in the prompt, so that any model which reads it can give one. It must be whole and grounded, and
    not empty where the example's relations are those of the ontology. A server that is down by now does not keep the
    others from working: it is returned.

    Raises:
        PoolError: a server answers, and cannot do the work; or none is there. It names the server and the cause, with
            the raw answer.
    """
    pairs = list(product(pool.survey.endpoints, sorted(langs)))
    with ThreadPoolExecutor(min(_PARALLEL, len(pairs)), thread_name_prefix="preflight") as executor:
        outcomes = executor.map(lambda pair: _ask(pool, *pair), pairs)
        away = {each.endpoint.url: each for each in outcomes if each}
    if len(away) == len(pool.survey.endpoints):
        raise next(iter(away.values())).error
    return tuple(away.values())


def _ask(pool: OpenPool, endpoint: Endpoint, lang: Lang) -> Away | None:
    request, must_find = known(pool, lang)
    method = pool.method
    with closing(new_client(endpoint, pool.settings.asking.timeout_s)) as server:
        try:
            completion = ask_patiently(method, server, request)
        except ServerFailure as failure:
            reason = f"does not answer a known sentence ({failure.code}: {failure.message})"
            error = PoolError(endpoint.url, reason, f"Check it: curl {endpoint.url}/health, and its log.")
            if failure.code.away:
                return Away(endpoint, error)
            raise error from None
    derived = method.read(request, completion.text, truncated=completion.truncated)
    code = derived.error_code
    about = f"“{request.text}” with: {completion.text[:_SHOWN_CHARS]}"
    if code in (Code.TRUNCATED, Code.UNFINISHED):
        raise PoolError(endpoint.url, f"does not come to an end: it answers {about}", _TEMPLATE)
    if code:
        raise PoolError(endpoint.url, f"does not keep to the grammar ({code}): it answers {about}", GRAMMAR)
    if must_find and not derived.triples:
        reason = f"finds nothing where its prompt shows what there is: it answers {about}"
        raise PoolError(endpoint.url, reason, _TEMPLATE)
    return None


def ask_patiently(method: Method, server: CompletionClient, request: Request) -> Completion:
    """The answer of a server; trouble that passes is waited for.

    Raises:
        ServerFailure: it cannot be had.
    """
    patient = Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, ServerFailure) and error.code.entry.passing),
        stop=stop_after_attempt(_TRIES),
        wait=wait_random_exponential(max=_LONGEST_PAUSE_S),
        reraise=True,
    )
    prompt, grammar = protect(method.renderer.render(request).parts, server.tokenize), method.grammar(request)

    def complete() -> Completion:
        return server.complete(
            prompt,
            grammar=grammar,
            max_tokens=method.answer.max_tokens,
            stop=method.renderer.stop,
            # Each try has its own: it remembers what it saw.
            watch=method.new_watch() if method.new_watch else None,
        )

    return patient(complete)


def known(pool: OpenPool, lang: Lang) -> tuple[Request, bool]:
    """The question of a language, and whether its answer must hold a triple."""
    prompt, ontology = pool.prompt_files.prompts[lang], pool.prompt_files.ontology
    example = next((each for each in prompt.examples if each.triples), None)
    if example is None:
        return Request("", prompt.known_sentence, "", "", lang), False
    is_own = _is_of(example, ontology, lang)
    is_shown = example in fewshot.ordered(fewshot.usable(prompt.examples, pool.profile), pool.settings.prompt.shots)
    return Request("", example.text, example.title, example.context, lang), is_own and is_shown


def _is_of(example: Example, ontology: Ontology | None, lang: Lang) -> bool:
    return ontology is None or not fewshot.foreign([example], ontology, lang)
