"""From a scenario to a fleet: frame, decide, simulate, and price the fleets beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from planner.catalog.store import Catalog
from planner.fleet.alternatives.narrower_choices import (
    Restriction,
    Rival,
    rival,
    rival_gpus,
    unprotected,
)
from planner.fleet.candidates.cache import SizedBefore
from planner.fleet.candidates.candidate import CandidateSet
from planner.fleet.candidates.enumerate import enumerate_candidates
from planner.fleet.candidates.feasibility import lower_precision
from planner.fleet.candidates.known import Known
from planner.fleet.offers.admitted import offers_of
from planner.fleet.program.problem import Problem, ReplicaKind, Solution
from planner.fleet.program.solutions import ProvedSolutions
from planner.performance.factors import Calibration
from planner.plan.prefix_hits import PrefixHits
from planner.scenario.schema import Scenario, Service
from planner.solving.build_problem import decide
from planner.solving.cheapest import cheapest_alone
from planner.solving.decision_rows import effort_of_rows, of_all_offers, without_margin
from planner.solving.latency_ends import with_ends
from planner.solving.left_out import left_out
from planner.solving.operating import operating
from planner.solving.options import Progress, SolveOptions
from planner.solving.scenario_program import frame
from planner.solving.stages import (
    Decided,
    FleetAtLoad,
    FleetsBeside,
    InfeasibleScenario,
    Solved,
    SolvedFleet,
    UnsolvedScenario,
)

if TYPE_CHECKING:
    from planner.solving.near_winners import NearWinners

RIVAL_SECONDS = 5.0  # for each alternative: most are proved in far less


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
    files that do not exist, SolverError when the solver fails.
    """
    progress("sizing candidates")
    known = known or Known()
    offers = offers_of(scenario, catalog, base)
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
        why = explained(decided.framed, catalog, calibration, effort, base, known, proved)
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
    progress("pricing the alternatives")
    beside = fleets_beside(fleet.decided, catalog, calibration, effort, base, known, proved)
    return SolvedFleet(fleet, simulation, hits, beside)


def _near_winners(
    effort: SolveOptions, known: Known, proved: ProvedSolutions | None
) -> NearWinners:
    """What a solve simulates; the simulator is loaded here, and not by a solve without one."""
    from planner.solving.kept_simulations import KeptSimulations
    from planner.solving.near_winners import NearWinners

    return NearWinners(effort, KeptSimulations(known), proved)


def fleets_beside(
    decided: Decided,
    catalog: Catalog,
    calibration: Calibration,
    effort: SolveOptions,
    base: Path | None = None,
    known: Known | None = None,
    proved: ProvedSolutions | None = None,
) -> FleetsBeside:
    """Price the fleets beside the plan.

    base: folder of a relative price file. known: of deployments, from earlier solves of the session.
    proved: programs of the same question that were solved before. Raises InputError for a price file
    that does not exist.
    """
    known = known or Known()
    rivals, native = rivals_of(decided, catalog, effort, proved)
    equal = effort_of_rows(decided, effort)
    return FleetsBeside(
        rivals=rivals,
        native=native,
        without_margin=without_margin(decided, catalog, calibration, equal, known, proved),
        all_offers=of_all_offers(decided, catalog, calibration, equal, base, known, proved),
        left_out=left_out(decided, rivals, catalog, calibration, effort, known, proved),
    )


def rivals_of(
    decided: Decided, catalog: Catalog, effort: SolveOptions, proved: ProvedSolutions | None = None
) -> tuple[tuple[Rival, ...], Rival | None]:
    """Price what was not chosen: every other GPU type, native precision, prompts and answers the other way.

    A rival that is not proved in a few seconds is shown at the best cost found.
    """
    brief = replace(effort, time_limit_s=min(effort.time_limit_s, RIVAL_SECONDS))

    def again(problem: Problem) -> Solution:
        return decide(problem, brief, proved=proved)

    def is_native(kind: ReplicaKind) -> bool:
        return not lower_precision(decided.by_key[kind.key].deployment, catalog)

    chosen = decided.replicas()
    gpus = {k.gpu for k in decided.problem.kinds if k.key in chosen}
    only = gpus if len(gpus) == 1 else set()
    if all(is_native(k) for k in decided.problem.kinds if k.key in chosen):
        native = None
    else:
        native = rival(decided.problem, Restriction.NATIVE, is_native, again)
    bare = unprotected(decided.problem, again)
    in_units = {k.key for k in decided.problem.kinds if decided.by_key[k.key].prefill}
    pools = None
    if any(key in in_units for key in chosen):
        pools = rival(decided.problem, Restriction.TOGETHER, lambda k: k.key not in in_units, again)
    elif in_units:
        pools = rival(decided.problem, Restriction.APART, lambda k: k.key in in_units, again)
    others = rival_gpus(decided.problem, again, count=effort.rivals, without=only)
    first = tuple(r for r in (bare, pools) if r)
    apart = pools.solution.most_replicas() if pools and pools.name is Restriction.APART else None
    news = tuple(r for r in others if r.solution.most_replicas() != apart)
    return (*first, *news), native
