"""A scenario decided for comparison: its program and its fleet, without a plan written around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from planner.catalog.store import Catalog
from planner.fleet.candidates import Candidate
from planner.fleet.market import admitted_offers
from planner.fleet.problem import Problem, Solution
from planner.fleet.purchases import existing_offers
from planner.fleet.sized_before import SizedBefore
from planner.framing import decide, problem_of
from planner.scenario import Scenario
from planner.solved import Effort


@dataclass(frozen=True)
class Decided:
    """A scenario with its program, what was decided, and the candidates by key."""

    scenario: Scenario
    problem: Problem
    solution: Solution
    candidates: Mapping[str, Candidate]

    @property
    def used(self) -> dict[str, int]:
        """Replicas of each kind in the period with the most."""
        most: dict[str, int] = {}
        for (kind, _), replicas in self.solution.replicas.items():
            if replicas:
                most[kind] = max(replicas, most.get(kind, 0))
        return most


@dataclass(frozen=True)
class Decider:
    """Decides scenarios with one catalog and effort; ``sized`` remembers their candidates."""

    catalog: Catalog
    sized: SizedBefore
    effort: Effort
    base: Path | None = None

    def decide(self, scenario: Scenario) -> Decided:
        """Size the candidates of ``scenario`` and solve its program."""
        offers = (
            *admitted_offers(scenario.prices, self.catalog, self.base),
            *existing_offers(scenario, self.catalog),
        )
        shares = scenario.sharing.gpu
        sets = {s.name: self.sized.candidates(s, offers, shares) for s in scenario.services}
        problem = problem_of(scenario, sets, offers, self.catalog)
        by_key = {c.key: c for s in sets.values() for c in s.candidates}
        return Decided(scenario, problem, self.solve(problem), by_key)

    def solve(self, problem: Problem) -> Solution:
        """Solve a program."""
        return decide(problem, self.effort)
