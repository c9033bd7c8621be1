"""Nemotron-H (Mamba-2, attention and experts, one kind a layer) and Nemotron-NAS (blocks chosen one by one).

Sources: the ``nemotron_h`` model class of Hugging Face transformers, arXiv 2504.03624 (Nemotron-H),
arXiv 2411.19146 (Puzzle, the search behind Nemotron-NAS).
"""

from __future__ import annotations

from planner.catalog.architectures.blocks import (
    Tensors,
    attention,
    experts,
    linear,
    mlp,
    norm,
    shared_expert,
)
from planner.catalog.architectures.body import (
    Body,
    Parser,
    attention_shape,
    decoder_of,
    shared_layers,
)
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.architectures.recurrent.state_space import mamba2
from planner.catalog.model import DenseMlp, Layer, MoeMlp, SoftmaxAttention

SYMBOLS = {"M": "mamba", "E": "moe", "*": "attention", "-": "mlp"}
SYNONYMS = {"linear_attention": "mamba", "full_attention": "attention"}


def _kinds(fields: ConfigFields) -> list[str]:
    pattern = fields.text("hybrid_override_pattern")
    listed = fields.items("layers_block_type")
    kinds = [SYMBOLS.get(mark, mark) for mark in pattern] if pattern else list(listed or ())
    kinds = [SYNONYMS.get(kind, kind) if isinstance(kind, str) else "" for kind in kinds]
    unknown = [kind for kind in kinds if kind not in SYMBOLS.values()]
    if not kinds or unknown or len(kinds) > 1000:
        raise fields.error(
            "layers_block_type",
            "is not a list of layer kinds",
            unknown[:1] or len(kinds),
            ", ".join(SYMBOLS.values()),
        )
    return kinds


def _mamba_layer(fields: ConfigFields, hidden: int) -> Layer:
    mixer, tensors = mamba2(
        hidden,
        heads=fields.count("mamba_num_heads"),
        head_dim=fields.count("mamba_head_dim"),
        groups=fields.count("n_groups", default=1),
        state=fields.count("ssm_state_size"),
        kernel=fields.count("conv_kernel", default=4),
        bias=fields.flag("use_bias"),
        conv_bias=fields.flag("use_conv_bias", True),
        state_bytes=4 if fields.text("mamba_ssm_cache_dtype") == "float32" else 2,
        name="mixer",
    )
    return Layer(mixer, None, tensors)


def _moe_layer(fields: ConfigFields, hidden: int) -> Layer:
    total = fields.expert_count("n_routed_experts")
    shared = fields.count("moe_shared_expert_intermediate_size", default=0, minimum=0)
    latent = fields.count("moe_latent_size", default=0, minimum=0)
    block = MoeMlp(
        total,
        fields.count("num_experts_per_tok", maximum=total),
        fields.count("moe_intermediate_size"),
        shared_width=shared * fields.count("n_shared_experts", default=1, minimum=0),
        gated=False,
        latent=latent,
    )
    tensors = experts(hidden, block) + shared_expert(hidden, block.shared_width, gated=False)
    if latent:
        tensors += linear("mixer.fc1_latent_proj", "mlp", latent, hidden, shard="replicated")
        tensors += linear("mixer.fc2_latent_proj", "mlp", hidden, latent, shard="replicated")
    return Layer(None, block, tensors)


def _attention_layer(fields: ConfigFields, hidden: int) -> Layer:
    heads, kv_heads, head_dim = attention_shape(fields, hidden)
    bias = fields.flag("attention_bias")
    tensors = attention(hidden, heads, kv_heads, head_dim, qkv_bias=bias, out_bias=bias)
    return Layer(SoftmaxAttention(heads, kv_heads, head_dim, head_dim), None, tensors)


def _mlp_layer(fields: ConfigFields, hidden: int) -> Layer:
    width = fields.count("intermediate_size")
    block = DenseMlp(width, gated=False)
    return Layer(None, block, mlp(hidden, width, gated=False, bias=fields.flag("mlp_bias")))


