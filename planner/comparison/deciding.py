"""A scenario decided for comparison: its program and its fleet, without a plan written around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from planner.catalog.store import Catalog
from planner.fleet.candidates.cache import SizedBefore
from planner.fleet.candidates.candidate import Candidate
from planner.fleet.offers.admitted import offers_of
from planner.fleet.program.problem import Problem, Solution
from planner.scenario.schema import Scenario
from planner.solving.build_problem import decide
from planner.solving.job_hours import framed_problem
from planner.solving.near_winners import scaled
from planner.solving.pipeline import solve_scenario
from planner.solving.result import Effort, Progress


@dataclass(frozen=True)
class Decided:
    """A scenario with its program, what was decided, and the candidates by key.

    ``simulated``: whether the fleet was checked in the simulator, as ``planner solve`` does.
    """

    scenario: Scenario
    problem: Problem
    solution: Solution
    candidates: Mapping[str, Candidate]
    simulated: bool = False

    @property
    def corrections(self) -> dict[str, float]:
        """What the simulator made of the capacity of each kind, as a factor on the prediction."""
        counted = {k.key: k.capacity_qps for k in self.problem.kinds}
        return {
            key: counted[key][demand] / predicted if key in counted else 0.0
            for key, candidate in self.candidates.items()
            for demand, predicted in list(candidate.bucket_qps.items())[:1]
            if predicted > 0
        }

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

    def as_solved(self, scenario: Scenario, progress: Progress) -> Decided:
        """The very decision that ``planner solve`` prints, simulated where the effort says so."""
        effort = replace(self.effort, rivals=0, explain=False)
        solved = solve_scenario(
            scenario,
            self.catalog,
            self.sized.calibration,
            effort,
            base=self.base,
            sized=self.sized,
            progress=progress,
        )
        return Decided(
            scenario, solved.problem, solved.solution, solved.by_key, simulated=bool(solved.rounds)
        )

    def decide(self, scenario: Scenario, corrections: Mapping[str, float] | None = None) -> Decided:
        """Size the candidates of ``scenario`` and solve its program, without simulating the fleet.

        ``corrections``: factors on the predicted capacity of each kind, known from a simulation.
        """
        offers = offers_of(scenario, self.catalog, self.base)
        shares = scenario.sharing.gpu
        sets = {s.name: self.sized.candidates(s, offers, shares) for s in scenario.services}
        framed, _ = framed_problem(scenario, sets, offers, self.catalog)
        problem = scaled(framed, corrections or {})
        by_key = {c.key: c for s in sets.values() for c in s.candidates}
        return Decided(scenario, problem, self.solve(problem), by_key)

    def solve(self, problem: Problem) -> Solution:
        """Solve a program."""
        return decide(problem, self.effort)
