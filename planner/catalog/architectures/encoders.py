"""Text encoders without a cache: BERT, RoBERTa and XLM-R, ModernBERT, Nomic BERT and GTE.

Every token sees all others and nothing is generated, so that no key or value is kept. Sources: the
model classes of Hugging Face transformers with the same names, and of their repositories.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from planner.catalog.architectures.blocks import (
    Tensors,
    attention,
    embedding,
    linear,
    mlp,
    norm,
)
from planner.catalog.architectures.body import (
    Body,
    Parser,
    attention_shape,
    context_length,
    shared_layers,
)
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.architectures.heads import label_count
from planner.catalog.model import DenseMlp, Layer, SoftmaxAttention, Tensor


@dataclass(frozen=True, slots=True)
class EncoderStyle:
    """``positions``: learned positions beyond the file's count (RoBERTa counts two more), None = rotary.

    ``pooler``: a dense layer over the first token; ``gated``: three-matrix feed-forwards; ``bias``:
    None reads ``attention_bias`` and ``mlp_bias``; ``norm_bias``: LayerNorms with a bias.
    """

    positions: bool = True
    pooler: bool = True
    gated: bool = False
    bias: bool | None = True
    norm_bias: bool = True
    final_norm: bool = False


BERT = EncoderStyle()
ROPED = EncoderStyle(positions=False, pooler=False, gated=True)
MODERN = EncoderStyle(
    positions=False, pooler=False, gated=True, bias=None, norm_bias=False, final_norm=True
)


def encoder(style: EncoderStyle, fields: ConfigFields, *, head: str = "none") -> Body:
    """A bidirectional encoder; ``head``: "none", "score" (a classifier) or "lm" (masked language)."""
    hidden = fields.count("hidden_size", "n_embd")
    vocab = fields.count("vocab_size")
    count = fields.layer_count("num_hidden_layers", "n_layer")
    width = fields.count("intermediate_size", "n_inner", default=4 * hidden)
    shape = fields.with_defaults({"num_attention_heads": fields.values.get("n_head")})
    heads, kv_heads, head_dim = attention_shape(shape, hidden)
    qkv_bias = fields.flag("qkv_proj_bias", True) if style.bias else fields.flag("attention_bias")
    bias = fields.flag("mlp_fc1_bias", True) if style.bias else fields.flag("mlp_bias")
    tensors = attention(hidden, heads, kv_heads, head_dim, qkv_bias=qkv_bias, out_bias=qkv_bias)
    tensors += mlp(hidden, width, gated=style.gated, bias=bias)
    for index in range(2):
        tensors += norm(f"layernorm_{index}", hidden, bias=style.norm_bias)
    mixer = SoftmaxAttention(heads, kv_heads, head_dim, head_dim, shares_kv=True)
    layer = Layer(mixer, DenseMlp(width, style.gated), tensors)
    body = Body(
        hidden=hidden,
        vocab=vocab,
        tied=head != "lm",
        layers=shared_layers(count, lambda _index: layer),
        outer=_outer(style, fields, hidden, vocab),
        max_context_tokens=context_length(fields),
    )
    return _with_head(body, fields, head)


def _outer(style: EncoderStyle, fields: ConfigFields, hidden: int, vocab: int) -> Tensors:
    outer = embedding(vocab, hidden)
    if style.positions:
        positions = fields.count("max_position_embeddings", default=512)
        outer += (
            Tensor("embed_positions.weight", "embedding", positions, hidden, 1, "replicated"),
        )
    types = fields.count("type_vocab_size", default=0, minimum=0)
    if types:
        outer += (Tensor("embed_types.weight", "embedding", types, hidden, 1, "replicated"),)
    outer += norm("embed_norm", hidden, bias=style.norm_bias)
    if style.final_norm:
        outer += norm("norm", hidden, bias=style.norm_bias)
    if style.pooler:
        outer += linear("pooler", "attention", hidden, hidden, shard="replicated", bias=True)
    return outer


def _with_head(body: Body, fields: ConfigFields, head: str) -> Body:
    hidden = body.hidden
    if head == "score":
        rows = label_count(fields)
        score = linear("classifier", "head", rows, hidden, shard="replicated", bias=True)
        return replace(body, outer=body.outer + score, head="score")
    if head == "lm":
        dense = linear("cls.transform", "attention", hidden, hidden, shard="replicated", bias=True)
        dense += norm("cls.norm", hidden, bias=True)
        bias = (Tensor("lm_head.bias", "bias", body.vocab, 1, 1, "vocab"),)
        return replace(body, outer=body.outer + dense + bias)
    return replace(body, head="none")


FAMILIES = {
    "Bert": BERT,
    "Roberta": BERT,
    "XLMRoberta": BERT,
    "Camembert": BERT,
    "Ernie": BERT,
    "ModernBert": MODERN,
    "NomicBert": ROPED,
    "GteNew": ROPED,
    "New": ROPED,
    "Gte": ROPED,
}
PARSERS: dict[str, Parser] = {
    f"{family}{suffix}": partial(encoder, style, head=head)
    for family, style in FAMILIES.items()
    for suffix, head in (
        ("Model", "none"),
        ("ForSequenceClassification", "score"),
        ("ForTokenClassification", "score"),
        ("ForMaskedLM", "lm"),
    )
}
