"""How sure a sized candidate's capacity is, from its own prediction intervals.

One error is common to all: every step takes ``factor`` times as long as predicted, with the spread of
the TPOT interval. TTFT is known less well; what its interval is wider by tightens the TTFT targets
in the same direction. The capacity is computed again at several factors and interpolated, so that
a replica close to its floor, or at the edge of its throughput, loses as much as it really would.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

from planner.evidence import Evidence, Interval
from planner.fleet.candidates import Candidate
from planner.fleet.robustness import ReplicaUncertainty, lognormal_sigma
from planner.performance.steps import Number, StepBatch, StepModel, StepTimes
from planner.scenario import Service, Slo
from planner.serving.capacity import replica_capacity
from planner.serving.lengths import lengths_of

LEVEL = 0.8
LEAST_SIGMA = 1e-6
DEVIATIONS = tuple(i / 2 for i in range(-6, 7))


@dataclass(frozen=True, slots=True)
class SlowedSteps:
    """A step model every step of which takes ``factor`` times as long."""

    steps: StepModel
    factor: float

    @property
    def evidence(self) -> Evidence:
        return self.steps.evidence

    def step_times(self, batch: StepBatch) -> StepTimes:
        t = self.steps.step_times(batch)
        f = self.factor
        return StepTimes(
            f * t.weights_s,
            f * t.kv_s,
            f * t.compute_s,
            f * t.collectives_s,
            f * t.overhead_s,
            f * t.total_s,
        )

    def step_seconds(self, batch: StepBatch) -> Number:
        return self.factor * self.steps.step_seconds(batch)

    def interval(self, seconds: float, kind: str, level: float = LEVEL) -> Interval:
        return self.steps.interval(seconds, kind, level)


def model_sigma(candidate: Candidate, metric: str = "tpot") -> float:
    """Standard deviation of the log of a latency, from its prediction interval."""
    predicted = next(
        (s for key, s in candidate.capacity.latency_s.items() if key.startswith(metric) and s > 0),
        1.0,
    )
    interval = candidate.steps.interval(predicted, metric, LEVEL)
    return max(lognormal_sigma(interval), LEAST_SIGMA)


def uncertainty(candidate: Candidate, service: Service) -> ReplicaUncertainty:
    """The candidate's capacity as a function of the factor on its step times."""
    sigma = model_sigma(candidate)
    wider = max(0.0, model_sigma(candidate, "ttft") / sigma - 1)
    lengths = lengths_of(service)

    def capacity_qps(factor: float) -> float:
        return replica_capacity(
            SlowedSteps(candidate.steps, factor),
            candidate.memory,
            candidate.deployment,
            lengths,
            _tightened(service.slo, factor**wider),
            arrival_cv=max(1.0, service.arrivals.cv),
            prefix_hit_share=service.assumptions.prefix_hit_share,
        ).qps

    points = [(math.exp(sigma * d), capacity_qps(math.exp(sigma * d))) for d in DEVIATIONS]
    return ReplicaUncertainty(interpolated(points), sigma)


def _tightened(slo: Slo, factor: float) -> Slo:
    """The SLO with its TTFT targets divided by ``factor``."""
    targets = tuple(
        t.model_copy(update={"seconds": t.seconds / factor}) if t.metric == "ttft" else t
        for t in slo.targets
    )
    return slo.model_copy(update={"targets": targets})


def interpolated(points: list[tuple[float, float]]) -> Callable[[float], float]:
    """Piecewise linear between ``points`` in ascending order, made non-increasing, flat outside."""
    xs = [x for x, _ in points]
    ys: list[float] = []
    for _, y in points:
        ys.append(min(y, ys[-1]) if ys else y)

    def at(x: float) -> float:
        i = bisect_left(xs, x)
        if i == 0:
            return ys[0]
        if i == len(xs):
            return ys[-1]
        share = (x - xs[i - 1]) / (xs[i] - xs[i - 1])
        return ys[i - 1] + share * (ys[i] - ys[i - 1])

    return at
