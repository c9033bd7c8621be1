"""The cash of a plan, worked out again from its rentals: contracts, what is due when, what is left."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator

from planner.catalog.offer import Term
from planner.plan.money import Cash, Rental
from planner.plan.schema import Plan
from planner.units import HOURS_PER_MONTH
from planner.verification.check import Check, equal, same, skipped

FAMILY = "cash"


def cash_checks(plan: Plan) -> Iterator[Check]:
    """Every sum of cash, and that the rentals are the nodes of the bill."""
    cash = plan.cash
    if cash is None:
        yield skipped(FAMILY, "cash by month", "the plan does not say when it is paid")
        return
    horizon = plan.scenario.horizon
    yield from _same_bill(plan)
    paid: dict[int, float] = defaultdict(float)
    ahead = owed = upfront = accrued = 0.0
    for rental in plan.rentals:
        a_month = rental.count * rental.usd_per_hour_each * rental.hours_per_month
        first, term = rental.from_month - 1, Term(rental.term).months
        signed = math.ceil(rental.months / term) * term if term else rental.months
        beyond = signed - rental.months
        share = rental.upfront_share if term else 0.0
        for month in range(signed):
            paid[first + month + 1] += a_month * (1 - share)
            if term and share and month % term == 0:
                paid[first + month] += a_month * term * share
                upfront += a_month * term * share
        ahead += a_month * share * beyond
        owed += a_month * (1 - share) * beyond
        accrued += a_month * (signed if horizon.need == "ends" else rental.months)
    for month, usd in enumerate(cash.by_month):
        yield equal(FAMILY, f"cash at the end of month {month} [USD]", usd, paid.pop(month, 0.0))
    yield equal(FAMILY, "nothing is paid later [USD]", math.fsum(paid.values()), 0.0)
    yield from _exposure(plan, cash)
    within = math.fsum(cash.by_month[: horizon.months + 1])
    for statement, found, required in (
        ("due at signature", cash.due_at_signature_usd, cash.by_month[0]),
        ("payments ahead", cash.upfront_usd, upfront),
        ("cash until the horizon", cash.horizon_usd, within),
        ("accrued cost of the horizon", cash.accrued_usd, accrued),
        ("owed after the horizon", cash.owed_after_usd, owed),
        ("paid ahead for months beyond the horizon", cash.paid_ahead_usd, ahead),
    ):
        yield equal(FAMILY, f"{statement} [USD]", found, required)
    if plan.totals is not None:
        mean = cash.accrued_usd / (horizon.months * HOURS_PER_MONTH)
        statement = "the accrued cost is the cost per hour over the horizon [USD/h]"
        yield equal(FAMILY, statement, mean, plan.totals.usd_per_hour)


def _exposure(plan: Plan, cash: Cash) -> Iterator[Check]:
    """What leaving at the end of each month would cost, term by term."""
    months = len(cash.by_month)
    owed, unused, signed = [0.0] * months, [0.0] * months, 0.0
    for rental in plan.rentals:
        term = Term(rental.term).months
        if not term:
            continue
        a_month = rental.count * rental.usd_per_hour_each * rental.hours_per_month
        for begin in range(rental.from_month - 1, rental.from_month - 1 + rental.months, term):
            signed += a_month * term
            for month in range(begin, min(begin + term, months)):
                left = a_month * (begin + term - month)
                owed[month] += left * (1 - rental.upfront_share)
                unused[month] += left * rental.upfront_share
    yield equal(FAMILY, "signed for in all [USD]", cash.committed_usd, signed)
    for name, found, required in (
        ("owed", cash.exit_owed_usd, owed),
        ("paid for months not used", cash.exit_unused_usd, unused),
    ):
        for month, (usd, other) in enumerate(zip(found, required, strict=True)):
            yield equal(FAMILY, f"{name} when given up at month {month} [USD]", usd, other)


def _same_bill(plan: Plan) -> Iterator[Check]:
    """Each offer's node-months among the rentals and among the nodes."""
    months = plan.scenario.horizon.months
    billed: dict[str, float] = defaultdict(float)
    for node in plan.nodes:
        billed[node.name] += node.count * node.hours_share * months
    held: dict[str, float] = defaultdict(float)
    for rental in plan.rentals:
        held[rental.name] += _node_months(rental)
    yield same(FAMILY, "rentals and nodes are of the same offers", sorted(held), sorted(billed))
    for name in sorted({*held} & {*billed}):
        yield equal(FAMILY, f"node-months of {name}", held[name], billed[name])


def _node_months(rental: Rental) -> float:
    return rental.count * rental.months * rental.hours_per_month / HOURS_PER_MONTH
