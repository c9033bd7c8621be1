"""vLLM's terms: TP inside a data-parallel rank, experts over all ranks or over none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from planner.deploy.launch import (
    LEADER_ADDRESS,
    NODE_RANK,
    Launch,
    PoolRole,
    Role,
    Variable,
)
from planner.deploy.terms import Degrees, limits, opening, refuse, reject_partial_experts

NIXL = {"kv_connector": "NixlConnector", "kv_role": "kv_both"}
ALL_TO_ALL = {
    PoolRole.PREFILL: "deepep_high_throughput",
    PoolRole.DECODE: "deepep_low_latency",
    PoolRole.BOTH: "deepep_low_latency",
}


def settings(launch: Launch, role: Role) -> dict[str, Any]:
    """What ``vllm serve`` is told for one process of the replica."""
    tokens, sequences = launch.max_num_batched_tokens, launch.max_num_seqs
    if tokens < sequences:
        raise refuse(launch, f"{tokens} tokens a step for {sequences} sequences at once")
    told = opening(launch)
    told["tensor_parallel"] = launch.tensor_parallel
    if launch.pipeline_parallel > 1:
        told["pipeline_parallel"] = launch.pipeline_parallel
    if launch.data_parallel > 1:
        told["data_parallel"] = launch.data_parallel
    if launch.expert_parallel > 1:
        reject_partial_experts(launch)
        told["expert_parallel"] = True
    told |= limits(launch)
    if launch.draft_tokens:
        told["speculation"] = _speculation(launch)
    if launch.pool is not PoolRole.BOTH:
        told["kv_transfer"] = NIXL
    if role is not Role.SINGLE:
        told |= _across_nodes(launch, role)
        if launch.expert_parallel > 1 and launch.data_parallel > 1:
            told["all_to_all"] = ALL_TO_ALL[launch.pool]
    return told


def pool(told: Mapping[str, Any]) -> str:
    """Whether a KV connector is set up; which pool it is, the router in front decides."""
    return "apart" if told.get("kv_transfer") == NIXL else "both"


def pool_told(wanted: PoolRole) -> str:
    """What ``pool`` reads of a launch in that pool."""
    return "both" if wanted is PoolRole.BOTH else "apart"


def degrees(told: Mapping[str, Any]) -> Degrees:
    """The parallel degrees that these settings launch."""
    tp, dp = int(told["tensor_parallel"]), int(told.get("data_parallel", 1))
    return Degrees(
        tp, int(told.get("pipeline_parallel", 1)), dp, tp * dp if told.get("expert_parallel") else 1
    )


def drafts(told: Mapping[str, Any]) -> int:
    """Tokens drafted per step."""
    return int(told.get("speculation", {}).get("num_speculative_tokens", 0))


def _across_nodes(launch: Launch, role: Role) -> dict[str, Any]:
    if launch.data_parallel > 1:
        if launch.data_parallel % launch.nodes:
            raise refuse(launch, f"{launch.data_parallel} ranks do not divide over its nodes")
        local = launch.data_parallel // launch.nodes
        told: dict[str, Any] = {
            "data_parallel_per_node": local,
            "data_parallel_address": LEADER_ADDRESS,
        }
        if role is Role.WORKER:
            told["data_parallel_first_rank"] = Variable(NODE_RANK.name, local)
    else:
        told = {
            "node_count": launch.nodes,
            "node_rank": NODE_RANK if role is Role.WORKER else 0,
            "leader_address": LEADER_ADDRESS,
        }
    return {**told, "headless": True} if role is Role.WORKER else told


def _speculation(launch: Launch) -> dict[str, Any]:
    drafted = {"num_speculative_tokens": launch.draft_tokens}
    if launch.draft_model is None:
        return {"method": "mtp", **drafted}
    return {"model": launch.draft_model, **drafted}
