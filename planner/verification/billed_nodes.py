"""Which nodes are in which period, as the plan states it."""

from __future__ import annotations

from dataclasses import dataclass

from planner.fleet.offers.node_offers import offer_key
from planner.plan.labels import leaves
from planner.plan.schema import NodeCount, Plan


@dataclass(frozen=True, slots=True)
class BilledNodes:
    """Nodes billed in one period: each with its offer. ``unknown``: offers the plan does not price."""

    period: str
    nodes: tuple[tuple[NodeCount, int], ...]
    unknown: tuple[str, ...] = ()

    def gpus(self, **named: str) -> int:
        """GPUs billed among the nodes whose fields have the given values."""
        return sum(
            count * node.gpus_per_node
            for node, count in self.nodes
            if all(getattr(node, field) == value for field, value in named.items())
        )

    @property
    def usd_per_hour(self) -> float:
        """What the nodes cost while they stand, start-ups left out."""
        return sum(count * node.usd_per_hour_each for node, count in self.nodes)


def billed_nodes(plan: Plan) -> tuple[BilledNodes, ...]:
    """One entry per period of the plan's schedule; one in all for a fleet that never changes."""
    if not plan.varies:
        standing = (n for n in plan.nodes if not leaves(n, plan))
        return (BilledNodes("always", tuple((n, n.count) for n in standing)),)
    priced = {n.path: n for n in plan.nodes}
    periods = []
    for entry in plan.periods:
        offers = {offer: offer_key(offer) for offer in entry.nodes}
        known = {offer: priced[key] for offer, key in offers.items() if key in priced}
        nodes = tuple((node, entry.nodes[offer]) for offer, node in known.items())
        periods.append(BilledNodes(entry.period, nodes, tuple(sorted({*offers} - {*known}))))
    return tuple(periods)
