"""What joins the nodes of a replica that is wider than one of them, as the offers state it.

A provider's nodes of one GPU type may have a ninth of another's network (350 Gb/s of a virtual machine,
8 x 400 Gb/s of a bare server). A replica that spans nodes is therefore tried once for the usual share of
the GPU type, and once for each lower rate at which its nodes are offered; it may then only stand on
nodes whose network is at least as fast as the one it was sized for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from planner.catalog.gpu import GpuSpec
from planner.catalog.offer import Offer
from planner.catalog.store import Catalog
from planner.deployment import Deployment
from planner.performance.collectives import crosses_network
from planner.serving.pools import ZONE, Prefill

NetworkRate = float | None  # a GPU's share [GB/s]; None: the usual of its type


def on_network(gpu: GpuSpec, gb_s: NetworkRate) -> GpuSpec:
    """The GPU in nodes that offer it that share of their network [GB/s]; None: the usual share."""
    if gpu.offered_network_gb_s == gb_s:
        return gpu
    return replace(gpu, offered_network_gb_s=gb_s)


def on_usual_network(deployment: Deployment) -> Deployment:
    """The deployment in nodes with the usual network of its GPU type."""
    if deployment.gpu.offered_network_gb_s is None:
        return deployment
    return replace(deployment, gpu=on_network(deployment.gpu, None))


def offered_gb_s(offer: Offer, gpu: GpuSpec) -> NetworkRate:
    """What an offer states of a GPU's share, where that is less than usual [GB/s]; else None."""
    stated = offer.network_gb_s
    return None if stated is None or stated >= gpu.nic_gb_s else stated


def between_nodes_gb_s(offer: Offer, gpu: GpuSpec) -> float:
    """The share that replicas on the offer's nodes may count on [GB/s]; 0 where nothing joins them.

    Infinite where nobody knows it of the GPU type: nothing is predicted of such a network then.
    """
    if not offer.shares_network:
        return 0.0
    offered = offered_gb_s(offer, gpu)
    return (gpu.nic_gb_s if offered is None else offered) or math.inf


def network_needed_gb_s(deployment: Deployment, prefill: Prefill | None) -> float:
    """A GPU's share that a replica was sized for [GB/s]; 0 where nothing of it crosses nodes.

    prefill: the other pool of a unit, whose KV cache crosses them wherever it is not kept in a node.
    """
    crosses = crosses_network(deployment.gpu, deployment.gpus)
    handed_over = prefill is not None and prefill.within == ZONE
    return deployment.gpu.network_gb_s if crosses or handed_over else 0.0


@dataclass(frozen=True, slots=True)
class OfferedNetworks:
    """The rates at which nodes are offered, fastest first, by GPU type with nodes that share a network."""

    rates: Mapping[str, tuple[NetworkRate, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, offers: Iterable[Offer], catalog: Catalog) -> OfferedNetworks:
        """Of offers that are admitted."""
        by_type: dict[str, set[NetworkRate]] = {}
        alike = {(o.gpu, o.gpu_count, o.tier, o.network_gbps): o for o in offers}
        for offer in alike.values():
            if offer.shares_network:
                rate = offered_gb_s(offer, catalog.gpu(offer.gpu))
                by_type.setdefault(offer.gpu, set()).add(rate)
        return cls({gpu: tuple(sorted(found, key=_slowness)) for gpu, found in by_type.items()})

    def over(self, deployment: Deployment) -> Iterator[Deployment]:
        """The deployment at each rate where it spans nodes; itself where it does not."""
        if not crosses_network(deployment.gpu, deployment.gpus):
            yield deployment
            return
        yield from self.every(deployment)

    def is_fastest(self, *deployments: Deployment) -> bool:
        """Whether all are on the fastest network that is offered of their GPU type."""
        return all(
            d.gpu.offered_network_gb_s == self.rates.get(d.gpu.name, (None,))[0]
            for d in deployments
        )

    def every(self, deployment: Deployment) -> Iterator[Deployment]:
        """The deployment at each rate, whether it spans nodes itself or not."""
        for gb_s in self.rates.get(deployment.gpu.name, (None,)):
            yield replace(deployment, gpu=on_network(deployment.gpu, gb_s))


def _slowness(gb_s: NetworkRate) -> tuple[bool, float]:
    return gb_s is not None, -(gb_s or 0.0)
