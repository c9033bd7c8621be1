"""What a plan's commitments leave owed when its horizon ends."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from planner.catalog.offer import Offer, Term
from planner.fleet.money import Commitment
from planner.fleet.purchases import TERM_MONTHS
from planner.plan import NodeCount
from planner.scenario_fleet import Horizon


def liabilities(
    nodes: Iterable[NodeCount], offers: Iterable[Offer], horizon: Horizon
) -> Iterator[str]:
    """One warning per commitment that outlasts the horizon, with what is still owed then.

    The plan charges commitments pro rata. A commitment paid for part of the horizon began that much
    before its end; what was paid upfront is not owed any more.
    """
    upfront = {(o.provider, o.region, o.instance_type, o.term): o.upfront_share for o in offers}
    for node in nodes:
        term = Term(node.term)
        if term not in TERM_MONTHS:
            continue
        share = upfront.get((node.provider, node.region, node.instance_type, term), 0.0)
        price = node.count * node.usd_per_hour_each * (1 - share)
        commitment = Commitment(price, TERM_MONTHS[term])
        held = math.ceil(horizon.months * node.hours_share - 1e-9)
        beyond = commitment.months_beyond(held)
        if beyond:
            owed = commitment.residual_liability_usd(held)
            yield (
                f"{node.count}x {node.instance_type} of {node.provider} is committed for "
                f"{TERM_MONTHS[term]} months: {beyond} of them lie beyond the horizon of "
                f"{horizon.months} months, with ${owed:,.0f} still owed then"
            )
