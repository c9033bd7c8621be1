"""What rules a layout out before its latency is looked at, cheap checks first."""

from __future__ import annotations

from collections.abc import Iterator

from planner.catalog.store import Catalog
from planner.deployment import (
    Deployment,
)
from planner.fleet.candidates.candidate import Context
from planner.fleet.candidates.known import Refusal
from planner.fleet.candidates.node_groups import group_gpus, node_groups
from planner.fleet.rejection_reason import RejectionReason
from planner.sizing.drafts import draft_reasons
from planner.sizing.legality import legal_reasons
from planner.sizing.memory import memory_layout
from planner.sizing.model_memory import support_reasons
from planner.sizing.precision import is_below_native
from planner.units import GIB


def groups_in(deployment: Deployment, context: Context) -> tuple[int, ...]:
    """``node_groups`` in the largest node offered, as far as the search lets ranks span nodes."""
    node = context.largest_node.get(deployment.gpu.name, 0)
    return node_groups(deployment, node, context.service.search.spanning_nodes) if node else ()


def ruled_out(
    deployment: Deployment, context: Context, longest: int, *, apart: bool = False
) -> Iterator[Refusal]:
    """(reason, numbers, miss) of each check that fails, cheap checks first.

    ``longest``: tokens of one request that the replica must hold; ``apart``: it is one pool of two.
    """
    model, gpu = deployment.model, deployment.gpu
    if model.max_context_tokens and longest > model.max_context_tokens:
        parts = "" if apart else "prompt and output: "
        detail = f"{parts}{longest:,} tokens, the model takes {model.max_context_tokens:,}"
        yield RejectionReason.TOO_LONG, detail, longest / model.max_context_tokens
    pinned = deployment.settings.max_model_len_tokens
    if pinned is not None and longest > pinned:
        detail = f"{longest:,} tokens, search.settings.max_model_len_tokens allows {pinned:,}"
        yield RejectionReason.TOO_LONG, detail, longest / pinned
    if not context.service.allow_lower_precision:
        yield from (
            (RejectionReason.NOT_PERMITTED, text, None)
            for text in lower_precision(deployment, context.catalog)
        )
    yield from ((RejectionReason.ILLEGAL, text, None) for text in legal_reasons(deployment))
    group, largest = group_gpus(deployment), context.largest_node.get(gpu.name, 0)
    if group > largest and not groups_in(deployment, context):
        detail = f"{group} GPUs in one node, the largest {gpu.name} offer has {largest}"
        if context.service.search.spanning_nodes > 1:
            detail += "; ranks that span nodes fill them whole, with whole experts (EP = TP x DP)"
        yield RejectionReason.NOT_OFFERED, detail, group / largest if largest else None
    detail = split_over_hosts({gpu.name}, groups_in(deployment, context), context)
    if detail:
        yield RejectionReason.NO_NETWORK, detail, None
    prefill = deployment.tensor_parallel if apart else None
    yield from ((RejectionReason.NO_DRAFT, text, None) for text in draft_reasons(deployment))
    distinguished = support_reasons(context.catalog, deployment, prefill)
    yield from ((RejectionReason.UNSUPPORTED, text, None) for text in distinguished)
    memory = memory_layout(deployment)
    if not memory.fits:
        held = memory.total_bytes - memory.kv_pool_bytes - memory.outside_budget_bytes
        yield RejectionReason.NO_MEMORY, "; ".join(memory.reasons), held / memory.total_bytes
    if context.service.buckets is None and memory.max_sequences(longest) < 1:
        needed = float(memory.kv.bytes_for(longest))
        detail = (
            f"{longest} tokens need {needed / GIB:.1f} GiB a GPU, "
            f"the pool has {memory.kv_pool_bytes / GIB:.1f} GiB"
        )
        yield RejectionReason.NO_LONGEST, detail, needed / max(memory.kv_pool_bytes, 1.0)


def split_over_hosts(gpus: set[str], groups: tuple[int, ...], context: Context) -> str:
    """Why a replica of these groups cannot be placed where hosts are separate; "" where it can.

    ``gpus``: its GPU types.
    """
    apart = sorted(gpus - context.networks.rates.keys())
    whole = len(gpus) == 1 and sum(groups) <= max(context.largest_node.get(g, 0) for g in gpus)
    if len(groups) < 2 or not apart or whole:
        return ""
    return (
        f"{sum(groups)} GPUs in {len(groups)} groups over {apart[0]} hosts of "
        f"{context.largest_node.get(apart[0], 0)}, which do not reach each other (hosts of a marketplace) "
        "or whose network nobody states (instances of one GPU)"
    )


def lower_precision(deployment: Deployment, catalog: Catalog) -> tuple[str, ...]:
    """In which ways a deployment stores less than the checkpoint does; empty when it is native."""
    return tuple(_lower_precision(deployment, catalog))


def _lower_precision(deployment: Deployment, catalog: Catalog) -> Iterator[str]:
    model = deployment.model
    if is_below_native(model, deployment.weights, catalog.weight_format):
        yield f"{deployment.weights.name} weights, the checkpoint holds {model.native_weights}"
    own = catalog.kv_format(model.native_kv or "bf16")
    if deployment.kv_cache.bits < own.bits:
        yield f"{deployment.kv_cache.name} KV cache, the checkpoint's own is {own.name}"


def refusal(
    deployment: Deployment, context: Context, longest: int, *, apart: bool = False
) -> Refusal | None:
    """The first check of ``ruled_out`` that fails, looked up where it was made before."""
    service, room = context.service, node_room(deployment, context)
    whole = service.buckets is None
    key = (deployment, longest, apart, service.allow_lower_precision, whole, *room)
    return context.known.refusals.of(
        key, lambda: next(ruled_out(deployment, context, longest, apart=apart), None)
    )


def node_room(deployment: Deployment, context: Context) -> tuple[int, int, bool]:
    """GPUs of the largest node offered, nodes that one replica's ranks may fill, whether nodes are joined."""
    name = deployment.gpu.name
    node = context.largest_node.get(name, 0)
    return node, context.service.search.spanning_nodes, name in context.networks.rates
