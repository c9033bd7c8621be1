"""What joins the GPUs of a replica, and what a collective moves over it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from planner.catalog.gpu import GpuSpec

NODE_GPUS = 8


@dataclass(frozen=True, slots=True)
class Interconnect:
    """The slowest link a group of ranks crosses.

    kind: "none" (one rank), "switch", "mesh", "pcie" or "network"; bytes_s: per direction and
    GPU [B/s]; hops: latency steps of one collective.
    """

    kind: str
    bytes_s: float
    hops: float


def link(gpu: GpuSpec, ranks: int) -> Interconnect:
    """Return the link that ``ranks`` devices share.

    A switch gives every pair the full rate; a mesh's rate grows with the peers used; bridged pairs
    serve two ranks; the rest cross PCIe, and groups wider than a node or link domain the network.
    Latency steps: ``log2(ranks)`` on a switch or mesh (one-shot or tree), ``ranks - 1`` on PCIe and
    the network (ring).
    """
    if ranks <= 1:
        return Interconnect("none", gpu.bandwidth_bytes_s, 0.0)
    fast = gpu.link_gb_s * 1e9
    tree, ring = math.log2(ranks), float(ranks - 1)
    if fast and ranks <= gpu.link_domain:
        if gpu.link_topology == "mesh":
            return Interconnect("mesh", fast * (ranks - 1) / (gpu.link_domain - 1), tree)
        return Interconnect("switch", fast, tree)
    if crosses_network(gpu, ranks) and gpu.network_gb_s:
        return Interconnect("network", gpu.network_gb_s * 1e9, ring)
    return Interconnect("pcie", gpu.pcie_gb_s * 1e9, ring)


def crosses_network(gpu: GpuSpec, ranks: int) -> bool:
    """Whether ``ranks`` devices are more than a node or link domain joins."""
    return ranks > max(NODE_GPUS, gpu.link_domain)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One expert dispatch or combine, in terms of the link that all ranks share.

    steps: latency steps over that link's hops; share: bytes a GPU sends per byte of all ranks' tokens.
    """

    steps: float
    share: float


def expert_exchange(gpu: GpuSpec, ranks: int, experts_per_token: int) -> Exchange:
    """What a dispatch or combine over ``ranks`` GPUs costs on their slowest link.

    Within a node or link domain every rank gathers all tokens, ``(n - 1) / n`` of them. Across nodes a
    token goes to the ranks of its own experts alone (all-to-all): ``k (n - m) / n`` copies of it cross
    the network, with m ranks in a node; all messages leave at once, so that is one step and not a ring.
    """
    joined = link(gpu, ranks)
    if joined.kind != "network":
        return Exchange(1.0, gather_share(ranks))
    near = max(NODE_GPUS, gpu.link_domain)
    crossing = experts_per_token * (ranks - near) / ranks
    return Exchange(1.0 / joined.hops, min(crossing / ranks, gather_share(ranks)))


def reduction_share(ranks: int) -> float:
    """Bytes an all-reduce sends per GPU and message byte: ``2 (n - 1) / n`` (ring, bandwidth-optimal)."""
    return 2.0 * (ranks - 1) / ranks


def gather_share(ranks: int) -> float:
    """Bytes an all-gather or reduce-scatter sends per GPU and byte of the whole: ``(n - 1) / n``."""
    return (ranks - 1) / ranks
