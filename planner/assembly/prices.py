"""How far the prices that carry a plan's bill can be trusted: their age, their confidence, the stock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

from planner.catalog.offer import Offer
from planner.plan.schema import NodeCount
from planner.units import counted

CARRIES = 0.05  # share of the bill from which an offer carries it
OLD_DAYS = 180  # behind the newest price known


def price_warnings(
    nodes: Iterable[NodeCount], offers: Iterable[Offer], listed: Iterable[Offer]
) -> Iterator[str]:
    """One line for each billed offer whose quote ends, or whose price is old or of low confidence.

    ``offers``: what the plan was decided with; ``listed``: the catalog, whose newest price is today's.
    """
    nodes = tuple(nodes)
    bill = sum(n.usd_per_hour for n in nodes)
    known = {(o.provider, o.region, o.instance_type, o.term.value): o for o in offers}
    newest = max((date.fromisoformat(o.as_of) for o in listed), default=None)
    paid: dict[tuple[str, str, str, str], float] = {}
    for n in nodes:
        key = (n.provider, n.region, n.instance_type, n.term)
        paid[key] = paid.get(key, 0.0) + n.usd_per_hour
    for key, usd in paid.items():
        offer = known.get(key)
        if offer is None or not offer.as_of:
            continue
        if offer.valid_until:
            yield (
                f"the quote for {offer.instance_type} of {offer.provider} may be signed until "
                f"{offer.valid_until}"
            )
        if usd < CARRIES * bill:
            continue
        doubts = list(_doubts(offer, newest))
        if doubts:
            yield (
                f"{offer.instance_type} of {offer.provider} carries {100 * usd / bill:.0f} % of the "
                f"cost: {'; '.join(doubts)}; ask for a quote"
            )


def _doubts(offer: Offer, newest: date | None) -> Iterator[str]:
    if newest is not None:
        days = (newest - date.fromisoformat(offer.as_of)).days
        if days > OLD_DAYS:
            yield f"its price is of {offer.as_of}, {counted(days, 'day')} older than the newest known"
    if offer.confidence == "low":
        yield "its price is of low confidence"
    if offer.obtainability:
        yield offer.obtainability
