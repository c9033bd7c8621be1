"""The whole plan, with its assumptions, its solver's word and its provenance."""

from __future__ import annotations

import datetime
import hashlib
import json
import platform
from collections.abc import Iterator, Sequence

from planner.assembly.acceptance import acceptance_of
from planner.assembly.bill import nodes_of, totals_of
from planner.assembly.commitments import liabilities
from planner.assembly.conversations import caches_at_risk, offloads, talks_as
from planner.assembly.decision import as_predicted_of, cheapest_of, with_margins
from planner.assembly.divided_contexts import divided_contexts
from planner.assembly.drafting import drafting
from planner.assembly.engine_basis import engine_basis
from planner.assembly.gpu_parts import gpu_parts
from planner.assembly.losses import losses_of
from planner.assembly.networks import distance_warnings, network_warnings
from planner.assembly.prices import judged_from, price_warnings
from planner.assembly.reasons import (
    alternative_of,
    infeasibility_of,
    rejection_groups,
    serves_as_much,
    without_price,
)
from planner.assembly.rentals import cash_of, rentals_of
from planner.assembly.searched import searched
from planner.assembly.service_notes import service_notes
from planner.assembly.services import service_plan
from planner.catalog.store import Catalog
from planner.fleet.alternatives.narrower_choices import Restriction
from planner.fleet.candidates.feasibility import lower_precision
from planner.fleet.offers.node_offers import offer_key
from planner.fleet.offers.power import power_note
from planner.performance.factors import Calibration
from planner.plan.provenance import Provenance, Run, SolverReport, Verification
from planner.plan.schema import NodeCount, Plan, ServicePlan
from planner.scenario.fleet import Assurance
from planner.scenario.schema import Arrivals, Scenario
from planner.solving.options import SolveOptions
from planner.solving.schedule import periods_of
from planner.solving.stages import (
    Decided,
    FleetsBeside,
    InfeasibleScenario,
    Solved,
    SolvedFleet,
)
from planner.version import package_version


def assemble(
    solved: Solved,
    catalog: Catalog,
    calibration: Calibration,
    effort: SolveOptions,
    seconds: float,
    *,
    for_cost: bool = False,
) -> Plan:
    """Write out what was decided; ``seconds``: wall time of the whole run [s].

    ``for_cost``: only what the fleet is and costs is read of the plan, so that neither its acceptance test
    nor what the loss of a replica does is worked out.
    """
    decided = solved.decided
    solution, scenario = decided.solution, decided.scenario
    found = solved if isinstance(solved, SolvedFleet) else None
    in_full = found is not None and not for_cost
    beside = found.beside if found else FleetsBeside()
    native, bare, elsewhere = beside.native, beside.without_margin, beside.all_offers
    rentals = rentals_of(decided) if found else ()
    nodes = tuple(nodes_of(decided, rentals)) if found else ()
    services = with_margins(
        tuple(service_plan(s, found, nodes, catalog) for s in scenario.services) if found else (),
        decided,
    )
    totals = totals_of(decided, services, nodes) if found else None
    as_of = judged_from(effort.as_of, catalog.offers())
    return Plan(
        scenario=scenario,
        status=solution.status,
        objective_usd_per_hour=solution.objective_usd_per_hour if found else None,
        bound_usd_per_hour=solution.bound_usd_per_hour,
        gap=solution.gap,
        services=services,
        nodes=nodes,
        rentals=rentals,
        totals=totals,
        cash=cash_of(rentals, scenario.horizon) if found else None,
        alternatives=tuple(
            alternative_of(r, decided, totals) for r in beside.rivals if serves_as_much(r, decided)
        ),
        native_precision=alternative_of(native, decided, totals) if native else None,
        as_predicted=as_predicted_of(bare, decided) if bare else None,
        cheapest=cheapest_of(elsewhere, as_of) if elsewhere else None,
        losses=tuple(losses_of(decided, services, nodes)) if in_full else (),
        acceptance=tuple(acceptance_of(decided, services)) if in_full else (),
        searched=searched(decided, catalog),
        left_out=beside.left_out,
        rejections=tuple(rejection_groups(decided)),
        infeasibility=infeasibility_of(solved) if isinstance(solved, InfeasibleScenario) else None,
        assumptions=tuple(_assumptions(decided, beside, catalog, effort)),
        warnings=(
            *scenario.notes,
            *(_of_fleet(found) if found else ()),
            *solution.restrictions,
            *(without_price(decided) if found else ()),
            *liabilities(rentals, scenario.horizon),
            *_of_nodes(decided, services, nodes, catalog, as_of),
        ),
        solver=_solver(decided, effort),
        verification=_verification(found),
        periods=periods_of(decided) if found else (),
        provenance=_provenance(solved, catalog, calibration, effort, as_of, seconds),
    )


def _of_fleet(found: SolvedFleet) -> Iterator[str]:
    """Warnings on a fleet that misses a target in the simulator, or whose prefix caches may not hold."""
    if found.simulation is not None and not found.simulation.holds:
        yield found.simulation.note
    yield from caches_at_risk(found)


def _of_nodes(
    decided: Decided,
    services: Sequence[ServicePlan],
    nodes: Sequence[NodeCount],
    catalog: Catalog,
    as_of: str | None,
) -> Iterator[str]:
    """Warnings on what is rented: its prices, the network between nodes, how far from users it is."""
    offers = decided.offers
    yield from price_warnings(nodes, offers, as_of)
    yield from network_warnings(services, nodes, offers, catalog)
    yield from distance_warnings(decided.scenario.services, nodes, offers, catalog.continents())


