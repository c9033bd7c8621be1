"""Families of known shape whose files use other names: ChatGLM, Qwen (the first), EXAONE 3, DBRX.

Sources: the configuration and model classes of their repositories.
"""

from __future__ import annotations

from planner.catalog.architectures.body import Body, Parser
from planner.catalog.architectures.decoder import Style, decoder_body, dense
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.architectures.mixture import routed


def chatglm(fields: ConfigFields) -> Body:
    """ChatGLM2, ChatGLM3 and GLM-4-9B."""
    heads = fields.count("num_attention_heads")
    grouped = fields.flag("multi_query_attention")
    renamed = {
        "num_hidden_layers": fields.layer_count("num_layers"),
        "vocab_size": fields.count("padded_vocab_size", "vocab_size"),
        "intermediate_size": fields.count("ffn_hidden_size"),
        "num_key_value_heads": fields.count("multi_query_group_num") if grouped else heads,
        "head_dim": fields.count("kv_channels"),
        "max_position_embeddings": fields.count("seq_length", default=0, minimum=0),
    }
    style = Style(qkv_bias=fields.flag("add_qkv_bias"), out_bias=False)
    return dense(style, fields.override(renamed))


def qwen(fields: ConfigFields) -> Body:
    """Qwen of 2023: the file's feed-forward width is that of gate and up together."""
    renamed = {
        "intermediate_size": fields.count("intermediate_size") // 2,
        "max_position_embeddings": fields.count("seq_length", default=0, minimum=0),
    }
    return dense(Style(qkv_bias=True, out_bias=False, mlp_bias=False), fields.override(renamed))


def exaone(fields: ConfigFields) -> Body:
    """EXAONE 3 and 3.5."""
    return dense(Style(), fields.override({"num_hidden_layers": fields.layer_count("num_layers")}))


def dbrx(fields: ConfigFields) -> Body:
    """DBRX: sixteen experts in every layer, LayerNorms without bias."""
    attended, fed = fields.section("attn_config"), fields.section("ffn_config")
    if attended is None or fed is None:
        raise fields.error("attn_config", "is missing", None, "attn_config and ffn_config")
    hidden = fields.count("d_model")
    renamed = {
        "hidden_size": hidden,
        "num_hidden_layers": fields.layer_count("n_layers"),
        "num_attention_heads": fields.count("n_heads"),
        "num_key_value_heads": attended.count("kv_n_heads"),
        "max_position_embeddings": fields.count("max_seq_len", default=0, minimum=0),
    }
    experts = fed.override(
        {"num_experts_per_tok": fed.count("moe_top_k"), "num_experts": fed.count("moe_num_experts")}
    )
    block = routed(experts, hidden, fed.count("ffn_hidden_size"))
    return decoder_body(fields.override(renamed), Style(), lambda _index: block)


PARSERS: dict[str, Parser] = {
    "ChatGLMModel": chatglm,
    "ChatGLMForConditionalGeneration": chatglm,
    "QWenLMHeadModel": qwen,
    "ExaoneForCausalLM": exaone,
    "DbrxForCausalLM": dbrx,
}
