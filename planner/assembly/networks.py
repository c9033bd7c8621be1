"""Replicas whose ranks meet over the network between rented machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from planner.plan.schema import NodeCount, ServicePlan
from planner.plan.spanning import spanned_nodes


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
