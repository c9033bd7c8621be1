"""What would not launch: rules from ``catalogs/support.yaml``, each with its reason and source.

A rule holds back a deployment when every condition it states holds; a condition it leaves out
always holds. What no rule holds back is taken to launch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict

from planner.catalog.engine import EngineSpec, version_key
from planner.catalog.formats import KvFormat, WeightFormat
from planner.catalog.gpu import GpuSpec
from planner.catalog.model import LatentAttention, ModelSpec, MoeMlp, RecurrentMixer
from planner.catalog.tables import IsoDate, read_yaml, validate_document

Feature = Literal["moe", "latent-attention", "sparse-indexer", "recurrent", "pooling"]
Pools = Literal["", "apart", "unlike", "prefill-wider"]


@dataclass(frozen=True)
class SupportConditions:
    """What must hold, all of it, for a rule to apply; empty means "any".

    ``since``/``before``: engine versions from (included) and to (excluded). ``capability_from`` and
    ``capability_below``: CUDA compute capability of an NVIDIA device, such as "8.9".
    ``model_architectures`` and ``except_architectures``: the config's architecture is, or is not,
    among these. ``features``: what the model has. ``lacks``: what it does not have. ``misaligned_block``: a
    feed-forward or expert width of one rank is no multiple of the weight format's block. ``pools``:
    prefill and decode run "apart", with "unlike" tensor parallelism, or the "prefill-wider" one. ``lora``:
    adapters are held beside the model. ``priorities``: the queue is in the order of requests' priorities.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    engines: tuple[str, ...] = ()
    since: str = ""
    before: str = ""
    vendors: tuple[str, ...] = ()
    gpu_architectures: tuple[str, ...] = ()
    capability_from: str = ""
    capability_below: str = ""
    weights: tuple[str, ...] = ()
    kv_cache: tuple[str, ...] = ()
    model_architectures: tuple[str, ...] = ()
    except_architectures: tuple[str, ...] = ()
    features: tuple[Feature, ...] = ()
    misaligned_block: bool = False
    lacks: tuple[Feature, ...] = ()
    pools: Pools = ""
    lora: bool = False
    priorities: bool = False


@dataclass(frozen=True)
class SupportRule:
    """A reason why deployments that meet ``when`` do not launch, and where that is known from."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    reason: str
    when: SupportConditions
    source: str
    as_of: IsoDate


@dataclass(frozen=True)
class _CheckedLayout:
    engine: EngineSpec
    model: ModelSpec
    weights: WeightFormat
    kv_cache: KvFormat
    gpu: GpuSpec
    tensor_parallel: int
    expert_ranks: int
    prefill_tensor_parallel: int | None
    lora: bool
    priorities: bool

    @cached_property
    def has_misaligned_block(self) -> bool:
        """Whether a width one rank holds is no multiple of the weight format's block."""
        if self.weights.block is None:
            return False
        side = max(self.weights.block)
        return any(width % side for width in self._rank_widths())

    def has_pools(self, wanted: Pools) -> bool:
        """Whether prefill runs apart, and is cut as the rule says."""
        prefill = self.prefill_tensor_parallel
        if prefill is None:
            return False
        if wanted == "unlike":
            return prefill != self.tensor_parallel
        return wanted == "apart" or prefill > self.tensor_parallel

    def _rank_widths(self) -> set[float]:
        widths: set[float] = set()
        for mlp in dict.fromkeys(layer.mlp for layer in self.model.layers):
            if isinstance(mlp, MoeMlp):
                widths.add(mlp.width / self.expert_ranks)
                widths.add(mlp.shared_width / self.tensor_parallel)
            elif mlp is not None:
                widths.add(mlp.width / self.tensor_parallel)
        return widths


@lru_cache(maxsize=256)
def _features(model: ModelSpec) -> frozenset[str]:
    found: set[str] = set() if model.head == "lm" else {"pooling"}
    for layer in model.layers:
        if isinstance(layer.mlp, MoeMlp):
            found.add("moe")
        if isinstance(layer.mixer, RecurrentMixer):
            found.add("recurrent")
        elif layer.mixer is not None:
            if isinstance(layer.mixer, LatentAttention):
                found.add("latent-attention")
            if layer.mixer.indexer is not None:
                found.add("sparse-indexer")
    return frozenset(found)


