"""One replica of a deployment, as every value that follows from its layout alone says it."""

from __future__ import annotations

from planner.deploy.engines.checkpoint import LoadedWeights
from planner.deploy.engines.dialect import Dialect
from planner.deploy.kv_offload import offload_option
from planner.deploy.launch import Launch
from planner.deployment import Deployment
from planner.sizing.batch_limits import prefix_caching
from planner.sizing.memory import memory_fraction


def one_replica(
    name: str,
    deployment: Deployment,
    dialect: Dialect,
    loaded: LoadedWeights,
    *,
    longest_tokens: int,
    planned_tokens: int,
    max_num_seqs: int,
    max_num_batched_tokens: int,
    draft_model: str | None,
) -> Launch:
    """The launch of one replica on one node; ``longest_tokens``: of a request that it takes."""
    settings, draft = deployment.settings, deployment.draft
    return Launch(
        name=name,
        service=name,
        dialect=dialect,
        gpu=deployment.gpu,
        checkpoint=loaded.checkpoint,
        served_name=loaded.checkpoint,
        tensor_parallel=deployment.tensor_parallel,
        pipeline_parallel=deployment.pipeline_parallel,
        data_parallel=deployment.data_parallel,
        expert_parallel=deployment.expert_parallel,
        weights=deployment.weights.name,
        quantization=loaded.quantization,
        dtype=loaded.dtype,
        kv_cache=dialect.kv_cache(deployment.kv_cache.name, deployment.gpu.vendor),
        max_model_len_tokens=longest_tokens,
        planned_tokens=planned_tokens,
        max_num_seqs=max_num_seqs,
        max_num_batched_tokens=max_num_batched_tokens,
        memory_fraction=memory_fraction(deployment),
        prefix_caching=prefix_caching(deployment),
        kv_offload=offload_option(deployment),
        decode_context_parallel=settings.decode_context_parallel,
        draft_tokens=settings.draft_tokens,
        draft_model=draft_model,
        draft_method=draft.method if draft else None,
        lora_adapters=settings.lora_adapters,
        lora_rank=settings.lora_rank,
        priority_scheduling=settings.priority_scheduling,
        program=tuple(dialect.any_runtime().program.split()),
        start_up_s=deployment.engine.start_up_s,
    )
