"""Steady states of one replica at the rates its capacity is read from: they do not depend on targets.

Ten rates up to the ceiling bracket the highest rate that holds the targets, eight between two of them
place it. Both are solved once and kept, and so is the share of late requests for each target requested.
Replicas that are alike are solved together (``solve_together``), which takes a quarter of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.performance.steps import StepModel
from planner.scenario.slo import Metric, Slo, Target
from planner.serving.capacity_limit import CapacityLimit, LimitedBy
from planner.serving.closed_form import bounds
from planner.serving.closed_form.class_waits import of_class
from planner.serving.closed_form.latency_tails import (
    late_ends,
    late_first_tokens,
    long_gaps,
    slow_answers,
)
from planner.serving.closed_form.recomputation import recomputation_s
from planner.serving.closed_form.replica_ceiling import reach_of
from planner.serving.closed_form.replica_curves import (
    ReplicaCurves,
    curves_from,
    grid_seconds,
)
from planner.serving.closed_form.steady_state import (
    SteadyState,
    apart,
    solved_together,
    steady_state,
)
from planner.serving.curve_rows import equal, rows_of
from planner.serving.limits import ReplicaLimits
from planner.workload.lengths import JointLengths

Floats = NDArray[np.float64]

LATE = {
    "ttft": late_first_tokens,
    "tpot": slow_answers,
    "itl": long_gaps,
    "e2e": late_ends,
}
LADDER = np.array([1e-3, 0.05, 0.2, 0.35, 0.5, 0.62, 0.74, 0.85, 0.94, 0.995])
_FINE = 8
WHOLE = -1  # in place of an interval: the ladder itself
WORTH_IT = 0.3  # of the replicas solved together: fewer are judged one by one
TOGETHER = 24  # replicas solved together: fewer cost more calls, more leave the processor's cache


@dataclass(frozen=True, slots=True, eq=False)
class _Shared:
    """The states of several replicas, of which one is at ``place``.

    The curves are laid out by row again when they are needed: as rows they are ten times as large.
    """

    states: SteadyState
    curves: tuple[ReplicaCurves, ...]
    place: int


@dataclass(frozen=True, slots=True, eq=False)
class RatePlace:
    """A rate [requests/s] and what limits it; ``around``: states it lies between, None where too steep."""

    qps: float
    limited_by: LimitedBy
    around: SteadyState | None


class RateStates:
    """One replica under one load, at a ladder of rates and at finer ones where requested.

    ``arrival_cv``: of the gaps between requests, or what it is at a replica that takes at most a rate.
    ``ceiling``: the rate at which some resource is used up [requests/s]; ``bound``: which. ``seconds``: of
    the replica's grid, where they are known (``grid_seconds``). ``judged``: the ladder's margins under the
    targets asked last; ``placed``: where their highest rate lies, None where none holds. ``again_s``: prefill
    that a request causes a second time where the pool is full [s].
    """

    def __init__(
        self,
        steps: StepModel,
        limits: ReplicaLimits,
        lengths: JointLengths,
        arrival_cv: float | Callable[[float], float] = 1.0,
        prefix_hit_share: float = 0.0,
        seconds: Floats | None = None,
    ) -> None:
        if seconds is None:
            seconds = grid_seconds(steps, limits, lengths, prefix_hit_share)
        self.curves = curves_from(seconds, steps.admission_s, limits, lengths, prefix_hit_share)
        self.ceiling, self.bound = ceiling_of(self.curves)
        self.arrival_cv = arrival_cv(self.ceiling) if callable(arrival_cv) else arrival_cv
        self.again_s = recomputation_s(self.curves, limits, lengths)
        self.rates = self.ceiling * LADDER
        self._states: dict[int, SteadyState] = {}
        self._late: dict[tuple[int, Metric, str, float], Floats] = {}
        self._shared: dict[int, _Shared] = {}
        self._alone: dict[float, SteadyState] = {}
        self.judged: tuple[Slo, dict[LimitedBy, Floats]] | None = None
        self.placed: tuple[Slo, RatePlace | None] | None = None

    def ladder(self) -> SteadyState:
        """The states at ``rates``."""
        return self._at(WHOLE)

    def between(self, interval: int) -> SteadyState:
        """The states at equally spaced rates from one of ``rates`` to the next."""
        return self._at(interval)

    def at(self, rates: Floats) -> SteadyState:
        """The states at any rates [requests/s], not kept."""
        return steady_state(self.curves, rates, self.arrival_cv)

    def at_rate(self, qps: float) -> SteadyState:
        """The states at one rate [requests/s], those solved together with others if there are any."""
        return self._alone.pop(qps, None) or self.at(np.array([qps]))

    def keep_rate(self, qps: float, states: SteadyState) -> None:
        """Take the states at one rate [requests/s], solved together with others, until they are read."""
        self._alone = {qps: states}

    def late_share(self, target: Target, interval: int = WHOLE) -> Floats:
        """Share of requests later than the target, at the ladder's rates or at those of an interval."""
        key = _named(interval, target)
        if key not in self._late:
            states = self._at(interval)
            late = late_by_state(states, target, target.seconds)
            self._late[key] = (states.share * late).sum(axis=1)
        return self._late[key]

    def rates_in(self, interval: int) -> Floats:
        """The rates of the ladder, or equally spaced ones of an interval of it [requests/s]."""
        if interval == WHOLE:
            return self.rates
        return np.linspace(self.rates[interval], self.rates[interval + 1], _FINE)

    def knows(self, interval: int) -> bool:
        """Whether the states of the ladder or of an interval are solved."""
        return interval in self._states

    def lacks(self, interval: int, targets: Sequence[Target]) -> bool:
        """Whether the share late for any of the targets is new there."""
        return any(_named(interval, t) not in self._late for t in targets)

    def shared(self, interval: int) -> _Shared | None:
        """The states that were solved together with others, where they were."""
        return self._shared.get(interval)

    def keep(self, interval: int, states: SteadyState, shared: _Shared) -> None:
        """Take the states solved together with others."""
        self._states[interval], self._shared[interval] = states, shared

    def keep_late(self, interval: int, target: Target, share: Floats) -> None:
        """Take the share late for a target."""
        self._late[_named(interval, target)] = share

    def _at(self, interval: int) -> SteadyState:
        if interval not in self._states:
            self._states[interval] = self.at(self.rates_in(interval))
        return self._states[interval]


