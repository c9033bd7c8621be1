"""TensorRT-LLM's terms: attention DP takes the whole TP group, and a YAML file holds the rest."""

from __future__ import annotations

from collections.abc import Mapping

from planner.catalog.drafts import DraftMethod
from planner.deploy.engines.common import Degrees, limits, opening, refuse
from planner.deploy.launch import CONFIG, Launch, PoolRole, Role
from planner.deploy.manifest import Options, Stated
from planner.scenario.task import GENERATE, Task

METHODS: Mapping[DraftMethod, str] = {
    "mtp": "MTP",
    "eagle3": "Eagle",
    "ngram": "NGram",
    "draft": "Draft_Target",
}


def settings(launch: Launch, role: Role) -> Options:
    """What ``trtllm-serve`` is given; its processes on several nodes are started by MPI in the same way."""
    del role
    if launch.data_parallel > 1 and launch.tensor_parallel > 1:
        raise refuse(launch, "attention data parallelism with tensor parallelism inside a rank")
    if launch.task != GENERATE:
        raise refuse(launch, f"task {launch.task}")
    if launch.pool is not PoolRole.BOTH:
        raise refuse(launch, "prefill and decode in pools of their own (its orchestrator's file)")
    if launch.priority_scheduling:
        raise refuse(launch, "a queue in the order of requests' priorities")
    stated = opening(launch)
    del stated["served_name"]
    stated["backend"] = "pytorch"
    stated["config_file"] = CONFIG
    stated["tensor_parallel"] = launch.tensor_parallel * launch.data_parallel
    if launch.pipeline_parallel > 1:
        stated["pipeline_parallel"] = launch.pipeline_parallel
    if launch.data_parallel > 1:
        stated["attention_data_parallel"] = True
    if launch.expert_parallel > 1:
        stated["expert_parallel"] = launch.expert_parallel
    stated |= limits(launch)
    stated["graph_padding"] = (
        True  # by default batches between the captured ones run without graphs
    )
    if launch.graphs_max_batch:
        stated["graphs_max_batch"] = launch.graphs_max_batch
    if launch.draft_tokens:
        stated |= _speculation(launch)
    known = launch.dialect.settings()
    stated |= {name: True for name in ("metrics", "request_metrics") if name in known}
    return stated


def pool(stated: Stated) -> str:
    """Which pool these settings start: its servers do both here."""
    del stated
    return PoolRole.BOTH.value


def pool_text(wanted: PoolRole) -> str:
    """What ``pool`` reads of a launch in that pool."""
    return wanted.value


def degrees(stated: Stated) -> Degrees:
    """The parallel degrees that these settings launch."""
    ranks = int(stated["tensor_parallel"])
    tp, dp = (1, ranks) if stated.get("attention_data_parallel") else (ranks, 1)
    return Degrees(
        tp, int(stated.get("pipeline_parallel", 1)), dp, int(stated.get("expert_parallel", 1))
    )


def pooled(stated: Stated) -> str:
    """Nothing: its server only generates."""
    del stated
    return ""


def pooled_text(task: Task) -> str:
    """What ``pooled`` reads of a launch with that task."""
    del task
    return ""


def drafts(stated: Stated) -> int:
    """Tokens drafted per step."""
    return int(stated.get("draft_layers", stated.get("draft_tokens", 0)))


def _speculation(launch: Launch) -> Options:
    method = launch.draft_method or ("mtp" if launch.draft_model is None else "draft")
    stated: Options = {"draft_algorithm": METHODS[method]}
    stated["draft_layers" if method == "mtp" else "draft_tokens"] = launch.draft_tokens
    if launch.draft_model is not None:
        stated["draft_model"] = launch.draft_model
    return stated
