"""The stages of the pipeline, a type each: framed, decided, at load, simulated, with the fleets beside it.

``solve`` and all that solves again (compare, sweep, frontier, report, batches, verify) go through the same
stages. A scenario ends as a ``SolvedFleet``, an ``InfeasibleScenario`` or an ``UnsolvedScenario``, which
``assembly`` writes out as a plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from planner.catalog.offer import Offer
from planner.fleet.alternatives.narrower_choices import Rival
from planner.fleet.candidates.candidate import Candidate, CandidateSet
from planner.fleet.periods import Calendar
from planner.fleet.program.problem import Problem, Solution
from planner.performance.steps import StepTimes
from planner.plan.alternatives import LeftOut
from planner.plan.prefix_hits import PrefixHits
from planner.plan.provenance import VerificationRound
from planner.plan.replica_group import Method
from planner.scenario.schema import Scenario
from planner.serving.closed_form.capacity import Capacity

_SAME_RATE = 1e-9  # relative: periods that are equally busy

if TYPE_CHECKING:
    from planner.fleet.infeasibility.explain import Explanation


@dataclass(frozen=True)
class Framed:
    """A scenario as the program sees it: ``candidates`` by service, and their program.

    ``problem``: with the capacities of the closed form; ``calendar``: its periods.
    """

    scenario: Scenario
    offers: tuple[Offer, ...]
    candidates: Mapping[str, CandidateSet]
    problem: Problem
    calendar: Calendar

    @cached_property
    def offers_by_key(self) -> dict[str, Offer]:
        """Every offer by its key."""
        return {o.key: o for o in self.offers}

    @cached_property
    def by_key(self) -> dict[str, Candidate]:
        """Every candidate by its key, which is that of its replica kind in the program."""
        return {c.key: c for s in self.candidates.values() for c in s.candidates}


@dataclass(frozen=True)
class Decided:
    """What the solver decided.

    ``problem`` holds the capacities that were decided with: those of ``framed``, corrected where the
    simulator found other ones.
    """

    framed: Framed
    problem: Problem
    solution: Solution

    @property
    def scenario(self) -> Scenario:
        """The scenario that was framed."""
        return self.framed.scenario

    @property
    def offers(self) -> tuple[Offer, ...]:
        """Every offer the fleet could be rented from."""
        return self.framed.offers

    @property
    def offers_by_key(self) -> Mapping[str, Offer]:
        """Every offer by its key."""
        return self.framed.offers_by_key

    @property
    def candidates(self) -> Mapping[str, CandidateSet]:
        """The candidates of each service, as sized by the closed form."""
        return self.framed.candidates

    @property
    def calendar(self) -> Calendar:
        """The periods that were decided over."""
        return self.framed.calendar

    @property
    def by_key(self) -> Mapping[str, Candidate]:
        """Every candidate by its key, as sized by the closed form."""
        return self.framed.by_key

    @property
    def has_fleet(self) -> bool:
        """Whether the solver found anything to rent."""
        return self.solution.has_fleet

    @property
    def label(self) -> str:
        """The replicas of the fleet, kind by kind: ``7x (1x b200-sxm-180gb vllm TP1 fp8/fp8)``."""
        return self.label_of(self.solution)

    def label_of(self, solution: Solution) -> str:
        """The same of another fleet of these candidates."""
        counted = sorted(solution.most_replicas().items())
        return "; ".join(f"{n}x ({self.by_key[kind].label})" for kind, n in counted if n)

    def replicas(self) -> dict[str, int]:
        """Replicas of each chosen kind in the period with the most, in the order of their keys."""
        return {kind: n for kind, n in sorted(self.solution.most_replicas().items()) if n}

    def routed_qps(self, service: str | None = None) -> dict[str, float]:
        """Rate [requests/s] each kind gets in its busiest period, of one service or of all."""
        by_period: dict[tuple[str, int], float] = {}
        service_of = {d.key: d.service for d in self.problem.demands}
        for (demand, kind, period), rate in sorted(self.solution.routed_qps.items()):
            if service in (None, service_of[demand]):
                by_period[kind, period] = by_period.get((kind, period), 0.0) + rate
        busiest: dict[str, float] = {}
        for (kind, _period), rate in by_period.items():
            busiest[kind] = max(busiest.get(kind, 0.0), rate)
        return busiest

    def busiest_qps(self, service: str) -> tuple[float, float]:
        """Rate [requests/s] all replicas of a service get together in its busiest period, and hold there.

        Kinds may be busiest in different periods, so that neither is a sum over ``routed_qps``.
        """
        demands = {d.key for d in self.problem.demands if d.service == service}
        routed: dict[int, float] = {}
        for (demand, _kind, period), rate in sorted(self.solution.routed_qps.items()):
            if demand in demands:
                routed[period] = routed.get(period, 0.0) + rate
        held = dict.fromkeys(routed, 0.0)
        for (kind, period), count in sorted(self.solution.replicas.items()):
            if period in held and self.by_key[kind].service == service:
                held[period] += count * self.capacity_qps(kind)
        busiest = max(routed.values(), default=0.0)
        least = min(
            (held[t] for t, rate in routed.items() if rate >= busiest * (1 - _SAME_RATE)),
            default=0.0,
        )
        return busiest, least

    def demand_qps(self, kind: str) -> dict[str, float]:
        """Rate [requests/s] each demand sends to a kind in the kind's busiest period."""
        by_period: dict[int, dict[str, float]] = {}
        for (demand, other, period), rate in sorted(self.solution.routed_qps.items()):
            if other == kind:
                by_period.setdefault(period, {})[demand] = rate
        return max(by_period.values(), key=lambda rates: sum(rates.values()), default={})

    def capacity_qps(self, kind: str) -> float:
        """Capacity of one replica as the program counts it [requests/s]; of its best length bucket."""
        found = next(k for k in self.problem.kinds if k.key == kind)
        candidate = self.by_key[kind]
        return found.capacity_qps.get(candidate.service, candidate.capacity.qps)

    def capacity_factors(self) -> dict[str, float]:
        """Decided over closed-form capacity of each kind; 0 where the simulator found no rate that holds."""
        counted = {k.key: k.capacity_qps for k in self.problem.kinds}
        return {
            key: max(counted[key].values()) / max(candidate.bucket_qps.values())
            if key in counted
            else 0.0
            for key, candidate in self.by_key.items()
        }


