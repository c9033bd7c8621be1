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

import dataclasses
import itertools
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

from planner.evidence import Interval
from planner.fleet.problem import Problem, Solution

STRATA = 400
SHARE_STEP = 1e-4
NORMAL = NormalDist()


def lognormal_sigma(interval: Interval) -> float:
    """Standard deviation of the log of a lognormal whose central interval this is.

    ``ln(high / low) / (2 z)``, with ``z`` the normal quantile at ``(1 + level) / 2``. Raises
    ValueError when the interval reaches zero.
    """
    if interval.low <= 0:
        raise ValueError(f"a lognormal interval lies above zero: {interval!r}")
    return math.log(interval.high / interval.low) / (2 * NORMAL.inv_cdf((1 + interval.level) / 2))


def sigma_of_cv(cv: float) -> float:
    """Standard deviation of the log of a lognormal with this coefficient of variation."""
    return math.sqrt(math.log1p(cv * cv))


@dataclass(frozen=True, slots=True)
class ReplicaUncertainty:
    """What one replica carries, and how sure that is.

    ``capacity_qps(factor)``: the rate it holds when every step takes ``factor`` times as long
    [requests/s], not increasing; ``model_sigma``: standard deviation of the log of that factor.
    """

    capacity_qps: Callable[[float], float]
    model_sigma: float


def in_proportion(capacity_qps: float, model_sigma: float) -> ReplicaUncertainty:
    """A replica whose capacity falls in proportion as its steps slow down: ``c / factor``.

    True where throughput limits it; a replica limited by a latency target loses more.
    """
    return ReplicaUncertainty(lambda factor: capacity_qps / factor, model_sigma)


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
    first = _least_replicas(kind, rate_qps, demand_sigma, 0.01, max_replicas)
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
    """Fewest replicas that hold the targets with ``probability``; None beyond ``max_replicas``."""
    return _least_replicas(kind, rate_qps, demand_sigma, probability, max_replicas)


def assured_share(kind: ReplicaUncertainty, probability: float, demand_sigma: float = 0.0) -> float:
    """The rate one replica holds with ``probability``, as a share of its capacity.

    Because the error is common, ``n`` replicas hold ``n`` times that rate with the same probability.
    """
    nominal = kind.capacity_qps(1.0)
    low, high = 0.0, 1.0
    while high - low > SHARE_STEP:
        middle = (low + high) / 2
        holds = chance_to_hold([(kind, 1)], middle * nominal, demand_sigma) >= probability
        low, high = (middle, high) if holds else (low, middle)
    return low


@dataclass(frozen=True, slots=True)
class QuantileFleet:
    """The cheapest fleet sized for a probability, and what that assurance costs over the first."""

    probability: float
    solution: Solution
    usd_per_hour: float | None
    price_usd_per_hour: float | None


def fleets_by_probability(
    problem: Problem,
    solve: Callable[[Problem], Solution],
    uncertainty_of: Callable[[str], ReplicaUncertainty],
    demand_sigma: float = 0.0,
    probabilities: Sequence[float] = (0.5, 0.8, 0.9, 0.95, 0.99),
) -> tuple[QuantileFleet, ...]:
    """The cheapest fleet at each probability of at least one half, every kind derated to it.

    Exact for demands served by one kind each; ``chance_to_hold`` gives the chance of a mix.
    ``uncertainty_of``: by replica kind key.
    """
    known = cache(uncertainty_of)
    fleets: list[QuantileFleet] = []
    for probability in sorted(probabilities):
        solution = _sized_for(problem, solve, known, probability, demand_sigma)
        cost = solution.objective_usd_per_hour
        first = fleets[0].usd_per_hour if fleets else cost
        price = None if cost is None or first is None else cost - first
        fleets.append(QuantileFleet(probability, solution, cost, price))
    return tuple(fleets)


def _sized_for(
    problem: Problem,
    solve: Callable[[Problem], Solution],
    uncertainty_of: Callable[[str], ReplicaUncertainty],
    probability: float,
    demand_sigma: float,
) -> Solution:
    """Derate only the kinds that a solution uses, and solve again until it uses no other.

    A kind not yet derated has more capacity than it will, so its absence from a solution is final:
    the last solution is the optimum with all kinds derated.
    """
    if probability < 0.5:
        raise ValueError("below one half a fleet would be sized above its nominal capacity")
    shares: dict[str, float] = {}
    while True:
        solution = solve(_derated(problem, shares))
        used = {kind for (kind, _), replicas in solution.replicas.items() if replicas}
        if used <= shares.keys():
            return solution
        for kind in sorted(used - shares.keys()):
            shares[kind] = assured_share(uncertainty_of(kind), probability, demand_sigma)


def _derated(problem: Problem, shares: Mapping[str, float]) -> Problem:
    kinds = tuple(
        dataclasses.replace(
            kind,
            capacity_qps={d: qps * shares[kind.key] for d, qps in kind.capacity_qps.items()},
        )
        if kind.key in shares
        else kind
        for kind in problem.kinds
    )
    return dataclasses.replace(problem, kinds=kinds)


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


def _least_replicas(
    kind: ReplicaUncertainty,
    rate_qps: float,
    demand_sigma: float,
    probability: float,
    max_replicas: int,
) -> int | None:
    """Bisect the fewest replicas with at least this chance, which grows with their number."""

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
