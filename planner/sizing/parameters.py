"""Exact parameter counts, tensor by tensor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from planner.catalog.model import Layer, ModelSpec, MoeMlp, Tensor


@dataclass(frozen=True, slots=True)
class ParameterCount:
    """Parameters of a model [values].

    total: the language model without MTP modules and vision tower; active: of those, what one token
    passes through (all but the experts it is not routed to; embedding and head included);
    mtp, vision: the modules apart; by_class: ``total`` by tensor class.
    """

    total: int
    active: int
    mtp: int
    vision: int
    by_class: Mapping[str, int]


def model_tensors(model: ModelSpec) -> Iterator[Tensor]:
    """Every tensor of the language model: the outer ones, then each layer's in order."""
    yield from model.outer
    for layer in model.layers:
        yield from layer.tensors


@lru_cache(maxsize=512)
def count_parameters(model: ModelSpec) -> ParameterCount:
    """Count a model's parameters from the shapes of its tensors."""
    by_class: Counter[str] = Counter()
    active = 0
    for tensor in model.outer:
        by_class[tensor.klass] += tensor.values
        active += tensor.values
    for layer in model.layers:
        for tensor in layer.tensors:
            by_class[tensor.klass] += tensor.values
            active += active_values(tensor, layer)
    return ParameterCount(
        total=sum(by_class.values()),
        active=active,
        mtp=sum(t.values for t in model.mtp),
        vision=sum(t.values for t in model.vision),
        by_class=dict(by_class),
    )


def active_values(tensor: Tensor, layer: Layer) -> int:
    """Values of ``tensor`` that one token uses: ``top_k`` of the experts, all of anything else."""
    if tensor.shard == "expert" and isinstance(layer.mlp, MoeMlp):
        return tensor.values // layer.mlp.experts * layer.mlp.top_k
    return tensor.values
