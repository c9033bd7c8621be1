"""The plan written again from its decision: which replicas and nodes run when, and what is routed where.

Candidates, capacities, demand and prices come from scenario and catalogs, the decision alone from the
plan; all else that a plan says follows, and is compared value by value in ``restated_checks``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from planner.assembly.write import assemble
from planner.catalog.offer import Offer
from planner.catalog.store import Catalog
from planner.errors import InputError
from planner.fleet.candidates.candidate import CandidateSet
from planner.fleet.candidates.enumerate import enumerate_candidates
from planner.fleet.offers.admitted import is_admitted
from planner.fleet.offers.node_offers import existing_offers
from planner.fleet.program.capacity_factors import scaled
from planner.fleet.program.problem import Problem, Solution
from planner.fleet.sources import Sources
from planner.performance.factors import Calibration
from planner.plan.provenance import VerificationRound
from planner.plan.schema import Plan
from planner.scenario.schema import Service
from planner.serving.simulation.service_simulation import check_service
from planner.solving.beside import fleets_beside
from planner.solving.build_problem import decide
from planner.solving.latency_ends import with_ends
from planner.solving.operating import operating
from planner.solving.options import SolveOptions
from planner.solving.prefix_hits import prefix_hits_of
from planner.solving.request_streams import streams_of
from planner.solving.scenario_program import frame
from planner.solving.simulation_loop import round_of, simulated_as_required, with_simulated
from planner.solving.stages import Decided, FleetAtLoad, Framed, Simulation, SolvedFleet

PROOF_SECONDS = 60.0  # for the program solved again; nearly all are proved in less than one


@dataclass(frozen=True)
class Restated:
    """``plan`` written again; ``decided``: what it was written from; ``again``: its program, solved."""

    plan: Plan
    decided: Decided
    again: Solution


def effort_of(plan: Plan) -> SolveOptions:
    """How hard the plan's own numbers were looked for, as far as they depend on it."""
    return SolveOptions(
        verify=plan.verification.method,
        time_limit_s=PROOF_SECONDS,
        gap=min(max(plan.solver.gap_tolerance, 0.0), 1.0),
        seed=plan.provenance.seed,
        rivals=min(max(plan.solver.rivals, 0), 100),
        as_of=plan.provenance.as_of,
        ranges=any(g.predicted.intervals for g in plan.groups),
    )


def framed_again(
    plan: Plan, catalog: Catalog, calibration: Calibration, offers: Iterable[Offer]
) -> Framed:
    """Candidates and program of the plan's scenario, framed without a look at its decision.

    Raises PlannerError.
    """
    scenario = plan.scenario
    admitted = (o for o in offers if is_admitted(o, scenario.prices))
    known = {o.key: o for o in (*admitted, *existing_offers(scenario, catalog))}
    everything = tuple(known.values())
    shares = scenario.sharing.gpu

    def size(service: Service) -> CandidateSet:
        return enumerate_candidates(service, catalog, everything, calibration, shares)

    return frame(scenario, everything, size, catalog)


def restated(
    plan: Plan,
    framed: Framed,
    catalog: Catalog,
    calibration: Calibration,
    base: Path | None = None,
) -> Restated:
    """Write ``plan`` again from its decision. ``base``: folder of a relative price file.

    Raises PlannerError where the decision names replicas, offers or periods that the scenario does not
    have, and where a prediction beats physics.
    """
    effort = effort_of(plan)
    problem = scaled(framed.problem, capacity_factors(plan, framed))
    again = decide(problem, effort)
    solution = replace(decision_of(plan, problem), restrictions=again.restrictions)
    decided = Decided(framed, problem, solution)
    with np.errstate(divide="ignore", invalid="ignore"):  # a plan may claim a rate of 0
        fleet, simulation = FleetAtLoad(decided, operating(decided)), None
    if plan.verification.method == "simulate":
        fleet, simulation = _simulated(plan, fleet)
    if effort.ranges:
        fleet = with_ends(fleet, check_service if simulation else None, effort.seed)
    hits = prefix_hits_of(fleet, effort.seed)
    solved = SolvedFleet(fleet, simulation, hits)
    if effort.rivals:
        beside = fleets_beside(decided, Sources(catalog, calibration, base), effort)
        solved = replace(solved, beside=beside)
    return Restated(assemble(solved, catalog, calibration, effort, 0.0), decided, again)


def _simulated(plan: Plan, fleet: FleetAtLoad) -> tuple[FleetAtLoad, Simulation]:
    """The chosen fleet simulated again at its planned load and after a loss, from the plan's seed."""
    decided, seed = fleet.decided, plan.provenance.seed
    found = [simulated_as_required(s, decided.problem, seed) for s in streams_of(decided)]
    holds = all(p.holds for p in found)
    rounds = _rounds(plan, [round_of(0, decided, p) for p in found] if holds else [])
    fleet, errors = with_simulated(fleet, found)
    return fleet, Simulation(holds, rounds, errors, plan.verification.near_winners)


