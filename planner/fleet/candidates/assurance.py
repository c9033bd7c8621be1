"""A sized candidate's capacity as a function of how far its predictions are off.

The capacity is computed again at several factors on the step times (``derating``) and interpolated,
so that a replica close to its floor, or at the edge of its throughput, loses as much as it would.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable

from planner.fleet.candidates.candidate import Candidate
from planner.fleet.candidates.derating import at_score, margin_sigma
from planner.fleet.candidates.robustness import ReplicaUncertainty
from planner.scenario.schema import Service
from planner.serving.placed import Placed
from planner.serving.split_arrivals import replica_cv
from planner.workload.lengths import lengths_of

DEVIATIONS = tuple(i / 2 for i in range(-6, 7))
AT = 1.0  # standard deviations


def uncertainty(candidate: Candidate, service: Service) -> ReplicaUncertainty:
    """The candidate's capacity as a function of the factor on its step times.

    The factor is that of a lognormal with the spread of the margin at ``AT``, and represents the
    margin's own quantile at the same normal score.
    """
    sigma = margin_sigma(candidate.steps.margin, AT)
    lengths, c = lengths_of(service), candidate
    placed = Placed(c.deployment, c.memory, c.steps, 1, 0.0, c.prefill)

    def capacity_qps(score: float) -> float:
        worse = at_score(c.steps, score, c.prefill.steps if c.prefill else None)
        slower = worse.slowed_replicas(placed)
        share = service.assumptions.prefix_hit_share
        cv = replica_cv(service, c.capacity.qps)
        return slower.capacity(lengths, worse.tightened(service.slo), cv, share).qps

    points = [(math.exp(sigma * d), capacity_qps(d)) for d in DEVIATIONS]
    return ReplicaUncertainty(interpolated(points), sigma)


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
