"""The whole plan, with its assumptions, its solver's word and its provenance."""

from __future__ import annotations

import datetime
import hashlib
import json
import platform
from collections.abc import Iterator

from planner.assembly.acceptance import acceptance_of
from planner.assembly.bill import nodes_of, totals_of
from planner.assembly.commitments import liabilities
from planner.assembly.conversations import offloads, talks_as
from planner.assembly.decision import as_predicted_of, cheapest_of, losses_of, with_margins
from planner.assembly.drafting import drafting
from planner.assembly.engine_basis import engine_basis
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
from planner.fleet.candidates.feasibility import lower_precision
from planner.fleet.offers.node_offers import offer_key
from planner.performance.factors import Calibration
from planner.plan.provenance import Provenance, Run, SolverReport, Verification
from planner.plan.schema import Plan
from planner.scenario.fleet import Assurance
from planner.scenario.schema import Arrivals, Scenario
from planner.solving.result import Effort, Solved
from planner.solving.schedule import periods_of
from planner.version import package_version


def assemble(
    solved: Solved,
    catalog: Catalog,
    calibration: Calibration,
    effort: Effort,
    seconds: float,
    *,
    for_cost: bool = False,
) -> Plan:
    """Write out what was decided; ``seconds``: wall time of the whole run [s].

    ``for_cost``: only what the fleet is and costs is read of the plan, so that neither its acceptance test
    nor what the loss of a replica does is worked out.
    """
    solution, scenario = solved.solution, solved.scenario
    has_fleet = solution.status in ("optimal", "feasible")
    in_full = has_fleet and not for_cost
    rentals = rentals_of(solved) if has_fleet else ()
    nodes = tuple(nodes_of(solved, rentals)) if has_fleet else ()
    services = (
        tuple(service_plan(s, solved, nodes, catalog) for s in scenario.services)
        if has_fleet
        else ()
    )
    services = with_margins(services, solved)
    totals = totals_of(solved, services, nodes) if has_fleet else None
    as_of = judged_from(effort.as_of, catalog.offers())
    return Plan(
        scenario=scenario,
        status=solution.status,
        objective_usd_per_hour=solution.objective_usd_per_hour if has_fleet else None,
        bound_usd_per_hour=solution.bound_usd_per_hour,
        gap=solution.gap,
        services=services,
        nodes=nodes,
        rentals=rentals,
        totals=totals,
        cash=cash_of(rentals, scenario.horizon) if has_fleet else None,
        alternatives=tuple(
            alternative_of(r, solved, totals) for r in solved.rivals if serves_as_much(r, solved)
        ),
        native_precision=alternative_of(solved.native, solved, totals) if solved.native else None,
        as_predicted=as_predicted_of(solved) if has_fleet else None,
        cheapest=cheapest_of(solved, as_of) if has_fleet else None,
        losses=tuple(losses_of(solved, services, nodes)) if in_full else (),
        acceptance=tuple(acceptance_of(solved, services)) if in_full else (),
        searched=searched(solved, catalog),
        left_out=solved.left_out,
        rejections=tuple(rejection_groups(solved)),
        infeasibility=infeasibility_of(solved),
        assumptions=tuple(_assumptions(solved, catalog, effort)),
        warnings=(
            *scenario.notes,
            *solved.warnings,
            *solved.solution.restrictions,
            *(without_price(solved) if has_fleet else ()),
            *liabilities(rentals, scenario.horizon),
            *price_warnings(nodes, solved.offers, as_of),
        ),
        solver=_solver(solved, effort),
        verification=Verification(
            method="simulate" if solved.rounds else "none",
            rounds=solved.rounds,
            capacity_factors=_factors(solved) if solved.rounds else {},
            closed_form_error=dict(solved.closed_form_error),
            near_winners=solved.near_winners,
            note=solved.verification_note,
        ),
        periods=periods_of(solved) if has_fleet else (),
        provenance=_provenance(solved, catalog, calibration, effort, seconds).model_copy(
            update={"as_of": as_of}
        ),
    )


def _factors(solved: Solved) -> dict[str, float]:
    """What the simulator made of each kind's capacity, over the closed form; 0 where no rate held."""
    counted = {k.key: k.capacity_qps for k in solved.problem.kinds}
    factors = {
        key: max(counted[key].values()) / max(candidate.bucket_qps.values())
        if key in counted
        else 0.0
        for key, candidate in solved.by_key.items()
    }
    return {key: factor for key, factor in factors.items() if factor != 1}


