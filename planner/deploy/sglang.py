"""SGLang's terms: TP counts every rank of a stage, and attention divides it by DP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from planner.deploy.launch import LEADER_ADDRESS, NODE_RANK, Launch, PoolRole, Role
from planner.deploy.terms import Degrees, limits, opening


def settings(launch: Launch, role: Role) -> dict[str, Any]:
    """What ``sglang.launch_server`` is told for one process of the replica."""
    told = opening(launch)
    told["tensor_parallel"] = launch.tensor_parallel * launch.data_parallel
    if launch.pipeline_parallel > 1:
        told["pipeline_parallel"] = launch.pipeline_parallel
    if launch.data_parallel > 1:
        told["data_parallel"] = launch.data_parallel
        told["attention_data_parallel"] = True
    if launch.expert_parallel > 1:
        told["expert_parallel"] = launch.expert_parallel
    told |= limits(launch)
    if launch.lora_adapters:
        told["lora_targets"] = "all"
    if launch.draft_tokens:
        told |= _speculation(launch)
    told["metrics"] = True
    if launch.pool is not PoolRole.BOTH:
        told["pool"] = launch.pool.value
        told["kv_backend"] = "nixl"
    if launch.nodes > 1 and launch.expert_parallel > 1 and launch.data_parallel > 1:
        told["all_to_all"] = "deepep"
    if role is not Role.SINGLE:
        told["node_count"] = launch.nodes
        told["node_rank"] = NODE_RANK if role is Role.WORKER else 0
        told["leader_address"] = LEADER_ADDRESS
    return told


def pool(told: Mapping[str, Any]) -> str:
    """Which pool these settings start."""
    return str(told.get("pool", PoolRole.BOTH.value))


def pool_told(wanted: PoolRole) -> str:
    """What ``pool`` reads of a launch in that pool."""
    return wanted.value


def degrees(told: Mapping[str, Any]) -> Degrees:
    """The parallel degrees that these settings launch."""
    dp = int(told.get("data_parallel", 1)) if told.get("attention_data_parallel") else 1
    return Degrees(
        int(told["tensor_parallel"]) // dp,
        int(told.get("pipeline_parallel", 1)),
        dp,
        int(told.get("expert_parallel", 1)),
    )


def drafts(told: Mapping[str, Any]) -> int:
    """Tokens drafted per step."""
    return int(told.get("draft_steps", 0))


def _speculation(launch: Launch) -> dict[str, Any]:
    steps = {"draft_steps": launch.draft_tokens, "draft_width": 1}
    drafted = {**steps, "draft_tokens": launch.draft_tokens + 1}
    if launch.draft_model is None:
        return {"draft_algorithm": "NEXTN", **drafted}
    return {"draft_algorithm": "EAGLE", "draft_model": launch.draft_model, **drafted}
