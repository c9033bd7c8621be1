"""The planned nodes over the horizon: held from which month, for how long, and when they are paid."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from planner.catalog.offer import Offer
from planner.fleet.offers.node_offers import offer_key
from planner.plan.money import Cash, Rental
from planner.plan.rented_nodes import rented_of
from planner.scenario.fleet import Horizon
from planner.solving.schedule import NEGLIGIBLE_H
from planner.solving.stages import Decided
from planner.units import HOURS_PER_MONTH

Levels = list[tuple[int, float]]  # nodes billed, for how many hours


def rentals_of(decided: Decided) -> tuple[Rental, ...]:
    """Every holding of the fleet, by offer and first month.

    A commitment is one holding however much of it is used; what is paid by the hour is one for each run
    of months with the same nodes and hours. Nodes that overlap while migrating are paid in month 1.
    """
    found = (*_held(decided), *_overlapping(decided))
    return tuple(sorted(found, key=lambda r: (r.name, r.from_month, r.months)))


def cash_of(rentals: Iterable[Rental], horizon: Horizon) -> Cash:
    """When the holdings are paid."""
    return Cash.of((r.holding for r in rentals), horizon.months, ends=horizon.ends)


def _held(decided: Decided) -> Iterator[Rental]:
    """Each node offer stage by stage, equal stages that follow each other joined."""
    calendar, hours = decided.calendar, decided.problem.period_hours
    starts = sorted(set(calendar.month))
    stage = decided.scenario.horizon.months // len(starts)
    in_stage = {
        start: sum(h for h, month in zip(hours, calendar.month, strict=True) if month == start)
        for start in starts
    }
    billed: dict[str, dict[int, Levels]] = defaultdict(lambda: defaultdict(list))
    for (key, period), nodes in sorted(decided.solution.billed.items()):
        billed[key][calendar.month[period]].append((nodes, hours[period]))
    offers = decided.offers_by_key
    for key, stages in billed.items():
        last: Rental | None = None
        for start, levels in sorted(stages.items()):
            most = max(nodes for nodes, _ in levels)
            share = sum(nodes * h for nodes, h in levels) / (most * in_stage[start])
            found = _rental(offers[offer_key(key)], most, start + 1, stage, share)
            if last is not None and _follows(last, found):
                found = last.model_copy(update={"months": last.months + stage})
            elif last is not None:
                yield last
            last = found
        if last is not None:
            yield last


def _follows(last: Rental, found: Rental) -> bool:
    """Whether ``found`` only carries on with what was held before."""
    next_month = {"from_month": last.from_month, "months": last.months}
    return found.from_month == last.from_month + last.months and (
        found.model_copy(update=next_month) == last
    )


def _overlapping(decided: Decided) -> Iterator[Rental]:
    """Existing nodes that run beside what replaces them."""
    offers = decided.offers_by_key
    overlap = decided.problem.overlap_hours
    for key, node_hours in decided.solution.overlap_node_hours.items():
        if node_hours > NEGLIGIBLE_H:
            hours = decided.scenario.migration.overlap_hours
            nodes = round(node_hours / overlap)
            yield _rental(offers[offer_key(key)], nodes, 1, 1, hours / HOURS_PER_MONTH)


def _rental(offer: Offer, count: int, from_month: int, months: int, share: float) -> Rental:
    return Rental(
        **dict(rented_of(offer, count)),
        from_month=from_month,
        months=months,
        hours_per_month=share * HOURS_PER_MONTH,
        upfront_share=offer.upfront_share,
    )
