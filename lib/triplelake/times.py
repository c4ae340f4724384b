"""Durations and times of day as people write them in settings."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?) ?h)? ?(?:(\d+) ?m(?:in)?)? ?(?:(\d+) ?s)?")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?: +(\S+))?")


def seconds_of(text: str) -> float:
    """The seconds of `2h`, `90 min`, `1h 30m` or `45s`.

    Raises:
        ValueError: it is no such text, or no time at all.
    """
    found = _DURATION.fullmatch(text.strip())
    parts = found.groups(default="0") if found else ()
    seconds = sum(float(part) * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    if not seconds:
        raise ValueError("must be a duration with its unit, like 2h, 90 min or 1h 30m")
    return seconds


def read_clock(text: str) -> tuple[time, ZoneInfo | None]:
    """The time of day and the zone of `06:00` or `06:00 Asia/Shanghai`; None for the zone of this machine.

    Raises:
        ValueError: it is no such text, or there is no such zone.
    """
    found = _CLOCK.fullmatch(text.strip())
    if not found:
        raise ValueError("must be a time of day, like 06:00 or 06:00 Asia/Shanghai")
    hour, minute, zone = found.groups()
    try:
        clock = time(int(hour), int(minute))
    except ValueError:
        raise ValueError("must be a time of day from 00:00 to 23:59") from None
    if zone is None:
        return clock, None
    try:
        return clock, ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"names no time zone: {zone} is none; Asia/Shanghai and UTC are") from None


def next_at(text: str, now: datetime) -> datetime:
    """When it will be that time of day next.

    Args:
        text: as `read_clock` takes it.
        now: with its zone.

    Returns:
        Later than `now`, in UTC. A time that a clock skips on that day is as much later as the clock is put forward.
    """
    clock, zone = read_clock(text)

    def on(days: int) -> datetime:
        day = now.astimezone(zone).date() + timedelta(days=days)
        # Without a zone a date and a time are those of this machine, by the rules of that day.
        return datetime.combine(day, clock, tzinfo=zone).astimezone(UTC)

    return next(found for found in map(on, range(3)) if found > now)
