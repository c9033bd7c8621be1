"""A replica group as one pool, or as the prefill and the decode pool of its units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from planner.deployment import degrees_label
from planner.plan.replica_group import ReplicaGroup
from planner.reporting import rounding


@dataclass(frozen=True, slots=True)
class PoolColumn:
    """One GPU of a pool by part [B], and the KV tokens of one of its replicas.

    ``title``: empty for replicas that do both, else ``prefill TP2`` or ``decode TP4``.
    """

    title: str
    memory: Mapping[str, float]
    kv_pool_tokens: float


def pools_of(group: ReplicaGroup) -> Iterator[PoolColumn]:
    """The pools of a replica group, prefill first."""
    prefill = group.prefill
    if prefill is None:
        yield PoolColumn("", group.memory, group.kv_pool_tokens)
        return
    on = f" on {prefill.gpu}" if prefill.gpu else ""
    title = f"prefill {degrees_label(prefill.degrees)}{on}"
    yield PoolColumn(title, prefill.memory, prefill.kv_pool_tokens)
    yield PoolColumn(f"decode {degrees_label(group.degrees)}", group.memory, group.kv_pool_tokens)


def link_text(group: ReplicaGroup) -> str:
    """The network link between the pools, and how long a mean prompt takes on it."""
    p = group.prefill
    if p is None:
        return ""
    return (
        f"{p.link} at {rounding.significant(p.link_gb_s)} GB/s a GPU: "
        f"{rounding.seconds(p.transfer_s)} + {rounding.seconds(p.link_latency_s)} a prompt "
        f"({p.link_evidence})"
    )
