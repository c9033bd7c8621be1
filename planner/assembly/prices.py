"""How far the prices that carry a plan's bill can be trusted: their age, their confidence, the stock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

from planner.catalog.offer import Offer
from planner.plan.schema import NodeCount
from planner.units import counted

HYPERSCALER = "hyperscaler"  # single-GPU instances there are list products, not a share of a node
CARRIES = 0.05  # share of the bill from which an offer carries it
OLD_DAYS = 90  # before the day prices are judged from


def judged_from(as_of: str | None, listed: Iterable[Offer]) -> str | None:
    """The day prices are judged from: the one given, or the newest price's of the catalog."""
    return as_of or max((o.as_of for o in listed if o.as_of), default=None)


def price_warnings(
    nodes: Iterable[NodeCount], offers: Iterable[Offer], as_of: str | None
) -> Iterator[str]:
    """One line for each billed offer whose quote ends, or whose price is old, doubtful or of one GPU.

    ``offers``: what the plan was decided with; ``as_of``: the day prices are judged from.
    """
    nodes = tuple(nodes)
    bill = sum(n.usd_per_hour for n in nodes)
    types = {n.instance_type for n in nodes}
    known = {
        (o.provider, o.region, o.instance_type, o.term.value): o
        for o in offers
        if o.instance_type in types
    }
    paid: dict[tuple[str, str, str, str], float] = {}
    count: dict[tuple[str, str, str, str], int] = {}
    for n in nodes:
        key = (n.provider, n.region, n.instance_type, n.term)
        paid[key] = paid.get(key, 0.0) + n.usd_per_hour
        count[key] = count.get(key, 0) + n.count
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
        doubts = [*_uncertain(offer), *offer_doubts(offer, count[key], as_of)]
        if doubts:
            yield (
                f"{offer.instance_type} of {offer.provider} makes up {100 * usd / bill:.0f} % of the "
                f"cost: {'; '.join(doubts)}; ask for a quote"
            )


def _uncertain(offer: Offer) -> Iterator[str]:
    if offer.confidence == "low":
        yield "its price is of low confidence"


def offer_doubts(offer: Offer, count: int, as_of: str | None) -> Iterator[str]:
    """What is doubtful about an offer of which ``count`` are rented."""
    if as_of is not None and offer.as_of:
        days = (date.fromisoformat(as_of) - date.fromisoformat(offer.as_of)).days
        if days > OLD_DAYS:
            yield f"its price is of {offer.as_of}, {counted(days, 'day')} before {as_of}"
        elif days < 0:
            yield f"its price is of {offer.as_of}, after {as_of}, so it may not have been known then"
    if offer.gpu_count == 1 and count > 1 and offer.tier != HYPERSCALER:
        yield f"quote needed: the price of a single GPU is used for {count}"
    if offer.obtainability:
        yield offer.obtainability
