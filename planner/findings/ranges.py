"""Between what a rented way may cost: the same GPUs under the same term at the prices of all on offer."""

from __future__ import annotations

from dataclasses import replace

from planner.catalog.store import Catalog
from planner.errors import InputError
from planner.findings.schema import Purchase
from planner.fleet.offers.admitted import admitted_offers
from planner.scenario.schema import Scenario


def with_rented_range(way: Purchase, question: Scenario, catalog: Catalog) -> Purchase:
    """The way with the low and high end of its cost over the horizon [USD].

    Each holding at the lowest and highest price per GPU and hour that an admitted offer of its GPU type
    and term has, as many GPUs to a node or more. None where the offers cannot be read again.
    """
    terms = tuple(dict.fromkeys(r.term for r in way.rentals))
    prices = question.prices.model_copy(update={"terms": terms})
    try:
        offers = admitted_offers(prices, catalog)
    except InputError:
        return way
    ends, low, high = question.horizon.ends, 0.0, 0.0
    for rental in way.rentals:
        cost = rental.holding.cost_usd(ends=ends)
        each = rental.usd_per_hour_each / rental.gpus_per_node
        known = [
            o.usd_per_gpu_hour
            for o in offers
            if (o.gpu, o.term.value) == (rental.gpu, rental.term)
            and o.gpu_count >= rental.gpus_per_node
        ]
        if each <= 0:
            known = []
        low += cost * min([each, *known]) / each if known else cost
        high += cost * max([each, *known]) / each if known else cost
    return replace(way, low_usd=low, high_usd=high)
