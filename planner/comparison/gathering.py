"""Find out what a report says around a plan; every part that cannot be found is said so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from planner.catalog.store import Catalog
from planner.comparison.ahead import Solve, expect
from planner.comparison.curves import distributions, frontier, latency_curves
from planner.comparison.findings import BreakEven, Findings, Purchase
from planner.comparison.options import Progress
from planner.comparison.purchases import purchases
from planner.comparison.resized import resized_against_api
from planner.comparison.sensitivity import RATE, RATE_FACTORS, questions, sensitivity
from planner.derivation.derive import derive
from planner.fleet.money import break_even_rate_of_fixed_fleet_qps
from planner.performance.factors import Calibration
from planner.plan import Plan
from planner.units import HOURS_PER_MONTH


def gather(
    plan: Plan,
    catalog: Catalog,
    calibration: Calibration,
    solve: Solve | None = None,
    progress: Progress | None = None,
) -> Findings:
    """Everything a report needs besides the plan; what solves or simulates only with ``solve``.

    A plan written under other catalogs keeps its own numbers; the notes say that the ways to pay
    come from newer prices. Raises what ``solve`` raises, other than InputError.
    """
    notes = []
    if plan.provenance.catalog_digest != catalog.digest():
        notes.append(
            "The plan was made with other catalog data than what other ways to pay, sensitivity "
            "and derivation are worked out with here."
        )
    rate = next(r.value for r in catalog.ownership() if r.item == "capital_rate_per_year")
    if solve is not None and plan.totals is not None:
        expect(solve, questions(plan))
    ways = purchases(plan, catalog, rate, solve, progress)
    findings = Findings(
        plan=plan,
        purchases=ways,
        discount_rate=rate,
        break_even=tuple(_break_even(plan, ways)),
        curves=latency_curves(plan, catalog, calibration),
        derivations=derive(plan, catalog) if plan.totals is not None else (),
        notes=tuple(notes),
    )
    if solve is None or plan.totals is None:
        return findings
    faster = frontier(plan, solve, progress)
    baseline, what_ifs = sensitivity(plan, solve, progress)
    asked = sum(s.rate for s in plan.scenario.services)
    rates = [w.usd_per_hour for w in what_ifs if w.input == RATE]
    costs = {asked * factor: cost for factor, cost in zip(RATE_FACTORS, rates, strict=True)}
    resized = resized_against_api(plan, ways, costs)
    return replace(
        findings,
        break_even=(*findings.break_even, *((resized,) if resized else ())),
        baseline=baseline,
        what_ifs=what_ifs,
        frontier=faster,
        distributions=distributions(plan, catalog, calibration),
    )


def _break_even(plan: Plan, ways: tuple[Purchase, ...]) -> Iterator[BreakEven]:
    if plan.totals is None or not ways:
        return
    base = ways[0]
    for way in ways[1:]:
        if way.usd_per_month is None:
            continue
        if way.way == "API":
            yield _against_api(plan, way)
            continue
        month = way.break_even_month
        when = "never within 3 years" if month is None else f"month {month}" if month else "at once"
        saving = (base.present_value_usd or 0.0) - (way.present_value_usd or 0.0)
        yield BreakEven(
            f"{way.way} against the plan",
            when,
            f"{abs(saving):,.0f} USD {'less' if saving > 0 else 'more'} in present value "
            "over 3 years",
        )


def _against_api(plan: Plan, api: Purchase) -> BreakEven:
    """The rate from which the planned fleet costs no more than the API, were it filled that far."""
    assert plan.totals is not None
    assert api.usd_per_month is not None
    rate = sum(s.served_qps for s in plan.services)
    per_request = api.usd_per_month / (HOURS_PER_MONTH * 3600 * rate)
    even = break_even_rate_of_fixed_fleet_qps(plan.totals.usd_per_hour, per_request)
    capacity = sum(g.capacity_qps * g.replicas for s in plan.services for g in s.replica_groups)
    if even <= rate:
        note = "the planned demand is above it: the fleet is cheaper"
    elif even <= capacity:
        note = "the fleet could serve it, but the planned demand is below: the API is cheaper"
    else:
        note = f"more than the {capacity:.3g} requests/s the fleet holds: the API is cheaper"
    return BreakEven("this fleet against the API", f"{even:.3g} requests/s", note)
