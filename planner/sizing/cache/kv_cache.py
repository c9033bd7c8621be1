"""What a sequence keeps in GPU memory: KV cache that grows, windows that fill, states that stay.

Per attention layer and token (2 = K and V):

- MHA, GQA, MQA: ``2 * kv_heads * head_dim * bytes``, KV heads split over TP and replicated beyond.
- MLA: ``(kv_lora_rank + qk_rope_head_dim) * bytes``, the same on every TP rank
  (DeepSeek-V2, arXiv 2405.04434, section 2.1); a sparse-attention indexer adds its key.
- Sliding-window and chunked layers stop growing at the window; layers that read another layer's
  cache store none; compressed attention keeps one entry per ``compress_ratio`` tokens and a window.
- Decode context parallelism divides the tokens over the ranks that hold the same heads or latent.
- Linear attention, gated delta and Mamba layers hold a constant state per sequence.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache

from planner.catalog.formats import KvFormat
from planner.catalog.model import (
    LatentAttention,
    Layer,
    ModelSpec,
    RecurrentMixer,
    SoftmaxAttention,
    layer_counts,
)
from planner.deployment import Deployment
from planner.sizing.cache.compressed import compressed_layers, compressed_layout
from planner.sizing.cache.entries import (
    ROTARY_BYTES,
    SPARSE_FP8_GROUP,
    SPARSE_FP8_SCALE_BYTES,
    indexer_key_bytes,
    softmax_bytes,
)
from planner.sizing.cache.layout import KvLayout
from planner.sizing.stages import stage_layers

REFERENCE_CONTEXT_TOKENS = 4096.0
CONV_STATE_BYTES = 2
LATENT_KERNEL_TOKENS = 64  # latent-attention kernels take blocks of multiples of 64 tokens


@dataclass(frozen=True, slots=True)
class LayerCache:
    """What one layer keeps on one rank, in bytes [B]."""

    growing_bytes: float = 0.0
    window_tokens: int = 0
    window_bytes: float = 0.0
    state_bytes: float = 0.0


def layer_cache(
    layer: Layer, kv: KvFormat, *, tensor_parallel: int = 1, mla_padding_values: int = 0
) -> LayerCache:
    """The cache of one layer on one TP rank."""
    mixer = layer.mixer
    match mixer:
        case LatentAttention():
            return LayerCache(growing_bytes=_latent_bytes(mixer, kv, mla_padding_values))
        case RecurrentMixer():
            cut = min(tensor_parallel, mixer.heads)
            state = mixer.state_values * mixer.state_bytes_per_value
            return LayerCache(state_bytes=(state + mixer.conv_values * CONV_STATE_BYTES) / cut)
        case SoftmaxAttention(shares_kv=False):
            return _softmax_cache(mixer, kv, tensor_parallel)
        case _:
            return LayerCache()


def _softmax_cache(mixer: SoftmaxAttention, kv: KvFormat, tensor_parallel: int) -> LayerCache:
    per_token = softmax_bytes(mixer, kv, tensor_parallel)
    key = indexer_key_bytes(mixer.indexer)
    if mixer.compress_ratio > 1:
        return LayerCache(
            growing_bytes=(per_token + key) / mixer.compress_ratio,
            window_tokens=mixer.window or 0,
            window_bytes=per_token if mixer.window else 0.0,
        )
    if mixer.window:
        return LayerCache(window_tokens=mixer.window, window_bytes=per_token + key)
    return LayerCache(growing_bytes=per_token + key)


def _latent_bytes(mixer: LatentAttention, kv: KvFormat, padding_values: int) -> float:
    key = indexer_key_bytes(mixer.indexer)
    if mixer.indexer is not None and kv.bits == 8:
        scales = math.ceil(mixer.kv_lora_rank / SPARSE_FP8_GROUP) * SPARSE_FP8_SCALE_BYTES
        return mixer.kv_lora_rank + scales + mixer.qk_rope_head_dim * ROTARY_BYTES + key
    width = mixer.kv_lora_rank + mixer.qk_rope_head_dim
    if padding_values:
        width = math.ceil(width / padding_values) * padding_values
    return width * kv.bytes_per_value + key


def kv_layout(deployment: Deployment, stage: int | None = None) -> KvLayout:
    """Cache of one sequence on one GPU of pipeline ``stage`` (None: the stage that holds the most).

    Attention-DP ranks each hold their own sequences whole, so data parallelism does not enter.
    """
    layouts = _layouts(
        deployment.settings.decode_context_parallel,
        deployment.model,
        deployment.kv_cache,
        deployment.engine.kv_block_tokens,
        deployment.engine.mla_kv_padding_values,
        deployment.tensor_parallel,
        deployment.pipeline_parallel,
        deployment.engine.hybrid_pages,
    )
    if stage is not None:
        return layouts[stage]
    return max(layouts, key=lambda layout: layout.bytes_for(REFERENCE_CONTEXT_TOKENS))


def keeps_all_tokens(layer: Layer) -> bool:
    """Whether a layer's cache grows with every token."""
    mixer = layer.mixer
    if isinstance(mixer, SoftmaxAttention):
        return mixer.window is None and not mixer.shares_kv
    return isinstance(mixer, LatentAttention)


