"""Llama 3.2 Vision: some decoder layers attend to the image instead of the text.

Cross-attention layers keep the image's keys and values, not the text's: they add nothing per text
token. Source: the ``mllama`` model class of Hugging Face transformers.
"""

from __future__ import annotations

from dataclasses import replace

from planner.catalog.architectures.blocks import Tensors, embedding, head, norm, vector
from planner.catalog.architectures.body import Body, Parser, shared_layers
from planner.catalog.architectures.decoder import DENSE_STYLES, dense
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.architectures.multimodal.vision import mllama as tower
from planner.catalog.model import Layer, SoftmaxAttention

EXTRA_TOKENS = 8  # the embedding has rows for image tokens that the head has not


def decoder(fields: ConfigFields) -> Body:
    """A Llama 3.2 Vision checkpoint, tower included."""
    text = fields.section("text_config") or fields
    body = dense(DENSE_STYLES["LlamaForCausalLM"], text)
    crossing = text.indices("cross_attention_layers")

    def layer(index: int) -> Layer:
        plain = body.layers[index]
        if index not in crossing or not isinstance(plain.mixer, SoftmaxAttention):
            return plain
        dim = plain.mixer.head_dim
        own: Tensors = norm("cross_attn.q_norm", dim) + norm("cross_attn.k_norm", dim)
        own += vector("cross_attn_gates", "norm", 2)
        mixer = replace(plain.mixer, shares_kv=True)
        return Layer(mixer, plain.mlp, plain.tensors + own)

    outer = embedding(body.vocab + EXTRA_TOKENS, body.hidden) + norm("norm", body.hidden)
    section = fields.section("vision_config")
    return replace(
        body,
        layers=shared_layers(len(body.layers), layer),
        outer=outer + head(body.vocab, body.hidden, tied=False),
        vision=tower(section, body.hidden) if section else (),
    )


PARSERS: dict[str, Parser] = {"MllamaForConditionalGeneration": decoder}
