"""vLLM's terms: TP inside a data-parallel rank, experts over all ranks or over none."""

from __future__ import annotations

from collections.abc import Mapping

from planner.catalog.drafts import DraftMethod
from planner.deploy.engines.common import (
    BY_PRIORITY,
    Degrees,
    limits,
    opening,
    refuse,
    reject_partial_experts,
)
from planner.deploy.launch import LEADER_ADDRESS, NODE_RANK, Launch, PoolRole, Role
from planner.deploy.manifest import EnvironmentVariable, Options, PlainValue, Stated
from planner.scenario.task import GENERATE, Task

NIXL = {"kv_connector": "NixlConnector", "kv_role": "kv_both"}
METHODS: Mapping[DraftMethod, str] = {
    "mtp": "mtp",
    "eagle3": "eagle3",
    "ngram": "ngram",
    "draft": "draft_model",
}
ALL_TO_ALL = {
    PoolRole.PREFILL: "deepep_high_throughput",
    PoolRole.DECODE: "deepep_low_latency",
    PoolRole.BOTH: "deepep_low_latency",
}


def settings(launch: Launch, role: Role) -> Options:
    """What ``vllm serve`` is given for one process of the replica."""
    tokens, sequences = launch.max_num_batched_tokens, launch.max_num_seqs
    if tokens < sequences:
        raise refuse(launch, f"{tokens} tokens a step for {sequences} sequences at once")
    stated = opening(launch)
    stated["tensor_parallel"] = launch.tensor_parallel
    if launch.pipeline_parallel > 1:
        stated["pipeline_parallel"] = launch.pipeline_parallel
    if launch.data_parallel > 1:
        stated["data_parallel"] = launch.data_parallel
    if launch.expert_parallel > 1:
        reject_partial_experts(launch)
        stated["expert_parallel"] = True
    stated |= limits(launch)
    stated |= _task(launch)
    if launch.priority_scheduling:
        stated["scheduling"] = BY_PRIORITY
    if launch.draft_tokens:
        stated["speculation"] = _speculation(launch)
    if launch.pool is not PoolRole.BOTH:
        stated["kv_transfer"] = NIXL
    if role is not Role.SINGLE:
        stated |= _across_nodes(launch, role)
        if launch.expert_parallel > 1 and launch.data_parallel > 1:
            stated["all_to_all"] = ALL_TO_ALL[launch.pool]
    return stated


def pool(stated: Stated) -> str:
    """Whether a KV connector is set up; which pool it is, the router in front decides."""
    return "apart" if stated.get("kv_transfer") == NIXL else "both"


def pool_text(wanted: PoolRole) -> str:
    """What ``pool`` reads of a launch in that pool."""
    return "both" if wanted is PoolRole.BOTH else "apart"


def degrees(stated: Stated) -> Degrees:
    """The parallel degrees that these settings launch."""
    tp, dp = int(stated["tensor_parallel"]), int(stated.get("data_parallel", 1))
    return Degrees(
        tp,
        int(stated.get("pipeline_parallel", 1)),
        dp,
        tp * dp if stated.get("expert_parallel") else 1,
    )


def drafts(stated: Stated) -> int:
    """Tokens drafted per step."""
    return int(stated.get("speculation", {}).get("num_speculative_tokens", 0))


def _across_nodes(launch: Launch, role: Role) -> Options:
    if launch.data_parallel > 1:
        if launch.data_parallel % launch.nodes:
            raise refuse(launch, f"{launch.data_parallel} ranks do not divide over its nodes")
        local = launch.data_parallel // launch.nodes
        stated: Options = {
            "data_parallel_per_node": local,
            "data_parallel_address": LEADER_ADDRESS,
        }
        if role is Role.WORKER:
            stated["data_parallel_first_rank"] = EnvironmentVariable(NODE_RANK.name, local)
    else:
        stated = {
            "node_count": launch.nodes,
            "node_rank": NODE_RANK if role is Role.WORKER else 0,
            "leader_address": LEADER_ADDRESS,
        }
    return {**stated, "headless": True} if role is Role.WORKER else stated


def pooled(stated: Stated) -> str:
    """What prompts are pooled into by these settings; "" where text is generated."""
    return str(stated.get("convert") or stated.get("pooling") or "")


def pooled_text(task: Task) -> str:
    """What ``pooled`` reads of a launch with that task."""
    return {"generate": "", "embed": "embed"}.get(task, "classify")


def _task(launch: Launch) -> Options:
    """The pooling runner and its head; before there were runners, the task itself."""
    if launch.task == GENERATE:
        return {}
    head = pooled_text(launch.task)
    if "convert" in launch.dialect.settings():
        return {"pooling": "pooling", "convert": head}
    return {"pooling": head}


def _speculation(launch: Launch) -> dict[str, PlainValue]:
    stated: dict[str, PlainValue] = {}
    if launch.draft_method is not None or launch.draft_model is None:
        stated["method"] = METHODS[launch.draft_method or "mtp"]
    if launch.draft_model is not None:
        stated["model"] = launch.draft_model
    return {**stated, "num_speculative_tokens": launch.draft_tokens}
