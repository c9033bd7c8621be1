"""Bytes of one entry of a layer's cache: keys and values, and the keys of a sparse indexer."""

from __future__ import annotations

import math

from planner.catalog.formats import KvFormat
from planner.catalog.model import SoftmaxAttention, SparseIndexer

# FP8 caches of sparse attention keep the rotary part in 16 bits and carry scales: DeepSeek-V3.2's entry
# is 512 + 16 + 128 = 656 B, DeepSeek-V4's 448 + 128 + 8 = 584 B (vLLM cache layouts).
SPARSE_FP8_GROUP = 128
SPARSE_FP8_SCALE_BYTES = 4
ROTARY_BYTES = 2
COMPRESSED_FP8_SCALE_BYTES = 8


def softmax_bytes(mixer: SoftmaxAttention, kv: KvFormat, tensor_parallel: int) -> float:
    """Bytes [B] of one entry of a layer's keys and values on one TP rank."""
    heads = math.ceil(mixer.kv_heads / tensor_parallel)
    if mixer.keys_equal_values and mixer.rotary_values and kv.bits == 8:
        narrow = mixer.head_dim - mixer.rotary_values
        wide = mixer.rotary_values * ROTARY_BYTES
        return heads * (narrow + wide + COMPRESSED_FP8_SCALE_BYTES)
    width = mixer.head_dim + (0 if mixer.keys_equal_values else mixer.v_head_dim)
    return heads * width * kv.bytes_per_value


def indexer_key_bytes(indexer: SparseIndexer | None) -> float:
    """Bytes [B] per token of an indexer's own keys.

    FP8 with an FP32 scale per 128 values whatever the cache's format (DeepSeek-V3.2 in vLLM and
    SGLang: 132 B), once per pooled group; none where the layer shares another's choice.
    """
    if indexer is None or indexer.shared:
        return 0.0
    groups = math.ceil(indexer.head_dim / SPARSE_FP8_GROUP)
    return (indexer.head_dim + groups * SPARSE_FP8_SCALE_BYTES) / indexer.pool
