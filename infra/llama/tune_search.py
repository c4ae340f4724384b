"""What tune.py tries, and in which order: one pass over the axes, each value with the best of what was found so far.

Runs on the hosts, so it needs Python 3.10 and its standard library only.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tune_trial import NONE, Result, Setup

GAIN = 1.02
"""Two trials of the same setup differ by about a percent."""

# In the order of what they decide. On a CPU the cores are what is short, so that a few slots fill them.
SLOTS = {"gpu": (8, 16, 32, 64, 96, 128), "cpu": (1, 2, 4, 8)}
ENGINES = ("llguidance", "gbnf")
LAYOUTS = ("split", "unified")
KV_TYPES = ("q8_0", "f16")
BATCHES = ((2048, 512), (2048, 1024), (2048, 2048), (4096, 2048))
DEFAULTS = {
    "gpu": Setup(32, "split", "q8_0", 2048, 1024, 1, "llguidance"),
    "cpu": Setup(4, "split", "f16", 2048, 512, 1, "llguidance"),
}


@dataclass(frozen=True)
class Axis:
    """One thing to try.

    Args:
        setups: those that it makes of one.
        settings: of serve.sh that it sets.
    """

    name: str
    setups: Callable[[Setup], Iterator[Setup]]
    settings: tuple[str, ...] = ()


def search(start: Setup, axes: Sequence[Axis], measure: Callable[[Setup], Result]) -> Result:
    """The best that one pass over the axes finds; what was tried once is not tried again."""
    known: dict[Setup, Result] = {}

    def once(setup: Setup) -> Result:
        if setup not in known:
            known[setup] = measure(setup)
        return known[setup]

    best = once(start)
    for axis in axes:
        for setup in list(axis.setups(best.setup)):
            found = once(setup)
            # What no grammar gives is for comparison: the job never asks without one.
            if setup.engine != NONE and found.per_s > GAIN * best.per_s:
                best = found
    return best


def axes(device: str, fixed: Mapping[str, str], options: argparse.Namespace) -> list[Axis]:
    """What is tried, in this order; what the host's own settings say is not tried, since they are stronger."""

    def slots(setup: Setup) -> Iterator[Setup]:
        for count in options.slots or SLOTS[device]:
            yield replace(setup, slots=max(1, count // setup.servers))

    def servers(setup: Setup) -> Iterator[Setup]:
        for count in options.servers or [setup.servers]:
            yield replace(setup, servers=count, slots=max(1, setup.slots * setup.servers // count))

    def grammar(setup: Setup) -> Iterator[Setup]:
        return (replace(setup, engine=engine) for engine in options.grammar)

    def layout(setup: Setup) -> Iterator[Setup]:
        return (replace(setup, kv_layout=each) for each in options.kv_layout)

    def kv_type(setup: Setup) -> Iterator[Setup]:
        return (replace(setup, kv_type=each) for each in options.kv_type)

    def batches(setup: Setup) -> Iterator[Setup]:
        return (replace(setup, batch=size, ubatch=part) for size, part in options.batch)

    found = (
        Axis("slots", slots, ("SERVE_SLOTS",)),
        Axis("grammar", grammar),
        Axis("KV type", kv_type, ("SERVE_KV_TYPE",)),
        Axis("KV layout", layout, ("SERVE_KV_LAYOUT",)),
        Axis("batch", batches, ("SERVE_BATCH", "SERVE_UBATCH")),
        Axis("servers", servers),
    )
    return [axis for axis in found if not any(name in fixed for name in axis.settings)]


def start_setup(device: str, fixed: Mapping[str, str], options: argparse.Namespace) -> Setup:
    """What serve.sh does where nothing was tuned, on as many servers as the host has."""
    default = DEFAULTS[device]
    engine = default.engine if default.engine in options.grammar else options.grammar[0]
    return replace(
        default,
        slots=int(fixed.get("SERVE_SLOTS", default.slots)),
        kv_layout=fixed.get("SERVE_KV_LAYOUT", default.kv_layout),
        kv_type=fixed.get("SERVE_KV_TYPE", default.kv_type),
        batch=int(fixed.get("SERVE_BATCH", default.batch)),
        ubatch=int(fixed.get("SERVE_UBATCH", default.ubatch)),
        servers=int(fixed.get("SERVE_SERVERS_PER_GPU", default.servers)),
        engine=engine,
    )
