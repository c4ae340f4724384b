"""Durations and times of day as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triplelake.times import next_at, read_clock, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2h", 7200), ("90 min", 5400), ("90m", 5400), ("1h 30m", 5400), ("1h30m", 5400), ("45s", 45), ("1.5h", 5400)],
)
def test_a_duration_has_units(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "90", "0h", "2 days", "30m 1h", "-2h", "1:30", "h"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="with its unit, like 2h"):
        seconds_of(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("6", "like 06:00"), ("24:00", "from 00:00"), ("6:60", "from 00:00"), ("06:00 Shanghai", "Shanghai is none")],
)
def test_what_is_no_time_of_day_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_clock(text)


@pytest.mark.parametrize(
    ("text", "now", "found"),
    [
        ("06:00 UTC", "2026-11-28T22:00+00:00", "2026-11-29T06:00+00:00"),
        ("06:00 UTC", "2026-11-28T05:59+00:00", "2026-11-28T06:00+00:00"),
        ("06:00 UTC", "2026-11-28T06:00+00:00", "2026-11-29T06:00+00:00"),
        ("06:00 Asia/Shanghai", "2026-11-28T21:00+00:00", "2026-11-28T22:00+00:00"),
        ("6:05 Asia/Shanghai", "2026-11-28T23:00+00:00", "2026-11-29T22:05+00:00"),
        # The night in which a clock goes back has an hour more.
        ("06:00 Europe/Berlin", "2026-10-24T20:00+00:00", "2026-10-25T05:00+00:00"),
        # At the one in which it goes forward this time is none: it is an hour later.
        ("02:30 Europe/Berlin", "2026-03-28T22:00+00:00", "2026-03-29T01:30+00:00"),
    ],
)
def test_the_next_time_of_day_is_by_the_clock_of_its_zone(text: str, now: str, found: str) -> None:
    assert next_at(text, datetime.fromisoformat(now)) == datetime.fromisoformat(found)


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    st.integers(0, 23),
    st.integers(0, 59),
    st.sampled_from(["", " UTC", " Asia/Shanghai", " America/New_York", " Australia/Lord_Howe"]),
)
def test_it_comes_within_a_day_and_shows_on_that_clock(now: datetime, hour: int, minute: int, zone: str) -> None:
    found = next_at(f"{hour:02}:{minute:02}{zone}", now)
    assert timedelta(0) < found - now <= timedelta(hours=25)
    shown = found.astimezone(ZoneInfo(zone.strip()) if zone else None)
    skipped = (shown - timedelta(hours=1)).utcoffset() != shown.utcoffset()
    assert (shown.hour, shown.minute) == (hour, minute) or skipped
