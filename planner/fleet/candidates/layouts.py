"""Which parallel layouts a search spans: the degrees it names, or those an expert would try.

Where a degree is left to ``auto``:

- attention data parallelism (DP) and expert parallelism (EP) are for mixtures of experts. DP divides
  the KV cache exactly as far as tensor parallelism (TP) cannot: beyond the KV heads, or at all for a
  latent cache (MLA), each TP rank holds a copy. A dense model under DP is as good as more replicas.
- experts are cut over all ranks of a stage (EP 1), or each rank holds whole ones (EP = TP x DP).
- pipeline stages (PP) only add memory at the price of latency: they are tried where no layout of one
  stage holds the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from planner.catalog.model import ModelSpec, MoeMlp, RecurrentMixer, SoftmaxAttention
from planner.scenario.fields import AUTO
from planner.scenario.search.fields import Search

AUTO_STAGES = (2, 4)


@dataclass(frozen=True, slots=True, order=True)
class ParallelLayout:
    """Degrees of tensor, pipeline, attention-data and expert parallelism of one replica."""

    tensor: int
    pipeline: int
    data: int
    expert: int


def layouts(search: Search, model: ModelSpec) -> tuple[ParallelLayout, ...]:
    """Every layout of the search, each once, in a fixed order; one stage where that is left open."""
    stages = (1,) if search.pipeline_parallel == AUTO else search.pipeline_parallel
    return tuple(dict.fromkeys(_cut(search, model, stages)))


def deeper_layouts(search: Search, model: ModelSpec) -> tuple[ParallelLayout, ...]:
    """Layouts of more stages, for where none of ``layouts`` holds the model; fewest stages first."""
    if search.pipeline_parallel != AUTO:
        return ()
    return tuple(
        layout
        for stages in AUTO_STAGES
        for layout in dict.fromkeys(_cut(search, model, (stages,)))
        if layout.data == layout.expert == 1
    )


def degrees_allowed(search: Search, tensor: int, data: int) -> dict[str, tuple[int, ...]]:
    """What the search admits of each axis, by its field, for a replica of ``tensor`` x ``data`` ranks."""
    stages, ranks, experts = (
        search.pipeline_parallel,
        search.data_parallel,
        search.expert_parallel,
    )
    totals = search.tensor_parallel
    within = tuple(n for n in range(1, max(totals) + 1) if n * tensor in totals)
    return {
        "tensor_parallel": search.tensor_parallel,
        "pipeline_parallel": (1, *AUTO_STAGES) if stages == AUTO else stages,
        "data_parallel": within if ranks == AUTO else ranks,
        "expert_parallel": (1, tensor * data) if experts == AUTO else experts,
    }


def _cut(search: Search, model: ModelSpec, stages: tuple[int, ...]) -> Iterator[ParallelLayout]:
    mixture = any(isinstance(layer.mlp, MoeMlp) for layer in model.layers)
    heads = _distinct_kv_heads(model)
    for tensor in search.tensor_parallel:
        for pipeline in stages:
            for data in _data_ranks(search, heads, tensor, mixture):
                if search.expert_parallel != AUTO:
                    experts = search.expert_parallel
                else:
                    experts = (1, tensor * data) if mixture else (1,)
                for expert in experts:
                    yield ParallelLayout(tensor, pipeline, data, expert)


def _data_ranks(search: Search, heads: int | None, tensor: int, mixture: bool) -> tuple[int, ...]:
    """Attention-DP ranks beside ``tensor`` ranks of TP; together they are one of the TP degrees."""
    if search.data_parallel != AUTO:
        return search.data_parallel
    if not mixture or heads is None:
        return (1,)
    totals = (n for n in search.tensor_parallel if n > tensor and n % tensor == 0)
    return (1, *(n // tensor for n in totals if tensor == min(n, heads)))


def _distinct_kv_heads(model: ModelSpec) -> int | None:
    """The fewest KV heads of any layer; 1 for a latent cache, None without attention."""
    heads = [
        layer.mixer.kv_heads if isinstance(layer.mixer, SoftmaxAttention) else 1
        for layer in model.layers
        if layer.mixer is not None and not isinstance(layer.mixer, RecurrentMixer)
    ]
    return min(heads, default=None)
