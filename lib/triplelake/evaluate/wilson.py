"""Intervals of shares that were counted on single cases."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

from triplelake.evaluate.bootstrap import Interval


def wilson(right: int, of: int, *, level: float = 0.95) -> Interval | None:
    """A share with its score interval (Wilson 1927), which is honest for few cases and near 0 and 1; None of none."""
    if not of:
        return None
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = right / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    # At 0 and 1 a bound is the share itself, but for the last bit.
    return Interval(share, max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half)))


def newcombe(one: Interval, other: Interval) -> Interval:
    """What one share has over another that was counted on other cases, from their score intervals (Newcombe 1998)."""
    gain = one.value - other.value
    low = sqrt((one.value - one.low) ** 2 + (other.high - other.value) ** 2)
    high = sqrt((one.high - one.value) ** 2 + (other.value - other.low) ** 2)
    return Interval(gain, gain - low, gain + high)
