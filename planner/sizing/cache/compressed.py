"""Compressed attention (DeepSeek-V4) in an engine whose layers share one pool of blocks.

Every block of the pool has a page for each layer that keeps compressed entries: 256 tokens, so 64
entries at ratio 4 and two at ratio 128, and 64 keys of its indexer, each page rounded up to 576 bytes
in an FP8 cache. Windows of raw entries (blocks of 64 tokens) and the compressors' running sums (blocks
of 4 and of 8 tokens) take whole blocks of that pool, however little of them they fill.
Source: vLLM v0.25 ``models/deepseek_v4/compressor.py`` and ``attention.py``, ``v1/core/kv_cache_utils.py``;
20.43 requests of 1,048,576 tokens on eight B200.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from planner.catalog.formats import KvFormat
from planner.catalog.model import Layer, SoftmaxAttention
from planner.sizing.cache.entries import indexer_key_bytes, softmax_bytes
from planner.sizing.cache.layout import KvLayout

BLOCK_TOKENS = 256
WINDOW_BLOCK_TOKENS = 64
PAGE_ALIGNMENT_BYTES = 576
OVERLAP_RATIO = 4  # at this ratio two windows overlap, and the sums are twice as wide
STATE_BLOCK_TOKENS = {4: 4, 128: 8}


def compressed_layers(layers: Iterable[Layer]) -> list[SoftmaxAttention]:
    """The attention of every layer of a model with compressed layers; empty for any other."""
    mixers = [layer.mixer for layer in layers if isinstance(layer.mixer, SoftmaxAttention)]
    has_ratio = any(mixer.compress_ratio in STATE_BLOCK_TOKENS for mixer in mixers)
    return mixers if has_ratio else []


def compressed_layout(mixers: list[SoftmaxAttention], kv: KvFormat) -> KvLayout:
    """What one sequence takes of the shared pool on one GPU."""
    ratios = Counter(m.compress_ratio for m in mixers if m.compress_ratio > 1)
    pages = Counter(
        _page(BLOCK_TOKENS // mixer.compress_ratio * softmax_bytes(mixer, kv, 1), kv)
        for mixer in mixers
        if mixer.compress_ratio > 1
    )
    keys = sum(
        _page(BLOCK_TOKENS // mixer.compress_ratio * indexer_key_bytes(mixer.indexer), kv)
        for mixer in mixers
        if mixer.indexer is not None
    )
    block = sum(page * count for page, count in pages.items()) + keys
    slots = max(pages.values()) if len(pages) == 1 else pages[max(pages)]
    windows = Counter(mixer.window for mixer in mixers if mixer.window)
    groups = [
        (window, WINDOW_BLOCK_TOKENS, math.ceil(count / slots)) for window, count in windows.items()
    ]
    for ratio, count in ratios.items():
        kept = 2 * ratio if ratio == OVERLAP_RATIO else ratio
        groups.append((kept, STATE_BLOCK_TOKENS[ratio], math.ceil(count / slots)))
    groups.sort()
    return KvLayout(
        growing_bytes_per_token=block / BLOCK_TOKENS,
        windows=tuple((kept, number * block / size) for kept, size, number in groups),
        state_bytes_per_sequence=0.0,
        block_tokens=BLOCK_TOKENS,
        window_blocks=tuple(size for _, size, _ in groups),
    )


def _page(size: float, kv: KvFormat) -> float:
    """A layer's page of one block [B], aligned in an FP8 cache."""
    return math.ceil(size / PAGE_ALIGNMENT_BYTES) * PAGE_ALIGNMENT_BYTES if kv.bits == 8 else size
