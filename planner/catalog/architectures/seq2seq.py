"""Encoder and decoder in one checkpoint: Whisper and BART.

The decoder's own attention keeps a cache; its cross-attention reads keys and values of the encoder's
output, which an engine keeps once per request and which do not grow with the text. The encoder
counts as a tower. Sources: the model classes of Hugging Face transformers with the same names.
"""

from __future__ import annotations

from functools import partial

from planner.catalog.architectures.blocks import Tensors, attention, embedding, mlp, norm
from planner.catalog.architectures.body import Body, Parser
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.architectures.multimodal.audio import whisper_encoder
from planner.catalog.architectures.multimodal.vision import vit_blocks
from planner.catalog.model import DenseMlp, Layer, SoftmaxAttention, Tensor

EXTRA_POSITIONS = 2  # BART's position table starts at two
CROSS_NOTE = "the keys and values of the encoder's output are not counted in the cache"


def _decoder_layers(fields: ConfigFields, hidden: int, count: int) -> tuple[Layer, ...]:
    heads = fields.count("decoder_attention_heads")
    fields.divides("decoder_attention_heads", heads, "d_model", hidden)
    head_dim, width = hidden // heads, fields.count("decoder_ffn_dim")
    own = attention(hidden, heads, heads, head_dim, qkv_bias=True, out_bias=True)
    own += norm("self_attn_norm", hidden, bias=True)
    crossing = attention(
        hidden, heads, heads, head_dim, qkv_bias=True, out_bias=True, name="cross_attn"
    )
    crossing += norm("cross_attn_norm", hidden, bias=True)
    feed = mlp(hidden, width, gated=False, bias=True) + norm("final_norm", hidden, bias=True)
    keeping = Layer(SoftmaxAttention(heads, heads, head_dim, head_dim), None, own)
    reading = SoftmaxAttention(heads, heads, head_dim, head_dim, shares_kv=True)
    return (keeping, Layer(reading, DenseMlp(width, gated=False), crossing + feed)) * count


def seq2seq(fields: ConfigFields, *, audio: bool) -> Body:
    """An encoder-decoder; ``audio``: a Whisper encoder, else a text encoder of BART's kind."""
    hidden, vocab = fields.count("d_model"), fields.count("vocab_size")
    count = fields.layer_count("decoder_layers")
    longest = fields.count("max_target_positions", "max_position_embeddings", default=448)
    rows = longest if audio else longest + EXTRA_POSITIONS
    outer: Tensors = embedding(vocab, hidden)
    outer += (Tensor("embed_positions.weight", "embedding", rows, hidden, 1, "replicated"),)
    outer += norm("norm", hidden, bias=True)
    return Body(
        hidden=hidden,
        vocab=vocab,
        tied=True,
        layers=_decoder_layers(fields, hidden, count),
        outer=outer,
        vision=whisper_encoder(fields) if audio else _text_encoder(fields, hidden, rows),
        max_context_tokens=longest,
        note=CROSS_NOTE,
    )


def _text_encoder(fields: ConfigFields, hidden: int, rows: int) -> Tensors:
    depth = fields.layer_count("encoder_layers")
    positions = Tensor("encoder.embed_positions.weight", "vision", rows, hidden, 1, "replicated")
    return (positions, *vit_blocks(hidden, fields.count("encoder_ffn_dim"), depth))


PARSERS: dict[str, Parser] = {
    "WhisperForConditionalGeneration": partial(seq2seq, audio=True),
    "BartForConditionalGeneration": partial(seq2seq, audio=False),
    "MBartForConditionalGeneration": partial(seq2seq, audio=False),
}
