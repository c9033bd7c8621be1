"""SGLang's terms: TP counts every rank of a stage, and attention divides it by DP."""

from __future__ import annotations

from collections.abc import Mapping

from planner.catalog.drafts import DraftMethod
from planner.deploy.engines.common import Degrees, limits, opening
from planner.deploy.launch import LEADER_ADDRESS, NODE_RANK, Launch, PoolRole, Role
from planner.deploy.manifest import Options, Stated
from planner.scenario.task import GENERATE, Task

ENCODER_BACKEND = "triton"  # the attention kernels that let every token see all others

METHODS: Mapping[DraftMethod, str] = {
    "mtp": "NEXTN",
    "eagle3": "EAGLE3",
    "ngram": "NGRAM",
    "draft": "STANDALONE",
}


def settings(launch: Launch, role: Role) -> Options:
    """What ``sglang.launch_server`` is given for one process of the replica."""
    stated = opening(launch)
    stated["tensor_parallel"] = launch.tensor_parallel * launch.data_parallel
    if launch.pipeline_parallel > 1:
        stated["pipeline_parallel"] = launch.pipeline_parallel
    if launch.data_parallel > 1:
        stated |= _attention_groups(launch)
    if launch.expert_parallel > 1:
        stated["expert_parallel"] = launch.expert_parallel
    stated |= limits(launch)
    if launch.task != GENERATE:
        stated["pooling"] = True
    if launch.encoder:
        stated["attention_backend"] = ENCODER_BACKEND
    if launch.kv_offload is not None:
        stated["kv_offload"] = True
        if launch.kv_offload.disk:
            stated["kv_offload_disk"] = "file"
    if launch.lora_adapters:
        stated["lora_targets"] = "all"
    if launch.priority_scheduling:
        stated |= {"priorities": True, "low_priorities_first": True}
    if launch.draft_tokens:
        stated |= _speculation(launch)
    stated["metrics"] = True
    if launch.pool is not PoolRole.BOTH:
        stated["pool"] = launch.pool.value
        stated["kv_backend"] = "nixl"
    if launch.nodes > 1 and launch.expert_parallel > 1 and launch.data_parallel > 1:
        stated["all_to_all"] = "deepep"
    if role is not Role.SINGLE:
        stated["node_count"] = launch.nodes
        stated["node_rank"] = NODE_RANK if role is Role.WORKER else 0
        stated["leader_address"] = LEADER_ADDRESS
    return stated


def pool(stated: Stated) -> str:
    """Which pool these settings start."""
    return str(stated.get("pool", PoolRole.BOTH.value))


def pool_text(wanted: PoolRole) -> str:
    """What ``pool`` reads of a launch in that pool."""
    return wanted.value


def pooled(stated: Stated) -> str:
    """Whether prompts are pooled by these settings; into what, the model decides."""
    return "pooled" if stated.get("pooling") else ""


def pooled_text(task: Task) -> str:
    """What ``pooled`` reads of a launch with that task."""
    return "" if task == GENERATE else "pooled"


def degrees(stated: Stated) -> Degrees:
    """The parallel degrees that these settings launch."""
    dp = int(stated.get("attention_groups", 1))
    if stated.get("attention_data_parallel"):
        dp = int(stated.get("data_parallel", 1))
    return Degrees(
        int(stated["tensor_parallel"]) // dp,
        int(stated.get("pipeline_parallel", 1)),
        dp,
        int(stated.get("expert_parallel", 1)),
    )


def drafts(stated: Stated) -> int:
    """Tokens drafted per step."""
    if "draft_steps" not in stated:
        return max(0, int(stated.get("draft_tokens", 1)) - 1)
    return int(stated["draft_steps"])


def _attention_groups(launch: Launch) -> Options:
    """Attention data parallelism, as this version is given it: a size of its own, or a switch."""
    if "attention_groups" in launch.dialect.settings():
        return {"attention_groups": launch.data_parallel}
    return {"data_parallel": launch.data_parallel, "attention_data_parallel": True}


def _speculation(launch: Launch) -> Options:
    """Its count of draft tokens holds the one that the model adds; n-grams are not drafted in steps."""
    method = launch.draft_method or ("mtp" if launch.draft_model is None else None)
    stated: Options = {"draft_algorithm": METHODS[method] if method else "EAGLE"}
    if launch.draft_model is not None:
        stated["draft_model"] = launch.draft_model
    if method != "ngram":
        stated |= {"draft_steps": launch.draft_tokens, "draft_width": 1}
    return {**stated, "draft_tokens": launch.draft_tokens + 1}
