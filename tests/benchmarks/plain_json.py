"""The baseline of the benchmarks: triples as JSON objects under a plain JSON schema, as other tools ask for them.

The schema names the relations and leaves the entities free. Instructions, examples and their order are those of
the compact form; only what an answer looks like differs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from triplelake.evaluate.gold import Fact
from triplelake.prompt.fewshot import Example, answer, ordered
from triplelake.prompt.ontology import Ontology
from triplelake.prompt.profile import ModelProfile
from triplelake.prompt.prompts import Prompt
from triplelake.prompt.render import Renderer
from triplelake.prompt.turns import ServerTemplate
from triplelake.types import Lang, Request

_KEYS = ("subject", "predicate", "object")
_FORM = '{"triples":[{"subject":…,"predicate":…,"object":…}]}'
_INSTRUCTIONS: Mapping[Lang, str] = {
    "zh-Hans": f"从文本中抽取事实，写成JSON：{_FORM}。主体和客体是文本、标题或上文里的原词，关系只能是：{{relations}}。"
    '否认、计划或不确定的事不抽取，没有事实就回答{"triples":[]}。',
    "zh-Hant": f"從文本中擷取事實，寫成JSON：{_FORM}。主體和客體是文本、標題或上文裡的原詞，關係只能是：{{relations}}。"
    '否認、計畫或不確定的事不擷取，沒有事實就回答{"triples":[]}。',
    "en": f"Extract the facts of the text as JSON: {_FORM}. Subject and object are words of the text, the title "
    "or the context. The relation is one of: {relations}. Leave out what is denied, planned or uncertain; "
    'without facts answer {"triples":[]}.',
}


def schema_grammar(ontology: Ontology, lang: Lang) -> str:
    """What a server with llguidance makes of the request parameter `json_schema`, byte for byte."""
    strings = {"type": "string"}
    predicates = {"enum": [relation.names[lang] for relation in ontology.relations]}
    triple = _closed({"subject": strings, "predicate": predicates, "object": strings})
    schema = _closed({"triples": {"type": "array", "items": triple}})
    return f"%llguidance {{}}\nstart: %json {json.dumps(schema, ensure_ascii=False, separators=(',', ':'))}"


def json_renderer(
    prompts: Mapping[Lang, Prompt],
    ontology: Ontology,
    profile: ModelProfile,
    shots: int | None,
    template: ServerTemplate | None = None,
) -> Renderer:
    """A renderer that shows the same examples as `Renderer(prompts, ontology, …)`, answered in JSON objects."""
    without = {lang: replace(prompt, instructions=_INSTRUCTIONS[lang], examples=()) for lang, prompt in prompts.items()}
    # A base model's renderer has nothing around a question, so its questions can stand in the instructions.
    plain = Renderer(without, ontology, ModelProfile(name="plain", template="plain"))
    shown: dict[Lang, Prompt] = {}
    for lang, prompt in without.items():
        examples = ordered(prompts[lang].examples, shots)
        blocks = [_question(plain, example, lang) + _json_answer(example, ontology, lang) for example in examples]
        shown[lang] = replace(prompt, instructions="\n\n".join((prompt.instructions, *blocks)))
    return Renderer(shown, ontology, profile, template)


def read_objects(text: str) -> list[Fact]:
    """The triples of an answer; of one that was cut off, those that are whole."""
    try:
        rows = json.loads(text)["triples"]
    except ValueError:
        rows = list(_whole_objects(text))
    return [(row["subject"], row["predicate"], row["object"]) for row in rows]


def _whole_objects(text: str) -> Iterator[dict[str, str]]:
    decoder = json.JSONDecoder()
    place = text.find("[") + 1
    while (start := text.find("{", place)) >= 0:
        try:
            row, place = decoder.raw_decode(text, start)
        except ValueError:
            return
        yield row


def _closed(properties: Mapping[str, object]) -> dict[str, object]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def _question(plain: Renderer, example: Example, lang: Lang) -> str:
    request = Request("", example.text, example.title, example.context, lang)
    return plain.render(request).text.removeprefix(plain.prefix(lang))


def _json_answer(example: Example, ontology: Ontology, lang: Lang) -> str:
    rows: Iterable[Fact] = json.loads(answer(example, ontology, lang))
    triples = [dict(zip(_KEYS, row, strict=True)) for row in rows]
    return json.dumps({"triples": triples}, ensure_ascii=False, separators=(",", ":"))
