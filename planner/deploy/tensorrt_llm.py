"""TensorRT-LLM's terms: attention DP takes the whole TP group, and a YAML file holds the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from planner.deploy.launch import CONFIG, Launch, PoolRole, Role
from planner.deploy.terms import Degrees, limits, opening, refuse


def settings(launch: Launch, role: Role) -> dict[str, Any]:
    """What ``trtllm-serve`` is told; its processes on several nodes are started by MPI alike."""
    del role
    if launch.data_parallel > 1 and launch.tensor_parallel > 1:
        raise refuse(launch, "attention data parallelism with tensor parallelism inside a rank")
    if launch.pool is not PoolRole.BOTH:
        raise refuse(launch, "prefill and decode in pools of their own (its orchestrator's file)")
    told = opening(launch)
    del told["served_name"]
    told["backend"] = "pytorch"
    told["config_file"] = CONFIG
    told["tensor_parallel"] = launch.tensor_parallel * launch.data_parallel
    if launch.pipeline_parallel > 1:
        told["pipeline_parallel"] = launch.pipeline_parallel
    if launch.data_parallel > 1:
        told["attention_data_parallel"] = True
    if launch.expert_parallel > 1:
        told["expert_parallel"] = launch.expert_parallel
    told |= limits(launch)
    if launch.draft_tokens:
        told |= _speculation(launch)
    known = launch.dialect.settings()
    told |= {name: True for name in ("metrics", "request_metrics") if name in known}
    return told


def pool(told: Mapping[str, Any]) -> str:
    """Which pool these settings start: its servers do both here."""
    del told
    return PoolRole.BOTH.value


def pool_told(wanted: PoolRole) -> str:
    """What ``pool`` reads of a launch in that pool."""
    return wanted.value


def degrees(told: Mapping[str, Any]) -> Degrees:
    """The parallel degrees that these settings launch."""
    ranks = int(told["tensor_parallel"])
    tp, dp = (1, ranks) if told.get("attention_data_parallel") else (ranks, 1)
    return Degrees(
        tp, int(told.get("pipeline_parallel", 1)), dp, int(told.get("expert_parallel", 1))
    )


def drafts(told: Mapping[str, Any]) -> int:
    """Tokens drafted per step."""
    return int(told.get("draft_layers", told.get("draft_tokens", 0)))


def _speculation(launch: Launch) -> dict[str, Any]:
    if launch.draft_model is None:
        return {"draft_algorithm": "MTP", "draft_layers": launch.draft_tokens}
    return {
        "draft_algorithm": "DraftTarget",
        "draft_tokens": launch.draft_tokens,
        "draft_model": launch.draft_model,
    }
