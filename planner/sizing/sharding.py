"""What one GPU of a replica holds of the weights.

- Tensor parallelism divides attention by heads, feed-forwards by width and the vocabulary by padded
  rows. KV heads are replicated when TP exceeds them; norms, routers and MLA's down-projections are
  replicated always.
- Experts are spread over ``tensor_parallel * data_parallel`` ranks of a stage: whole experts over
  ``expert_parallel`` of them, each expert cut inside over the rest.
- Attention data parallelism replicates everything but the routed experts.
- Pipeline stages hold consecutive layers; the first also the embedding, the last the head.

Sources: vLLM and SGLang parallel linear layers and ``FusedMoEParallelConfig``.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from planner.catalog.formats import WeightFormat
from planner.catalog.model import (
    ModelSpec,
    Tensor,
)
from planner.deployment import Deployment
from planner.sizing.precision import stored_format, tensor_bytes
from planner.sizing.stages import stage_layers
from planner.units import MIB

Tensors = tuple[Tensor, ...]

VOCAB_PADDING_ROWS = 64
LARGE_BUFFER_BYTES = 10 * MIB
SEGMENT_BYTES = 2 * MIB
UNSPLIT_BYTES = MIB
ROPE_BYTES_PER_VALUE = 2


@dataclass(frozen=True, slots=True)
class Cut:
    """How a model is divided: the parallel degrees, and whether MTP modules are loaded."""

    tensor: int
    pipeline: int
    data: int
    expert: int
    mtp: bool

    @classmethod
    def of(cls, deployment: Deployment) -> Cut:
        """The cut of a deployment; MTP modules are loaded when it drafts tokens."""
        return cls(
            deployment.tensor_parallel,
            deployment.pipeline_parallel,
            deployment.data_parallel,
            deployment.expert_parallel,
            deployment.predicts_ahead,
        )

    @property
    def ranks(self) -> int:
        """GPUs of one pipeline stage."""
        return self.tensor * self.data


def local_values(tensor: Tensor, cut: Cut) -> float:
    """Values of ``tensor`` on one rank of the stage that holds it."""
    match tensor.shard:
        case "split" | "kv":
            return tensor.values / (min(cut.tensor, tensor.parts) if tensor.parts else cut.tensor)
        case "vocab":
            rows = _round_up(tensor.rows, VOCAB_PADDING_ROWS)
            return math.ceil(rows / cut.tensor) * tensor.cols * tensor.copies
        case "expert":
            held = math.ceil(tensor.copies / cut.expert)
            inside = max(1, cut.ranks // cut.expert)
            return held * tensor.rows * tensor.cols / inside
        case _:
            return tensor.values


def _stage_groups(model: ModelSpec, cut: Cut, stage: int) -> Iterator[tuple[Tensors, int]]:
    """The groups of whole tensors a stage holds a share of, and how often each occurs."""
    stages = stage_layers(len(model.layers), cut.pipeline)
    last = stage == len(stages) - 1
    outer = []
    for tensor in model.outer:
        is_tied = model.tied_embeddings and tensor == model.token_embedding
        on_first = tensor.klass == "embedding"
        if (stage == 0 and on_first) or (last and (is_tied or not on_first)):
            outer.append(tensor)
    yield tuple(outer), 1
    layers = {id(model.layers[index]): model.layers[index] for index in stages[stage]}
    counts = Counter(id(model.layers[index]) for index in stages[stage])
    for key, layer in layers.items():
        yield layer.tensors, counts[key]
    if last and cut.mtp:
        yield model.mtp, 1
    if stage == 0:
        yield model.vision, 1


def rank_tensors(
    deployment: Deployment, stage: int | None = None
) -> tuple[tuple[Tensor, float], ...]:
    """Each distinct tensor a rank holds, with its local values over all layers that have one.

    ``stage`` None takes the heaviest pipeline stage.
    """
    cut = Cut.of(deployment)
    if stage is None:
        stage = _heaviest_stage(deployment.model, cut, deployment.weights)
    return stage_tensors(deployment.model, cut, stage)


@lru_cache(maxsize=8192)
def stage_tensors(model: ModelSpec, cut: Cut, stage: int) -> tuple[tuple[Tensor, float], ...]:
    """As ``rank_tensors``, of one stage of a model cut so."""
    held: defaultdict[Tensor, float] = defaultdict(float)
    for tensors, count in _stage_groups(model, cut, stage):
        for tensor in tensors:
            held[tensor] += count * local_values(tensor, cut)
    return tuple(held.items())


def rank_weight_bytes(deployment: Deployment, stage: int | None = None) -> float:
    """Bytes [B] of weights on one GPU, as the framework's allocator holds them."""
    cut = Cut.of(deployment)
    weights = deployment.weights.on(deployment.gpu.architecture, deployment.engine.name)
    if stage is None:
        stage = _heaviest_stage(deployment.model, cut, weights)
    return _stage_bytes(deployment.model, cut, stage, weights)


