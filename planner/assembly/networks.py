"""What the network between rented machines, and from users to them, is not said to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from planner.catalog.offer import Offer
from planner.catalog.store import Catalog
from planner.fleet.offers.networks import offered_gb_s
from planner.performance.collectives import crosses_network
from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import NodeCount, ServicePlan
from planner.plan.spanning import spanned_nodes
from planner.scenario.schema import Service
from planner.serving.pools import ZONE


def network_warnings(
    services: Iterable[ServicePlan],
    nodes: Iterable[NodeCount],
    offers: Iterable[Offer],
    catalog: Catalog,
) -> Iterator[str]:
    """Lines for each kind of replica that spans nodes: what is stated, or assumed, of what joins them.

    Instances of one GPU are sold one by one: nothing states that they stand together.
    """
    nodes, offers = tuple(nodes), tuple(offers)
    for service in services:
        for group in service.replica_groups:
            spanned, each = spanned_nodes(group, nodes)
            if spanned > 1 and each == 1:
                yield (
                    f"service {service.name!r}: each replica of {group.name} spans {spanned} separate "
                    f"1-GPU instances, and no network between them is stated: its rate is assumed; ask "
                    "the provider to place them together, or search nodes that hold a replica"
                )
            elif _is_apart(group, spanned, catalog):
                yield (
                    f"service {service.name!r}: no node offered holds a replica of {group.name}: its "
                    f"stages stand on {spanned} nodes and are predicted as if they shared one; what they "
                    "hand over between nodes (as a rule less than 1 % of a step) is left out"
                )
            elif _crosses_network(group, spanned, catalog):
                by_key = {o.key: o for o in offers}
                rented = [n for n in nodes if n.gpu in group.gpus_by_type]
                for text in dict.fromkeys(_between(n, by_key, catalog) for n in rented):
                    if text:
                        yield f"service {service.name!r}: replicas of {group.name} span nodes. {text}"


def _is_apart(group: ReplicaGroup, spanned: int, catalog: Catalog) -> bool:
    """Whether stages stand on several nodes, though all their GPUs are predicted as one node's."""
    whole = group.prefill is None and group.pipeline_parallel > 1
    return spanned > 1 and whole and not crosses_network(catalog.gpu(group.gpu), group.gpus_each)


def _crosses_network(group: ReplicaGroup, spanned: int, catalog: Catalog) -> bool:
    """Whether the group's predictions count on what joins nodes."""
    if group.prefill is not None:
        return group.prefill.within == ZONE
    return spanned > 1 and crosses_network(catalog.gpu(group.gpu), group.gpus_each)


def _between(node: NodeCount, offers: Mapping[str, Offer], catalog: Catalog) -> str:
    """What is known of the network between nodes of an offer; "" where it is as fast as usual."""
    offer = offers.get(f"{node.provider}/{node.region}/{node.instance_type}/{node.term}")
    gpu = catalog.gpu(node.gpu)
    named = f"{node.instance_type} ({node.provider})"
    if offer is None or offer.network_gbps is None:
        return (
            f"No network is stated for {named}: {gpu.nic_gb_s:.3g} GB/s a GPU, usual for {gpu.name}, is "
            "assumed; ask before signing, or give network_gbps in prices.file or under existing"
        )
    slower = offered_gb_s(offer, gpu)
    if slower is None:
        return ""
    return (
        f"They are sized for the {offer.network_gbps:g} Gb/s stated for a node of {named}: "
        f"{slower:.3g} GB/s a GPU, where {gpu.nic_gb_s:.3g} is usual"
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
