"""What records are like inside: which columns, objects and lists they have, and where there is text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import islice

from triplelake.corpus.paths import cuts
from triplelake.corpus.records import kind

__all__ = ["LIST", "OBJECT", "TEXT", "Each", "Shape", "Way", "shape_of", "ways"]

TEXT, LIST, OBJECT = "text", "a list", "an object"

_FIELDS, _ITEMS, _DEPTH = 1000, 50, 24  # of a value are looked at
_MANY = 20  # texts of one object, from which its names are taken for keys, not for columns


class Each(Enum):
    """A step into all of many: the items of a list, or the values of an object whose keys name things."""

    ITEM = "item"
    VALUE = "value"


@dataclass
class Shape:
    """The values that were met at one place.

    Args:
        kinds: how many of each kind, in a person's words.
        chars: of the texts among them, in all; addresses left out.
        fields: of the objects.
        items: of the lists.
        values: of maps, whatever their keys.
        certain: the kinds are those of a declared type; other values are not to come.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    chars: int = 0
    fields: dict[str, Shape] = field(default_factory=dict)
    items: Shape | None = None
    values: Shape | None = None
    certain: bool = False

    @property
    def is_no_text(self) -> bool:
        """Whether what was seen says that there is no text: things that others are in, or a type that is another."""
        return self.is_container or (self.certain and TEXT not in self.kinds)

    @property
    def is_container(self) -> bool:
        """Whether there are values, and none of them is text, since all are something that others are in."""
        kinds = self.kinds.keys() - {"null"}
        return bool(kinds) and kinds <= {LIST, OBJECT}

    def add(self, value: object, depth: int = 0) -> None:
        """One more value, `depth` levels inside its record."""
        self.kinds[kind(value)] += 1
        if isinstance(value, str):
            self.chars += 0 if "://" in value[:10] else len(value)
        if depth == _DEPTH:
            return
        if isinstance(value, Mapping):
            for name, inner in islice(value.items(), _FIELDS):
                self.fields.setdefault(str(name), Shape()).add(inner, depth + 1)
        elif isinstance(value, list):
            self.items = self.items or Shape()
            for item in value[:_ITEMS]:
                self.items.add(item, depth + 1)

    def find(self, name: str) -> Shape | None:
        """What is under a name, found as `paths.look_up` does."""
        if name in self.fields:
            return self.fields[name]
        if self.values is not None:
            return self.values
        inner = (self.fields[first].find(rest) for first, rest in cuts(name) if first in self.fields)
        return next((shape for shape in inner if shape is not None), None)

    def merge(self, other: Shape) -> None:
        """As if the values of `other` had been added."""
        self.kinds += other.kinds
        self.chars += other.chars
        for name, shape in other.fields.items():
            self.fields.setdefault(name, Shape()).merge(shape)
        if other.items is not None:
            self.items = self.items or Shape()
            self.items.merge(other.items)


@dataclass(frozen=True)
class Way:
    """A way from a record to a scalar value.

    Args:
        steps: names, and `Each` where one record holds many.
        is_text: there is text at its end.
        chars: of such a text, in the mean.
        gaps: the steps into many that are not there in each record, or not of that kind.
        mixed: the steps into many of which some are objects, with names, and others are not.
        unlike: the steps into lists where there are objects, too, and those into objects where there are lists.
        is_speech: the last list is of what speakers say in turn.
    """

    steps: tuple[str | Each, ...]
    is_text: bool
    chars: float
    gaps: frozenset[int] = frozenset()
    mixed: frozenset[int] = frozenset()
    unlike: frozenset[int] = frozenset()
    is_speech: bool = False

    @property
    def path(self) -> str | None:
        """The name with dots that leads there; None where a list or a keyed object is on the way."""
        return ".".join(self.names) if len(self.names) == len(self.steps) else None

    @property
    def names(self) -> tuple[str, ...]:
        """The names on the way."""
        return tuple(step for step in self.steps if isinstance(step, str))


def shape_of(records: Iterable[Mapping[str, object]]) -> Shape:
    """The shape of records, itself that of an object."""
    shape = Shape()
    for record in records:
        shape.add(record)
    return shape


def ways(shape: Shape) -> list[Way]:
    """All ways from a record to scalar values, in the order met."""
    return list(_ways(shape, Way((), is_text=False, chars=0.0), loose=False))


_SPEAKERS = frozenset({"role", "from", "speaker", "author"})


def _ways(shape: Shape, so_far: Way, *, loose: bool) -> Iterator[Way]:
    """The ways that go on from `so_far`; `loose`: since the last step into many, not each value was as the next."""
    texts = shape.kinds[TEXT]
    if shape.kinds.keys() - {LIST, OBJECT, "null"}:
        yield replace(so_far, is_text=texts > 0, chars=shape.chars / texts if texts else 0.0)
    objects = shape.kinds[OBJECT]
    steps, here = so_far.steps, frozenset({len(so_far.steps)})
    unlike = so_far.unlike | here if objects and shape.kinds[LIST] else so_far.unlike
    if (values := _keyed(shape)) is not None:
        gaps = so_far.gaps | here if loose or _others(shape, OBJECT) else so_far.gaps
        mixed = so_far.mixed | here if _others(values, OBJECT) else so_far.mixed
        yield from _ways(values, Way((*steps, Each.VALUE), False, 0.0, gaps, mixed, unlike), loose=False)
    else:
        for name, inner in shape.fields.items():
            lacking = _others(shape, OBJECT) or inner.kinds.total() < objects
            yield from _ways(inner, replace(so_far, steps=(*steps, name)), loose=loose or lacking)
    if (items := shape.items) is not None:
        gaps = so_far.gaps | here if loose or _others(shape, LIST) else so_far.gaps
        mixed = so_far.mixed | here if _others(items, OBJECT) else so_far.mixed
        spoken = any(TEXT in inner.kinds for name, inner in items.fields.items() if name.lower() in _SPEAKERS)
        yield from _ways(items, Way((*steps, Each.ITEM), False, 0.0, gaps, mixed, unlike, spoken), loose=False)


def _others(shape: Shape, wanted: str) -> bool:
    return shape.kinds[wanted] < shape.kinds.total()


def _keyed(shape: Shape) -> Shape | None:
    """What the values of an object are like whose keys are no columns but name things: alike, and seldom met twice."""
    inner = list(shape.fields.values())
    objects = shape.kinds[OBJECT]
    if len(inner) >= _MANY and objects == 1 and all(each.kinds.keys() == {TEXT} for each in inner):
        return _merged(inner)
    if len(inner) < 2 or not all(each.is_container for each in inner):
        return None
    if objects > 1 and 2 * max(each.kinds.total() for each in inner) > objects:
        return None
    common = frozenset.intersection(*(_text_steps(each) for each in inner))
    return _merged(inner) if common else None


def _merged(shapes: Iterable[Shape]) -> Shape:
    merged = Shape()
    for each in shapes:
        merged.merge(each)
    return merged


def _text_steps(shape: Shape) -> frozenset[tuple[str | Each, ...]]:
    """The ways to text, no object of them taken for keyed: that would look at all below it again at each level."""
    found: set[tuple[str | Each, ...]] = {()} if TEXT in shape.kinds else set()
    for name, inner in shape.fields.items():
        found |= {(name, *steps) for steps in _text_steps(inner)}
    if shape.items is not None:
        found |= {(Each.ITEM, *steps) for steps in _text_steps(shape.items)}
    return frozenset(found)
