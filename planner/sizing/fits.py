"""Which GPUs hold a model, and which models a GPU holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from planner.catalog.engine import EngineSpec
from planner.catalog.formats import KvFormat, WeightFormat
from planner.catalog.gpu import GpuSpec
from planner.catalog.model import ModelSpec
from planner.catalog.store import Catalog
from planner.deployment import Deployment
from planner.sizing.dtypes import as_launched
from planner.sizing.legality import legal_reasons
from planner.sizing.memory import memory_layout
from planner.sizing.model_memory import check_size, support_reasons
from planner.sizing.precision import weights_for

PRECISIONS = ("bf16", "fp8", "int4")
COUNTS = (1, 2, 3, 4, 5, 6, 7, 8)


class FitVerdict(StrEnum):
    """FITS: the requested sequences are held; TIGHT: at least one of them; NOT: not even one."""

    FITS = "fits"
    TIGHT = "tight"
    NOT = "not"


@dataclass(frozen=True, slots=True)
class GpuFit:
    """How a model fits on ``gpus`` GPUs of one kind in one weight format, requested as ``precision``.

    ``tokens`` and ``sequences``: what the KV pool holds, in tokens and in sequences of the requested
    context; ``reason``: why it does not fit. ``layout``: "TP4", "TP2 PP3"; empty where it does not fit.
    """

    model: str
    gpu: str
    gpus: int
    precision: str
    weights: str
    verdict: FitVerdict
    tokens: float
    sequences: int
    layout: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FitQuestion:
    """What has to be held: ``concurrency`` sequences of ``context_tokens``, on which engine."""

    engine: EngineSpec
    kv_cache: KvFormat
    context_tokens: int = 4096
    concurrency: int = 8


def question(
    catalog: Catalog,
    *,
    engine: str = "vllm",
    kv_cache: str = "bf16",
    context_tokens: int = 4096,
    concurrency: int = 8,
) -> FitQuestion:
    """Build a question from names; raises InputError for unknown names and absurd sizes."""
    check_size("context", context_tokens, 100_000_000)
    check_size("concurrency", concurrency, 10_000_000)
    return FitQuestion(
        catalog.engine(engine), catalog.kv_format(kv_cache), context_tokens, concurrency
    )


def gpus_that_fit(
    catalog: Catalog,
    model: ModelSpec,
    ask: FitQuestion,
    *,
    precisions: Sequence[str] = PRECISIONS,
    gpus: Iterable[GpuSpec] | None = None,
    counts: Sequence[int] = COUNTS,
) -> list[GpuFit]:
    """Try a model on every GPU of the catalog, in every count and precision."""
    formats = _formats(catalog, model, precisions)
    return [
        _fit(catalog, model, gpu, count, name, fmt, ask)
        for gpu in (catalog.gpus() if gpus is None else gpus)
        for name, fmt in formats.items()
        for count in counts
    ]


def models_that_fit(
    catalog: Catalog,
    gpu: GpuSpec,
    ask: FitQuestion,
    *,
    precisions: Sequence[str] = PRECISIONS,
    counts: Sequence[int] = (1,),
) -> list[GpuFit]:
    """Try every model of the catalog on one kind of GPU."""
    return [
        _fit(catalog, model, gpu, count, name, fmt, ask)
        for model in (catalog.model(name) for name in catalog.model_names())
        for name, fmt in _formats(catalog, model, precisions).items()
        for count in counts
    ]


def _formats(
    catalog: Catalog, model: ModelSpec, precisions: Sequence[str]
) -> dict[str, WeightFormat]:
    return {name: weights_for(model, name, catalog.weight_format) for name in precisions}


def _fit(
    catalog: Catalog,
    model: ModelSpec,
    gpu: GpuSpec,
    count: int,
    precision: str,
    fmt: WeightFormat,
    ask: FitQuestion,
) -> GpuFit:
    """The first legal layout over ``count`` GPUs that fits, wide tensor parallelism first; else tight."""
    reason, limit = "", model.max_context_tokens
    if limit and ask.context_tokens > limit:
        reason = f"the model takes {limit:,} tokens, not {ask.context_tokens:,}"
        return GpuFit(
            model.name, gpu.name, count, precision, fmt.name, FitVerdict.NOT, 0.0, 0, "", reason
        )
    tight: GpuFit | None = None
    for named in _layouts(model, gpu, count, fmt, ask):
        deployment = as_launched(named, catalog.weight_format, catalog.kv_format)
        reasons = legal_reasons(deployment) or support_reasons(catalog, deployment)
        if reasons:
            reason = reason or reasons[0]
            continue
        memory = memory_layout(deployment)
        held = memory.max_sequences(ask.context_tokens) if memory.fits else 0
        if not held:
            reason = memory.reasons[0] if memory.reasons else "the pool holds not one sequence"
            continue
        fit = GpuFit(
            model=model.name,
            gpu=gpu.name,
            gpus=count,
            precision=precision,
            weights=deployment.weights.name,
            verdict=FitVerdict.FITS if held >= ask.concurrency else FitVerdict.TIGHT,
            tokens=memory.kv_pool_tokens,
            sequences=held,
            layout=_label(deployment),
        )
        if fit.verdict is FitVerdict.FITS:
            return fit
        tight = tight or fit
    return tight or GpuFit(
        model.name, gpu.name, count, precision, fmt.name, FitVerdict.NOT, 0.0, 0, "", reason
    )


def _layouts(
    model: ModelSpec, gpu: GpuSpec, count: int, fmt: WeightFormat, ask: FitQuestion
) -> Iterator[Deployment]:
    for stages in range(1, count + 1):
        if count % stages == 0:
            yield Deployment(
                model=model,
                gpu=gpu,
                engine=ask.engine,
                tensor_parallel=count // stages,
                weights=fmt,
                kv_cache=ask.kv_cache,
                pipeline_parallel=stages,
            )


def _label(deployment: Deployment) -> str:
    stages = deployment.pipeline_parallel
    return f"TP{deployment.tensor_parallel}" + (f" PP{stages}" if stages > 1 else "")
