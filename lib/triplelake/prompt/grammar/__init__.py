"""The grammar of one request: which answers a server may give.

An answer has one of the forms of `triplelake.prompt.answer_form`, or is the empty one of that form. Nothing of the
document stands in a grammar but as a literal, and no literal holds a character that could end it.
"""

from __future__ import annotations

from collections.abc import Mapping

from triplelake.config import AnswerSettings
from triplelake.prompt.answer_form import ARRAYS, AnswerForm
from triplelake.prompt.grammar import gbnf, llguidance
from triplelake.prompt.grammar.branches import branches
from triplelake.prompt.grammar.skeleton import Dialect
from triplelake.prompt.grammar.spans import Material, material
from triplelake.prompt.ontology import Ontology
from triplelake.types import GrammarEngine, Lang, Request

FIRST_TRIPLES = 2
WORDS_PER_TRIPLE: dict[Lang, int] = {"zh-Hans": 8, "zh-Hant": 8, "en": 5}
"""A grounded answer has at most `FIRST_TRIPLES` triples, and one more per so many words of the chunk (in Chinese
characters), because a weak model goes on for as long as it may, mostly with what it has said already.

Chosen by gold triples, which a limit should not cost: it forbids 0.6 % of 7,227 in DuIE, 0.02 % of 5,289 in TekGen
and 5 of 284 in the demo's dense passages. The saving is small: of 89 triples that Gemma 3 270M said on 24 of those
passages it cuts 3, all of them repeated. One more per 12 words would have cut 18, but forbids 5 % of DuIE's.
"""

WORKS = frozenset(
    {
        *("work", "title", "book", "novel", "film", "movie", "song", "album", "game", "series", "show"),
        *(
            "作品",
            "著作",
            "图书",
            "圖書",
            "图书作品",
            "圖書作品",
            "书籍",
            "書籍",
            "小说",
            "小說",
            "网络小说",
            "網絡小說",
            "文章",
        ),
        *("影视", "影視", "影视作品", "影視作品", "电影", "電影", "电视剧", "電視劇", "电视综艺", "電視綜藝"),
        *("歌曲", "专辑", "專輯", "音乐专辑", "音樂專輯", "游戏", "遊戲"),
    }
)
"""Types of an ontology that are works."""

DIALECTS: Mapping[GrammarEngine, Dialect] = {"gbnf": gbnf.DIALECT, "llguidance": llguidance.DIALECT}
"""How grammars are written for each engine."""


def build_grammar(
    engine: GrammarEngine,
    request: Request,
    ontology: Ontology | None,
    answer: AnswerSettings,
    form: AnswerForm = ARRAYS,
) -> str:
    """The grammar to send with a request; the same request gives the same bytes.

    Args:
        engine: the language that the server reads.
        request: with `constrain`, subject and object are spans of its chunk, title or context.
        ontology: its relations' names in the request's language are the predicates, and its patterns limit the
            objects; None admits free predicates, as long as `FREE_PREDICATES` says.
        answer: with `verify` the grammar depends on the request's language only.
        form: how the answer is written.
    """
    lang = request.lang
    if answer.grounding == "verify":
        allowed = branches(ontology, lang, None)
        return DIALECTS[engine].static(allowed, lang, answer.max_triples, answer.max_entity_chars, form)
    spans = material(request, answer.max_entity_chars, quoted=names_works(ontology))
    allowed = branches(ontology, lang, spans) if any(spans.reaches) else []
    return DIALECTS[engine].grounded(spans, allowed, lang, triple_limit(spans.words, lang, answer), form)


def sayable(request: Request, ontology: Ontology | None, answer: AnswerSettings) -> tuple[Material, int]:
    """What a grounded answer about a request may hold: the entities of this material, and so many triples."""
    spans = material(request, answer.max_entity_chars, quoted=names_works(ontology))
    return spans, triple_limit(spans.words, request.lang, answer)


def literal_grammar(engine: GrammarEngine, text: str) -> str:
    """The grammar of which a text is the only answer.

    Args:
        text: without control characters.
    """
    language = DIALECTS[engine].language
    return language.header + language.define(language.start, language.literal(text)) + "\n"


def names_works(ontology: Ontology | None) -> bool:
    """Whether an argument may be a work, whose title stands in quotation marks as often as in 《》."""
    return ontology is None or any(
        kind is not None and kind.casefold() in WORKS
        for relation in ontology.relations
        for signature in relation.signatures
        for kind in (signature.subject_type, signature.object_type)
    )


def triple_limit(words: int, lang: Lang, answer: AnswerSettings) -> int:
    """Triples of a grounded answer at most, by the words of its chunk."""
    return min(answer.max_triples, FIRST_TRIPLES + words // WORDS_PER_TRIPLE[lang])
