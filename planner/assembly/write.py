"""The whole plan, with its assumptions, its solver's word and its provenance."""

from __future__ import annotations

import datetime
import hashlib
import json
import platform
from collections.abc import Iterator
from typing import cast

from planner.assembly.bill import nodes_of, totals_of
from planner.assembly.commitments import liabilities
from planner.assembly.reasons import (
    alternative_of,
    infeasibility_of,
    rejection_groups,
    serves_as_much,
)
from planner.assembly.services import service_plan
from planner.catalog.store import Catalog
from planner.fleet.candidates import lower_precision
from planner.fleet.purchases import offer_key
from planner.performance.factors import Calibration
from planner.plan import Plan, Provenance, Run, SolverReport, Status, Verification
from planner.scenario import Arrivals
from planner.schedule import schedule
from planner.solved import Effort, Solved
from planner.version import package_version


def assemble(
    solved: Solved, catalog: Catalog, calibration: Calibration, effort: Effort, seconds: float
) -> Plan:
    """Write out what was decided; ``seconds``: wall time of the whole run [s]."""
    solution, scenario = solved.solution, solved.scenario
    has_fleet = solution.status in ("optimal", "feasible")
    nodes = tuple(nodes_of(solved)) if has_fleet else ()
    services = tuple(service_plan(s, solved, nodes) for s in scenario.services) if has_fleet else ()
    totals = totals_of(scenario, services, nodes) if has_fleet else None
    return Plan(
        scenario=scenario,
        status=cast(Status, solution.status),
        objective_usd_per_hour=solution.objective_usd_per_hour if has_fleet else None,
        bound_usd_per_hour=solution.bound_usd_per_hour,
        gap=solution.gap,
        services=services,
        nodes=nodes,
        totals=totals,
        alternatives=tuple(
            alternative_of(r, solved, totals) for r in solved.rivals if serves_as_much(r, solved)
        ),
        native_precision=alternative_of(solved.native, solved, totals) if solved.native else None,
        rejections=tuple(rejection_groups(solved)),
        infeasibility=infeasibility_of(solved),
        assumptions=tuple(_assumptions(solved, catalog, effort)),
        warnings=(
            *solved.warnings,
            *solved.solution.restrictions,
            *liabilities(nodes, solved.offers, scenario.horizon),
        ),
        solver=_solver(solved, effort),
        verification=Verification(
            method="simulate" if solved.rounds else "none",
            rounds=solved.rounds,
            closed_form_error=dict(solved.closed_form_error),
            near_winners=solved.near_winners,
            note=solved.verification_note,
        ),
        details={"schedule": schedule(solved)} if len(solved.problem.period_hours) > 1 else {},
        provenance=_provenance(solved, catalog, calibration, effort, seconds),
    )


def _assumptions(solved: Solved, catalog: Catalog, effort: Effort) -> Iterator[str]:
    for service in solved.scenario.services:
        share = service.assumptions.prefix_hit_share
        label = f"{service.name}: " if len(solved.scenario.services) > 1 else ""
        yield f"{label}{_arrivals(service.arrivals)}, open loop (clients do not wait for answers)"
        if share:
            yield f"{label}{100 * share:g} % of prompt tokens are prefix-cache hits (assumed)"
        if service.assurance is not None:
            yield (
                f"{label}sized to hold every target with a probability of "
                f"{100 * service.assurance.probability:g} %, the forecast off by a CV of "
                f"{service.assurance.demand_cv:g}; latency is told as predicted"
            )
    yield from _links(solved)
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
            told = ", ".join(sorted(own))
            yield f"nothing in the search holds the targets at the checkpoint's own precision ({told})"


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
    )


def _provenance(
    solved: Solved, catalog: Catalog, calibration: Calibration, effort: Effort, seconds: float
) -> Provenance:
    billed = {offer_key(key) for key, _ in solved.solution.billed}
    used = [o for o in solved.offers if o.key in billed]
    dates = sorted(filter(None, (o.as_of for o in (used or solved.offers))))
    text = json.dumps(solved.scenario.model_dump(mode="json"), sort_keys=True)
    return Provenance(
        planner_version=package_version(),
        catalog_digest=catalog.digest(),
        scenario_digest=hashlib.sha256(text.encode()).hexdigest(),
        calibration="; ".join(calibration.sources),
        calibration_digest=_fingerprint(calibration),
        price_dates=(dates[0], dates[-1]) if dates else None,
        seed=effort.seed,
        run=Run(
            created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            duration_s=round(seconds, 3),
            host=platform.node(),
            solve_s=round(solved.solution.seconds, 3),
        ),
    )


def _fingerprint(calibration: Calibration) -> str:
    """A digest of every factor in force."""
    shifts = {name: sorted(table.items()) for name, table in calibration.shifts.items()}
    text = repr((sorted(calibration.origins.items()), sorted(shifts.items())))
    return hashlib.sha256(text.encode()).hexdigest()
