"""``verify``: every statement of a plan, re-checked.

Sums, demand, limits, packing and physics are checked by arithmetic that shares nothing with the
program. Then every value of the plan is recomputed from its decision and the catalogs, and the program is
solved again, so that neither a dearer fleet nor a bound of one's own passes. What no one can recompute is
marked in the plan as not verified, and listed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from planner.assembly.write import assemble, digest_of
from planner.catalog.offer import Offer
from planner.catalog.store import Catalog
from planner.errors import PlannerError
from planner.fleet.offers.node_offers import existing_offers
from planner.fleet.sources import Sources
from planner.performance.factors import Calibration
from planner.plan.schema import Plan
from planner.scenario.notes import is_note
from planner.solving.pipeline import solve_scenario
from planner.solving.why_infeasible import UNEXPLAINED
from planner.verification.bill import bill_checks, price_checks
from planner.verification.bound import fluid_bound_usd_per_hour
from planner.verification.cash import cash_checks
from planner.verification.check import Check, Verdict, at_least, at_most, equal, same, skipped
from planner.verification.compare import not_verified_checks, restated_checks
from planner.verification.counts import count_checks
from planner.verification.failures import failure_checks
from planner.verification.jobs import job_checks
from planner.verification.packing import packing_checks
from planner.verification.physics import partition_checks, physics_checks
from planner.verification.places import place_checks
from planner.verification.promises import promise_checks
from planner.verification.proof import proof_checks
from planner.verification.restate import effort_of, framed_again, restated
from planner.verification.routes import route_checks
from planner.verification.timetable import timetable_checks
from planner.version import package_version

OTHER_VERSION = "another version of planner wrote it, whose predictions may differ"


def verify(
    plan: Plan,
    catalog: Catalog,
    calibration: Calibration,
    offers: Sequence[Offer] | None,
    base: Path | None = None,
) -> tuple[Check, ...]:
    """Return every check made of ``plan``, in a fixed order.

    offers: the price list the plan was solved with, None when it is not at hand; base: folder that a
    relative path in its scenario is resolved against.
    """
    return tuple(checks(plan, catalog, calibration, offers, base))


def failures(checks: Sequence[Check]) -> tuple[Check, ...]:
    """The checks that fail."""
    return tuple(c for c in checks if c.verdict is Verdict.FAILS)


def checks(
    plan: Plan,
    catalog: Catalog,
    calibration: Calibration,
    offers: Sequence[Offer] | None,
    base: Path | None = None,
) -> Iterator[Check]:
    """As ``verify``, one check after the other: cheap ones first.

    Without a fleet in the plan its scenario is solved again.
    """
    yield from not_verified_checks(plan)
    notes = tuple(text for text in plan.warnings if is_note(text))
    if notes:
        yield skipped(
            "not verified", "notes on the scenario's file, not read again", "; ".join(notes)
        )
    plan = plan.model_copy(update={"scenario": plan.scenario.noting(notes)})
    counts = tuple(count_checks(plan))
    yield from counts
    if failures(counts):
        return
    yield from certificate_checks(plan)
    yield written_by_this_version(plan)
    yield same(
        "certificate",
        "the catalog is the one the plan was made from",
        plan.provenance.catalog_digest,
        catalog.digest(),
    )
    digest = digest_of(plan.scenario)
    answered = plan.provenance.scenario_digest == digest
    is_ours = plan.provenance.planner_version == package_version()
    yield same(
        "certificate",
        "the scenario is the one that was solved",
        plan.provenance.scenario_digest,
        digest,
    )
    if plan.totals is None:
        if offers is None:
            yield skipped("prices", "what the scenario admits", "the price list is not at hand")
        elif not is_ours:
            yield skipped("recomputed", "the scenario, solved again", OTHER_VERSION)
        elif answered:
            yield from _without_a_fleet(plan, catalog, calibration, base)
        return
    yield from bill_checks(plan)
    yield from cash_checks(plan)
    yield from promise_checks(plan, lambda name: catalog.gpu(name).name)
    yield from packing_checks(plan)
    yield from failure_checks(plan)
    yield from timetable_checks(plan)
    yield from job_checks(plan)
    yield from partition_checks(plan)
    yield from physics_checks(plan, catalog, calibration)
    if offers is None:
        yield skipped(
            "prices", "prices, bound and all that follows", "the price list is not at hand"
        )
        return
    owned = existing_offers(plan.scenario, catalog)
    yield from price_checks(plan, (*offers, *owned))
    if not answered:
        yield skipped("recomputed", "the plan, from its decision", "its scenario is another one")
        return
    if not is_ours:
        yield skipped("recomputed", "the plan, from its decision", OTHER_VERSION)
        return
    yield from _recomputed(plan, catalog, calibration, offers, base)


def _recomputed(
    plan: Plan,
    catalog: Catalog,
    calibration: Calibration,
    offers: Sequence[Offer],
    base: Path | None,
) -> Iterator[Check]:
    """All that follows from the plan's decision, and the proof that the decision is the cheapest."""
    try:
        framed = framed_again(plan, catalog, calibration, offers)
        again = restated(plan, framed, catalog, calibration, base)
    except (PlannerError, ArithmeticError) as error:  # what a plan claims may divide by nothing
        found = str(error).replace("\n", "; ")
        yield Check("recomputed", "the plan, from its decision", Verdict.FAILS, found)
        return
    yield from restated_checks(plan, again.plan)
    yield from route_checks(plan, again.decided.problem, again.decided.solution)
    yield from place_checks(again.decided.problem, again.decided.solution)
    yield from proof_checks(plan, again.decided, framed.problem, effort_of(plan))
    objective = plan.objective_usd_per_hour
    if objective is None or plan.scenario.serve != "all":
        return
    bound = fluid_bound_usd_per_hour(again.decided.problem)
    above = (
        f"{100 * (objective / bound - 1):.1f} % above it" if 0 < bound < math.inf else "no bound"
    )
    yield at_least(
        "optimality",
        f"cost [USD/h] against a fleet of fractional replicas and nodes ({above})",
        objective,
        bound,
    )


