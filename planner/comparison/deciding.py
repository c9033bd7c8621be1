"""Scenarios decided for comparison: their program and fleet, without a plan written around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from planner.catalog.store import Catalog
from planner.fleet.program.capacity_factors import scaled
from planner.fleet.program.problem import Problem, Solution
from planner.fleet.sized_before import SizedBefore
from planner.fleet.sources import Sources
from planner.scenario.schema import Scenario
from planner.solving.build_problem import decide
from planner.solving.cheapest import cheapest_alone
from planner.solving.options import Progress, SolveOptions
from planner.solving.pipeline import solve_scenario
from planner.solving.scenario_program import frame
from planner.solving.stages import Decided, Solved


@dataclass(frozen=True)
class Decider:
    """Decides scenarios with one catalog and effort; ``sized`` remembers their candidates."""

    catalog: Catalog
    sized: SizedBefore
    effort: SolveOptions
    base: Path | None = None

    def as_solved(self, scenario: Scenario, progress: Progress) -> Solved:
        """What ``planner solve`` finds, simulated where the effort says so."""
        effort = replace(self.effort, rivals=0, explain=False, ranges=False)
        return solve_scenario(
            scenario,
            Sources(self.catalog, self.sized.calibration, self.base, self.sized.known),
            effort,
            sized=self.sized,
            progress=progress,
        )

    def decide(self, scenario: Scenario, factors: Mapping[str, float] | None = None) -> Decided:
        """The cheapest fleet of ``scenario``, not simulated, among the candidates that could be part of it.

        ``factors``: on the predicted capacity of each kind, known from a simulation.
        """
        sized = self.sized
        sources = Sources(self.catalog, sized.calibration, self.base, sized.known)
        offers = sources.offers(scenario)
        found = cheapest_alone(scenario, offers, sources, self.effort, factors)
        if found is not None:
            return found
        framed = frame(scenario, offers, sized.sizing(scenario, offers), self.catalog)
        problem = scaled(framed.problem, factors or {})
        return Decided(framed, problem, self.solve(problem))

    def solve(self, problem: Problem) -> Solution:
        """Solve a program."""
        return decide(problem, self.effort)
