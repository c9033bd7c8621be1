"""What identifies an attention module whose kernels were measured as a whole."""

from __future__ import annotations

from planner.catalog.model import LatentAttention, Mixer, RecurrentMixer

MODULE_KEYS = ("hidden", "latent", "query", "value", "top_k", "ratio", "shared")


def module_key(hidden: int, mixer: Mixer | None) -> tuple[int, ...] | None:
    """The dimensions of a latent or sparse attention; None for other mixers.

    hidden: the model's width. latent: values of a cached entry. query: rank of the query's compression
    (0 = none). top_k: tokens a sparse indexer picks (0 = none). ratio: tokens pooled into an entry.
    shared: 1 where the layer follows an earlier layer's choice.
    """
    if mixer is None or isinstance(mixer, RecurrentMixer):
        return None
    top_k = mixer.indexer.top_k if mixer.indexer else 0
    shared = int(mixer.indexer is not None and mixer.indexer.shared)
    if isinstance(mixer, LatentAttention):
        query = mixer.q_lora_rank or 0
        return hidden, mixer.kv_lora_rank, query, mixer.v_head_dim, top_k, 1, shared
    if mixer.indexer is None and mixer.compress_ratio == 1:
        return None
    return hidden, mixer.head_dim, 0, mixer.v_head_dim, top_k, mixer.compress_ratio, shared
