"""The state of a simulated fleet at even steps of time."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as Many

from planner.serving.simulation.timed_replica import TimedReplica

SERIES_POINTS = 600
LEAST_STEP_S = 1e-3

Sample = tuple[float, float, float, float]


class Sampler:
    """Samples of (time [s], sequences running, waiting, share of the pools in use).

    ``every_s``: between two, of which ``span_s`` has SERIES_POINTS; ``next_s``: when the next is due.
    """

    def __init__(self, replicas: Many[TimedReplica], span_s: float) -> None:
        self.samples: list[Sample] = []
        self.every_s = max(span_s / SERIES_POINTS, LEAST_STEP_S) if span_s > 0 else 1.0
        self.next_s = 0.0
        self._replicas = replicas
        self._pool_units = sum(r.core.pool_blocks for r in replicas)

    def sample(self, now_s: float) -> None:
        """Take every sample that is due by now."""
        while self.next_s <= now_s:
            running = sum(r.core.running for r in self._replicas)
            waiting = sum(len(r.core.waiting) for r in self._replicas)
            used = sum(r.core.used_blocks for r in self._replicas)
            self.samples.append((self.next_s, running, waiting, used / self._pool_units))
            self.next_s += self.every_s

    def taken(self, rows: Iterable[Many[float]]) -> None:
        """Keep samples that the compiled core took: time, running, waiting, blocks of each replica."""
        self.samples = [
            (at_s, running, waiting, sum(used) / self._pool_units)
            for at_s, running, waiting, *used in rows
        ]
