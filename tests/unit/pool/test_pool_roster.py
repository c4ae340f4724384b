"""A pool file that changes while a run goes on: who joins, who leaves, who is refused, and what is said of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

# Test modules have unique names instead of packages, so what they share is found by its folder.
sys.path.insert(0, str(Path(__file__).parents[2]))

from fake.faults import rule
from fake.pool import FakePool

from triplelake.errors import PoolError
from triplelake.pool.endpoints import Endpoint, load_pool
from triplelake.pool.roster import Roster
from triplelake.pool.survey import Away, Survey, survey


@dataclass
class Watched:
    """A pool file over fake servers: the first two are of one model, the third is of another."""

    file: Path
    pool: FakePool
    said: list[str] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.name(0)
        first = survey(self.read(), wanted_grammar="auto", timeout_s=20)
        self.roster = self.over(first)

    def over(self, first: Survey) -> Roster:
        return Roster(first, self.read, self.said.append, clock=lambda: self.now, sleep=self.slept.append)

    def read(self) -> tuple[Endpoint, ...]:
        return load_pool(str(self.file), None)

    def name(self, *numbers: int, slots: int | None = None) -> None:
        limit = f", slots: {slots}" if slots else ""
        entries = [f"  - {{url: '{self.pool.urls[number]}'{limit}}}" for number in numbers]
        self.file.write_text("endpoints:\n" + "\n".join(entries) + "\n", encoding="utf-8")

    def urls(self) -> list[str]:
        return [endpoint.url for endpoint in self.roster.look()]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with FakePool(servers=3, each={2: {"alias": "other@1"}}, slots=4) as pool:
        yield Watched(tmp_path / "pool.yaml", pool)


def test_a_server_joins_and_one_leaves(watched: Watched) -> None:
    one, two, _ = watched.pool.urls
    assert watched.urls() == [one]
    watched.name(0, 1)
    assert [(each.url, each.slots) for each in watched.roster.look()] == [(one, 4), (two, 4)]
    watched.name(1)
    assert watched.urls() == [two]
    assert watched.urls() == [two]
    assert watched.said == [f"{two} joins with 4 slots", f"{one} gets nothing new"]


def test_a_server_of_another_model_is_refused_and_said_once(watched: Watched) -> None:
    one, _, other = watched.pool.urls
    watched.name(0, 2)
    assert watched.urls() == [one]
    assert watched.urls() == [one]
    [said] = watched.said
    assert said.startswith(f"{other} serves another model: other@1") and said.endswith("it is not used")


def test_a_server_that_is_not_ready_joins_when_it_is(watched: Watched) -> None:
    one, two, _ = watched.pool.urls
    watched.pool.script(rule("loading", name="load"), server=1)
    watched.name(0, 1)
    assert watched.urls() == [one]
    watched.pool.release("load", server=1)
    assert watched.urls() == [one, two]
    assert watched.said == [f"{two} is still loading its model: it is not used", f"{two} joins with 4 slots"]


def test_another_number_of_slots_is_taken(watched: Watched) -> None:
    watched.name(0, slots=2)
    assert [each.slots for each in watched.roster.look()] == [2]


def test_a_file_that_cannot_be_used_changes_nothing(watched: Watched) -> None:
    one, _, _ = watched.pool.urls
    watched.file.write_text("endpoints: [", encoding="utf-8")
    assert watched.urls() == [one]
    watched.file.unlink()
    assert watched.urls() == [one]
    watched.name(2)
    assert watched.urls() == [one]
    assert len(watched.said) == 4
    assert watched.said[-1] == "no server of the changed pool file can be used: the old ones go on"


def test_a_pool_without_a_file_stays_as_it_is(watched: Watched) -> None:
    roster = Roster(survey(watched.read(), wanted_grammar="auto", timeout_s=20), None, watched.said.append)
    assert roster.look() == roster.endpoints == watched.roster.endpoints


def test_a_server_that_was_down_at_the_start_joins_when_it_is_there_and_like_the_others(watched: Watched) -> None:
    one, two, _ = watched.pool.urls
    watched.name(0, 1)
    watched.pool.script(rule("refuse", name="down"), server=1)
    first = survey(watched.read(), wanted_grammar="auto", timeout_s=20)
    assert [each.endpoint.url for each in first.away] == [two]
    watched.roster = watched.over(first)
    assert watched.urls() == [one]
    watched.pool.release(server=1)
    watched.pool.wait("state", equals="up", server=1)
    # It is not looked at before its pause is over.
    assert watched.urls() == [one]
    watched.now = 5.0
    assert watched.urls() == [one, two]
    assert [line.partition(" ")[0] for line in watched.said] == [two, two]
    assert watched.said[-1] == f"{two} joins with 4 slots"


def test_work_that_came_back_sets_aside_who_is_dead_and_goes_on_with_the_others(watched: Watched) -> None:
    one, two, _ = watched.pool.urls
    watched.name(0, 1)
    assert watched.urls() == [one, two]
    watched.said.clear()
    watched.pool.script(rule("refuse", name="down"), server=0)
    watched.roster.recheck()
    assert [each.url for each in watched.roster.endpoints] == [two]
    [said] = watched.said
    assert said.startswith(f"{one} cannot be reached (") and said.endswith("it gets nothing new until it can be used")
    watched.pool.release("down", server=0)
    watched.pool.wait("state", equals="up", server=0)
    assert watched.urls() == [one, two]


def test_only_where_none_is_left_the_run_ends(watched: Watched) -> None:
    one, two, _ = watched.pool.urls
    watched.name(0, 1)
    assert watched.urls() == [one, two]
    watched.pool.script(rule("refuse", name="down"))
    with pytest.raises(PoolError, match="cannot be reached") as caught:
        watched.roster.recheck()
    assert caught.value.subject == one and watched.slept == [1.0, 1.0]
    # Those that were set aside before are asked too, before all is given up.
    watched.pool.release("down", server=1)
    watched.pool.wait("state", equals="up", server=1)
    watched.roster.recheck()
    assert [each.url for each in watched.roster.endpoints] == [two]


def test_what_is_said_to_change_is_told_to_whom_it_concerns(watched: Watched) -> None:
    one, two, _ = watched.pool.urls
    told: list[list[str]] = []
    first = survey(load_pool(watched.pool.setting.rpartition(",")[0], None), wanted_grammar="auto", timeout_s=20)
    roster = Roster(first, None, watched.said.append, lambda now: told.append([each.url for each in now]))
    roster.set_aside([Away(first.endpoints[0], PoolError(one, "is down"))])
    roster.look()
    assert told == [[two], [one, two]]
