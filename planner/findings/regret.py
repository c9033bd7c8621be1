"""What signing as planned costs when demand turns out otherwise, against what would have been best.

What was signed is paid whatever happens: its nodes are there at no further cost, and what is missing is
rented by the hour. Hindsight is the cheapest fleet under the scenario's terms had that demand been known, and
never dearer than what was signed, which is one of the ways to be right.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from planner.catalog.offer import Term
from planner.comparison import restriction
from planner.comparison.options import Progress
from planner.errors import InputError
from planner.findings.schema import Regret, WhatIf
from planner.findings.sensitivity import RATE, RATE_FACTORS
from planner.plan.money import Rental
from planner.plan.schema import Plan
from planner.scenario.fleet import Existing
from planner.scenario.schema import Scenario
from planner.solving.lookahead import Solve
from planner.solving.side_questions import NotAsked
from planner.units import HOURS_PER_MONTH

SIGNED = "signed"  # the region of nodes that are paid for already
_HOURLY = (Term.ON_DEMAND.value, Term.SPOT.value)


def regrets(
    plan: Plan, what_ifs: Iterable[WhatIf], solve: Solve, progress: Progress | None = None
) -> tuple[Regret, ...]:
    """One row per demand; empty where nothing is signed, or not all of it from the start.

    ``what_ifs``: the sensitivity, whose cheapest fleets by rate are the hindsight.
    """
    signed = [r for r in plan.rentals if r.holding.term_months]
    if not signed or not _from_the_start(signed, plan):
        return ()
    hours = plan.scenario.horizon.months * HOURS_PER_MONTH
    sunk = sum(r.holding.cost_usd(ends=plan.scenario.horizon.ends) for r in signed)
    best = [w.usd_per_hour for w in what_ifs if w.input == RATE]
    if len(best) < len(RATE_FACTORS):  # there was no time for all of them
        return ()
    rows = []
    for done, (factor, hindsight) in enumerate(zip(RATE_FACTORS, best, strict=True)):
        if progress is not None:
            progress(done, len(best), f"signed as planned at {factor:g} of the demand")
        try:
            rest = solve(_after_signing(plan.scenario, signed, factor)).totals
        except NotAsked:
            break
        except InputError:
            rest = None
        signed_usd = sunk + rest.usd_per_hour * hours if rest else None
        best_usd = None if hindsight is None else hindsight * hours
        known = [usd for usd in (signed_usd, best_usd) if usd is not None]
        rows.append(Regret(factor, signed_usd, min(known, default=None)))
    return tuple(rows)


def _from_the_start(signed: Iterable[Rental], plan: Plan) -> bool:
    """Whether all begins in month 1, apart from what runs today (distinguished by GPU and node size)."""
    today = {(r.gpu, r.gpus_per_node) for r in plan.rentals if r.term == Term.OWNED.value}
    return all(r.from_month == 1 and (r.gpu, r.gpus_per_node) not in today for r in signed)


def _after_signing(question: Scenario, signed: Iterable[Rental], factor: float) -> Scenario:
    """The question at another rate, with what was signed kept and the rest by the hour."""
    rate = sum(s.rate for s in question.services)
    moved = restriction.with_rate(question, rate * factor)
    terms = tuple(t for t in question.prices.terms if t in _HOURLY) or (Term.ON_DEMAND.value,)
    return moved.model_copy(
        update={
            "prices": moved.prices.model_copy(update={"terms": terms}),
            "existing": (*moved.existing, *_already_signed(signed)),
        }
    )


def _already_signed(signed: Iterable[Rental]) -> Iterator[Existing]:
    nodes: dict[tuple[str, int], int] = {}
    for rental in signed:
        key = (rental.gpu, rental.gpus_per_node)
        nodes[key] = nodes.get(key, 0) + rental.count
    for (gpu, size), count in nodes.items():
        yield Existing(gpu=gpu, nodes=count, gpus_per_node=size, region=SIGNED)
