"""From a scenario to a fleet: frame, decide, simulate, and price the fleets beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from planner.catalog.store import Catalog
from planner.fleet.candidates.cache import SizedBefore
from planner.fleet.candidates.candidate import CandidateSet
from planner.fleet.candidates.enumerate import enumerate_candidates
from planner.fleet.candidates.known import Known
from planner.fleet.offers.admitted import offers_of
from planner.fleet.program.solutions import ProvedSolutions
from planner.performance.factors import Calibration
from planner.plan.prefix_hits import PrefixHits
from planner.scenario.schema import Scenario, Service
from planner.solving.beside import fleets_beside
from planner.solving.build_problem import decide
from planner.solving.cheapest import cheapest_alone
from planner.solving.latency_ends import with_ends
from planner.solving.operating import operating
from planner.solving.options import Progress, SolveOptions, must_have_prices
from planner.solving.scenario_program import frame
from planner.solving.stages import (
    Decided,
    FleetAtLoad,
    InfeasibleScenario,
    Solved,
    SolvedFleet,
    UnsolvedScenario,
)

if TYPE_CHECKING:
    from planner.solving.near_winners import NearWinners


def solve_scenario(
    scenario: Scenario,
    catalog: Catalog,
    calibration: Calibration,
    effort: SolveOptions,
    *,
    base: Path | None = None,
    sized: SizedBefore | None = None,
    known: Known | None = None,
    progress: Progress = lambda _message: None,
    for_cost: bool = False,
) -> Solved:
    """Decide the cheapest fleet for ``scenario``.

    ``base``: folder that relative paths in the scenario are resolved against. ``sized``: candidates
    remembered between solves; ``known``: of deployments, likewise. ``for_cost``: only what the fleet is and
    costs is read, so that deployments that cost more need not be sized. Raises InputError for names and
    files that do not exist and for a day before every price, SolverError when the solver fails.
    """
    progress("sizing candidates")
    known = known or Known()
    offers = offers_of(scenario, catalog, base)
    must_have_prices(effort.as_of, (*catalog.offers(), *offers))
    shares = scenario.sharing.gpu

    def size(service: Service) -> CandidateSet:
        if sized is not None:
            return sized.candidates(service, offers, shares)
        return enumerate_candidates(service, catalog, offers, calibration, shares, known)

    proved = known.solutions.of(scenario.model_dump_json()) if known.solutions else None
    decided = None
    if for_cost and effort.verify == "none" and not effort.rivals:
        decided = cheapest_alone(scenario, offers, catalog, calibration, effort, known, proved)
    if decided is None:
        framed = frame(scenario, offers, size, catalog, proved=proved)
        progress("solving the program")
        decided = Decided(framed, framed.problem, decide(framed.problem, effort, proved=proved))
    near = _near_winners(effort, known, proved) if effort.verify == "simulate" else None
    if decided.solution.status == "infeasible" and near is not None:
        progress("simulating fleets that need a little more capacity than predicted")
        decided = near.first(decided) or decided
    if decided.solution.status == "infeasible":
        from planner.solving.past_floors import past_floors
        from planner.solving.why_infeasible import UNEXPLAINED, explained

        if not effort.explain:
            return InfeasibleScenario(decided, UNEXPLAINED)
        progress("explaining why no fleet exists")
        decided = past_floors(decided, catalog, calibration, known)
        why = explained(
            decided.framed,
            catalog,
            calibration,
            replace(effort.beside(), time_limit_s=effort.time_limit_s),
            base,
            known,
            proved,
            progress,
        )
        return InfeasibleScenario(decided, why)
    if not decided.has_fleet:
        return UnsolvedScenario(decided)
    fleet, simulation = FleetAtLoad(decided, operating(decided)), None
    if near is not None:
        from planner.solving.simulation_loop import simulated

        fleet, simulation = simulated(fleet, effort, progress, near)
    if effort.ranges:
        fleet = with_ends(fleet, near.simulate if near else None, effort.seed)
    hits: Mapping[str, PrefixHits] = {}
    if any(service.conversations is not None for service in scenario.services):
        from planner.solving.kept_simulations import KeptSimulations
        from planner.solving.prefix_hits import prefix_hits_of

        hits = prefix_hits_of(fleet, effort.seed, KeptSimulations(known))
    if not effort.rivals:
        return SolvedFleet(fleet, simulation, hits)
    beside = fleets_beside(
        fleet.decided, catalog, calibration, effort, base, known, proved, progress
    )
    return SolvedFleet(fleet, simulation, hits, beside)


def _near_winners(
    effort: SolveOptions, known: Known, proved: ProvedSolutions | None
) -> NearWinners:
    """What a solve simulates; the simulator is loaded here, and not by a solve without one."""
    from planner.solving.kept_simulations import KeptSimulations
    from planner.solving.near_winners import NearWinners

    return NearWinners(effort, KeptSimulations(known), proved)