def _assumptions(solved: Solved, catalog: Catalog, effort: Effort) -> Iterator[str]:
    for service in solved.scenario.services:
        share = service.assumptions.prefix_hit_share
        label = f"{service.name}: " if len(solved.scenario.services) > 1 else ""
        if service.conversations is not None:
            yield f"{label}{talks_as(service)}"
        elif service.job is None:
            yield f"{label}{_arrivals(service.arrivals)}, open loop (clients do not wait for responses)"
        if share:
            yield f"{label}{100 * share:g} % of prompt tokens are prefix-cache hits (assumed)"
        yield from service_notes(service, label)
        yield f"{label}{_sized_for(service.assurance)}"
    yield from _links(solved)
    yield from drafting(solved)
    yield from offloads(solved)
    yield from engine_basis(solved, catalog)
    yield from _precision(solved, catalog, effort)
    yield "prices are list prices; availability and quotas are not checked"


def _links(solved: Solved) -> Iterator[str]:
    """What is taken for granted about the link between the pools of chosen units."""
    chosen = (solved.by_key[kind].prefill for kind in solved.replicas())
    links = dict.fromkeys(pool.link for pool in chosen if pool is not None)
    for link in links:
        yield (
            f"KV caches travel at {link.gb_s:g} GB/s a GPU ({link.kind}, its nominal rate unless "
            f"stated), and wait {1e3 * link.latency_s:g} ms more until the answer may start (assumed)"
        )
    if links:
        yield "a first token leaves the decode pool: TTFT holds prefill, KV transfer and a decode step"


def _precision(solved: Solved, catalog: Catalog, effort: Effort) -> Iterator[str]:
    """What is given up where a chosen deployment is below the checkpoint's own precision."""
    yield "output quality at lower precision is not modelled"
    if effort.rivals and solved.native is None:
        chosen = (solved.by_key[kind].deployment for kind in solved.replicas())
        own = {d.model.native_weights for d in chosen if any(lower_precision(d, catalog))}
        if own:
            stated = ", ".join(sorted(own))
            yield f"nothing in the search holds the targets at the checkpoint's own precision ({stated})"


def _sized_for(assurance: Assurance | None) -> str:
    """What the capacities allow for, in words."""
    if assurance is None:
        return "sized for the prediction itself, without a margin"
    forecast = (
        f", the forecast off by a CV of {assurance.demand_cv:g}" if assurance.demand_cv else ""
    )
    return (
        f"steps are taken as slow as the {100 * assurance.probability:g} % quantile of their error"
        f"{forecast}, given the stated traffic otherwise; latency is stated as predicted"
    )


def _arrivals(arrivals: Arrivals) -> str:
    if arrivals.process == "constant":
        return "evenly spaced arrivals"
    if arrivals.process == "poisson":
        return "Poisson arrivals"
    return f"{arrivals.process} arrivals with CV {arrivals.cv:g}"


def _solver(solved: Solved, effort: Effort) -> SolverReport:
    s = solved.solution
    return SolverReport(
        name=s.solver or effort.solver,
        version=s.solver_version or "-",
        status=s.status,
        variables=s.variables,
        constraints=s.constraints,
        candidates=len(solved.problem.kinds),
        candidates_after_dominance=s.kinds_after_dominance,
        gap_tolerance=effort.gap,
        rivals=effort.rivals,
    )


def _provenance(
    solved: Solved, catalog: Catalog, calibration: Calibration, effort: Effort, seconds: float
) -> Provenance:
    billed = {offer_key(key) for key, _ in solved.solution.billed}
    used = [o for o in solved.offers if o.key in billed]
    dates = sorted(filter(None, (o.as_of for o in (used or solved.offers))))
    return Provenance(
        planner_version=package_version(),
        catalog_digest=catalog.digest(),
        scenario_digest=digest_of(solved.scenario),
        calibration="; ".join(calibration.sources),
        calibration_digest=calibration.fingerprint,
        price_dates=(dates[0], dates[-1]) if dates else None,
        seed=effort.seed,
        run=Run(
            created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            duration_s=round(seconds, 3),
            host=platform.node(),
            solve_s=round(solved.solution.seconds, 3),
        ),
    )


def digest_of(scenario: Scenario) -> str:
    """The fingerprint of every field of a scenario."""
    text = json.dumps(scenario.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
