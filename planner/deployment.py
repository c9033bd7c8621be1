"""One replica's layout: GPU, engine, TP/PP/EP/DP, weight and KV precision; and what is legal."""

from __future__ import annotations

from dataclasses import dataclass

from planner.catalog.engine import EngineSpec
from planner.catalog.formats import KvFormat, WeightFormat
from planner.catalog.gpu import GpuSpec
from planner.catalog.model import ModelSpec


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What the launch command would set; None means the engine version's own default.

    ``lora_adapters``: adapters held at once, each of ``lora_rank`` on every linear layer.
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
        """A short readable name: ``4x h100-sxm-80gb vllm TP4 fp8/bf16``."""
        parallel = f"TP{self.tensor_parallel}"
        for tag, degree in (
            ("PP", self.pipeline_parallel),
            ("DP", self.data_parallel),
            ("EP", self.expert_parallel),
        ):
            if degree > 1:
                parallel += f" {tag}{degree}"
        return (
            f"{self.gpus}x {self.gpu.name} {self.engine.name} {parallel} "
            f"{self.weights.name}/{self.kv_cache.name}"
        )