@dataclass(frozen=True)
class SimulatedLoad:
    """One candidate as simulated: percentiles by key [s], their Monte-Carlo intervals [s].

    ``prefix_hits``: share of the prompt tokens found cached; None for a service without conversations.
    ``own_s``: percentiles of the requests that it answered itself, where others of the service beside it
    are of another kind.
    """

    latency_s: Mapping[str, float]
    intervals_s: Mapping[str, tuple[float, float]]
    prefix_hits: float | None
    own_s: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class LatencyEnds:
    """Percentiles of one candidate at its load with its steps as quick and as slow as they may be.

    ``level``: how often the truth lies between; ``steps``: factors on step times at either end; ``ttft``:
    on TTFT beyond them. ``low_s``, ``high_s``: by key ("ttft_p99") [s]; ``high_s`` is None where the
    replicas do not keep up at the slow end, and lacks a percentile that nothing bounds there.
    """

    level: float
    steps: tuple[float, float]
    ttft: tuple[float, float]
    low_s: Mapping[str, float]
    high_s: Mapping[str, float] | None

    def around(self, key: str, value: float) -> tuple[float, float | None] | None:
        """The interval [s] around a predicted percentile; None where the quick end has no such percentile."""
        low = self.low_s.get(key)
        if low is None:
            return None
        high = None if self.high_s is None else self.high_s.get(key)
        return min(low, value), None if high is None else max(high, value)


@dataclass(frozen=True)
class Operating:
    """One candidate at the load of one of its replicas: the closed form, and the simulation once made.

    ``step``: a decode step there, by part; ``ends``: its percentiles where the model is off, None for jobs.
    """

    point: Capacity
    step: StepTimes
    simulated: SimulatedLoad | None = None
    ends: LatencyEnds | None = None

    @property
    def latency_s(self) -> Mapping[str, float]:
        """Predicted percentiles by key ("ttft_p99") [s], by ``method``."""
        return self.simulated.latency_s if self.simulated else self.point.latency_s

    @property
    def method(self) -> Method:
        """How the percentiles were predicted."""
        return "simulated" if self.simulated else "closed-form"


@dataclass(frozen=True)
class FleetAtLoad:
    """A decided fleet, and every chosen candidate at its load."""

    decided: Decided
    operating: Mapping[str, Operating]


@dataclass(frozen=True)
class Simulation:
    """What the simulator said of the fleet and of those before it.

    ``closed_form_error``: relative error of the closed form's percentiles; ``near_winners``: candidates
    that were not simulated and would win with 10 % more capacity.
    """

    holds: bool
    rounds: tuple[VerificationRound, ...]
    closed_form_error: Mapping[str, float]
    near_winners: tuple[str, ...]

    @property
    def note(self) -> str:
        """The outcome in a sentence."""
        if self.holds:
            return "every target holds in the simulator at the planned load"
        return "no fleet was confirmed in the simulator; the printed one misses a target there"


@dataclass(frozen=True)
class WithoutMargin:
    """The fleet sized for the prediction itself: of the plan's own kinds of replica, and of all kinds."""

    own_kinds: Decided
    all_kinds: Decided


@dataclass(frozen=True)
class FleetsBeside:
    """The fleets priced beside the plan.

    ``rivals``: narrower choices; ``native``: at the checkpoint's own precision, None where the plan is or
    nothing holds; ``without_margin``: None where nothing has a margin; ``all_offers``: of all tiers and
    price confidences, None where the plan costs no more; ``left_out``: what the search leaves out;
    ``not_priced``: what there was no time for; ``stopped``: the run was stopped by Ctrl-C.
    """

    rivals: tuple[Rival, ...] = ()
    native: Rival | None = None
    without_margin: WithoutMargin | None = None
    all_offers: Decided | None = None
    left_out: tuple[LeftOut, ...] = ()
    not_priced: tuple[str, ...] = ()
    stopped: bool = False


@dataclass(frozen=True)
class SolvedFleet:
    """A scenario with a fleet.

    ``simulation``: None where the closed form was to be kept; ``prefix_hits``: of services with
    conversations.
    """

    fleet: FleetAtLoad
    simulation: Simulation | None
    prefix_hits: Mapping[str, PrefixHits]
    beside: FleetsBeside = field(default_factory=FleetsBeside)

    @property
    def decided(self) -> Decided:
        """What the solver decided."""
        return self.fleet.decided


@dataclass(frozen=True)
class InfeasibleScenario:
    """A scenario that no fleet can serve, and why."""

    decided: Decided
    explanation: Explanation


@dataclass(frozen=True)
class UnsolvedScenario:
    """A scenario for which the solver found no fleet in its time, and no proof that there is none."""

    decided: Decided


Solved = SolvedFleet | InfeasibleScenario | UnsolvedScenario
