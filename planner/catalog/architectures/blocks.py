"""The parts decoder layers are made of, as tensors with a class and a sharding rule.

Shapes follow the published model code of each family: ``rows`` are outputs, ``cols`` inputs.
Tensors an engine keeps in one buffer (q, k and v; gate and up; the experts' matrices) share a label.
"""

from __future__ import annotations

from planner.catalog.model import MoeMlp, Tensor

Tensors = tuple[Tensor, ...]


def linear(
    name: str,
    klass: str,
    rows: int,
    cols: int,
    *,
    shard: str = "split",
    bias: bool = False,
    bias_shard: str | None = None,
    parts: int = 0,
    fused: str = "",
) -> Tensors:
    """A matrix and, where ``bias``, its bias (sharded as the matrix unless ``bias_shard``)."""
    matrix = Tensor(f"{name}.weight", klass, rows, cols, 1, shard, parts, fused)
    if not bias:
        return (matrix,)
    cut = bias_shard or shard
    return (matrix, Tensor(f"{name}.bias", "bias", rows, 1, 1, cut, parts if cut == shard else 0))


def norm(name: str, width: int, *, bias: bool = False, shard: str = "replicated") -> Tensors:
    """A normalisation's weight, and its bias for a LayerNorm."""
    weight = Tensor(f"{name}.weight", "norm", width, 1, 1, shard)
    if not bias:
        return (weight,)
    return (weight, Tensor(f"{name}.bias", "norm", width, 1, 1, shard))


def vector(name: str, klass: str, values: int, *, shard: str = "replicated") -> Tensors:
    """A parameter vector."""
    return (Tensor(name, klass, values, 1, 1, shard),)


def embedding(vocab: int, hidden: int) -> Tensors:
    """Token embeddings."""
    return (Tensor("embed_tokens.weight", "embedding", vocab, hidden, 1, "vocab"),)


def layer_norms(hidden: int) -> Tensors:
    """The norms before a layer's attention and before its feed-forward."""
    return norm("input_layernorm", hidden) + norm("post_attention_layernorm", hidden)


def head(vocab: int, hidden: int, *, tied: bool, bias: bool = False) -> Tensors:
    """The output head; nothing when it shares the embedding."""
    if tied:
        return ()
    weight = Tensor("lm_head.weight", "head", vocab, hidden, 1, "vocab")
    return (weight, Tensor("lm_head.bias", "bias", vocab, 1, 1, "vocab")) if bias else (weight,)


def attention(
    hidden: int,
    heads: int,
    kv_heads: int,
    head_dim: int,
    *,
    v_head_dim: int | None = None,
    qkv_bias: bool = False,
    out_bias: bool = False,
    output_gate: bool = False,
    stores_kv: bool = True,
    keys_equal_values: bool = False,
    name: str = "self_attn",
) -> Tensors:
    """Projections of multi-head, grouped-query or multi-query attention.

    ``output_gate`` doubles the query projection (a gate for every output channel).
    """
    v_dim = v_head_dim or head_dim
    fused = f"{name}.qkv"
    q_rows = heads * head_dim * (2 if output_gate else 1)
    tensors = linear(
        f"{name}.q_proj", "attention", q_rows, hidden, bias=qkv_bias, parts=heads, fused=fused
    )
    if stores_kv:
        tensors += linear(
            f"{name}.k_proj",
            "attention",
            kv_heads * head_dim,
            hidden,
            shard="kv",
            bias=qkv_bias,
            parts=kv_heads,
            fused=fused,
        )
    if stores_kv and not keys_equal_values:
        tensors += linear(
            f"{name}.v_proj",
            "attention",
            kv_heads * v_dim,
            hidden,
            shard="kv",
            bias=qkv_bias,
            parts=kv_heads,
            fused=fused,
        )
    return tensors + linear(
        f"{name}.o_proj",
        "attention",
        hidden,
        heads * v_dim,
        bias=out_bias,
        bias_shard="replicated",
        parts=heads,
    )


