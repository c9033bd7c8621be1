"""From a scenario to a fleet: frame, decide, simulate, and price the fleets beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from planner.fleet.sized_before import SizedBefore
from planner.fleet.sources import Sources
from planner.plan.prefix_hits import PrefixHits
from planner.scenario.schema import Scenario
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
    Simulation,
    Solved,
    SolvedFleet,
    UnsolvedScenario,
)

if TYPE_CHECKING:
    from planner.solving.near_winners import NearWinners


def solve_scenario(
    scenario: Scenario,
    sources: Sources,
    effort: SolveOptions,
    *,
    sized: SizedBefore | None = None,
    progress: Progress = lambda _message: None,
    for_cost: bool = False,
) -> Solved:
    """Decide the cheapest fleet for ``scenario``.

    ``sized``: candidates remembered between solves. ``for_cost``: only what the fleet is and costs is read,
    so that deployments that cost more need not be sized. Raises InputError for names and files that do not
    exist and for a day before every price, SolverError when the solver fails.
    """
    progress("sizing candidates")
    store = sources.known.solutions
    proved = store.of(scenario.model_dump_json()) if store else None
    sources, offers = replace(sources, proved=proved), sources.offers(scenario)
    must_have_prices(effort.as_of, (*sources.catalog.offers(), *offers))
    decided = None
    if for_cost and effort.verify == "none" and not effort.rivals:
        decided = cheapest_alone(scenario, offers, sources, effort)
    if decided is None:
        size = (sized or sources).sizing(scenario, offers)
        framed = frame(scenario, offers, size, sources.catalog, proved=proved)
        progress("solving the program")
        decided = Decided(framed, framed.problem, decide(framed.problem, effort, proved=proved))
    near = _near_winners(effort, sources) if effort.verify == "simulate" else None
    if decided.solution.status == "infeasible" and near is not None:
        progress("simulating fleets that need a little more capacity than predicted")
        decided = near.first(decided) or decided
    if decided.solution.status == "infeasible":
        return _infeasible(decided, sources, effort, progress)
    if not decided.has_fleet:
        return UnsolvedScenario(decided)
    fleet, simulation = _at_load(decided, effort, near, progress)
    hits = _prefix_hits(fleet, sources, effort)
    if not effort.rivals:
        return SolvedFleet(fleet, simulation, hits)
    beside = fleets_beside(fleet.decided, sources, effort, progress)
    return SolvedFleet(fleet, simulation, hits, beside)


def _near_winners(effort: SolveOptions, sources: Sources) -> NearWinners:
    """What a solve simulates; the simulator is loaded here, and not by a solve without one."""
    from planner.solving.kept_simulations import KeptSimulations
    from planner.solving.near_winners import NearWinners

    return NearWinners(effort, KeptSimulations(sources.known), sources.proved)


def _infeasible(
    decided: Decided, sources: Sources, effort: SolveOptions, progress: Progress
) -> InfeasibleScenario:
    """The scenario has no fleet: why not, and the nearest ways out, where that is asked."""
    from planner.solving.past_floors import past_floors
    from planner.solving.why_infeasible import UNEXPLAINED, explained

    if not effort.explain:
        return InfeasibleScenario(decided, UNEXPLAINED)
    progress("explaining why no fleet exists")
    decided = past_floors(decided, sources)
    questions = replace(effort.beside(), time_limit_s=effort.time_limit_s)
    return InfeasibleScenario(decided, explained(decided.framed, sources, questions, progress))


def _at_load(
    decided: Decided, effort: SolveOptions, near: NearWinners | None, progress: Progress
) -> tuple[FleetAtLoad, Simulation | None]:
    """The fleet under its load: predicted, simulated where ``near`` is given, with its intervals."""
    fleet, simulation = FleetAtLoad(decided, operating(decided)), None
    if near is not None:
        from planner.solving.simulation_loop import simulated

        fleet, simulation = simulated(fleet, effort, progress, near)
    if effort.ranges:
        fleet = with_ends(fleet, near.simulate if near else None, effort.seed)
    return fleet, simulation


def _prefix_hits(
    fleet: FleetAtLoad, sources: Sources, effort: SolveOptions
) -> Mapping[str, PrefixHits]:
    """How often conversations find their prefix in a cache, by service; empty without conversations."""
    if all(service.conversations is None for service in fleet.decided.scenario.services):
        return {}
    from planner.solving.kept_simulations import KeptSimulations
    from planner.solving.prefix_hits import prefix_hits_of

    return prefix_hits_of(fleet, effort.seed, KeptSimulations(sources.known))
