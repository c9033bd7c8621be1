"""One replica's layout: GPU, engine, TP/PP/EP/DP, weight and KV precision; and what is legal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from planner.catalog.engine import EngineSpec
from planner.catalog.formats import KvFormat, WeightFormat
from planner.catalog.gpu import GpuSpec
from planner.catalog.model import ModelSpec


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What the launch command would set; None means the engine version's own default.

    ``lora_adapters``: adapters held at once, each of ``lora_rank`` on every linear layer. ``eager``:
    no step is captured as a graph, so that the host launches every kernel. ``offload_host_gb``,
    ``offload_disk_gb``: of one replica for KV blocks that leave its pool [GB]; ``offload_gb_s``: between
    one GPU and the host (0: its PCIe rate), ``offload_disk_gb_s``: of the replica's disk [GB/s].
    """

    memory_fraction: float | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    max_model_len_tokens: int | None = None
    prefix_caching: bool | None = None
    draft_tokens: int = 0
    draft_acceptance: float = 0.0
    lora_adapters: int = 0
    lora_rank: int = 16
    eager: bool = False
    offload_host_gb: float = 0.0
    offload_gb_s: float = 0.0
    offload_disk_gb: float = 0.0
    offload_disk_gb_s: float = 0.0

    @property
    def tokens_per_step(self) -> float:
        """Expected tokens one decode step yields per sequence under speculative decoding (1 without).

        ``(1 - a^(k+1)) / (1 - a)`` for acceptance ``a`` and draft length ``k``
        (Leviathan et al. 2023, "Fast inference from transformers via speculative decoding", eq. 1).
        """
        a, k = self.draft_acceptance, self.draft_tokens
        if k == 0:
            return 1.0
        return float(k + 1) if a >= 1 else (1 - a ** (k + 1)) / (1 - a)


@dataclass(frozen=True, slots=True)
class Deployment:
    """How one replica is laid out over ``gpus`` devices.

    ``data_parallel`` is attention data parallelism inside the replica (each rank holds its own KV and
    its own sequences); experts are then spread over ``expert_parallel`` ranks. A replica occupies
    ``tensor_parallel * pipeline_parallel * data_parallel`` devices.
    """

    model: ModelSpec
    gpu: GpuSpec
    engine: EngineSpec
    tensor_parallel: int
    weights: WeightFormat
    kv_cache: KvFormat
    pipeline_parallel: int = 1
    data_parallel: int = 1
    expert_parallel: int = 1
    settings: EngineSettings = EngineSettings()

    @property
    def gpus(self) -> int:
        """GPUs of one replica; expert parallelism reuses the same ones."""
        return self.tensor_parallel * self.pipeline_parallel * self.data_parallel

    @property
    def label(self) -> str:
        """The name of one replica on whole GPUs, see ``replica_name``."""
        return replica_name(
            self.gpus,
            self.gpu.name,
            self.engine.name,
            degrees_label(self.degrees),
            self.weights.name,
            self.kv_cache.name,
        )

    @property
    def degrees(self) -> tuple[int, int, int, int]:
        """TP, PP, DP and EP of one replica."""
        return (
            self.tensor_parallel,
            self.pipeline_parallel,
            self.data_parallel,
            self.expert_parallel,
        )


def replica_name(
    gpus: int,
    gpu: str,
    engine: str,
    parallel: str,
    weights: str,
    kv_cache: str,
    gpu_share: float = 1.0,
) -> str:
    """The one spelling of a replica's name: ``4x h100-sxm-80gb vllm TP4 fp8/bf16``.

    parallel: parallel degrees as ``degrees_label`` or ``pools_label`` write them; weights, kv_cache:
    formats by catalog name; gpu_share: of its one GPU, below 1 it reads ``... on 0.5 of a GPU``.
    """
    cut = f" on {gpu_share:.3g} of a GPU" if gpu_share < 1 else ""
    return f"{gpus}x {gpu} {engine} {parallel} {weights}/{kv_cache}{cut}"


def replica_key(service: str, name: str) -> str:
    """The one key of a service's replicas in programs, schedules and plans: ``chat: <name>``."""
    return f"{service}: {name}"


def degrees_label(degrees: Sequence[int]) -> str:
    """``TP2 DP4 EP8``; TP is always named, the others from 2 on."""
    named = zip(("TP", "PP", "DP", "EP"), degrees, strict=True)
    return " ".join(f"{tag}{n}" for tag, n in named if n > 1 or tag == "TP")