def _named(interval: int, target: Target) -> tuple[int, Metric, str, float]:
    return interval, target.metric, target.request_class, target.seconds


Wanted = tuple[RateStates, int, Sequence[Target]]


def solve_together(wanted: Sequence[Wanted]) -> None:
    """Solve the ladder or an interval of many replicas, with the share late for each one's targets.

    The numbers are those that each gives alone (``curve_rows``). Replicas with about as many states are
    solved together.
    """
    groups: dict[Hashable, list[Wanted]] = {}
    for one in wanted:
        states, interval, _ = one
        if not states.knows(interval):
            key = (equal(states.curves), states.arrival_cv, interval == WHOLE)
            groups.setdefault(key, []).append(one)
    for group in groups.values():
        group.sort(key=lambda one: len(one[0].curves.state))
        for k in range(0, len(group), TOGETHER):
            _solve_group(group[k : k + TOGETHER])
    again: dict[Hashable, list[tuple[Wanted, _Shared]]] = {}
    for one in wanted:
        states, interval, targets = one
        shared = states.shared(interval)
        if shared is not None and states.lacks(interval, targets):
            metrics = tuple((t.metric, t.request_class) for t in targets)
            again.setdefault((id(shared.states), metrics), []).append((one, shared))
    for known in again.values():
        _judge_group(known)


