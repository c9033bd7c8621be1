"""Why a scenario has no fleet: its requirements relaxed one by one, its candidates looked up again."""

from __future__ import annotations

from pathlib import Path

from planner.catalog.store import Catalog
from planner.fleet.candidates.cache import SizedBefore
from planner.fleet.candidates.known import Known
from planner.fleet.infeasibility.explain import Explanation, explain
from planner.fleet.infeasibility.oracle import FeasibilityOutcome
from planner.fleet.infeasibility.problem_requirements import outcome_of
from planner.fleet.infeasibility.scenario_requirements import scenario_requirements
from planner.fleet.offers.admitted import offers_of
from planner.fleet.program.solutions import ProvedSolutions
from planner.performance.factors import Calibration
from planner.scenario.schema import Scenario
from planner.solving.build_problem import decide, problem_of
from planner.solving.result import Effort, Solved

UNEXPLAINED = Explanation("No fleet meets the scenario.", (), ())


def explained(
    solved: Solved,
    catalog: Catalog,
    calibration: Calibration,
    effort: Effort,
    base: Path | None,
    known: Known,
    proved: ProvedSolutions | None,
) -> Explanation:
    """The smallest conflict of an infeasible scenario, and the nearest way out of each requirement."""
    before = SizedBefore(catalog, calibration, known)

    def attempt(scenario: Scenario) -> FeasibilityOutcome:
        offers = offers_of(scenario, catalog, base)
        shares = scenario.sharing.gpu
        sets = {s.name: before.candidates(s, offers, shares) for s in scenario.services}
        problem = problem_of(scenario, sets, offers, catalog)
        return outcome_of(problem, decide(problem, effort, proved=proved))

    misses = (
        f"{r.label}: {r.reason} ({r.detail})"
        for s in solved.candidates.values()
        for r in sorted(s.rejections, key=lambda r: r.miss or float("inf"))[:3]
    )
    unserved = [name for name, s in solved.candidates.items() if not s.candidates]
    requirements = scenario_requirements(solved.scenario, unserved)
    return explain(solved.scenario, requirements, attempt, misses)
