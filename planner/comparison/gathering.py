"""Find out what a report says around a plan; every part that cannot be found is said so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from planner.catalog.store import Catalog
from planner.comparison import restriction
from planner.comparison.curves import distributions, frontier, latency_curves
from planner.comparison.findings import BreakEven, Findings, Purchase, WhatIf
from planner.comparison.naming import choice_of
from planner.comparison.options import Progress, Solve
from planner.comparison.purchases import purchases
from planner.comparison.resized import resized_against_api
from planner.derivation.derive import derive
from planner.errors import InputError
from planner.fleet.money import break_even_rate_of_fixed_fleet_qps
from planner.performance.factors import Calibration
from planner.plan import Plan
from planner.scenario import Scenario
from planner.units import HOURS_PER_MONTH

Moved = tuple[str, str, Callable[[Scenario], Scenario]]

_RATES = (0.5, 0.8, 1.2, 1.5, 2.0)
_LENGTHS = (0.8, 1.25)
_TARGETS = (0.75, 1.5)
_PRICES = (0.8, 1.2)


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
    baseline, what_ifs = sensitivity(plan, solve, progress)
    asked = sum(s.rate for s in plan.scenario.services)
    rates = [w.usd_per_hour for w in what_ifs if w.input == "Request rate"]
    costs = {asked * factor: cost for factor, cost in zip(_RATES, rates, strict=True)}
    resized = resized_against_api(plan, ways, costs)
    return replace(
        findings,
        break_even=(*findings.break_even, *((resized,) if resized else ())),
        baseline=baseline,
        what_ifs=what_ifs,
        frontier=frontier(plan, solve, progress),
        distributions=distributions(plan, catalog, calibration),
    )


def sensitivity(
    plan: Plan, solve: Solve, progress: Progress | None = None
) -> tuple[WhatIf, tuple[WhatIf, ...]]:
    """Solve the plan's question as asked, and again with each input moved by itself."""
    question = plan.scenario
    moves = tuple(_moves(plan))
    answers = []
    for done, (what, change, move) in enumerate((("As asked", "", _as_asked), *moves)):
        if progress is not None:
            progress(done, len(moves) + 1, f"{what} {change}")
        answers.append(_what_if(what, change, solve, move, question))
    return answers[0], tuple(answers[1:])


def _what_if(
    what: str, change: str, solve: Solve, move: Callable[[Scenario], Scenario], question: Scenario
) -> WhatIf:
    try:
        answer = solve(move(question))
    except InputError:  # a question that cannot be asked any more, such as no offer left
        return WhatIf(what, change, None, None, ())
    totals = answer.totals
    return WhatIf(
        what,
        change,
        totals.usd_per_hour if totals else None,
        totals.gpus_rented if totals else None,
        choice_of(answer),
    )


def _as_asked(scenario: Scenario) -> Scenario:
    return scenario


def _moves(plan: Plan) -> Iterator[Moved]:
    scenario = plan.scenario
    rate = sum(s.rate for s in scenario.services)
    for factor in _RATES:
        yield (
            "Request rate",
            f"{_percent(factor)} ({rate * factor:g}/s)",
            lambda s, f=factor: restriction.with_rate(s, rate * f),  # type: ignore[misc]
        )
    output = scenario.services[0].output_tokens.mean
    if len(scenario.services) == 1 and output is not None:
        for factor in _LENGTHS:
            yield (
                "Output length",
                f"{_percent(factor)} ({output * factor:g} tokens)",
                lambda s, f=factor: restriction.with_output_tokens(s, output * f),  # type: ignore[misc]
            )
    for metric in ("ttft", "tpot"):
        target = scenario.services[0].slo.target(metric)
        if len(scenario.services) == 1 and target is not None:
            for factor in _TARGETS:
                yield (
                    f"{metric.upper()} target",
                    f"{_percent(factor)} ({target.seconds * factor:g} s)",
                    lambda s, f=factor, t=target: restriction.with_target(  # type: ignore[misc]
                        s, t.metric, t.seconds * f
                    ),
                )
    for gpu in dict.fromkeys(n.gpu for n in plan.nodes):
        for factor in _PRICES:
            yield (
                f"Price of {gpu}",
                _percent(factor),
                lambda s, f=factor, g=gpu: restriction.with_price_factor(s, f, g),  # type: ignore[misc]
            )


def _percent(factor: float) -> str:
    return f"{100 * (factor - 1):+.0f} %"


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
