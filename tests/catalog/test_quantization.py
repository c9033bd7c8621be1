"""Every quantisation method of the engines is read; ignore lists and groups are honoured by pattern."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from planner.catalog.model import ModelSpec
from planner.catalog.model_config import parse_config
from planner.catalog.model_files import load_model_file
from planner.catalog.quantization.methods import METHODS
from planner.catalog.quantization.module_rules import module_rule
from planner.catalog.store import load_catalog
from planner.errors import InputError, ScenarioWarning
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
        (
            {
                "quant_method": "quark",
                "global_quant_config": {
                    "weight": [
                        {"dtype": "fp8_e4m3", "qscheme": "per_tensor"},
                        {"dtype": "int4", "qscheme": "per_channel"},
                    ]
                },
            },
            "int4",
        ),
        ({"quant_method": "GPTQ", "bits": 4, "group_size": 128}, "int4"),
        ({"quant_method": "intel/auto-round", "bits": 4, "group_size": 128}, "int4"),
        ({"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}, "nf4"),
        ({"_load_in_8bit": True, "load_in_8bit": True}, "int8"),
        ({"quant_method": "torchao", "quant_type": "int4wo-64"}, "int4_g64"),
        (
            {
                "producer": {"name": "modelopt", "version": "0.29.0"},
                "quantization": {"quant_algo": "NVFP4", "group_size": 16},
            },
            "nvfp4",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value.get("quant_method")),
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


def test_a_section_without_a_method_is_refused_by_that_field() -> None:
    with pytest.raises(InputError, match="quant_method: is missing"):
        read({"bits": 4})


def test_a_sparse_checkpoint_without_a_format_is_16_bit() -> None:
    section = {"quant_method": "compressed-tensors", "sparsity_config": {"format": "sparse-24"}}
    assert read(section).native_weights == "bf16"


def test_tables_of_other_bits_and_a_quantised_head() -> None:
    plain = {"quant_method": "gptq", "bits": 4, "group_size": 128}

    def size(**more: object) -> float:
        model = read({**plain, **more})
        return weight_bytes(model, weights_for(model, "native", CATALOG.weight_format))

    base, head = size(), 4096 * 128_256
    down = 8 * 4096 * 14_336
    wider = size(dynamic={"+:.*\\.down_proj": {"bits": 8}})
    assert wider - base == pytest.approx(down / 2, rel=0.01)
    whole = size(extra_config={"model.layers.0.mlp.down_proj": {"bits": 16}})
    assert whole - base == pytest.approx(down / 8 * 1.5, rel=0.03)
    assert base - size(lm_head=True) == pytest.approx(head * 1.5, rel=0.03)


def test_the_section_may_lie_beside_the_config(tmp_path: Path) -> None:
    """ModelOpt writes ``hf_quant_config.json``; the config of such a folder has no section."""
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    assert load_model_file(tmp_path).native_weights == "bf16"
    nested = {"quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}}
    (tmp_path / "hf_quant_config.json").write_text(json.dumps(nested))
    assert load_model_file(tmp_path).native_weights == "fp8_tensor"
    assert load_model_file(tmp_path / "config.json").native_weights == "fp8_tensor"


def test_a_name_of_fewer_bits_than_the_config_states_is_warned_of(tmp_path: Path) -> None:
    folder = tmp_path / "Llama-3.1-8B-Instruct-FP8"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(LLAMA))
    with pytest.warns(ScenarioWarning, match="name says FP8.*hf_quant_config"):
        assert load_model_file(folder).native_weights == "bf16"
    nested = {"quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}}
    (folder / "hf_quant_config.json").write_text(json.dumps(nested))
    assert load_model_file(folder).native_weights == "fp8_tensor"  # and no warning


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
