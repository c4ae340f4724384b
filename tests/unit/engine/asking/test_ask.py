"""How a run asks: as many tasks as the pool and Spark have room for, and what its first answers lead to."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from triplelake.config import Settings, load_settings
from triplelake.engine.asking import first_answers
from triplelake.engine.asking.ask import Asking
from triplelake.engine.asking.budget import Budget
from triplelake.engine.asking.tally import Tally
from triplelake.errors import TooManyFailures
from triplelake.pool.endpoints import Endpoint

SUSPICIOUS = Tally(answered=200, empty=190)


def settings(**given: Any) -> Settings:
    return load_settings(None, {name.replace("__", "."): value for name, value in given.items()}, {})


def asking(chosen: Settings, cores: int = 8) -> Asking:
    """Over a Spark that is its number of cores, and no tables."""
    spark = SimpleNamespace(sparkContext=SimpleNamespace(defaultParallelism=cores, master="local[8]"))
    store = SimpleNamespace(spark=spark, output="kg")
    opened = SimpleNamespace(key="the key", method="the method", survey=SimpleNamespace(endpoints=()))
    console = Console(file=io.StringIO(), width=200)
    return Asking(chosen, cast(Any, opened), cast(Any, store), console, "plan", "run", Budget())


def servers(count: int, slots: int) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(f"http://{number}", slots=slots) for number in range(count))


@pytest.mark.parametrize(
    ("count", "slots", "cores", "lanes", "tasks"),
    [
        (1, 8, 8, 2, 1),  # one task fills so few slots
        (4, 64, 8, 2, 4),  # 4 * 70 requests, and no lane takes more than its half of the cores
        (4, 64, 64, 2, 5),
        (4, 64, 8, 1, 5),
        (4, 64, 1, 2, 1),
    ],
)
def test_as_few_tasks_as_fill_the_servers_beside_the_other_lanes(
    count: int, slots: int, cores: int, lanes: int, tasks: int
) -> None:
    fleet = asking(settings(run__lanes=lanes), cores)._fleet(servers(count, slots))
    assert (fleet.tasks, fleet.slots, fleet.endpoints) == (tasks, count * slots, servers(count, slots))


def test_the_lanes_share_the_limits_of_rate() -> None:
    fleet = asking(settings(run__lanes=2, asking__requests_per_s=8.0, asking__tokens_per_s=100.0))._fleet(servers(2, 4))
    shares = fleet.share(2)
    assert [share.requests_per_s for share in shares] == [2.0, 2.0]
    assert [share.tokens_per_s for share in shares] == [25.0, 25.0]


def test_a_pool_file_is_read_again_and_an_embedded_server_stays(tmp_path: Path) -> None:
    file = tmp_path / "pool.yaml"
    file.write_text("endpoints: [{url: 'http://a:1'}]")
    named = asking(settings(pool=str(file)))._named
    assert named is not None and [each.url for each in named()] == ["http://a:1"]
    file.write_text("endpoints: [{url: 'http://a:1'}, {url: 'http://b:2'}]")
    assert [each.url for each in named()] == ["http://a:1", "http://b:2"]
    assert asking(settings())._named is None


def test_what_a_task_must_know() -> None:
    chosen = settings(asking__tries=3)
    template = asking(chosen)._template(None)
    assert (template.plan_id, template.key) == ("plan", "the key")
    assert cast(object, template.method) == "the method"
    assert template.asking is chosen.asking and template.desk is None


def test_without_a_desk_there_is_no_server_for_it() -> None:
    with asking(settings(run__desk=False))._desk() as server:
        assert server is None
    with asking(settings())._desk() as server:
        assert server is not None and asking(settings())._template(server).desk == server.address


def test_first_answers_that_look_wrong_are_told_and_end_the_run_where_that_is_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(first_answers, "_some", lambda *_: ())
    warns, stops = asking(settings()), asking(settings(run__on_suspicious="stop"))
    warns._judge(SUSPICIOUS)
    with pytest.raises(TooManyFailures):
        stops._judge(SUSPICIOUS)
    for each in (warns, stops):
        assert "95% of the first 200 answers are empty" in cast(io.StringIO, each.console.file).getvalue()
    calm = asking(settings(run__on_suspicious="stop"))
    calm._judge(Tally(answered=200))
    assert cast(io.StringIO, calm.console.file).getvalue() == ""
