"""How likely a fleet holds its targets, given what the model and the forecast may get wrong.

The error of the performance model is one lognormal factor on every step time of a deployment, taken
from its prediction interval. It is common to all replicas of the deployment: twenty replicas are all
slow or all fast together, so it never averages out. Errors of different deployments are
independent. Demand is lognormal around its forecast, the forecast being its median.

    capacity of a replica at a step-time factor s:  c(s), by default c(1) / s
    P(n replicas hold) = E_s[ P(demand <= n c(s)) ]

The expectation runs over equal-probability strata of s, so it is deterministic.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

STRATA = 400
NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class ReplicaUncertainty:
    """What one replica carries, and how sure that is.

    ``capacity_qps(factor)``: the rate it holds when every step takes ``factor`` times as long
    [requests/s], not increasing; ``model_sigma``: standard deviation of the log of that factor.
    """

    capacity_qps: Callable[[float], float]
    model_sigma: float

    def times(self, correction: float) -> ReplicaUncertainty:
        """The same replica carrying ``correction`` times as much, at every factor."""
        return replace(self, capacity_qps=lambda factor: correction * self.capacity_qps(factor))


@dataclass(frozen=True, slots=True)
class SizeChance:
    """The probability that a number of replicas (and their GPUs) holds the targets."""

    replicas: int
    gpus: int
    probability: float


def chance_to_hold(
    fleet: Sequence[tuple[ReplicaUncertainty, int]], rate_qps: float, demand_sigma: float = 0.0
) -> float:
    """Probability that a fleet carries the demand: ``sum n_d c_d(s_d) >= rate exp(demand error)``.

    One deployment is integrated over strata of its error; several are sampled over stratified
    errors in a fixed shuffled order (a Latin hypercube with seed 0).
    """
    columns = [_strata(i) for i in range(len(fleet))]
    total = 0.0
    for i in range(STRATA):
        carried = math.fsum(
            count * kind.capacity_qps(math.exp(kind.model_sigma * column[i]))
            for (kind, count), column in zip(fleet, columns, strict=True)
        )
        total += _chance_demand_at_most(carried, rate_qps, demand_sigma)
    return total / STRATA


def size_chances(
    kind: ReplicaUncertainty,
    *,
    gpus_per_replica: int,
    rate_qps: float,
    demand_sigma: float = 0.0,
    up_to: float = 0.999,
    max_replicas: int = 100_000,
) -> tuple[SizeChance, ...]:
    """Probability to hold against the number of replicas, from the least of use to ``up_to``.

    Starts at the first size with a chance of at least 1 %. Empty when none of ``max_replicas`` has.
    """
    first = replicas_for(kind, rate_qps, 0.01, demand_sigma, max_replicas)
    if first is None:
        return ()
    chances = []
    for replicas in range(first, max_replicas + 1):
        chance = chance_to_hold([(kind, replicas)], rate_qps, demand_sigma)
        chances.append(SizeChance(replicas, replicas * gpus_per_replica, chance))
        if chance >= up_to:
            break
    return tuple(chances)


def replicas_for(
    kind: ReplicaUncertainty,
    rate_qps: float,
    probability: float,
    demand_sigma: float = 0.0,
    max_replicas: int = 100_000,
) -> int | None:
    """Fewest replicas that hold the targets with ``probability``; None beyond ``max_replicas``.

    Found by bisection: the chance grows with the number of replicas.
    """

    def holds(replicas: int) -> bool:
        return chance_to_hold([(kind, replicas)], rate_qps, demand_sigma) >= probability

    sizes = itertools.takewhile(lambda n: n < max_replicas, (2**i for i in itertools.count()))
    high = next((n for n in sizes if holds(n)), max_replicas)
    if not holds(high):
        return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _strata(column: int) -> list[float]:
    """Midpoints of equal-probability strata of a standard normal; columns but the first shuffled."""
    points = [NORMAL.inv_cdf((i + 0.5) / STRATA) for i in range(STRATA)]
    if column:
        random.Random(column).shuffle(points)
    return points


def _chance_demand_at_most(carried_qps: float, rate_qps: float, demand_sigma: float) -> float:
    if carried_qps <= 0:
        return 0.0
    excess = math.log(carried_qps / rate_qps)
    if demand_sigma == 0:
        return 1.0 if excess >= 0 else 0.0
    return NORMAL.cdf(excess / demand_sigma)
