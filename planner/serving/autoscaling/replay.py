"""A rate trace replayed against replicas that an autoscaler starts and stops.

Between two looks of the autoscaler the rate is constant and the replicas that serve share it equally. Up to
their capacity the targets hold. Beyond it, and while a backlog lasts, every request that arrives counts as
missed; beyond the ceiling a backlog builds up, ``dQ/dt = rate - ready ceiling``, and is worked off when
there is room again. A replica is paid from the moment it is requested, and serves ``start_up_s`` later.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.errors import InputError
from planner.serving.autoscaling.policies import Observation, Pacing, Policy
from planner.serving.autoscaling.signals import ReplicaSignals

Floats = NDArray[np.float64]

ROUNDING = 1e-9
STEP_S = 15.0  # no step is longer: what happens in one is a constant rate on constant replicas
MOST_STEPS = 500_000  # 86 days of such steps


@dataclass(frozen=True, slots=True, eq=False)
class RateTrace:
    """Mean rates over windows [requests/s]; ``start_s``: of each, since midnight; ``end_s``: of the last."""

    start_s: Floats
    rate_qps: Floats
    end_s: float

    def __post_init__(self) -> None:
        rising = len(self.start_s) > 0 and bool(np.all(np.diff(self.start_s) > 0))
        if not rising or len(self.start_s) != len(self.rate_qps) or self.end_s <= self.start_s[-1]:
            raise InputError("a rate trace needs windows in order, each with a rate")
        if float(self.rate_qps.min()) < 0 or not np.isfinite(self.rate_qps).all():
            raise InputError("rates must be finite and not negative", found=self.rate_qps.min())

    @property
    def duration_s(self) -> float:
        """How long the trace is [s]."""
        return float(self.end_s - self.start_s[0])

    def steps(self) -> tuple[Floats, Floats]:
        """Times [s] and rates [requests/s] of steps of ``STEP_S``; a window's rate until the next begins."""
        count = round(self.duration_s / STEP_S)
        if not 1 <= count <= MOST_STEPS:
            raise InputError(
                "the rate trace is too short or too long to replay",
                found=f"{self.duration_s:g} s",
                allowed=f"{STEP_S:g} s to {MOST_STEPS * STEP_S / 86400:.0f} days",
            )
        times = self.start_s[0] + STEP_S * np.arange(count)
        window = np.searchsorted(self.start_s, times + ROUNDING, side="right") - 1
        return times, self.rate_qps[window]


@dataclass(frozen=True, slots=True)
class Scaled:
    """A policy with the pace it acts at.

    interval_s: how often it looks [s]; peak_s: over how long it takes the highest of what it observes [s].
    """

    policy: Policy
    pacing: Pacing
    interval_s: float = STEP_S
    peak_s: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """What became of a fleet under a policy.

    requests, missed: that arrived, and those that arrived in overload; replica_hours: paid, start-ups
    included [h]; overload_s: time in overload, longest_overload_s: its longest stretch [s];
    most_backlog: requests; scale_ups, scale_downs: times that replicas were added or taken away; first and
    most replicas; ``times_s``, ``paid``, ``serving``, ``rate_qps``: step by step.
    """

    requests: float
    missed: float
    replica_hours: float
    overload_s: float
    longest_overload_s: float
    most_backlog: float
    scale_ups: int
    scale_downs: int
    most_replicas: int
    times_s: Floats
    rate_qps: Floats
    paid: NDArray[np.int64]
    serving: NDArray[np.int64]

    @property
    def missed_share(self) -> float:
        """Share of the requests that arrived in overload."""
        return self.missed / self.requests if self.requests else 0.0


class _Replicas:
    """Those that serve, and those that are starting: ``starting`` holds when each is ready, in order."""

    def __init__(self, first: int, start_up_s: float) -> None:
        self.ready = max(first, 0)
        self.starting: deque[float] = deque()
        self._start_up_s = start_up_s

    def until(self, time: float) -> None:
        """What has started by then serves."""
        while self.starting and self.starting[0] <= time + ROUNDING:
            self.starting.popleft()
            self.ready += 1

    def change(self, time: float, more: int) -> None:
        """Start or stop so many; those that are starting are cancelled first."""
        for _ in range(more):
            self.starting.append(time + self._start_up_s)
        for _ in range(-more):
            if self.starting:
                self.starting.pop()
            else:
                self.ready -= 1
        self.until(time)


def replay(
    trace: RateTrace, signals: ReplicaSignals, scaled: Scaled, first: int, start_up_s: float
) -> Replay:
    """Replay ``trace``; ``first`` replicas serve at its beginning.

    start_up_s: from asking for a replica until it serves [s].
    """
    times, rates = trace.steps()
    fleet, backlog = _Replicas(first, start_up_s), 0.0
    peaks: deque[tuple[float, float, float]] = deque()
    paid, serving = np.zeros(len(times), dtype=np.int64), np.zeros(len(times), dtype=np.int64)
    missed, overloaded, most_backlog = 0.0, np.zeros(len(times), dtype=bool), 0.0
    ups = downs = 0
    next_look = float(times[0])
    for i, (time, rate) in enumerate(zip(times.tolist(), rates.tolist(), strict=True)):
        fleet.until(time)
        ready = fleet.ready
        each = min(rate / ready, signals.ceiling_qps) if ready else 0.0
        waiting = ready * signals.waiting_at(each) + backlog
        kv_share = 1.0 if backlog and ready else signals.kv_share_at(each)
        peaks.append((time, waiting, kv_share))
        while peaks[0][0] < time - scaled.peak_s:
            peaks.popleft()
        if time >= next_look - ROUNDING:
            next_look = time + scaled.interval_s
            seen = Observation(
                time, ready, len(fleet.starting), max(p[1] for p in peaks), max(p[2] for p in peaks)
            )
            now = seen.replicas
            requested = scaled.pacing.requested(time, now, scaled.policy.wish(seen))
            ups, downs = ups + (requested > now), downs + (requested < now)
            fleet.change(time, requested - now)
            ready = fleet.ready
        arriving = rate * STEP_S
        holds = ready * signals.capacity_qps * STEP_S
        overloaded[i] = arriving > 0 and (backlog > 0 or arriving > holds * (1 + ROUNDING))
        missed += arriving if overloaded[i] else 0.0
        backlog = max(0.0, backlog + arriving - ready * signals.ceiling_qps * STEP_S)
        most_backlog = max(most_backlog, backlog)
        paid[i], serving[i] = ready + len(fleet.starting), ready
    return Replay(
        requests=float(rates.sum()) * STEP_S,
        missed=missed,
        replica_hours=float(paid.sum()) * STEP_S / 3600,
        overload_s=float(overloaded.sum()) * STEP_S,
        longest_overload_s=_longest(overloaded) * STEP_S,
        most_backlog=most_backlog,
        scale_ups=ups,
        scale_downs=downs,
        most_replicas=int(paid.max()),
        times_s=times,
        rate_qps=rates,
        paid=paid,
        serving=serving,
    )


def least_replica_hours(trace: RateTrace, signals: ReplicaSignals, least: int) -> float:
    """What a fleet that knows every rate ahead would pay [h]: the fewest replicas that hold each step."""
    _, rates = trace.steps()
    needed = np.maximum(np.ceil(rates / signals.capacity_qps - ROUNDING), least)
    return float(needed.sum()) * STEP_S / 3600


def _longest(flags: NDArray[np.bool_]) -> int:
    """The longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))