def growing_layers(model: ModelSpec) -> int:
    """How many layers of a model have a cache that grows with every token."""
    return sum(count for layer, count in layer_counts(model) if keeps_all_tokens(layer))


@lru_cache(maxsize=8192)
def _layouts(
    degree: int,
    model: ModelSpec,
    kv: KvFormat,
    block_tokens: int,
    padding_values: int,
    tensor_parallel: int,
    pipeline_parallel: int,
    hybrid_pages: bool,
) -> tuple[KvLayout, ...]:
    """The layout of every pipeline stage; contexts are divided over ``degree`` ranks, in whole blocks."""

    def layout(layers: range) -> KvLayout:
        caches = [
            layer_cache(
                model.layers[index],
                kv,
                tensor_parallel=tensor_parallel,
                mla_padding_values=padding_values,
            )
            for index in layers
        ]
        mixers = compressed_layers(model.layers[index] for index in layers)
        if hybrid_pages and mixers:
            return compressed_layout(mixers, kv)
        windows: defaultdict[int, float] = defaultdict(float)
        for cache in caches:
            if cache.window_tokens:
                windows[cache.window_tokens] += cache.window_bytes
        block, states = block_tokens, sum(c.state_bytes for c in caches)
        if hybrid_pages and states:
            block, states = hybrid_page_layout(model, caches, block_tokens)
        return KvLayout(
            growing_bytes_per_token=sum(c.growing_bytes for c in caches) / degree,
            windows=tuple(sorted(windows.items())),
            state_bytes_per_sequence=states,
            block_tokens=block * degree,
        )

    return tuple(layout(layers) for layers in stage_layers(len(model.layers), pipeline_parallel))


def hybrid_page_layout(
    model: ModelSpec, caches: list[LayerCache], block_tokens: int
) -> tuple[int, float]:
    """Block [tokens] and state [B per sequence] where states live in pages of the attention cache.

    The block grows, in steps the attention kernel allows, until one layer's page holds one layer's
    state; a state then takes a whole page (vLLM ``HybridAttentionMambaModelConfig``): Qwen3.5-27B
    logs 784 tokens, Qwen3-Next at TP2 with an FP8 cache 1,072.
    """
    attention = [c.growing_bytes for c in caches if c.growing_bytes]
    states = [c.state_bytes for c in caches if c.state_bytes]
    if not attention:
        return block_tokens, sum(states)
    per_token = max(attention)
    latent = any(isinstance(layer.mixer, LatentAttention) for layer in model.layers)
    step = max(block_tokens, LATENT_KERNEL_TOKENS) if latent else block_tokens
    block = step * math.ceil(max(states) / (step * per_token))
    return block, len(states) * block * per_token


def kv_bytes_per_token(model: ModelSpec, kv_format: KvFormat) -> float:
    """Bytes [B] one token adds to the cache of the whole model while every window still grows."""
    caches = (layer_cache(layer, kv_format) for layer in model.layers)
    return sum(cache.growing_bytes + cache.window_bytes for cache in caches)


def state_bytes_per_sequence(model: ModelSpec) -> float:
    """Constant state [B] one sequence holds in the recurrent layers of the whole model."""
    any_format = KvFormat("bf16", 16)
    return sum(layer_cache(layer, any_format).state_bytes for layer in model.layers)
