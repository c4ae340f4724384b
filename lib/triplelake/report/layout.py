"""Where the nodes of a small graph stand: each connected part by springs, the parts beside one another."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import networkx as nx

WIDTH = 1000.0
"""Units of the drawing; its height comes out of the layout."""

_MARGIN = 60.0
_ROOM = 150.0
"""Side of the square that one node has, in the same units."""


def layout(edges: Iterable[tuple[str, str]]) -> tuple[Mapping[str, tuple[float, float]], float]:
    """Places of the nodes, and the height of the drawing. The same graph stands the same way each time."""
    graph = nx.Graph()
    graph.add_edges_from(edges)
    places: dict[str, tuple[float, float]] = {}
    left = top = height = 0.0
    parts = sorted(nx.connected_components(graph), key=lambda part: (-len(part), min(part)))
    for part in parts:
        wide = min(WIDTH, _ROOM * max(1.6, 1.25 * math.sqrt(len(part))))
        high = _ROOM * max(0.75, 0.7 * math.sqrt(len(part)))
        if left and left + wide > WIDTH:
            left, top, height = 0.0, top + height, 0.0
        for node, (x, y) in _springs(graph.subgraph(part)).items():
            places[node] = (left + _MARGIN + x * (wide - 2 * _MARGIN), top + 30 + y * (high - 60))
        left += wide
        height = max(height, high)
    return places, top + height


def _springs(part: nx.Graph) -> Mapping[str, tuple[float, float]]:
    """Places from 0 to 1 in both directions."""
    if len(part) == 2:
        first, second = sorted(part)
        return {first: (0.0, 0.25), second: (1.0, 0.75)}
    # A subgraph names its nodes in the order of a set, which differs from process to process. The springs start by that
    # order.
    ordered = nx.Graph()
    ordered.add_nodes_from(sorted(part))
    ordered.add_edges_from(part.edges)
    found = nx.spring_layout(ordered, seed=1, iterations=200, k=1.6 / math.sqrt(len(part)))
    xs, ys = ([float(place[axis]) for place in found.values()] for axis in (0, 1))
    return {node: (_share(float(place[0]), xs), _share(float(place[1]), ys)) for node, place in sorted(found.items())}


def _share(value: float, values: list[float]) -> float:
    low, high = min(values), max(values)
    return (value - low) / (high - low) if high > low else 0.5
