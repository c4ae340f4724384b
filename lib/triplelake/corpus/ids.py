"""Which columns tell documents apart where the id column does not: told to a person whose ids repeat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from triplelake.corpus.records import Columns, id_of

Fields = Mapping[str, object]


def better_id(records: Sequence[Fields], columns: Columns) -> tuple[str, ...] | None:
    """The columns that may be the id, by a sample in which the present one repeats; None where it shows none.

    One more column beside the present ones, of those that would do the one with the fewest values: a page's number
    rather than a time of change. Where all of them differ in every record, the first of them alone.

    Args:
        records: the fields of some records.
        columns: the columns chosen, with the id.
    """
    ids = [each for each in (id_of(record, columns.id) for record in records) if each is not None]
    if len(set(ids)) == len(ids):
        return None
    taken = {*columns.id, columns.text, columns.title}
    names = [name for name in dict.fromkeys(name for record in records for name in record) if name not in taken]
    found = []
    for name in names:
        alone = [id_of(record, (name,)) for record in records]
        together = [id_of(record, (*columns.id, name)) for record in records]
        if None not in together and len(set(together)) == len(records):
            found.append((len(set(alone)), name))
    if not found:
        return None
    values, name = min(found, key=lambda each: each[0])
    return (name,) if values == len(records) else (*columns.id, name)
