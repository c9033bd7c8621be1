"""Find out what a report says around a plan; every part that cannot be found is said so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from planner.catalog.offer import Term
from planner.catalog.store import Catalog
from planner.derivation.derive import derive
from planner.findings.api_break_even import resized_against_api
from planner.findings.asked import ReportQuestions
from planner.findings.energy import energy_of
from planner.findings.latency_curves import distributions, frontier, latency_curves
from planner.findings.owned_servers import RESALE_AT_MONTHS
from planner.findings.ownership_terms import terms_of
from planner.findings.price_ladder import ladder
from planner.findings.regret import regrets
from planner.findings.schema import BreakEven, Findings, Purchase
from planner.findings.sensitivity import RATE, RATE_FACTORS, sensitivity
from planner.findings.sensitivity import questions as what_is_moved
from planner.findings.tornado import swings
from planner.findings.ways_to_pay import purchases
from planner.fleet.offers.admitted import offers_of_file
from planner.money.rates import break_even_rate_of_fixed_fleet_qps
from planner.performance.factors import Calibration
from planner.plan.schema import Plan
from planner.solving.lookahead import Solve, expect
from planner.solving.options import SolveOptions
from planner.solving.side_questions import SideQuestions
from planner.units import HOURS_PER_MONTH, counted, dollars


def gather(
    plan: Plan,
    catalog: Catalog,
    calibration: Calibration,
    solve: Solve | None = None,
    questions: SideQuestions | None = None,
) -> Findings:
    """Everything a report needs besides the plan; what solves or simulates only with ``solve``.

    ``questions``: the time that may take and where progress is reported; without them there is no limit. The
    notes name what was left.

    A plan written under other catalogs keeps its own numbers; the notes say that the ways to pay
    come from newer prices. Raises what ``solve`` raises, other than InputError.
    """
    terms = terms_of(plan.scenario, catalog)
    rate = terms.value("discount_rate")
    asked = None
    if solve is not None:
        asked = ReportQuestions(solve, questions or SideQuestions(SolveOptions()))
        if plan.totals is not None:
            expect(asked, what_is_moved(plan))
    progress = asked.step if asked else None
    ways = purchases(plan, catalog, rate, asked, progress)
    rented_from = {n.provider for n in plan.nodes if n.term != Term.OWNED}
    findings = Findings(
        plan=plan,
        purchases=ways,
        discount_rate=rate,
        break_even=tuple(break_even_points(plan, ways)),
        quotes=offers_of_file(plan.scenario, catalog),
        service_levels=tuple(
            row for row in catalog.service_levels() if row.provider in rented_from
        ),
        energy=energy_of(plan, catalog),
        curves=latency_curves(plan, catalog, calibration),
        derivations=derive(plan, catalog) if plan.totals is not None else (),
        notes=tuple(_notes(plan, catalog)),
    )
    if asked is None or plan.totals is None:
        return findings
    faster = frontier(plan, asked, progress)
    baseline, what_ifs = sensitivity(plan, asked, progress)
    served = plan.served_qps
    rates = [w.usd_per_hour for w in what_ifs if w.input == RATE]
    resized = None
    if len(rates) == len(RATE_FACTORS):  # else there was no time for all of them
        costs = {served * factor: cost for factor, cost in zip(RATE_FACTORS, rates, strict=True)}
        resized = resized_against_api(plan, ways, costs)
    findings = replace(
        findings,
        break_even=(*findings.break_even, *((resized,) if resized else ())),
        baseline=baseline,
        what_ifs=what_ifs,
        swings=swings(plan, ways, terms, asked, progress),
        ladder=ladder(plan, catalog, asked, progress),
        regrets=regrets(plan, what_ifs, asked, progress),
        frontier=faster,
    )
    asked.questions.progress("drawing how the latencies spread")
    return replace(
        findings,
        distributions=distributions(plan, catalog, calibration),
        notes=(*findings.notes, *asked.notes()),
        stopped=asked.questions.stopped,
    )


def _notes(plan: Plan, catalog: Catalog) -> Iterator[str]:
    """What an old plan, or one of other data, cannot say."""
    if plan.provenance.catalog_digest != catalog.digest():
        yield (
            "The plan was made with other catalog data than that used here for payment options, "
            "sensitivity and derivation."
        )
    if not plan.rentals and any(Term(n.term).months for n in plan.nodes):
        yield (
            "The plan does not say when its commitments begin nor what of them is paid upfront; "
            "solve its scenario again for its cash."
        )


def break_even_points(plan: Plan, ways: tuple[Purchase, ...]) -> Iterator[BreakEven]:
    """Where each way breaks even against the plan, in words; servers and months paid ahead both ways."""
    if plan.totals is None or not ways:
        return
    base, months = ways[0], plan.scenario.horizon.months
    for way in ways[1:]:
        if way.usd_per_month is None:
            continue
        if way.way == "API":
            yield _against_api(plan, way)
            continue
        saving = (base.present_value_usd or 0.0) - (way.present_value_usd or 0.0)
        over = f"over {counted(months, 'month')} {dollars(abs(saving))} "
        over += f"{'less' if saving > 0 else 'more'} in present value"
        if way.owed_early_usd:
            over += f"; given up early, up to {dollars(way.owed_early_usd)} is still owed"
        against = f"{way.way} against the plan"
        cash, with_left = (
            _month(m, months) for m in (way.break_even_month, way.counted_break_even_month)
        )
        if way.owned is not None:
            at_36 = next(share for age, share in way.owned.server.resale if age == RESALE_AT_MONTHS)
            yield BreakEven(f"{against}, nothing sold", cash, "by cash alone")
            sold = f"at what they are worth then ({100 * at_36:.0f} % of the price after 36 months)"
            yield BreakEven(f"{against}, servers sold then", with_left, f"{sold}; {over}")
        elif way.leaves:
            yield BreakEven(f"{against}, cash alone", cash, "what is paid ahead counts as spent")
            used = "months paid ahead are used later"
            yield BreakEven(f"{against}, with what is left", with_left, f"{used}; {over}")
        else:
            yield BreakEven(against, cash, over)


def _month(month: int | None, months: int) -> str:
    """When a way breaks even; from the start: at the end of no month has it cost more."""
    if month is None:
        return f"never within {counted(months, 'month')}"
    return f"month {month}" if month else "from the start"


def _against_api(plan: Plan, api: Purchase) -> BreakEven:
    """The rate from which the planned fleet costs no more than the API, were it filled that far."""
    assert plan.totals is not None
    assert api.usd_per_month is not None
    rate = plan.served_qps
    per_request = api.usd_per_month / (HOURS_PER_MONTH * 3600 * rate)
    even = break_even_rate_of_fixed_fleet_qps(plan.totals.usd_per_hour, per_request)
    capacity = sum(g.capacity_qps * g.replicas for g in plan.groups)
    if even <= rate:
        note = "the planned demand is above it: the fleet is cheaper"
    elif even <= capacity:
        note = "the fleet could serve it, but the planned demand is below: the API is cheaper"
    else:
        note = f"more than the fleet's capacity of {capacity:.3g} requests/s: the API is cheaper"
    return BreakEven("this fleet against the API", f"{even:.3g} requests/s", note)
