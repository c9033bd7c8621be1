"""The properties of a deployment that decide which calibrated factors it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from operator import attrgetter

from planner.catalog.formats import WeightFormat
from planner.catalog.gpu import GpuSpec
from planner.catalog.model import (
    LatentAttention,
    ModelSpec,
    MoeMlp,
    RecurrentMixer,
    SoftmaxAttention,
    distinct_layers,
)
from planner.deployment import Deployment
from planner.performance.arithmetic import compute_precision, sixteen_bit
from planner.performance.loads import kernel_formats, link_of
from planner.sizing.precision import format_family

FAMILIES = ("quantised", "plain", "expert")
RUN_RECURRENCES = ("gated-delta",)


@dataclass(frozen=True, slots=True)
class Traits:
    """Engine, GPU and kernel families; each field is a level the hierarchy of factors may use.

    dense_format, expert_format: the weights by kernel ("fp8", "fp8_block", "nvfp4", ...; "mxfp4_wide"
    where a device widens them to 16 bits before it multiplies; "none" without experts). experts:
    "moe" or "dense". mixer: "latent", "recurrent" or "grouped". link: see ``collectives.Link.kind``.
    release: the year of the engine's release, as kernels mature; quarter: its quarter ("2026Q2");
    indexer: "sparse" where attention picks its tokens first; recurrence: "unmeasured" where a model has
    one of a kind that no measured run has (Mamba, Kimi's delta attention), though its kernels may have
    been timed. None of these tells measured combinations apart, though kernels do (``kernels``).
    """

    engine: str
    gpu: str
    generation: str
    vendor: str
    dense_format: str
    expert_format: str
    experts: str
    mixer: str
    link: str
    release: str = ""
    quarter: str = field(default="", compare=False)
    indexer: str = field(default="none", compare=False)
    recurrence: str = field(default="measured", compare=False)

    def levels(self) -> dict[str, str]:
        """The levels common to every factor; ``format`` is added by kernel family."""
        return {
            "engine": self.engine,
            "gpu": self.gpu,
            "generation": self.generation,
            "vendor": self.vendor,
            "experts": self.experts,
            "mixer": self.mixer,
            "link": self.link,
            "release": self.release,
            "quarter": self.quarter,
            "indexer": self.indexer,
        }

    def levels_key(self) -> tuple[str, ...]:
        """Everything that a factor may depend on: every field, those left out of comparisons too."""
        key: tuple[str, ...] = _EVERY_FIELD(self)
        return key

    def as_dict(self) -> dict[str, str]:
        """Every field that distinguishes combinations, by name."""
        return {f.name: str(getattr(self, f.name)) for f in fields(self) if f.compare}

    def format_levels(self, family: str) -> dict[str, str]:
        """The levels of one family of matrix products: its ``format``, and the ``bits`` it belongs to."""
        name = {"quantised": self.dense_format, "expert": self.expert_format}.get(family, "bf16")
        return {"format": name, "bits": _bits(name)}

    @property
    def kernels(self) -> tuple[str, str, str]:
        """The kernel families: the bits of the format that carries most weights, experts, mixer.

        Attention that picks its tokens first, and a recurrence that no measured run has, are mixers of
        their own: no run without them speaks for them.
        """
        heavy = self.expert_format if self.experts == "moe" else self.dense_format
        mixer = self.mixer if self.indexer == "none" else f"{self.mixer}, {self.indexer}"
        if self.recurrence == "unmeasured":
            mixer = f"{mixer}, {self.recurrence}"
        return _bits(heavy), self.experts, mixer


_EVERY_FIELD = attrgetter(*(f.name for f in fields(Traits)))


def traits_of(deployment: Deployment, generations: Mapping[str, str]) -> Traits:
    """Return the traits of a deployment; unknown hardware is its own generation."""
    gpu = deployment.gpu
    dense, routed = kernel_formats(deployment)
    experts, mixer = _model_traits(deployment.model)
    return Traits(
        engine=deployment.engine.name,
        gpu=gpu.name,
        generation=generations.get(gpu.compute_capability, gpu.architecture),
        vendor=gpu.vendor,
        dense_format=_kernel_format(dense, gpu),
        expert_format=_kernel_format(routed, gpu) if experts == "moe" else "none",
        experts=experts,
        mixer=mixer,
        link=link_of(deployment).kind,
        release=deployment.engine.as_of[:4],
        quarter=_quarter(deployment.engine.as_of),
        indexer="sparse" if _has_indexer(deployment.model) else "none",
        recurrence="unmeasured" if _is_unrun(deployment.model) else "measured",
    )


@lru_cache(maxsize=256)
def _has_indexer(model: ModelSpec) -> bool:
    attentions = (layer.mixer for layer in distinct_layers(model))
    return any(
        mixer.indexer is not None
        for mixer in attentions
        if isinstance(mixer, (LatentAttention, SoftmaxAttention))
    )


@lru_cache(maxsize=256)
def _is_unrun(model: ModelSpec) -> bool:
    mixers = (layer.mixer for layer in distinct_layers(model))
    return any(isinstance(m, RecurrentMixer) and m.kind not in RUN_RECURRENCES for m in mixers)


def _quarter(day: str) -> str:
    """The quarter of an ISO date: "2026-05-14" is in "2026Q2"."""
    return f"{day[:4]}Q{(int(day[5:7]) + 2) // 3}"


def _kernel_format(stored: WeightFormat, gpu: GpuSpec) -> str:
    """The family of a format; widened weights and scales per block take kernels of their own.

    float16 runs on the units and kernels of bfloat16.
    """
    family = "bf16" if stored.compute == "fp16" else format_family(stored.name)
    if stored.bits < 16 and compute_precision(stored, gpu) == sixteen_bit(gpu):
        return f"{family}_wide"
    return f"{family}_block" if stored.block else family


def _bits(kernel_format: str) -> str:
    """What kernels of a format have in common, however it is scaled."""
    return kernel_format.removesuffix("_block")


@lru_cache(maxsize=256)
def _model_traits(model: ModelSpec) -> tuple[str, str]:
    mixers = {type(layer.mixer) for layer in model.layers}
    experts = "moe" if any(isinstance(layer.mlp, MoeMlp) for layer in model.layers) else "dense"
    if LatentAttention in mixers:
        return experts, "latent"
    return experts, "recurrent" if RecurrentMixer in mixers else "grouped"
