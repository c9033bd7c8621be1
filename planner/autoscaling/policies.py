"""How many replicas each policy wants, from what it can see.

- static: the plan's most, all the time.
- schedule: the plan's replicas of each hour.
- hpa: ``ceil(requests waiting / threshold)`` within bounds, as Kubernetes computes an AverageValue, with
  its tolerance, its limits on scaling up and the stabilisation window of scaling down.
- keda: the same over the hours of the schedule as a floor.
- llm-d: one replica more when the spare KV cache or queue of the mean replica falls below a trigger, one
  fewer when the rest would keep both above it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from planner.autoscaling.parameters import parameter

HOUR_S = 3600.0
HOURS = 24


@dataclass(frozen=True, slots=True)
class FleetView:
    """What an autoscaler sees at ``time_s``: replicas ready and in all, requests waiting, KV in use."""

    time_s: float
    ready: int
    replicas: int
    waiting: float
    kv_used_share: float


class ScalingPolicy(Protocol):
    """Says how many replicas it wants; called once each interval, in order of time."""

    def wants(self, view: FleetView) -> int:
        """Replicas wanted."""


@dataclass(frozen=True)
class Static:
    """The same number all the time."""

    replicas: int

    def wants(self, view: FleetView) -> int:
        """The number."""
        del view
        return self.replicas


@dataclass(frozen=True)
class Schedule:
    """``by_hour`` of the day; the next hour's already ``ahead_s`` before it, so that they are up."""

    by_hour: Sequence[int]
    ahead_s: float

    def wants(self, view: FleetView) -> int:
        """The most of this hour and of that which begins within ``ahead_s``."""
        hours = (view.time_s, view.time_s + self.ahead_s)
        return max(self.by_hour[int(at // HOUR_S) % HOURS] for at in hours)


@dataclass
class Queue:
    """Requests waiting over a threshold a replica, between ``least`` and ``most``."""

    root: Path
    threshold: float
    least: int
    most: int
    window_s: float
    floor: Schedule | None = None
    _recent: deque[tuple[float, int]] = field(default_factory=deque)

    def wants(self, view: FleetView) -> int:
        """The stabilised number, no lower than the floor of the hour."""
        bounded = min(self.most, max(self._lowest(view), self._raw(view)))
        self._recent.append((view.time_s, bounded))
        while self._recent[0][0] < view.time_s - self.window_s:
            self._recent.popleft()
        stable = max(bounded, min(view.replicas, max(n for _, n in self._recent)))
        return min(stable, self._fastest(view.replicas))

    def _lowest(self, view: FleetView) -> int:
        return max(self.least, self.floor.wants(view) if self.floor is not None else 0)

    def _raw(self, view: FleetView) -> int:
        now = max(1, view.replicas)
        ratio = view.waiting / (self.threshold * now)
        if abs(ratio - 1) <= parameter(self.root, "hpa", "tolerance"):
            return now
        return math.ceil(view.waiting / self.threshold)

    def _fastest(self, replicas: int) -> int:
        pods = parameter(self.root, "hpa", "up_pods")
        share = parameter(self.root, "hpa", "up_share")
        return replicas + int(max(pods, share * replicas))


@dataclass(frozen=True)
class Saturation:
    """llm-d's: spare KV cache and queue of the mean replica; nothing while a replica starts."""

    root: Path
    least: int
    most: int

    def wants(self, view: FleetView) -> int:
        """One more, one fewer, or as many as there are."""
        if view.replicas > view.ready or not view.ready:
            return max(view.replicas, self.least)
        waiting = view.waiting / view.ready
        if self._short(view.kv_used_share, waiting):
            return min(self.most, view.replicas + 1)
        fewer = view.replicas - 1
        if fewer < self.least:
            return view.replicas
        grown = view.replicas / fewer if fewer else math.inf
        kept = self._short(view.kv_used_share * grown, waiting * grown)
        return view.replicas if kept else fewer

    def _short(self, kv_used_share: float, waiting: float) -> bool:
        """Whether the spare capacity falls below a trigger."""
        spare_kv = parameter(self.root, "llm-d", "kv_threshold") - kv_used_share
        spare_queue = parameter(self.root, "llm-d", "queue_threshold") - waiting
        return spare_kv < parameter(self.root, "llm-d", "kv_spare") or spare_queue < parameter(
            self.root, "llm-d", "queue_spare"
        )
