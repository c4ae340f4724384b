"""Quantiles of Student's t distribution, which no package of the core has."""

from __future__ import annotations

from functools import cache
from math import cos, pi, sin, sqrt, tan
from statistics import NormalDist

_LARGE = 100
"""From so many degrees of freedom on the first terms of the expansion are exact to six digits."""


@cache
def two_sided(level: float, degrees: int) -> float:
    """How many standard errors hold `level` of the distribution with so many degrees of freedom, both sides together.

    Raises:
        ValueError: fewer than one degree of freedom.
    """
    if degrees < 1:
        raise ValueError(f"{degrees} degrees of freedom")
    if degrees >= _LARGE:
        z = NormalDist().inv_cdf((1 + level) / 2)
        # Abramowitz and Stegun 26.7.5
        return z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)
    low, high = 0.0, pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _held(middle, degrees) < level else (low, middle)
    return tan(low) * sqrt(degrees)


def _held(angle: float, degrees: int) -> float:
    """What lies within `tan(angle) * sqrt(degrees)` on both sides (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    odd = degrees % 2
    term = total = cos(angle) if odd else 1.0
    for factor in range(3 if odd else 2, degrees - 1, 2):
        term *= cos(angle) ** 2 * (factor - 1) / factor
        total += term
    if not odd:
        return sin(angle) * total
    return 2 / pi * (angle + (sin(angle) * total if degrees > 1 else 0.0))
