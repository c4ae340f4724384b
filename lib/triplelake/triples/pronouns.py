"""Arguments that point at something instead of naming it."""

from __future__ import annotations

import unicodedata
from functools import cache

import regex

from triplelake.forms import visible
from triplelake.text import comparison_key

_ZH_WORDS = (
    "我|你|您|妳|他|她|它|牠|祂|其|谁|此|这|那|这里|那里|这个|那个|这些|那些|自己|本人|本身|"
    "我们|你们|妳们|他们|她们|它们|牠们|咱们|大家|双方|前者|后者|对方|两人|二人|两者|二者|其中|其他|其它"
)
_ZH_KINDS = (
    "公司|集团|企业|机构|组织|品牌|银行|片|影片|电影|剧|电视剧|节目|书|小说|作品|文|著作|歌|歌曲|专辑|游戏|"
    "校|学校|大学|院|学院|医院|馆|国|市|省|县|区|镇|乡|村|岛|地|地区|城市|国家|"
    "人|男子|女子|作家|导演|演员|歌手|队|球队|党|刊|杂志|报|奖|站|线|项目|产品"
)
_ZH_KIN = "父亲?|母亲?|妻子?|丈夫|夫|儿子|女儿|子|女|哥哥|弟弟|姐姐|妹妹|兄|弟|姐|妹|老师|同事|朋友"
# Names must not match: 本州, 贵州, 那曲 are places, so 州 and 曲 go with 该 only, and 贵 with few.
_ZH = (
    rf"(?:{_ZH_WORDS})"
    rf"|该(?:{_ZH_KINDS}|州|曲)"
    rf"|(?:[本此我其]|这一?|那一?|[这那][家部位座本首款届])(?:{_ZH_KINDS})"
    r"|贵(?:公司|集团|企业|机构|校|院|国|方)"
    rf"|(?:[我你您他她它]们?的?|其)(?:{_ZH_KIN})"
)
# English pronouns are told by their case: US is a country and IT a trade; "the firm" points, "The Firm" is a
# novel. Object forms never open a sentence, so "Us" is a name and "us" a pronoun.
_EN = regex.compile(
    r"(?:I|me|mine|myself|[Yy]ou|yours|yourself|[Hh]e|him|himself|[Ss]he|her|hers|herself|[Ii]t|itself|"
    r"[Ww]e|us|ours|ourselves|[Tt]hey|them|theirs|themselves|who|whom|which|[Tt]h(?:is|at|ese|ose)|"
    r"[Hh]is|[Hh]er|[Ii]ts|[Tt]heir|[Mm]y|[Yy]our|[Oo]ur|[Tt]he (?:former|latter|same)|[Oo]ne|[Bb]oth|[Ee]ach other|"
    r"(?:[Tt]he|[Tt]his|[Tt]hat|[Tt]hese|[Tt]hose|[Hh]is|[Hh]er|[Ii]ts|[Tt]heir|[Oo]ur|[Mm]y|[Yy]our) "
    r"(?:company|firm|corporation|group|organi[sz]ation|bank|brand|agency|film|movie|series|show|episode|book|novel|"
    r"story|work|album|song|single|game|magazine|newspaper|school|university|college|institute|hospital|museum|"
    r"country|city|town|village|county|state|province|region|area|island|man|woman|author|writer|director|actor|"
    r"actress|singer|artist|player|team|club|band|party|project|product|award|couple|father|mother|wife|husband|"
    r"son|daughter|brother|sister))"
)


def is_pronoun(surface: str) -> bool:
    """Whether an argument is a pronoun or a pointing phrase (他, 該公司, 本片, it, the company, his wife)."""
    if _zh().fullmatch(comparison_key(surface)):
        return True
    return _EN.fullmatch(" ".join(unicodedata.normalize("NFKC", visible(surface)).split())) is not None


@cache
def _zh() -> regex.Pattern[str]:
    # In the forms of a key, which are not all those of Simplified text.
    return regex.compile(comparison_key(_ZH))
