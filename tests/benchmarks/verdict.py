"""What a benchmark that kills has shown: one line per check."""

from __future__ import annotations

from collections.abc import Callable, Mapping


def passes(check: Callable[[], object]) -> bool:
    """Whether the assertions of a check hold; the one that does not is printed."""
    try:
        check()
    except AssertionError as error:
        print(error)
        return False
    return True


def print_checks(checks: Mapping[str, bool]) -> int:
    """Print what holds and what does not; the exit code, which is 1 if anything does not."""
    for name, good in checks.items():
        print(f"  {'yes' if good else 'NO ':4}{name}")
    return 0 if all(checks.values()) else 1