def _without_a_fleet(
    plan: Plan, catalog: Catalog, calibration: Calibration, base: Path | None
) -> Iterator[Check]:
    """A plan without a fleet: its scenario solved again, and explained again."""
    text = plan.infeasibility
    explain = text is not None and text.summary != UNEXPLAINED.summary
    effort = replace(effort_of(plan), explain=explain, ranges=False)
    try:
        solved = solve_scenario(plan.scenario, Sources(catalog, calibration, base), effort)
        again = assemble(solved, catalog, calibration, effort, 0.0)
    except PlannerError as error:
        yield Check("recomputed", "the scenario, solved again", Verdict.FAILS, error.what)
        return
    if plan.status == "infeasible":
        yield same("certificate", "no fleet exists, solved again", plan.status, again.status)
    if plan.status == again.status:
        yield from restated_checks(plan, again)


def written_by_this_version(plan: Plan) -> Check:
    """Versions of planner predict otherwise: a plan is recomputed by the one that wrote it alone."""
    written, own = plan.provenance.planner_version, package_version()
    verdict = Verdict.HOLDS if written == own else Verdict.FAILS
    again = "" if written == own else "; solve the scenario again with: planner solve"
    statement = "the plan was written by this version of planner"
    return Check("certificate", statement, verdict, f"version {written}", f"= {own}{again}")


def certificate_checks(plan: Plan) -> Iterator[Check]:
    """Status, objective, dual bound and gap agree with each other and with what is printed."""
    objective, bound = plan.objective_usd_per_hour, plan.bound_usd_per_hour
    has_fleet = plan.status in ("optimal", "feasible")
    for name, part in (("an objective", objective), ("totals", plan.totals)):
        verdict = Verdict.HOLDS if (part is not None) == has_fleet else Verdict.FAILS
        statement = f"a plan with status {plan.status} {'has' if has_fleet else 'has not'} {name}"
        yield Check("certificate", statement, verdict, "none" if part is None else "given")
    if plan.status == "infeasible":
        explained = plan.infeasibility is not None and plan.infeasibility.summary != ""
        yield Check(
            "certificate",
            "an infeasible plan says why",
            Verdict.HOLDS if explained else Verdict.FAILS,
            plan.infeasibility.summary if plan.infeasibility else "nothing",
        )
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