def rules_on(
    rules: Iterable[SupportRule], engine: EngineSpec, gpu: GpuSpec, model: ModelSpec
) -> tuple[SupportRule, ...]:
    """The rules that name an engine and cover its version, a GPU and a model, in their order."""
    return tuple(
        r
        for r in rules
        if _among(engine.name, r.when.engines)
        and _version_meets(engine.version, r.when.since, r.when.before)
        and _gpu_meets(r.when, gpu)
        and _model_meets(r.when, model)
    )


def check_support(
    rules: Iterable[SupportRule],
    *,
    engine: EngineSpec,
    model: ModelSpec,
    weights: WeightFormat,
    kv_cache: KvFormat,
    gpu: GpuSpec,
    tensor_parallel: int,
    data_parallel: int = 1,
    expert_parallel: int = 1,
    prefill_tensor_parallel: int | None = None,
    lora: bool = False,
    priorities: bool = False,
) -> tuple[str, ...]:
    """Return every reason why the deployment would not launch; empty when it would.

    Experts are divided over ``tensor_parallel * data_parallel / expert_parallel`` ranks each.
    ``prefill_tensor_parallel``: of the pool that prefills for this one; None where one does both.
    ``lora``: whether adapters are held beside the model; ``priorities``: whether requests carry them.
    """
    expert_ranks = max(1, tensor_parallel * data_parallel // expert_parallel)
    layout = _CheckedLayout(
        engine,
        model,
        weights,
        kv_cache,
        gpu,
        tensor_parallel,
        expert_ranks,
        prefill_tensor_parallel,
        lora,
        priorities,
    )
    name = engine.name
    about_engine = (r for r in rules if not r.when.engines or name in r.when.engines)
    return tuple(rule.reason for rule in about_engine if _applies(rule.when, layout))


def _applies(when: SupportConditions, layout: _CheckedLayout) -> bool:
    """Whether all but the engine's name holds; what is cheap to look at comes first."""
    return (
        _among(layout.weights.name, when.weights)
        and _among(layout.kv_cache.name, when.kv_cache)
        and _gpu_meets(when, layout.gpu)
        and _version_meets(layout.engine.version, when.since, when.before)
        and _model_meets(when, layout.model)
        and (not when.pools or layout.has_pools(when.pools))
        and (not when.lora or layout.lora)
        and (not when.priorities or layout.priorities)
        and (not when.misaligned_block or layout.has_misaligned_block)
    )


def _model_meets(when: SupportConditions, model: ModelSpec) -> bool:
    if not _among(model.architecture, when.model_architectures):
        return False
    if model.architecture in when.except_architectures:
        return False
    return (not when.features or _features(model).issuperset(when.features)) and (
        not when.lacks or _features(model).isdisjoint(when.lacks)
    )


def _among(value: str, allowed: tuple[str, ...]) -> bool:
    return not allowed or value in allowed


def _gpu_meets(when: SupportConditions, gpu: GpuSpec) -> bool:
    if not (_among(gpu.vendor, when.vendors) and _among(gpu.architecture, when.gpu_architectures)):
        return False
    if not (when.capability_from or when.capability_below):
        return True
    return gpu.vendor == "nvidia" and _version_meets(
        gpu.compute_capability, when.capability_from, when.capability_below
    )


def _version_meets(version: str, since: str, before: str) -> bool:
    return (not since or version_key(version) >= version_key(since)) and (
        not before or version_key(version) < version_key(before)
    )


def compute_precision(gpu: GpuSpec, weights: WeightFormat) -> tuple[str, str]:
    """Return the precision ``gpu`` multiplies ``weights`` in, and a note ("" when it is native).

    Weight-only formats, and formats whose arithmetic the device lacks, are expanded to 16 bits:
    they save memory and bandwidth, not arithmetic.
    """
    half = "bf16" if gpu.peak_flops("bf16") else "fp16"
    if weights.weight_only:
        return half, f"weight-only: computes in {half}"
    if weights.compute in ("bf16", "fp16", "fp32"):
        if gpu.peak_flops(weights.compute):
            return weights.compute, ""
        return half, f"{gpu.name} has no {weights.compute} units: computes in {half}"
    if gpu.peak_flops(weights.compute):
        return weights.compute, ""
    return half, f"{gpu.name} has no {weights.compute} units: weight-only, computes in {half}"


def read_support(path: Path) -> tuple[SupportRule, ...]:
    """Return every rule of ``catalogs/support.yaml``; raises CatalogError when one is malformed."""
    return validate_document(path, read_yaml(path), tuple[SupportRule, ...])
