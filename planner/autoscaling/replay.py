"""Replicas under a rate over time, step by step: what waits, what is late, what is paid.

Requests are a fluid: ``rate x dt`` arrive in a step and up to ``ready x capacity x dt`` are served within
their targets; the rest waits. What arrives while more wait than still start within the TTFT target is a
miss. A replica that starts is paid and serves after its start-up time; one that stops serves no more.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from planner.autoscaling.policies import FleetView, ScalingPolicy

STEP_S = 15.0


@dataclass(frozen=True, slots=True)
class ScaledReplica:
    """One replica: requests/s within the targets, how many may wait, KV in use at capacity, GPUs."""

    capacity_qps: float
    may_wait: float
    kv_at_capacity: float
    gpus: int
    start_up_s: float


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a policy cost and missed over the whole rate.

    ``starts``: replicas started after the first; ``late``: requests, of ``requests``.
    """

    gpu_hours: float
    requests: float
    late: float
    mean_replicas: float
    most_replicas: int
    starts: int
    hours: float

    @property
    def miss_share(self) -> float:
        """Share of the requests that miss their target."""
        return self.late / self.requests if self.requests else 0.0


@dataclass
class _Replicas:
    """Replicas now: ready, and (ready at, how many) starting."""

    ready: int
    waiting: float = 0.0
    starting: deque[tuple[float, int]] = field(default_factory=deque)

    @property
    def replicas(self) -> int:
        return self.ready + sum(n for _, n in self.starting)

    def advance(self, time_s: float) -> None:
        while self.starting and self.starting[0][0] <= time_s:
            self.ready += self.starting.popleft()[1]

    def resize(self, wanted: int, ready_at_s: float) -> int:
        """Start or stop replicas, those that start first; return how many were started."""
        more = wanted - self.replicas
        if more > 0:
            self.starting.append((ready_at_s, more))
            return more
        fewer = -more
        while fewer and self.starting:
            at, n = self.starting.pop()
            taken = min(n, fewer)
            fewer -= taken
            if n > taken:
                self.starting.append((at, n - taken))
        self.ready -= fewer
        return 0


def replay(
    starts_s: Sequence[float],
    rates_qps: Sequence[float],
    window_s: float,
    replica: ScaledReplica,
    policy: ScalingPolicy,
    interval_s: float,
) -> Replayed:
    """Run ``policy`` over the windows of a rate, each of ``window_s`` (a gap keeps the rate before it).

    It is consulted every ``interval_s`` and begins with the replicas it wants at rest.
    """
    first, end = starts_s[0], starts_s[-1] + window_s
    state = _Replicas(max(1, policy.wants(FleetView(first, 1, 1, 0.0, 0.0))))
    gpu_s = replica_s = requests = late = 0.0
    most, started, next_look = state.replicas, 0, first
    steps = math.ceil((end - first) / STEP_S)
    for k in range(steps):
        time_s = first + k * STEP_S
        state.advance(time_s)
        arriving = rates_qps[bisect_right(starts_s, time_s) - 1] * STEP_S
        room = state.ready * replica.capacity_qps * STEP_S
        served = min(state.waiting + arriving, room)
        state.waiting += arriving - served
        requests += arriving
        if state.waiting > replica.may_wait * state.ready:
            late += arriving
        if time_s >= next_look:
            kv = replica.kv_at_capacity * (served / room if room else 1.0)
            view = FleetView(time_s, state.ready, state.replicas, state.waiting, min(1.0, kv))
            started += state.resize(max(0, policy.wants(view)), time_s + replica.start_up_s)
            next_look = time_s + interval_s
        most = max(most, state.replicas)
        replica_s += state.replicas * STEP_S
        gpu_s += state.replicas * replica.gpus * STEP_S
    return Replayed(
        gpu_hours=gpu_s / 3600,
        requests=requests,
        late=late,
        mean_replicas=replica_s / (steps * STEP_S),
        most_replicas=most,
        starts=started,
        hours=steps * STEP_S / 3600,
    )
