"""Every quantisation method of the engines is read; ignore lists and groups are honoured by pattern."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from planner.catalog.model import ModelSpec
from planner.catalog.model_config import parse_config
from planner.catalog.quantization.methods import METHODS
from planner.catalog.quantization.module_rules import module_rule
from planner.catalog.store import load_catalog
from planner.errors import InputError
from planner.sizing.precision import tensor_bytes, weight_bytes, weights_for
from planner.units import GIB

CATALOG = load_catalog()
LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 4096,
    "num_hidden_layers": 8,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "torch_dtype": "bfloat16",
}


def read(section: Mapping[str, object], **changes: object) -> ModelSpec:
    return parse_config({**LLAMA, **changes, "quantization_config": section}, "m", "config.json")


@pytest.mark.parametrize(
    ("section", "stored"),
    [
        ({"quant_method": "fbgemm_fp8", "modules_to_not_convert": ["lm_head"]}, "fp8"),
        ({"quant_method": "fp8", "activation_scheme": "dynamic"}, "fp8_tensor"),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8_block"),
        ({"quant_method": "torchao", "quant_type": "int4wo-128"}, "int4"),
        (
            {
                "quant_method": "torchao",
                "quant_type": {"default": {"_type": "Float8DynamicActivationFloat8WeightConfig"}},
            },
            "fp8",
        ),
        (
            {
                "quant_method": "hqq",
                "quant_config": {"weight_quant_params": {"nbits": 4, "group_size": 64}},
            },
            "int4_g64",
        ),
        ({"quant_method": "auto-round", "bits": 4, "group_size": 128, "sym": True}, "int4"),
        ({"quant_method": "inc", "bits": 2, "group_size": 128}, "int2"),
        ({"quant_method": "auto-round", "data_type": "mx_fp", "bits": 4}, "mxfp4"),
        ({"quant_method": "gptq", "bits": 8, "group_size": 128}, "int8_weight"),
        ({"quant_method": "gptq", "bits": 3, "group_size": 128}, "int3"),
        ({"quant_method": "awq", "bits": 4, "group_size": 64}, "int4_g64"),
        ({"quant_method": "moe_wna16", "bits": 4}, "int4"),
        ({"quant_method": "experts_int8"}, "int8_weight"),
        ({"quant_method": "w8a8_int8"}, "int8"),
        ({"quant_method": "w4afp8"}, "fp8_tensor"),
        ({"quant_method": "fp_quant", "forward_dtype": "nvfp4"}, "nvfp4"),
        ({"quant_method": "exl3", "bits": 4.0}, "int4"),
        (
            {
                "quant_method": "aqlm",
                "num_codebooks": 1,
                "nbits_per_codebook": 16,
                "in_group_size": 8,
            },
            "int2",
        ),
        ({"quant_method": "eetq"}, "int8_weight"),
        ({"quant_method": "vptq", "config_for_layers": {}}, "int2"),
        ({"quant_method": "gguf", "file_type": "Q5_K_M"}, "q5_k_m"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "nvfp4"),
        ({"quant_method": "modelopt", "quant_algo": "FP8_PB_WO"}, "fp8_block"),
        ({"quant_method": "modelopt", "quant_algo": "W4A8_AWQ"}, "int4"),
        (
            {
                "quant_method": "quark",
                "global_quant_config": {"weight": {"dtype": "fp8_e4m3", "qscheme": "per_tensor"}},
            },
            "fp8_tensor",
        ),
        (
            {
                "quant_method": "quark",
                "global_quant_config": {
                    "weight": {"dtype": "fp4", "qscheme": "per_group", "group_size": 32}
                },
            },
            "mxfp4",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value["quant_method"]),
)
def test_each_method_is_read(section: Mapping[str, object], stored: str) -> None:
    model = read(section)
    assert model.native_weights == stored
    assert CATALOG.weight_format(stored).bits < 16
    assert weight_bytes(model, weights_for(model, "native", CATALOG.weight_format)) > 0


def test_every_method_of_the_table_names_a_format_of_the_catalog() -> None:
    for name in METHODS:
        if name in ("torchao", "quark"):
            continue
        assert CATALOG.weight_format(read({"quant_method": name}).native_weights), name


def test_an_unknown_method_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="quant_method") as caught:
        read({"quant_method": "wat4"})
    assert "moe_wna16" in str(caught.value)


def test_groups_of_several_formats_keep_their_targets() -> None:
    """A 27B checkpoint with FP8 attention, FP8 in the last eight layers and NVFP4 elsewhere.

    19.75 GiB were loaded; with the tower in 16 bits and the FP8 head 20 to 21 GiB are planned.
    """
    text = Path(__file__).with_name("qwen_mixed_nvfp4.json").read_text()
    model = parse_config(json.loads(text), "m", "config.json")
    assert model.native_weights == "nvfp4"
    weights = weights_for(model, "native", CATALOG.weight_format)
    tower = sum(tensor_bytes(tensor, weights) for tensor in model.vision)
    assert 20.0 <= (weight_bytes(model, weights) + tower) / GIB <= 21.1
    up = "mlp.up_proj.weight"
    formats = [next(t.stored for t in layer.tensors if t.name == up) for layer in model.layers]
    assert formats == [""] * 56 + ["fp8"] * 8


@pytest.mark.parametrize(
    ("entry", "layers"),
    [
        ("model.layers.3.mlp.up_proj", {3}),
        ("re:.*layers\\.(1[0-2]|2)\\.mlp\\.down_proj$", {2, 10, 11, 12}),
        ("model.layers.*.mlp.up_proj", None),
        ("re:.*mlp.*", None),
        ("re:model.layers.[0-9]+.mlp.up_proj", None),
    ],
)
def test_layers_of_an_entry(entry: str, layers: set[int] | None) -> None:
    rule = module_rule(entry, 16)
    assert rule is not None
    assert rule.klass == "mlp"
    found = set(range(16)) if rule.layers is None else set(rule.layers)
    assert found == (set(range(16)) if layers is None else layers)


def test_a_checkpoint_of_mixed_formats_can_still_be_requested_in_another() -> None:
    section = {
        "quant_method": "compressed-tensors",
        "config_groups": {"g": {"weights": {"num_bits": 8, "type": "float"}}},
        "ignore": ["model.layers.0.self_attn.q_proj", "lm_head"],
    }
    mixed, plain = read(section), parse_config(LLAMA, "m", "config.json")
    for name in ("bf16", "int4"):
        requested = weights_for(mixed, name, CATALOG.weight_format)
        assert weight_bytes(mixed, requested) == weight_bytes(
            plain, weights_for(plain, name, CATALOG.weight_format)
        )
