"""Capacity of one replica by simulation: the reference that the closed form is held against."""

from __future__ import annotations

import math
from dataclasses import dataclass

from planner.performance.steps import StepModel
from planner.scenario import Arrivals, Slo
from planner.serving.capacity import Capacity
from planner.serving.lengths import JointLengths
from planner.serving.limits import ReplicaLimits
from planner.serving.replica_groups import ReplicaGroup
from planner.serving.requests import open_loop
from planner.serving.simulation_result import Study
from planner.serving.simulator import simulate

MAX_RUNS = 14


@dataclass(frozen=True, slots=True)
class SimulatedCapacity:
    """The rate at which the targets just hold [requests/s], and the Monte-Carlo half-width of it.

    half_width: relative; limited_by: the requirement that fails first.
    """

    qps: float
    half_width: float
    limited_by: str
    runs: int


def simulated_capacity(
    steps: StepModel,
    limits: ReplicaLimits,
    lengths: JointLengths,
    slo: Slo,
    arrivals: Arrivals,
    start: Capacity,
    *,
    requests: int = 6000,
    seed: int = 0,
    tolerance: float = 0.01,
) -> SimulatedCapacity:
    """Search the rate around ``start`` (a closed-form capacity) with common random numbers.

    Raises ValueError when ``start`` holds at no rate.
    """
    if start.qps <= 0:
        raise ValueError("there is no rate to start from")
    stay = start.concurrency / start.qps
    group = ReplicaGroup(steps, limits, 1)
    seen: dict[float, tuple[float, float, str]] = {}

    def miss(qps: float) -> tuple[float, float, str]:
        """log(late share / allowed share), its standard error, and the worst requirement."""
        if qps not in seen:
            warm_up = 3 * stay
            measured = max(requests / qps, 8 * stay)
            drawn = open_loop(lengths, arrivals, qps, warm_up + measured + stay, seed)
            backlog = int(20 * start.concurrency) + 2000
            run = simulate(
                [group],
                drawn,
                warm_up_s=warm_up,
                measured_until_s=warm_up + measured,
                max_backlog=backlog,
            )
            seen[qps] = _worst(Study((run,)), slo)
        return seen[qps]

    low, high = 0.0, math.inf
    qps = start.qps
    while len(seen) < MAX_RUNS and (low == 0.0 or high / low > 1 + tolerance):
        value = miss(qps)[0]
        if value <= 0:
            low = max(low, qps)
        else:
            high = min(high, qps)
        if high == math.inf:
            qps = low * 1.06
        elif low == 0.0:
            qps = high / 1.06
        else:
            below, above = miss(low)[0], miss(high)[0]
            cut = min(0.8, max(0.2, -below / max(above - below, 1e-9)))
            qps = low * (high / low) ** cut
    if low == 0.0:
        return SimulatedCapacity(0.0, math.inf, miss(high)[2], len(seen))
    if high == math.inf:
        return SimulatedCapacity(low, math.inf, "none", len(seen))
    at = math.sqrt(low * high)
    near = min(seen, key=lambda r: abs(r - at))
    others = sorted(seen, key=lambda r: abs(r - near))[1]
    slope = abs((seen[near][0] - seen[others][0]) / math.log(near / others))
    error = seen[near][1] / max(slope, 1e-6) + math.log(high / low) / 2
    return SimulatedCapacity(at, min(error, 1.0), miss(high)[2], len(seen))


def _worst(study: Study, slo: Slo) -> tuple[float, float, str]:
    if study.overloaded:
        return 5.0, 0.0, "overload"
    found = []
    for o in study.outcomes(slo):
        late, allowed = max(1 - o.met, 1e-6), 1 - o.required
        found.append((math.log(late / allowed), (o.met_high - o.met) / late, o.key))
    return max(found)
