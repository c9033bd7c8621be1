"""What is known once a scenario is decided: the values ``assembly`` writes into a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
from planner.solving.options import SolveOptions as Effort
from planner.solving.options import Verify

if TYPE_CHECKING:
    from planner.fleet.infeasibility.explain import Explanation

__all__ = ["Effort", "Operating", "Progress", "Solved", "Verify"]

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Operating:
    """One candidate at the load its replicas really get.

    ``latency_s``: predicted seconds by key ("ttft_p99"), by ``method``; ``simulation_intervals``:
    Monte-Carlo intervals of the simulated ones [s]; ``step``: a decode step there, by part;
    ``prefix_hits``: share of the prompt tokens found cached, where conversations were simulated.
    """

    point: Capacity
    step: StepTimes
    latency_s: Mapping[str, float]
    method: Method = "closed-form"
    simulation_intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    prefix_hits: float | None = None


@dataclass(frozen=True)
class Predicted:
    """What the scenario takes without a margin: on the plan's own kinds of replica, and on the best."""

    same: Rival
    fleet: Rival
    by_key: Mapping[str, Candidate]


@dataclass(frozen=True)
class Wider:
    """The cheapest fleet of offers of all tiers and confidences; ``by_key``: the candidates it has."""

    problem: Problem
    solution: Solution
    offers: tuple[Offer, ...]
    by_key: Mapping[str, Candidate]


@dataclass(frozen=True)
class Solved:
    """A decided scenario.

    ``candidates`` by service and ``by_key`` are as sized by the closed form; ``problem`` holds the
    capacities that were decided with, corrected where the simulator found them optimistic;
    ``prefix_hits`` of services with conversations.
    ``as_predicted``: the same without a margin; ``wider``: the cheapest fleet of offers of
    all tiers and price confidences, None where the plan costs no more.
    """

    scenario: Scenario
    offers: tuple[Offer, ...]
    candidates: Mapping[str, CandidateSet]
    by_key: Mapping[str, Candidate]
    problem: Problem
    solution: Solution
    calendar: Calendar | None = None
    explanation: Explanation | None = None
    operating: Mapping[str, Operating] = field(default_factory=dict)
    rivals: tuple[Rival, ...] = ()
    native: Rival | None = None
    as_predicted: Predicted | None = None
    wider: Wider | None = None
    left_out: tuple[LeftOut, ...] = ()
    rounds: tuple[VerificationRound, ...] = ()
    closed_form_error: Mapping[str, float] = field(default_factory=dict)
    near_winners: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    verification_note: str = ""
    prefix_hits: Mapping[str, PrefixHits] = field(default_factory=dict)

    @property
    def has_fleet(self) -> bool:
        """Whether the solver found anything to rent."""
        return self.solution.status in ("optimal", "feasible")

    def replicas(self) -> dict[str, int]:
        """Replicas of each chosen kind in the period with the most."""
        most: dict[str, int] = {}
        for (kind, _period), count in sorted(self.solution.replicas.items()):
            if count:
                most[kind] = max(most.get(kind, 0), count)
        return most

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

    def demand_qps(self, kind: str) -> dict[str, float]:
        """Rate [requests/s] each demand sends to a kind in the kind's busiest period."""
        by_period: dict[int, dict[str, float]] = {}
        for (demand, other, period), rate in sorted(self.solution.routed_qps.items()):
            if other == kind:
                by_period.setdefault(period, {})[demand] = rate
        return max(by_period.values(), key=lambda rates: sum(rates.values()), default={})

    def capacity_qps(self, kind: str) -> float:
        """What one replica of a kind was counted as carrying [requests/s]; of its best length bucket."""
        found = next(k for k in self.problem.kinds if k.key == kind)
        candidate = self.by_key[kind]
        return found.capacity_qps.get(candidate.service, candidate.capacity.qps)
