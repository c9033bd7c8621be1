"""LongCat-Flash: each layer attends and feeds forward twice, with experts beside; some experts do nothing.

Each is two layers here: the first carries the experts. The router also chooses among "zero experts"
that return their input, so that fewer real ones run on average. Source: arXiv 2509.01322.
"""

from __future__ import annotations

from planner.catalog.architectures.blocks import experts, layer_norms, linear, mlp
from planner.catalog.architectures.body import Body, Parser, decoder_of, shared_layers
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.architectures.latent.deepseek import latent_mixer
from planner.catalog.model import DenseMlp, Layer, MoeMlp


def decoder(fields: ConfigFields) -> Body:
    """A LongCat-Flash decoder."""
    hidden = fields.count("hidden_size")
    width = fields.count("ffn_hidden_size")
    real = fields.expert_count("n_routed_experts")
    idle = fields.count("zero_expert_num", default=0, minimum=0)
    chosen = fields.count("moe_topk", maximum=real)
    block = MoeMlp(
        real,
        max(1, round(chosen * real / (real + idle))),
        fields.count("expert_ffn_hidden_size"),
        shared_width=width,
    )
    mixer, tensors = latent_mixer(fields, hidden)
    tensors += mlp(hidden, width)
    tensors += layer_norms(hidden)
    routed = experts(hidden, block)
    if idle:
        routed += linear("mlp.zero_experts", "router", idle, hidden, shard="replicated")
    first = Layer(mixer, block, tensors + routed)
    second = Layer(mixer, DenseMlp(width), tensors)
    count = fields.layer_count("num_layers", "num_hidden_layers")
    return decoder_of(
        fields,
        shared_layers(2 * count, lambda index: second if index % 2 else first),
        fields.count("qk_rope_head_dim"),
    )


PARSERS: dict[str, Parser] = {
    "LongcatFlashForCausalLM": decoder,
    "LongcatCausalLM": decoder,
}
