"""Earlier decoders with LayerNorms, biases and two-matrix feed-forwards: GPT-2, GPT-J, OPT, BLOOM,
Falcon, Phi-2, GPT-NeoX, StarCoder, MPT, nanochat.

Each names its fields its own way. Sources: the model classes of Hugging Face transformers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from planner.catalog.architectures.blocks import Tensors, attention, embedding, head, mlp, norm
from planner.catalog.architectures.body import Body, Parser, context_length, shared_layers
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.model import DenseMlp, Layer, SoftmaxAttention, Tensor


@dataclass(frozen=True, slots=True)
class _Shape:
    """What differs between these families; ``norms`` LayerNorms of the hidden width a layer."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    width: int
    vocab: int
    norms: int = 2
    attention_bias: bool = True
    mlp_bias: bool = True
    outer_norms: int = 1
    positions: int = 0
    tied: bool = True
    head_bias: bool = False
    norm_bias: bool = True


def _body(fields: ConfigFields, shape: _Shape) -> Body:
    fields.divides("heads", shape.heads, "hidden_size", shape.hidden)
    head_dim = shape.hidden // shape.heads
    tensors = attention(
        shape.hidden,
        shape.heads,
        shape.kv_heads,
        head_dim,
        qkv_bias=shape.attention_bias,
        out_bias=shape.attention_bias,
    )
    tensors += mlp(shape.hidden, shape.width, gated=False, bias=shape.mlp_bias)
    for index in range(shape.norms):
        tensors += norm(f"layernorm_{index}", shape.hidden, bias=shape.norm_bias)
    layer = Layer(
        SoftmaxAttention(shape.heads, shape.kv_heads, head_dim, head_dim),
        DenseMlp(shape.width, gated=False),
        tensors,
    )
    outer: Tensors = embedding(shape.vocab, shape.hidden)
    if shape.positions:
        outer += (
            Tensor(
                "embed_positions.weight",
                "embedding",
                shape.positions,
                shape.hidden,
                1,
                "replicated",
            ),
        )
    for index in range(shape.outer_norms):
        outer += norm(f"norm_{index}", shape.hidden, bias=shape.norm_bias)
    outer += head(shape.vocab, shape.hidden, tied=shape.tied, bias=shape.head_bias)
    return Body(
        hidden=shape.hidden,
        vocab=shape.vocab,
        tied=shape.tied,
        layers=shared_layers(shape.layers, lambda _index: layer),
        outer=outer,
        max_context_tokens=context_length(fields),
    )


def _gpt2(fields: ConfigFields) -> _Shape:
    hidden = fields.count("n_embd", "hidden_size", "hidden_dim")
    heads = fields.count("n_head", "num_attention_heads")
    return _Shape(
        hidden=hidden,
        layers=fields.layer_count("n_layer", "num_hidden_layers", "num_layers"),
        heads=heads,
        kv_heads=heads,
        width=fields.count("n_inner", "intermediate_size", "ffn_embed_dim", default=4 * hidden),
        vocab=fields.count("vocab_size"),
        positions=fields.count(
            "n_positions", "max_position_embeddings", "max_seq_len", default=1024
        ),
    )


def _gpt_bigcode(fields: ConfigFields) -> _Shape:
    heads = fields.count("n_head")
    return replace(_gpt2(fields), kv_heads=1 if fields.flag("multi_query", True) else heads)


def _mpt(fields: ConfigFields) -> _Shape:
    hidden, heads = fields.count("d_model"), fields.count("n_heads")
    chosen = fields.section("attn_config")
    kv_heads = chosen.count("kv_n_heads", default=heads) if chosen else heads
    return _Shape(
        hidden=hidden,
        layers=fields.layer_count("n_layers"),
        heads=heads,
        kv_heads=kv_heads,
        width=fields.count("expansion_ratio", default=4) * hidden,
        vocab=fields.count("vocab_size"),
        attention_bias=not fields.flag("no_bias", True),
        mlp_bias=not fields.flag("no_bias", True),
        norm_bias=False,
    )


def _gptj(fields: ConfigFields) -> _Shape:
    hidden, heads = fields.count("n_embd"), fields.count("n_head")
    return _Shape(
        hidden=hidden,
        layers=fields.layer_count("n_layer"),
        heads=heads,
        kv_heads=heads,
        width=fields.count("n_inner", default=4 * hidden),
        vocab=fields.count("vocab_size"),
        norms=1,
        attention_bias=False,
        tied=fields.flag("tie_word_embeddings"),
        head_bias=True,
    )


