"""``verify``: every statement of a plan, re-checked without the solver.

What the solver proved (that no cheaper fleet exists, or none at all) cannot be re-checked by
arithmetic; the certificate's own numbers (objective, bound, gap, status) are checked for consistency,
and the cost is held against a bound that needs no solver.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from planner.catalog.offer import Offer
from planner.catalog.store import Catalog
from planner.errors import PlannerError
from planner.fleet.candidates import CandidateSet, enumerate_candidates
from planner.fleet.problem import Problem
from planner.fleet.purchases import existing_offers
from planner.framing import problem_of
from planner.performance.factors import Calibration
from planner.plan import Plan
from planner.verification.bill import bill_checks, price_checks
from planner.verification.bound import fluid_bound_usd_per_hour
from planner.verification.check import Check, Verdict, at_least, at_most, equal, same, skipped
from planner.verification.failures import failure_checks
from planner.verification.packing import packing_checks
from planner.verification.physics import partition_checks, physics_checks, rebuilt
from planner.verification.pools import same_pools
from planner.verification.promises import promise_checks
from planner.verification.timetable import timetable_checks


def verify(
    plan: Plan, catalog: Catalog, calibration: Calibration, offers: Sequence[Offer] | None
) -> tuple[Check, ...]:
    """Return every check made of ``plan``, in a fixed order.

    ``offers``: the price list the plan was solved with, None when it is not at hand.
    """
    return tuple(_checks(plan, catalog, calibration, offers))


def failures(checks: Sequence[Check]) -> tuple[Check, ...]:
    """The checks that fail."""
    return tuple(c for c in checks if c.verdict is Verdict.FAILS)


def _checks(
    plan: Plan, catalog: Catalog, calibration: Calibration, offers: Sequence[Offer] | None
) -> Iterator[Check]:
    yield from certificate_checks(plan)
    yield same(
        "certificate",
        "the catalog is the one the plan was made from",
        plan.provenance.catalog_digest,
        catalog.digest(),
    )
    if plan.totals is None:
        return
    yield from bill_checks(plan)
    if offers is None:
        yield skipped("prices", "prices of the nodes", "the price list is not at hand")
    else:
        yield from price_checks(plan, offers)
        yield from _optimality(plan, catalog, calibration, offers)
    yield from promise_checks(plan, lambda name: catalog.gpu(name).name)
    yield from packing_checks(plan)
    yield from failure_checks(plan)
    yield from timetable_checks(plan, catalog)
    yield from partition_checks(plan)
    yield from physics_checks(plan, catalog, calibration)


def _optimality(
    plan: Plan, catalog: Catalog, calibration: Calibration, offers: Sequence[Offer]
) -> Iterator[Check]:
    """The cost against a bound by arithmetic alone, over every candidate of the scenario."""
    objective = plan.objective_usd_per_hour
    if objective is None or plan.scenario.serve != "all":
        return
    known = {o.key: o for o in (*offers, *existing_offers(plan.scenario, catalog))}
    everything = tuple(known.values())
    sets = {
        s.name: enumerate_candidates(s, catalog, everything, calibration, plan.scenario.sharing.gpu)
        for s in plan.scenario.services
    }
    problem = _as_counted(problem_of(plan.scenario, sets, everything, catalog), plan, sets, catalog)
    bound = fluid_bound_usd_per_hour(problem)
    above = (
        f"{100 * (objective / bound - 1):.1f} % above it" if 0 < bound < math.inf else "no bound"
    )
    yield at_least(
        "optimality",
        f"cost [USD/h] against replicas and nodes that could be split ({above})",
        objective,
        bound,
    )


def _as_counted(
    problem: Problem, plan: Plan, sets: Mapping[str, CandidateSet], catalog: Catalog
) -> Problem:
    """The problem with the plan's own capacities where the simulator raised them."""
    raised: dict[str, float] = {}
    for asked, service in zip(plan.scenario.services, plan.services, strict=False):
        for group in service.replica_groups:
            try:
                deployment = rebuilt(asked, group, catalog)
            except PlannerError:  # told by the checks of its physics
                continue
            for candidate in sets[asked.name].candidates:
                if candidate.deployment == deployment and same_pools(candidate.prefill, group):
                    raised[candidate.key] = group.capacity_qps
    return replace(
        problem,
        kinds=tuple(
            replace(
                k,
                capacity_qps={d: max(c, raised.get(k.key, 0.0)) for d, c in k.capacity_qps.items()},
            )
            for k in problem.kinds
        ),
    )


def certificate_checks(plan: Plan) -> Iterator[Check]:
    """Status, objective, dual bound and gap agree with each other and with what is printed."""
    objective, bound = plan.objective_usd_per_hour, plan.bound_usd_per_hour
    has_fleet = plan.status in ("optimal", "feasible")
    for name, part in (("objective", objective), ("totals", plan.totals)):
        verdict = Verdict.HOLDS if (part is not None) == has_fleet else Verdict.FAILS
        statement = f"a plan with status {plan.status!r} has {'an' if has_fleet else 'no'} {name}"
        yield Check("certificate", statement, verdict, "none" if part is None else "given")
    if plan.status == "infeasible":
        explained = plan.infeasibility is not None and plan.infeasibility.summary != ""
        yield Check(
            "certificate",
            "an infeasible plan says why",
            Verdict.HOLDS if explained else Verdict.FAILS,
            plan.infeasibility.summary if plan.infeasibility else "nothing",
        )
        yield skipped("certificate", "no fleet exists", "only the solver can prove that")
    if objective is None or bound is None:
        if plan.status == "optimal":
            yield Check("certificate", "an optimal plan has a bound", Verdict.FAILS, "none")
        return
    yield at_most("certificate", "the bound does not exceed the objective", bound, objective)
    gap = (objective - bound) / objective if objective else 0.0
    if plan.gap is not None:
        near = math.isclose(plan.gap, gap, rel_tol=1e-3, abs_tol=1e-6)
        verdict = Verdict.HOLDS if near else Verdict.FAILS
        statement = "the gap is (objective - bound) / objective"
        yield Check("certificate", statement, verdict, f"{plan.gap:.3g}", f"= {gap:.3g}")
    if plan.status == "optimal":
        allowed = max(plan.solver.gap_tolerance, 1e-6)
        yield at_most("certificate", "an optimal plan is proved within the gap", gap, allowed)
    if plan.totals is not None:
        yield equal(
            "certificate", "the objective is the total [USD/h]", objective, plan.totals.usd_per_hour
        )