@lru_cache(maxsize=8192)
def _heaviest_stage(model: ModelSpec, cut: Cut, weights: WeightFormat) -> int:
    return max(range(cut.pipeline), key=lambda stage: _stage_bytes(model, cut, stage, weights))


@lru_cache(maxsize=8192)
def _stage_bytes(model: ModelSpec, cut: Cut, stage: int, weights: WeightFormat) -> float:
    groups = _stage_groups(model, cut, stage)
    return sum(count * _buffers_bytes(tensors, cut, weights) for tensors, count in groups)


def _buffers_bytes(tensors: Tensors, cut: Cut, weights: WeightFormat) -> float:
    """Bytes of a group of tensors, those of one ``fused`` label sharing one buffer."""
    buffers: defaultdict[str, float] = defaultdict(float)
    for index, tensor in enumerate(tensors):
        share = local_values(tensor, cut) / tensor.values
        share *= _padding(tensor, cut, weights)
        buffers[tensor.fused or f"#{index}"] += tensor_bytes(tensor, weights) * share
    return sum(allocated_bytes(size) for size in buffers.values())


def _padding(tensor: Tensor, cut: Cut, weights: WeightFormat) -> float:
    """How much a routed expert's matrix grows when its kernel pads hidden size and local width."""
    stored = stored_format(tensor, weights) if tensor.klass == "expert" else None
    if stored is None or stored.expert_padding == (1, 1):
        return 1.0
    by_hidden, by_width = stored.expert_padding
    width, hidden = tensor.rows, tensor.cols
    if "down_proj" in tensor.name:
        width, hidden = hidden, width
    width = max(1, width // max(1, cut.ranks // cut.expert))
    return _round_up(width, by_width) * _round_up(hidden, by_hidden) / (width * hidden)


def _round_up(size: int, multiple: int) -> int:
    return math.ceil(size / multiple) * multiple


def allocated_bytes(size_bytes: float) -> float:
    """What a buffer of ``size_bytes`` occupies in PyTorch's caching allocator [B].

    Large buffers get segments of whole 2 MiB; a remainder of at most 1 MiB is not split off and stays
    with the buffer (``CUDACachingAllocator``: kMinLargeAlloc, kRoundLarge, kSmallSize). This explains
    most of the excess of logged weights over the sum of their parameters.
    """
    if size_bytes < LARGE_BUFFER_BYTES:
        return size_bytes
    segment = math.ceil(size_bytes / SEGMENT_BYTES) * SEGMENT_BYTES
    return segment if segment - size_bytes <= UNSPLIT_BYTES else size_bytes


def rope_table_bytes(model: ModelSpec) -> float:
    """The rotary table an engine builds beside the weights, replicated on every rank [B]."""
    return float(model.rope_values * ROPE_BYTES_PER_VALUE)
