"""What the network between rented machines, and from users to them, is not said to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from planner.catalog.offer import Offer
from planner.plan.schema import NodeCount, ServicePlan
from planner.plan.spanning import spanned_nodes
from planner.scenario.schema import Service


def network_warnings(services: Iterable[ServicePlan], nodes: Iterable[NodeCount]) -> Iterator[str]:
    """One line for each kind of replica that spans separate instances of one GPU.

    Such instances are sold one by one: nothing states that they stand together, or their network.
    """
    nodes = tuple(nodes)
    for service in services:
        for group in service.replica_groups:
            spanned, each = spanned_nodes(group, nodes)
            if spanned > 1 and each == 1:
                yield (
                    f"service {service.name!r}: each replica of {group.name} spans {spanned} separate "
                    f"1-GPU instances, and no network between them is stated: its rate is assumed; ask "
                    "the provider to place them together, or search nodes that hold a replica"
                )


def distance_warnings(
    services: Iterable[Service],
    nodes: Iterable[NodeCount],
    offers: Iterable[Offer],
    continents: Mapping[str, str],
) -> Iterator[str]:
    """One line where requests of services with a rate are spread over continents; jobs can wait.

    continents: by the country of an offer.
    """
    if all(s.job is not None for s in services):
        return
    country = {(o.provider, o.region): o.country for o in offers}
    found: dict[str, set[str]] = {}
    for node in nodes:
        at = country.get((node.provider, node.region), "")
        if at in continents:
            found.setdefault(continents[at], set()).add(at)
    if len(found) > 1:
        places = "; ".join(f"{name}: {', '.join(sorted(c))}" for name, c in sorted(found.items()))
        yield (
            f"the plan rents on {len(found)} continents ({places}): what a request spends on the way to a "
            "far one is not in the predicted TTFT; prices.regions keeps nodes together"
        )