def _opt(fields: ConfigFields) -> _Shape:
    heads = fields.count("num_attention_heads")
    hidden = fields.count("hidden_size")
    projected = fields.count("word_embed_proj_dim", default=hidden)
    if projected != hidden:
        raise fields.error(
            "word_embed_proj_dim", "differs from hidden_size", projected, f"{hidden}"
        )
    return _Shape(
        hidden=hidden,
        layers=fields.layer_count(),
        heads=heads,
        kv_heads=heads,
        width=fields.count("ffn_dim"),
        vocab=fields.count("vocab_size"),
        positions=fields.count("max_position_embeddings") + 2,
        tied=fields.flag("tie_word_embeddings", True),
    )


def _bloom(fields: ConfigFields) -> _Shape:
    hidden = fields.count("hidden_size", "n_embed")
    heads = fields.count("n_head", "num_attention_heads")
    return _Shape(
        hidden=hidden,
        layers=fields.layer_count("n_layer", "num_hidden_layers"),
        heads=heads,
        kv_heads=heads,
        width=4 * hidden,
        vocab=fields.count("vocab_size"),
        outer_norms=2,
    )


def _falcon(fields: ConfigFields) -> _Shape:
    hidden = fields.count("hidden_size")
    heads = fields.count("num_attention_heads", "n_head")
    grouped = fields.flag("new_decoder_architecture")
    kv_heads = heads
    if grouped:
        kv_heads = fields.count("num_kv_heads", "n_head_kv", default=heads)
    elif fields.flag("multi_query", True):
        kv_heads = 1
    bias = fields.flag("bias")
    return _Shape(
        hidden=hidden,
        layers=fields.layer_count("num_hidden_layers", "n_layer"),
        heads=heads,
        kv_heads=kv_heads,
        width=fields.count("ffn_hidden_size", default=4 * hidden),
        vocab=fields.count("vocab_size"),
        norms=2 if grouped or not fields.flag("parallel_attn", True) else 1,
        attention_bias=bias,
        mlp_bias=bias,
        tied=fields.flag("tie_word_embeddings", True),
    )


def _usual(fields: ConfigFields, *, tied: bool = False) -> _Shape:
    """Under the names that most configs use; ``tied``: the embeddings, where the config does not say."""
    heads = fields.count("num_attention_heads")
    return _Shape(
        hidden=fields.count("hidden_size"),
        layers=fields.layer_count(),
        heads=heads,
        kv_heads=fields.count("num_key_value_heads", default=heads),
        width=fields.count("intermediate_size"),
        vocab=fields.count("vocab_size"),
        tied=fields.flag("tie_word_embeddings", tied),
    )


def _phi(fields: ConfigFields) -> _Shape:
    return replace(_usual(fields), norms=1, head_bias=True)


def _gpt_neox(fields: ConfigFields) -> _Shape:
    shape = _usual(fields)
    return replace(shape, kv_heads=shape.heads)


def _nanochat(fields: ConfigFields) -> _Shape:
    heads = fields.count("num_attention_heads")
    hidden = fields.count("hidden_size")
    return _Shape(
        hidden=hidden,
        layers=fields.layer_count(),
        heads=heads,
        kv_heads=fields.count("num_key_value_heads", default=heads),
        width=fields.count("intermediate_size", default=4 * hidden),
        vocab=fields.count("vocab_size"),
        norms=0,
        outer_norms=0,
        attention_bias=False,
        mlp_bias=False,
        tied=fields.flag("tie_word_embeddings"),
    )


def _starcoder2(fields: ConfigFields) -> _Shape:
    bias = fields.flag("use_bias", True)
    return replace(_usual(fields, tied=True), attention_bias=bias, mlp_bias=bias)


def _parser(shape: Callable[[ConfigFields], _Shape]) -> Parser:
    return lambda fields: _body(fields, shape(fields))


PARSERS: dict[str, Parser] = {
    "GPT2LMHeadModel": _parser(_gpt2),
    "GPTBigCodeForCausalLM": _parser(_gpt_bigcode),
    "MptForCausalLM": _parser(_mpt),
    "GPTJForCausalLM": _parser(_gptj),
    "OPTForCausalLM": _parser(_opt),
    "BloomForCausalLM": _parser(_bloom),
    "FalconForCausalLM": _parser(_falcon),
    "RWForCausalLM": _parser(_falcon),
    "PhiForCausalLM": _parser(_phi),
    "GPTNeoXForCausalLM": _parser(_gpt_neox),
    "Starcoder2ForCausalLM": _parser(_starcoder2),
    "NanoChatForCausalLM": _parser(_nanochat),
}
