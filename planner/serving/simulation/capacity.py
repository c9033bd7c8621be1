"""Capacity of one replica by simulation: the reference that the closed form is held against."""

from __future__ import annotations

import math
from dataclasses import dataclass

from planner.performance.steps import StepModel
from planner.scenario.schema import Arrivals
from planner.scenario.slo import Slo
from planner.serving.capacity_limit import CapacityLimit, LimitedBy
from planner.serving.closed_form.capacity import Capacity
from planner.serving.limits import ReplicaLimits
from planner.serving.simulation.replica_groups import SimulatedGroup
from planner.serving.simulation.requests import open_loop
from planner.serving.simulation.simulation_result import SimulationResult, Study
from planner.serving.simulation.simulator import simulate
from planner.workload.lengths import JointLengths

MAX_RUNS = 12
BRACKET = 0.015  # the two rates that are simulated again lie this far on either side
MOST_REPLICATIONS = 32


@dataclass(frozen=True, slots=True)
class SimulatedCapacity:
    """The rate at which the targets just hold [requests/s], and the Monte-Carlo half-width of it.

    half_width: relative; limited_by: the requirement that fails first, None where no simulated rate
    fails one; runs: how many were simulated.
    """

    qps: float
    half_width: float
    limited_by: LimitedBy | None
    runs: int


@dataclass(frozen=True, slots=True)
class _Miss:
    """log(late share / allowed share) at a rate, its standard error, and the worst requirement."""

    value: float
    error: float
    key: LimitedBy


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
    half_width: float = math.inf,
) -> SimulatedCapacity:
    """Search the rate around ``start`` (a closed-form capacity) with common random numbers.

    The search brackets the rate to ``tolerance``; where the answer is less certain than
    ``half_width``, two rates around it are replicated, twice as often each time, up to
    ``MOST_REPLICATIONS``. Raises ValueError when ``start`` holds at no rate.
    """
    if start.qps <= 0:
        raise ValueError("there is no rate to start from")
    stay = start.concurrency / start.qps
    simulated = _SimulatedStream(
        steps, limits, lengths, slo, arrivals, start.concurrency, stay, requests, seed
    )
    low, high = 0.0, math.inf
    qps = start.qps
    while len(simulated.runs) < MAX_RUNS and (low == 0.0 or high / low > 1 + tolerance):
        if simulated.miss(qps).value <= 0:
            low = max(low, qps)
        else:
            high = min(high, qps)
        if high == math.inf:
            qps = low * 1.06
        elif low == 0.0:
            qps = high / 1.06
        else:
            below, above = simulated.miss(low).value, simulated.miss(high).value
            cut = min(0.8, max(0.2, -below / max(above - below, 1e-9)))
            qps = low * (high / low) ** cut
    if low == 0.0:
        return SimulatedCapacity(0.0, math.inf, simulated.miss(high).key, simulated.count)
    if high == math.inf:
        return SimulatedCapacity(low, math.inf, None, simulated.count)
    at = math.sqrt(low * high)
    near = min(simulated.runs, key=lambda r: abs(r - at))
    others = sorted(simulated.runs, key=lambda r: abs(r - near))[1]
    slope = abs(
        (simulated.miss(near).value - simulated.miss(others).value) / math.log(near / others)
    )
    error = simulated.miss(near).error / max(slope, 1e-6) + math.log(high / low) / 2
    found = SimulatedCapacity(at, min(error, 1.0), simulated.miss(high).key, simulated.count)
    replications = 2
    while found.half_width > half_width and replications <= MOST_REPLICATIONS:
        found = _replicated(simulated, found.qps, replications)
        replications *= 2
    return found


def _replicated(simulated: _SimulatedStream, qps: float, replications: int) -> SimulatedCapacity:
    """Where the line through two rates around ``qps`` crosses zero, from more runs of both."""
    below, above = qps * (1 - BRACKET), qps * (1 + BRACKET)
    low, high = (simulated.miss(rate, replications) for rate in (below, above))
    span = math.log(above / below)
    slope = max((high.value - low.value) / span, 1e-3)
    move = min(max(-low.value / slope, -2 * span), 3 * span)
    error = (low.error + high.error) / 2 / slope
    return SimulatedCapacity(below * math.exp(move), min(error, 1.0), high.key, simulated.count)


class _SimulatedStream:
    """Runs of one replica by rate, with common random numbers over the rates."""

    def __init__(
        self,
        steps: StepModel,
        limits: ReplicaLimits,
        lengths: JointLengths,
        slo: Slo,
        arrivals: Arrivals,
        concurrency: float,
        stay_s: float,
        requests: int,
        seed: int,
    ) -> None:
        self.runs: dict[float, list[SimulationResult]] = {}
        self._group = SimulatedGroup(steps, limits, 1)
        self._lengths = lengths
        self._slo = slo
        self._arrivals = arrivals
        self._backlog = int(20 * concurrency) + 2000
        self._stay_s = stay_s
        self._requests = requests
        self._seed = seed

    @property
    def count(self) -> int:
        return sum(len(runs) for runs in self.runs.values())

    def miss(self, qps: float, replications: int = 1) -> _Miss:
        """How far the worst requirement is from holding at ``qps``, from that many runs."""
        runs = self.runs.setdefault(qps, [])
        while len(runs) < replications:
            runs.append(self._simulate(qps, self._seed + 7919 * len(runs)))
        study = Study(tuple(runs))
        if study.overloaded:
            return _Miss(5.0, 0.0, CapacityLimit.STABLE)
        found = []
        for o in study.outcomes(self._slo):
            late, allowed = max(1 - o.met, 1e-6), 1 - o.required
            found.append((math.log(late / allowed), (o.met_high - o.met) / late, o.key))
        return _Miss(*max(found))

    def _simulate(self, qps: float, seed: int) -> SimulationResult:
        warm_up = 3 * self._stay_s
        measured = max(self._requests / qps, 8 * self._stay_s)
        total = warm_up + measured + self._stay_s
        return simulate(
            [self._group],
            open_loop(self._lengths, self._arrivals, qps, total, seed),
            warm_up_s=warm_up,
            measured_until_s=warm_up + measured,
            max_backlog=self._backlog,
        )