def _rounds(plan: Plan, own: Sequence[VerificationRound]) -> tuple[VerificationRound, ...]:
    """The recorded rounds, the last one that confirmed each of the plan's own streams as recomputed."""
    rounds = list(plan.verification.rounds)
    for one in own:
        known = [i for i, r in enumerate(rounds) if r.holds and r.deployment == one.deployment]
        if known:
            number = rounds[known[-1]].round
            rounds[known[-1]] = one.model_copy(update={"round": number})
        else:
            rounds.append(one)
    return tuple(rounds)


def capacity_factors(plan: Plan, framed: Framed) -> dict[str, float]:
    """What the simulator made of capacities, as the plan records it.

    Plans without that record have their own groups alone, by the capacities of these.
    """
    if plan.verification.method == "none":
        return {}
    closed_form = {c.key: c.capacity.qps for s in framed.candidates.values() for c in s.candidates}
    own = {
        key: group.capacity_qps / closed_form[key]
        for service in plan.services
        for group in service.replica_groups
        if closed_form.get(key := group.key(service.name), 0.0) > 0
    }
    recorded = plan.verification.capacity_factors
    return {**(own if not recorded else {}), **recorded}


def decision_of(plan: Plan, problem: Problem) -> Solution:
    """The plan's decision in the program's terms; raises InputError for names it does not have."""
    if plan.periods and len(plan.periods) != len(problem.period_hours):
        raise InputError(
            "the plan has other periods than its scenario",
            found=len(plan.periods),
            allowed=str(len(problem.period_hours)),
        )
    replicas: dict[tuple[str, int], int] = {}
    billed: dict[tuple[str, int], int] = {}
    routed: dict[tuple[str, str, int], float] = {}
    unserved: dict[tuple[str, int], float] = {}
    for t, period in enumerate(plan.periods):
        replicas |= {(key, t): n for key, n in period.replicas.items()}
        billed |= {(offer, t): n for offer, n in period.nodes.items()}
        unserved |= {(demand, t): rate for demand, rate in period.unserved_qps.items()}
        routed |= {
            (demand, key, t): rate
            for key, rates in period.routed_qps.items()
            for demand, rate in rates.items()
        }
    if not plan.periods:
        replicas, billed = _without_periods(plan)
    if not routed:
        routed = {
            (s.name, g.key(s.name), 0): g.routed_qps
            for s in plan.services
            for g in s.replica_groups
        }
    if not plan.periods:
        unserved = _unserved(problem, routed)
    _must_be_known(problem, replicas, billed, routed)
    return Solution(
        status=plan.status,
        objective_usd_per_hour=plan.objective_usd_per_hour,
        bound_usd_per_hour=plan.bound_usd_per_hour,
        gap=plan.gap,
        replicas=replicas,
        billed=billed,
        routed_qps=routed,
        unserved_qps=unserved,
        overlap_node_hours=_overlaps(problem, billed),
    )


def _without_periods(
    plan: Plan,
) -> tuple[dict[tuple[str, int], int], dict[tuple[str, int], int]]:
    """Replicas and nodes of a plan written before a single period was recorded."""
    replicas = {(g.key(s.name), 0): g.replicas for s in plan.services for g in s.replica_groups}
    billed: dict[tuple[str, int], int] = {}
    for node in plan.nodes:
        key = (f"{node.provider}/{node.region}/{node.instance_type}/{node.term}", 0)
        billed[key] = billed.get(key, 0) + node.count
    return replicas, billed


def _unserved(
    problem: Problem, routed: Mapping[tuple[str, str, int], float]
) -> dict[tuple[str, int], float]:
    carried: dict[str, float] = {}
    for (demand, _, _), rate in routed.items():
        carried[demand] = carried.get(demand, 0.0) + rate
    short = {d.key: d.rates_qps[0] - carried.get(d.key, 0.0) for d in problem.demands}
    return {(key, 0): rate for key, rate in short.items() if rate > 1e-9}


def _overlaps(problem: Problem, billed: Mapping[tuple[str, int], int]) -> dict[str, float]:
    """Node-hours paid twice while existing nodes are replaced in the first period [h]."""
    gone = {o.key: o.existing - billed.get((o.key, 0), 0) for o in problem.offers}
    return {
        key: problem.overlap_hours * nodes
        for key, nodes in gone.items()
        if nodes > 0 and problem.overlap_hours > 0
    }


def _must_be_known(
    problem: Problem,
    replicas: Iterable[tuple[str, int]],
    billed: Iterable[tuple[str, int]],
    routed: Iterable[tuple[str, str, int]],
) -> None:
    kinds = {k.key for k in problem.kinds}
    for what, names, known in (
        ("replicas", {k for k, _ in replicas}, kinds),
        ("routes to replicas", {k for _, k, _ in routed}, kinds),
        ("routes", {d for d, _, _ in routed}, {d.key for d in problem.demands}),
        ("nodes", {o for o, _ in billed}, {o.key for o in problem.offers}),
    ):
        unknown = sorted(names - known)
        if unknown:
            raise InputError(f"the scenario's search has no such {what}", found=unknown[0])