def _verification(found: SolvedFleet | None) -> Verification:
    """What was simulated, and what the simulator made of each kind's capacity where it differs."""
    if found is None or found.simulation is None:
        return Verification(method="none")
    simulation, factors = found.simulation, found.decided.capacity_factors()
    differing = {key: factor for key, factor in factors.items() if factor != 1}
    return Verification(
        method="simulate" if simulation.rounds else "none",
        rounds=simulation.rounds,
        capacity_factors=differing if simulation.rounds else {},
        closed_form_error=dict(simulation.closed_form_error),
        near_winners=simulation.near_winners,
        note=simulation.note,
    )


def _assumptions(
    decided: Decided, beside: FleetsBeside, catalog: Catalog, effort: SolveOptions
) -> Iterator[str]:
    for service in decided.scenario.services:
        share = service.assumptions.prefix_hit_share
        label = f"{service.name}: " if len(decided.scenario.services) > 1 else ""
        if service.conversations is not None:
            yield f"{label}{talks_as(service)}"
        elif service.job is None:
            calls = " of calls" if service.prompts_per_call > 1 else ""
            yield (
                f"{label}{_arrivals(service.arrivals)}{calls}, open loop (clients do not wait for responses)"
            )
        if share:
            yield f"{label}{100 * share:g} % of prompt tokens are prefix-cache hits (assumed)"
        yield from service_notes(service, label)
        yield f"{label}{_sized_for(service.assurance)}"
    yield from _links(decided)
    yield from drafting(decided)
    yield from offloads(decided)
    yield from divided_contexts(decided)
    yield from gpu_parts(decided, catalog)
    yield from engine_basis(decided, catalog)
    yield from _precision(decided, beside, catalog, effort)
    if decided.scenario.limits.on_power:
        chosen = (decided.by_key[kind] for kind in decided.replicas())
        yield power_note((gpu for c in chosen for gpu in c.gpus_by_type), catalog)
    yield "prices are list prices; availability and quotas are not checked"


def _links(decided: Decided) -> Iterator[str]:
    """What is taken for granted about the link between the pools of chosen units."""
    chosen = (decided.by_key[kind].prefill for kind in decided.replicas())
    links = dict.fromkeys(pool.link for pool in chosen if pool is not None)
    for link in links:
        yield (
            f"KV caches are transferred at {link.gb_s:g} GB/s per GPU ({link.kind}, its nominal rate unless "
            f"stated), with {1e3 * link.latency_s:g} ms of latency before decoding starts (assumed)"
        )
    if links:
        yield "the decode pool returns the first token: TTFT includes prefill, KV transfer and a decode step"


def _precision(
    decided: Decided, beside: FleetsBeside, catalog: Catalog, effort: SolveOptions
) -> Iterator[str]:
    """What is given up where a chosen deployment is below the checkpoint's own precision."""
    yield "output quality at lower precision is not modelled"
    if effort.rivals and beside.native is None and Restriction.NATIVE not in beside.not_priced:
        chosen = (decided.by_key[kind].deployment for kind in decided.replicas())
        own = {d.model.native_weights for d in chosen if any(lower_precision(d, catalog))}
        if own:
            stated = ", ".join(sorted(own))
            yield f"nothing in the search meets the targets at the checkpoint's own precision ({stated})"


def _sized_for(assurance: Assurance | None) -> str:
    """What the capacities allow for, in words."""
    if assurance is None:
        return "sized for the prediction itself, without a margin"
    forecast = (
        f" and a forecast error with a CV of {assurance.demand_cv:g}" if assurance.demand_cv else ""
    )
    return (
        f"capacity is sized with steps at the {100 * assurance.probability:g} % quantile of their error"
        f"{forecast}, for the traffic as stated; latency is printed as predicted"
    )


def _arrivals(arrivals: Arrivals) -> str:
    if arrivals.process == "constant":
        return "evenly spaced arrivals"
    if arrivals.process == "poisson":
        return "Poisson arrivals"
    return f"{arrivals.process} arrivals with CV {arrivals.cv:g}"


def _solver(decided: Decided, effort: SolveOptions) -> SolverReport:
    s = decided.solution
    return SolverReport(
        name=s.solver or effort.solver,
        version=s.solver_version or "-",
        status=s.status,
        variables=s.variables,
        constraints=s.constraints,
        candidates=len(decided.problem.kinds),
        candidates_after_dominance=s.kinds_after_dominance,
        gap_tolerance=effort.gap,
        rivals=effort.rivals,
    )


def _provenance(
    solved: Solved,
    catalog: Catalog,
    calibration: Calibration,
    effort: SolveOptions,
    as_of: str | None,
    seconds: float,
) -> Provenance:
    decided = solved.decided
    beside = solved.beside if isinstance(solved, SolvedFleet) else FleetsBeside()
    halted = isinstance(solved, InfeasibleScenario) and solved.explanation.stopped
    billed = {offer_key(key) for key, _ in decided.solution.billed}
    used = [o for key, o in decided.offers_by_key.items() if key in billed]
    dates = sorted(filter(None, (o.as_of for o in (used or decided.offers))))
    return Provenance(
        planner_version=package_version(),
        catalog_digest=catalog.digest(),
        scenario_digest=digest_of(decided.scenario),
        calibration="; ".join(calibration.sources),
        calibration_digest=calibration.fingerprint,
        price_dates=(dates[0], dates[-1]) if dates else None,
        as_of=as_of,
        seed=effort.seed,
        run=Run(
            created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            duration_s=round(seconds, 3),
            host=platform.node(),
            solve_s=round(decided.solution.seconds, 3),
            not_priced=beside.not_priced,
            stopped=beside.stopped or halted,
        ),
    )


def digest_of(scenario: Scenario) -> str:
    """The fingerprint of every field of a scenario."""
    text = json.dumps(scenario.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
