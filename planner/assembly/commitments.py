"""What a plan's commitments leave owed when its horizon ends."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from planner.catalog.offer import Offer, Term
from planner.fleet.money import Commitment, usd_per_month
from planner.fleet.purchases import TERM_MONTHS
from planner.plan import NodeCount
from planner.scenario_fleet import Horizon


def liabilities(
    nodes: Iterable[NodeCount], offers: Iterable[Offer], horizon: Horizon
) -> Iterator[str]:
    """One warning per commitment that outlasts the horizon: what is still owed, or paid ahead, then.

    The plan charges commitments pro rata. A commitment paid for part of the horizon began that much
    before its end.
    """
    upfront = {(o.provider, o.region, o.instance_type, o.term): o.upfront_share for o in offers}
    for node in nodes:
        term = Term(node.term)
        if term not in TERM_MONTHS:
            continue
        share = upfront.get((node.provider, node.region, node.instance_type, term), 0.0)
        price = node.count * node.usd_per_hour_each
        held = math.ceil(horizon.months * node.hours_share - 1e-9)
        beyond = Commitment(price, TERM_MONTHS[term]).months_beyond(held)
        if not beyond:
            continue
        owed = usd_per_month(price * (1 - share)) * beyond
        ahead = usd_per_month(price * share) * beyond
        amounts = [
            f"${usd:,.0f} {word}"
            for usd, word in ((owed, "still owed"), (ahead, "paid ahead"))
            if usd
        ]
        yield (
            f"{node.count}x {node.instance_type} of {node.provider} is committed for "
            f"{TERM_MONTHS[term]} months: {beyond} of them lie beyond the horizon of "
            f"{horizon.months} months, with {' and '.join(amounts)} then"
        )
