"""What every engine is given, and what each makes of parallel degrees."""

from __future__ import annotations

from dataclasses import dataclass

from planner.deploy.launch import PORT, Launch
from planner.deploy.manifest import Options, Stated
from planner.errors import InputError

BY_PRIORITY = "priority"  # vLLM's queue in the order of requests' priorities, lower numbers first


@dataclass(frozen=True, slots=True)
class Degrees:
    """Parallel degrees of one replica, in the plan's terms."""

    tensor_parallel: int
    pipeline_parallel: int
    data_parallel: int
    expert_parallel: int


def opening(launch: Launch) -> Options:
    """What is served, under which name and address."""
    return {
        "model": launch.loads,
        "served_name": launch.served_name,
        "host": "0.0.0.0",
        "port": PORT,
    }


def limits(launch: Launch) -> Options:
    """Formats, sizes and permissions; engines differ only in how they spell these."""
    stated: Options = {}
    if launch.dtype is not None:
        stated["dtype"] = launch.dtype
    if launch.quantization is not None:
        stated["quantization"] = launch.quantization
    stated |= {
        "kv_cache": launch.kv_cache,
        "max_model_len_tokens": launch.max_model_len_tokens,
        "max_num_seqs": launch.max_num_seqs,
        "max_num_batched_tokens": launch.max_num_batched_tokens,
        "memory_fraction": launch.memory_fraction,
        "prefix_caching": launch.prefix_caching,
    }
    if launch.decode_context_parallel > 1:
        stated["decode_context_parallel"] = launch.decode_context_parallel
    if launch.kv_offload is not None:
        stated["kv_offload_host"] = launch.kv_offload.size
    if launch.lora_adapters:
        adapters = {"lora_adapters": launch.lora_adapters, "lora_rank": launch.lora_rank}
        stated |= {"lora": True, **adapters}
        if launch.lora_cached > launch.lora_adapters:
            stated["lora_cached"] = launch.lora_cached
    return {**stated, "trust_remote_code": True} if launch.trust_remote_code else stated


def by_priority(stated: Stated) -> bool:
    """Whether the queue is in the order of requests' priorities, lower numbers first."""
    if "priorities" in stated:
        return bool(stated["priorities"] and stated.get("low_priorities_first"))
    return stated.get("scheduling") == BY_PRIORITY


def reject_partial_experts(launch: Launch) -> None:
    """Refuse an expert-parallel degree other than all ranks of a stage."""
    ranks = launch.tensor_parallel * launch.data_parallel
    if launch.expert_parallel != ranks:
        raise refuse(launch, f"expert parallel {launch.expert_parallel} over {ranks} ranks")


def refuse(launch: Launch, what: str) -> InputError:
    """The error for a layout that this engine has no options for."""
    return InputError(
        f"{launch.dialect.engine} {launch.dialect.version} has no option for: {what}",
        where=f"service {launch.service!r}, {launch.gpus}x {launch.gpu.name} a replica",
        action="change search (degrees, settings) and solve again",
    )