def hybrid(fields: ConfigFields) -> Body:
    """A Nemotron-H decoder: each layer is one norm and one block."""
    hidden = fields.count("hidden_size")
    kinds = _kinds(fields)
    builders = {
        "mamba": _mamba_layer,
        "moe": _moe_layer,
        "attention": _attention_layer,
        "mlp": _mlp_layer,
    }
    pre_norm = norm("norm", hidden)

    def layer(kind: str) -> Layer:
        block = builders[kind](fields, hidden)
        return Layer(block.mixer, block.mlp, block.tensors + pre_norm)

    mtp: Tensors = ()
    if fields.count("num_nextn_predict_layers", default=0, minimum=0):
        marks = fields.text("mtp_hybrid_override_pattern")
        listed = [SYMBOLS[m] for m in marks if m in SYMBOLS] if marks else ["attention", "moe"]
        for kind in listed:
            mtp += layer(kind).tensors
        mtp += linear("mtp.eh_proj", "mtp", hidden, 2 * hidden, shard="replicated")
        mtp += norm("mtp.enorm", hidden) + norm("mtp.hnorm", hidden) + norm("mtp.norm", hidden)
    return decoder_of(fields, shared_layers(len(kinds), lambda index: layer(kinds[index])), mtp=mtp)


def _nas_width(hidden: int, multiple: float) -> int:
    """Two thirds of four hidden widths times the multiple, rounded up to 256."""
    width = int(2 * multiple * hidden / 3)
    return width if width % 256 == 0 else width + 256 - width % 256


def searched(fields: ConfigFields) -> Body:
    """Nemotron-NAS: each block lists its attention group size and feed-forward multiple, or none."""
    hidden = fields.count("hidden_size")
    count = fields.layer_count()
    heads = fields.count("num_attention_heads")
    fields.divides("num_attention_heads", heads, "hidden_size", hidden)
    head_dim = hidden // heads
    blocks = fields.items("block_configs", count)
    if blocks is None:
        raise fields.error("block_configs", "is missing", None, "one entry per layer")

    def part(index: int, name: str) -> ConfigFields:
        entry = blocks[index]
        where = ConfigFields(entry if isinstance(entry, dict) else {}, fields.where)
        section = where.section(name)
        if section is None:
            raise fields.error("block_configs", f"block {index} has no {name}", entry, name)
        return section

    def layer(index: int) -> Layer:
        mixer: SoftmaxAttention | None = None
        block: DenseMlp | None = None
        tensors: Tensors = ()
        chosen = part(index, "attention")
        if chosen.flag("replace_with_linear"):
            tensors += linear("self_attn.linear", "attention", hidden, hidden)
            tensors += norm("input_layernorm", hidden)
        elif not chosen.flag("no_op"):
            group = chosen.count("n_heads_in_group")
            fields.divides("n_heads_in_group", group, "num_attention_heads", heads)
            mixer = SoftmaxAttention(heads, heads // group, head_dim, head_dim)
            tensors += attention(hidden, heads, heads // group, head_dim)
            tensors += norm("input_layernorm", hidden)
        fed = part(index, "ffn")
        if fed.flag("replace_with_linear"):
            tensors += linear("mlp.linear", "mlp", hidden, hidden)
            tensors += norm("post_attention_layernorm", hidden)
        elif not fed.flag("no_op"):
            block = DenseMlp(_nas_width(hidden, fed.number("ffn_mult")))
            tensors += mlp(hidden, block.width) + norm("post_attention_layernorm", hidden)
        return Layer(mixer, block, tensors)

    return decoder_of(fields, shared_layers(count, layer), head_dim)


PARSERS: dict[str, Parser] = {"NemotronHForCausalLM": hybrid, "DeciLMForCausalLM": searched}
