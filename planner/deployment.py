"""One replica's layout: GPU, engine, TP/PP/EP/DP, weight and KV precision; and what is legal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from planner.catalog.drafts import DraftMethod
from planner.catalog.engine import EngineSpec
from planner.catalog.formats import KvFormat, WeightFormat
from planner.catalog.gpu import GpuSpec
from planner.catalog.model import ModelSpec
from planner.evidence import Evidence


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What the launch command would set; None means the engine version's own default.

    ``lora_adapters``: adapters held at once, each of ``lora_rank`` on every linear layer. ``eager``:
    no step is captured as a graph, so that the host launches every kernel. ``graphs_max_batch``: the largest
    captured batch; ``graph_padding``: a batch between two captured ones runs as the larger.
    ``offload_host_gb``, ``offload_disk_gb``: of one replica for KV blocks that leave its pool [GB];
    ``offload_gb_s``: between one GPU and the host (0: its PCIe rate), ``offload_disk_gb_s``: of the replica's
    disk [GB/s]. ``priority_scheduling``: the queue is in the order of the priorities that requests carry.
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
    graphs_max_batch: int | None = None
    graph_padding: bool = True
    offload_host_gb: float = 0.0
    offload_gb_s: float = 0.0
    offload_disk_gb: float = 0.0
    offload_disk_gb_s: float = 0.0
    decode_context_parallel: int = 1
    priority_scheduling: bool = False

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
class Draft:
    """What drafts the tokens that a decode step verifies; how many is in ``EngineSettings``.

    ``model`` and ``weights``: of a draft of its own (``eagle3``, ``draft``); None where the checkpoint's
    prediction layers draft (``mtp``) or earlier text does (``ngram``). ``checkpoint``: the draft's
    repository. ``evidence`` and ``source``: behind the acceptance that the settings state.
    """

    method: DraftMethod
    model: ModelSpec | None = None
    weights: WeightFormat | None = None
    checkpoint: str = ""
    evidence: Evidence = Evidence.ASSUMED
    source: str = ""

    @property
    def reads_states(self) -> bool:
        """Whether it drafts from the target's hidden states, as MTP and EAGLE do."""
        return self.method in ("mtp", "eagle3")

    def label(self, tokens: int) -> str:
        """``mtp:3``; a model that drafts on its own is named: ``draft Llama-3.2-1B:4``."""
        own = f" {self.checkpoint.rpartition('/')[2]}" if self.method == "draft" else ""
        return f"{self.method}{own}:{tokens}"


class HasDegrees(Protocol):
    """What has the four degrees of parallelism of one replica."""

    @property
    def tensor_parallel(self) -> int: ...
    @property
    def pipeline_parallel(self) -> int: ...
    @property
    def data_parallel(self) -> int: ...
    @property
    def expert_parallel(self) -> int: ...


class ParallelDegrees:
    """Reads the four degrees of a layout together; a base of what has them as fields."""

    __slots__ = ()

    @property
    def degrees(self: HasDegrees) -> tuple[int, int, int, int]:
        """TP, PP, DP and EP of one replica; of one that decodes, or prefills, where pools are separate."""
        return (
            self.tensor_parallel,
            self.pipeline_parallel,
            self.data_parallel,
            self.expert_parallel,
        )


@dataclass(frozen=True, slots=True)
class Deployment(ParallelDegrees):
    """How one replica is laid out over ``gpus`` devices.

    ``data_parallel`` is attention data parallelism inside the replica (each rank holds its own KV and
    its own sequences); experts are then spread over ``expert_parallel`` ranks. A replica occupies
    ``tensor_parallel * pipeline_parallel * data_parallel`` devices. Hashing looks at names and degrees
    alone, so that a deployment is a cheap key of a cache.
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
    draft: Draft | None = None

    def __hash__(self) -> int:
        names = (self.model.name, self.gpu.name, self.engine.name)
        stored = (self.weights.name, self.kv_cache.name, self.settings.draft_tokens)
        return hash((names, self.degrees, stored))

    @property
    def drafts_from_states(self) -> bool:
        """Whether it drafts from the model's own hidden states, as it does where no draft is named."""
        own = self.draft is None or self.draft.reads_states
        return self.settings.draft_tokens > 0 and own

    @property
    def predicts_ahead(self) -> bool:
        """Whether the checkpoint's own prediction layers are loaded and draft."""
        own = self.draft is None or self.draft.method == "mtp"
        return self.settings.draft_tokens > 0 and own

    @property
    def speculation(self) -> str:
        """What drafts how many tokens, ``mtp:3``; "" where nothing does or nobody says what."""
        return self.draft.label(self.settings.draft_tokens) if self.draft else ""

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
            speculation=self.speculation,
            network_gb_s=self.gpu.offered_network_gb_s,
        )


def replica_name(
    gpus: int,
    gpu: str,
    engine: str,
    parallel: str,
    weights: str,
    kv_cache: str,
    gpu_share: float = 1.0,
    speculation: str = "",
    profile: str = "",
    network_gb_s: float | None = None,
) -> str:
    """The one spelling of a replica's name: ``4x h100-sxm-80gb vllm TP4 fp8/bf16``.

    parallel: parallel degrees as ``degrees_label`` or ``pools_label`` write them; weights, kv_cache:
    formats by catalog name; gpu_share: of its one GPU, below 1 it reads ``... on 0.5 of a GPU``;
    speculation: what drafts, ``Draft.label``, at the end: ``... fp8/bf16 mtp:3``;
    profile: of the MIG slice it has, ``... on 3g.40gb``; network_gb_s: a GPU's share of the network
    between its nodes [GB/s], where that is less than usual: ``... over 5.47 GB/s``.
    """
    cut = f" on {profile or f'{gpu_share:.3g} of a GPU'}" if gpu_share < 1 else ""
    drafts = f" {speculation}" if speculation else ""
    over = "" if network_gb_s is None else f" over {network_gb_s:.3g} GB/s"
    return f"{gpus}x {gpu} {engine} {parallel} {weights}/{kv_cache}{cut}{drafts}{over}"


def replica_key(service: str, name: str) -> str:
    """The one key of a service's replicas in programs, schedules and plans: ``chat: <name>``."""
    return f"{service}: {name}"


def degrees_label(degrees: Sequence[int]) -> str:
    """``TP2 DP4 EP8``; TP is always named, the others from 2 on."""
    named = zip(("TP", "PP", "DP", "EP"), degrees, strict=True)
    return " ".join(f"{tag}{n}" for tag, n in named if n > 1 or tag == "TP")
