"""Launches as a stack's documents group them: alone, or a prefill pool with its decode pool."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from planner.deploy.launch import Launch, PoolRole


@dataclass(frozen=True, slots=True)
class Served:
    """What one document serves: ``main`` answers, ``prefill`` reads the prompts where it is separate."""

    name: str
    main: Launch
    prefill: Launch | None = None


def served(launches: Iterable[Launch]) -> Iterator[Served]:
    """Each launch alone, or both pools of a unit together; pools follow each other in a plan."""
    waiting: Launch | None = None
    for launch in launches:
        if launch.pool is PoolRole.PREFILL:
            waiting = launch
        elif launch.pool is PoolRole.DECODE:
            yield Served(launch.name.removesuffix(f"-{launch.pool.value}"), launch, waiting)
        else:
            yield Served(launch.name, launch)
