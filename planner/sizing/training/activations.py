"""Activations kept for the backward pass, layer by layer.

The accounting is that of Korthikanti et al. 2022 ("Reducing activation recomputation in large
transformer models"), section 4, applied to each layer's own shapes: 2 bytes per 16-bit value, 1 per
dropout mask. ``published_layer_bytes`` is the paper's closed formula for a GPT layer.
"""

from __future__ import annotations

from enum import StrEnum

from planner.catalog.model import (
    LatentAttention,
    Layer,
    ModelSpec,
    MoeMlp,
    RecurrentMixer,
    SoftmaxAttention,
)

VALUE_BYTES = 2
LOGIT_BYTES = 4


class Recompute(StrEnum):
    """What the backward pass computes again: nothing, attention scores alone, or whole layers."""

    NONE = "none"
    SELECTIVE = "selective"
    FULL = "full"


def published_layer_bytes(
    hidden: int, heads: int, seq: int, batch: int, tensor_parallel: int, recompute: Recompute
) -> float:
    """A GPT layer's activations [B]: ``s b h (10 + 24/t + 5 a s / (h t))``.

    Selective recomputation drops the last term, full keeps ``2 s b h`` (equations 2 and 4, table 2).
    """
    base = seq * batch * hidden
    if recompute is Recompute.FULL:
        return 2.0 * base
    scores = 5 * heads * seq / hidden / tensor_parallel if recompute is Recompute.NONE else 0.0
    return base * (10 + 24 / tensor_parallel + scores)


def layer_bytes(
    layer: Layer,
    hidden: int,
    seq: int,
    batch: int,
    tensor_parallel: int,
    recompute: Recompute,
) -> float:
    """What one layer keeps for one microbatch on one tensor-parallel rank [B]."""
    tokens = seq * batch
    if recompute is Recompute.FULL:
        return float(VALUE_BYTES * tokens * hidden)
    whole, split = _mixer_values(layer, hidden)
    mlp_whole, mlp_split = _mlp_values(layer, hidden)
    per_token = (whole + mlp_whole) + (split + mlp_split) / tensor_parallel
    kept = VALUE_BYTES * tokens * per_token
    if recompute is Recompute.NONE:
        kept += _score_bytes(layer, seq, batch) / tensor_parallel
    return kept


def logits_bytes(model: ModelSpec, seq: int, batch: int, tensor_parallel: int) -> float:
    """The last stage's final norm, head input and 32-bit logits [B] (section 4.3 of the paper)."""
    tokens = seq * batch
    hidden = 2 * VALUE_BYTES * model.hidden_size
    return tokens * (hidden + LOGIT_BYTES * model.vocab_size / tensor_parallel)


def has_dropout(layer: Layer) -> bool:
    """Models of the GPT generation train with dropout; gated feed-forwards came without."""
    return layer.mlp is not None and not layer.mlp.gated


def _mixer_values(layer: Layer, hidden: int) -> tuple[float, float]:
    """16-bit values kept per token: (on every rank, divided by tensor parallelism)."""
    mixer = layer.mixer
    if mixer is None:
        return 0.0, 0.0
    mask = 0.5 * hidden if has_dropout(layer) else 0.0
    whole = 2 * hidden + mask  # the norm's input and the projections' input
    if isinstance(mixer, SoftmaxAttention):
        queries = mixer.heads * (mixer.head_dim + mixer.v_head_dim)
        return whole, queries + mixer.kv_heads * (mixer.head_dim + mixer.v_head_dim)
    if isinstance(mixer, LatentAttention):
        latent = (mixer.q_lora_rank or 0) + mixer.kv_lora_rank + mixer.qk_rope_head_dim
        head = 2 * (mixer.qk_nope_head_dim + mixer.qk_rope_head_dim) + 2 * mixer.v_head_dim
        return whole + latent, mixer.heads * head
    assert isinstance(mixer, RecurrentMixer)
    return whole, sum(t.rows * t.copies for t in layer.tensors if t.klass == "recurrent")


def _mlp_values(layer: Layer, hidden: int) -> tuple[float, float]:
    mlp = layer.mlp
    if mlp is None:
        return 0.0, 0.0
    mask = 0.5 * hidden if has_dropout(layer) else 0.0
    matrices = 3 if mlp.gated else 2
    whole = 2 * hidden + mask
    if isinstance(mlp, MoeMlp):
        routed = mlp.top_k * ((mlp.latent or hidden) + matrices * mlp.width)
        return whole, routed + matrices * mlp.shared_width
    return whole, matrices * mlp.width


def _score_bytes(layer: Layer, seq: int, batch: int) -> float:
    """Softmax output, and with dropout its mask and output: ``5 a s^2 b``, or ``2 a s^2 b`` [B]."""
    if layer.mixer is None or isinstance(layer.mixer, RecurrentMixer):
        return 0.0
    window = layer.mixer.window if isinstance(layer.mixer, SoftmaxAttention) else None
    attended = min(seq, window) if window else seq
    per_score = 5 if has_dropout(layer) else 2
    return float(per_score * layer.mixer.heads * seq * attended * batch)
