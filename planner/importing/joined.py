"""Samples of several files put together: one series for each counter of each server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from planner.importing.series import Series


def joined(series: Iterable[Series]) -> list[Series]:
    """``series`` with the points of one counter in one series, in order of time.

    Points with times are those of one server, whichever file they stand in (a day in two answers); of
    two at one time the later given counts. A dump of an engine's own ``/metrics`` says neither time nor
    server: the same name and labels again are another server's, numbered in the order they are given.
    """
    timed: dict[object, Series] = {}
    found: list[Series] = []
    seen: Counter[object] = Counter()
    for one in series:
        if any(time is None for time, _ in one.points):
            found.append(replace(one, server=seen[one.key]))
            seen[one.key] += 1
            continue
        other = timed.get(one.key)
        timed[one.key] = one if other is None else replace(one, points=(*other.points, *one.points))
    return [*(_in_order(one) for one in timed.values()), *found]


def unnamed_servers(series: Iterable[Series]) -> int:
    """How many servers only the order of their dumps distinguishes; 0 where labels name them."""
    most = max((one.server for one in series), default=0)
    return most + 1 if most else 0


def _in_order(one: Series) -> Series:
    at = {time: value for time, value in one.points if time is not None}
    return replace(one, points=tuple(sorted(at.items())))