def solve_rates_together(wanted: Sequence[tuple[RateStates, float]]) -> None:
    """Solve replicas at one rate each; the numbers are those of each alone.

    wanted: replicas, and their rates [requests/s].
    """
    groups: dict[Hashable, list[tuple[RateStates, float]]] = {}
    for one in wanted:
        groups.setdefault((equal(one[0].curves), one[0].arrival_cv), []).append(one)
    for group in groups.values():
        group.sort(key=lambda one: len(one[0].curves.state))
        for k in range(0, len(group), TOGETHER * len(LADDER)):
            some = group[k : k + TOGETHER * len(LADDER)]
            curves = [states.curves for states, _ in some]
            rates = [np.array([qps]) for _, qps in some]
            together = solved_together(curves, rates, some[0][0].arrival_cv)
            for (states, qps), alone in zip(some, apart(together, curves), strict=True):
                states.keep_rate(qps, alone)


def _solve_group(group: Sequence[Wanted]) -> None:
    curves = tuple(states.curves for states, _, _ in group)
    rates = [states.rates_in(interval) for states, interval, _ in group]
    together = solved_together(curves, rates, group[0][0].arrival_cv)
    small = replace(together, rows=rows_of(curves[:1]))
    for k, (one, alone) in enumerate(zip(group, apart(together, curves), strict=True)):
        states, interval, _ = one
        states.keep(interval, alone, _Shared(small, curves, k))
    by_metrics: dict[Hashable, list[tuple[Wanted, int]]] = {}
    for k, one in enumerate(group):
        judged = tuple((t.metric, t.request_class) for t in one[2])
        by_metrics.setdefault(judged, []).append((one, k))
    for members in by_metrics.values():
        _judge(together, members)


def _judge_group(group: Sequence[tuple[Wanted, _Shared]]) -> None:
    """Shares late, of replicas whose states were solved together; a few are left to ``late_share``."""
    first = group[0][1]
    size = len(first.curves)
    if len(group) < size * WORTH_IT:
        return
    rows = rows_of(first.curves, len(first.states.rate_qps) // size)
    _judge(replace(first.states, rows=rows), [(one, shared.place) for one, shared in group])


def _judge(together: SteadyState, members: Sequence[tuple[Wanted, int]]) -> None:
    """Keep the share late for each target of replicas that ask for the same metrics."""
    size = together.rows.replicas
    for j, first in enumerate(members[0][0][2]):
        if not any(
            states.lacks(interval, (targets[j],)) for (states, interval, targets), _ in members
        ):
            continue
        seconds = np.full(size, first.seconds)
        for (_, _, targets), place in members:
            seconds[place] = targets[j].seconds
        each = len(together.rate_qps) // size
        late = late_by_state(together, first, np.repeat(seconds, each))
        shares = together.rows.added(together.share * late).reshape(size, -1)
        for (states, interval, targets), place in members:
            states.keep_late(interval, targets[j], shares[place])


def late_by_state(states: SteadyState, target: Target, seconds: Floats | float) -> Floats:
    """Share of late requests by (rate, state); gaps weigh the tokens of a state and may exceed 1.

    ``seconds``: in place of the target's own [s], or one for each rate.
    """
    cap = float("inf") if target.metric == "itl" else 1.0
    seen = of_class(states, target.request_class)
    return np.asarray(np.minimum(LATE[target.metric](seen, seconds), cap))


def ceiling_of(c: ReplicaCurves) -> tuple[float, CapacityLimit]:
    """The rate at which some resource is used up [requests/s], and which."""
    state = np.maximum(c.state, 1.0)
    sustained, prefill = reach_of(
        c.state, c.steps_per_request, c.decode_s, c.prefill_shared_s, c.queue_s
    )
    reach = np.minimum(sustained, prefill)
    best = int(np.argmax(reach))
    if best < len(state) - 1 or prefill[best] <= sustained[best]:
        return float(reach[best]), CapacityLimit.THROUGHPUT
    gain = sustained[-1] / sustained[max(len(state) - 2, 0)]
    growth = state[-1] / state[max(len(state) - 2, 0)]
    if growth > 1 and np.log(gain) < bounds.FLAT_GAIN * np.log(growth):
        return float(reach[best]), CapacityLimit.THROUGHPUT
    return float(reach[best]), c.slot_bound
