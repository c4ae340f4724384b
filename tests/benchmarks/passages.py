"""Made-up Chinese passages of any number and length: no two alike, and full of words that a fake server can relate."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

_FAMILIES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜"
_GIVEN = "若兰文秀子安景行怀瑾思远明哲清扬雨桐嘉树"
_PLACES = ("临川", "青浦", "云州", "洛阳", "金陵", "武陵", "沧州", "渔阳", "高邮", "会稽", "襄阳", "永嘉")
_FRAMES = (
    "{person}生于{place}城，早年跟着{other}学画。",
    "{person}在{place}开了一家书店，店里有{number}种旧书。",
    "{other}是{person}的同学，后来去了{place}教书。",
    "{number}年前{person}写过一本讲{place}的小书，{other}为它作序。",
    "{person}和{other}在{place}住了{number}年，那里的人都认得他们。",
)


def passage(number: int, characters: int) -> str:
    """The passage of a number: whole sentences, cut at `characters`."""
    chance = random.Random(number)
    text = f"这是第{number}篇。"
    while len(text) < characters:
        text += chance.choice(_FRAMES).format(
            person=_name(chance), other=_name(chance), place=chance.choice(_PLACES), number=chance.randint(2, 90)
        )
    return text[:characters]


def write_corpus(file: Path, numbers: range, characters: int) -> Path:
    """Write the passages of some numbers as JSON Lines, a document each."""
    with file.open("w", encoding="utf-8") as out:
        for number in numbers:
            out.write(json.dumps({"id": f"p{number}", "text": passage(number, characters)}, ensure_ascii=False) + "\n")
    return file


def passages(count: int, characters: int) -> Iterator[str]:
    """The first `count` passages."""
    return (passage(number, characters) for number in range(count))


def _name(chance: random.Random) -> str:
    given = chance.randrange(0, len(_GIVEN), 2)
    return chance.choice(_FAMILIES) + _GIVEN[given : given + 2]
