"""What the network between rented machines, and from users to them, is not said to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

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


CONTINENTS = {
    "Africa": "ZA",
    "Asia": "AE CN ID IL IN JP KR MY SG",
    "Australia": "AU",
    "Europe": "CH DE ES FI FR GB IE IT NL NO PL SE",
    "North America": "CA MX US",
    "South America": "BR",
}
_OF = {country: name for name, countries in CONTINENTS.items() for country in countries.split()}


def distance_warnings(
    services: Iterable[Service], nodes: Iterable[NodeCount], offers: Iterable[Offer]
) -> Iterator[str]:
    """One line where requests of services with a rate are spread over continents; jobs can wait."""
    if all(s.job is not None for s in services):
        return
    country = {(o.provider, o.region): o.country for o in offers}
    found: dict[str, set[str]] = {}
    for node in nodes:
        at = country.get((node.provider, node.region), "")
        if at in _OF:
            found.setdefault(_OF[at], set()).add(at)
    if len(found) > 1:
        places = "; ".join(f"{name}: {', '.join(sorted(c))}" for name, c in sorted(found.items()))
        yield (
            f"the plan rents on {len(found)} continents ({places}): what a request spends on the way to a "
            "far one is not in the predicted TTFT; prices.regions keeps nodes together"
        )