def latent_attention(
    hidden: int,
    heads: int,
    *,
    q_lora_rank: int | None,
    kv_lora_rank: int,
    qk_nope_head_dim: int,
    qk_rope_head_dim: int,
    v_head_dim: int,
    qkv_bias: bool = False,
    out_bias: bool = False,
) -> Tensors:
    """Projections of multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1)."""
    q_dim = qk_nope_head_dim + qk_rope_head_dim
    latent = kv_lora_rank + qk_rope_head_dim
    down = "self_attn.qkv_a"
    if q_lora_rank is None:
        tensors = linear("self_attn.q_proj", "attention", heads * q_dim, hidden, parts=heads)
    else:
        tensors = (
            linear(
                "self_attn.q_a_proj",
                "attention",
                q_lora_rank,
                hidden,
                shard="replicated",
                bias=qkv_bias,
                fused=down,
            )
            + norm("self_attn.q_a_layernorm", q_lora_rank)
            + linear("self_attn.q_b_proj", "attention", heads * q_dim, q_lora_rank, parts=heads)
        )
    return (
        tensors
        + linear(
            "self_attn.kv_a_proj_with_mqa",
            "attention",
            latent,
            hidden,
            shard="replicated",
            bias=qkv_bias,
            fused=down,
        )
        + norm("self_attn.kv_a_layernorm", kv_lora_rank)
        + linear(
            "self_attn.kv_b_proj",
            "attention",
            heads * (qk_nope_head_dim + v_head_dim),
            kv_lora_rank,
            parts=heads,
        )
        + linear(
            "self_attn.o_proj",
            "attention",
            hidden,
            heads * v_head_dim,
            bias=out_bias,
            bias_shard="replicated",
            parts=heads,
        )
    )


def mlp(
    hidden: int,
    width: int,
    *,
    gated: bool = True,
    bias: bool = False,
    klass: str = "mlp",
    name: str = "mlp",
) -> Tensors:
    """A feed-forward block: gate, up and down, or up and down."""
    fused = f"{name}.gate_up"
    tensors: Tensors = ()
    if gated:
        tensors = linear(f"{name}.gate_proj", klass, width, hidden, bias=bias, fused=fused)
    return (
        tensors
        + linear(f"{name}.up_proj", klass, width, hidden, bias=bias, fused=fused)
        + linear(f"{name}.down_proj", klass, hidden, width, bias=bias, bias_shard="replicated")
    )


def experts(
    hidden: int, moe: MoeMlp, *, bias: bool = False, router_bias: bool = False, name: str = "mlp"
) -> Tensors:
    """Router and routed experts; a router's correction bias is a buffer and not counted."""
    inner = moe.latent or hidden
    fused = f"{name}.experts.w13"
    tensors = linear(
        f"{name}.gate", "router", moe.experts, hidden, shard="replicated", bias=router_bias
    )
    matrices = ("gate_proj", "up_proj") if moe.gated else ("up_proj",)
    for matrix in matrices:
        tensors += _expert(f"{name}.experts.{matrix}", moe, moe.width, inner, bias, fused)
    return tensors + _expert(
        f"{name}.experts.down_proj", moe, inner, moe.width, bias, f"{name}.experts.w2"
    )


def _expert(name: str, moe: MoeMlp, rows: int, cols: int, bias: bool, fused: str) -> Tensors:
    matrix = Tensor(f"{name}.weight", "expert", rows, cols, moe.experts, "expert", 0, fused)
    if not bias:
        return (matrix,)
    return (matrix, Tensor(f"{name}.bias", "bias", rows, 1, moe.experts, "expert"))


def shared_expert(hidden: int, width: int, *, gate: bool = False, gated: bool = True) -> Tensors:
    """The expert every token visits, with its scalar gate where there is one."""
    if width == 0:
        return ()
    tensors = mlp(hidden, width, klass="shared_expert", gated=gated, name="mlp.shared")
    if gate:
        tensors += linear("mlp.shared_gate", "router", 1, hidden, shard="replicated")
    return tensors
