"""Files as they lie on the hub, of classes that wrap, cut or draft for a known body, read as they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from planner.catalog.architectures.class_table import class_rows, named_towers
from planner.catalog.architectures.multimodal.towers import TOWERS
from planner.catalog.architectures.registry import PARSERS, parser_of
from planner.catalog.model import ModelSpec
from planner.catalog.model_config import parse_config
from planner.catalog.model_files import load_model_file
from planner.catalog.store import load_catalog
from planner.errors import InputError
from planner.sizing.cache.kv_cache import kv_bytes_per_token
from planner.sizing.parameters import count_parameters

CASES = json.loads(Path(__file__).with_name("hub_files.json").read_text())
HERE = Path(__file__).parent
RECENT = json.loads((HERE / "recent_models.json").read_text())
WRAPPED = json.loads((HERE / "wrapped_models.json").read_text())
CATALOG = load_catalog()
TEXT = {
    "model_type": "qwen2",
    "architectures": ["Qwen2ForCausalLM"],
    "hidden_size": 896,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "intermediate_size": 4864,
    "vocab_size": 151674,
    "tie_word_embeddings": False,
}


def read(config: dict[str, object]) -> ModelSpec:
    return parse_config(config, "m", "config.json")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_file_of_the_hub_gives_the_published_size(case: dict[str, object]) -> None:
    config = case["config"]
    assert isinstance(config, dict)
    model = read(config)
    count = count_parameters(model)
    assert count.total + count.vision == pytest.approx(case["parameters"], rel=0.006)
    assert kv_bytes_per_token(model, CATALOG.kv_format("bf16")) == case["kv_bytes_per_token"]


def test_a_float32_checkpoint_is_loaded_at_16_bits() -> None:
    config = next(case["config"] for case in CASES if case["name"] == "gte-float32")
    assert config["torch_dtype"] == "float32"
    assert read(config).native_weights == "bf16"


def test_params_json_is_read_in_its_folder(tmp_path: Path) -> None:
    config = next(case["config"] for case in CASES if case["name"] == "mistral-params")
    folder = tmp_path / "Mistral-Large-3"
    folder.mkdir()
    (folder / "params.json").write_text(json.dumps(config))
    model = load_model_file(folder)
    assert (model.name, model.architecture) == ("Mistral-Large-3", "MistralLarge3ForCausalLM")


def test_heads_decide_what_a_class_ends_in() -> None:
    base = {**TEXT, "model_type": "qwen2"}
    causal = count_parameters(read(base)).total
    head = 896 * 151674
    for name, ending in (
        ("Qwen2Model", 0),
        ("Qwen2ForSequenceClassification", 3 * 896),
        ("Qwen2ForRewardModel", 896 * 896 + 896 + 3 * 896 + 3),
    ):
        model = read({**base, "architectures": [name], "num_labels": 3})
        assert count_parameters(model).total == causal - head + ending, name
        assert model.head == ("none" if name == "Qwen2Model" else "score")


def test_nested_text_models_take_their_class_defaults() -> None:
    model = read(
        {
            "architectures": ["InternVLChatModel"],
            "llm_config": TEXT,
            "vision_config": {
                "model_type": "intern_vit_6b",
                "hidden_size": 1024,
                "image_size": 448,
                "patch_size": 14,
                "intermediate_size": 4096,
                "num_hidden_layers": 24,
                "qkv_bias": True,
            },
        }
    )
    count = count_parameters(model)
    # OpenGVLab/InternVL2_5-1B: 0.938 B, of which InternViT-300M 304.0 M and the projector 4.5 M
    assert count.total + count.vision == pytest.approx(0.938e9, rel=0.003)
    assert count.vision == pytest.approx(308.5e6, rel=0.003)


def test_a_tower_without_a_shape_is_said_and_not_invented() -> None:
    model = read(
        {
            "architectures": ["LlavaForConditionalGeneration"],
            "text_config": {"model_type": "llama"},
            "vision_config": {"model_type": "somebody_elses"},
        }
    )
    assert not model.vision
    assert "vision_config" in model.note


def test_a_multimodal_file_without_its_text_section_is_refused_by_field() -> None:
    with pytest.raises(InputError, match="text_config"):
        read({"architectures": ["LlavaForConditionalGeneration"]})


def test_a_class_nobody_knows_is_refused_with_the_way_to_describe_it() -> None:
    with pytest.raises(InputError, match="Zyxwv") as caught:
        read({"architectures": ["ZyxwvForCausalLM"], "hidden_size": 1})
    assert "layers: 32" in str(caught.value)


def test_every_row_of_the_class_table_reads_with_what_is_there() -> None:
    for row in class_rows().values():
        assert row.body == "" or row.body in PARSERS, row.name
        assert all(style in TOWERS for _, style in row.towers), row.name
    assert all(tower.style in ("", *TOWERS) for tower in named_towers().values())


def test_a_prediction_module_is_one_layer_of_its_base() -> None:
    parser = parser_of("Qwen3MoeForCausalLMMTP")
    assert parser is not None
    config = {
        "architectures": ["Qwen3MoeForCausalLMMTP"],
        "hidden_size": 2048,
        "num_hidden_layers": 48,
        "num_attention_heads": 32,
        "num_key_value_heads": 4,
        "head_dim": 128,
        "num_experts": 128,
        "num_experts_per_tok": 8,
        "moe_intermediate_size": 768,
        "intermediate_size": 6144,
        "vocab_size": 151936,
    }
    assert len(read(config).layers) == 1


@pytest.mark.parametrize("case", RECENT, ids=lambda case: str(case["name"]))
def test_a_class_of_2026_has_the_size_its_checkpoint_is_named_by(case: dict[str, object]) -> None:
    config = case["config"]
    assert isinstance(config, dict)
    count = count_parameters(read(config))
    assert count.total == pytest.approx(case["parameters"], rel=0.002)
    assert count.active == pytest.approx(case["active"], rel=0.005)


@pytest.mark.parametrize("case", WRAPPED, ids=lambda case: str(case["name"]))
def test_a_tower_and_its_projector_add_up_to_the_published_size(case: dict[str, object]) -> None:
    config = case["config"]
    assert isinstance(config, dict)
    count = count_parameters(read(config))
    assert count.total + count.vision == pytest.approx(case["parameters"], rel=case["within"])


def test_a_module_class_of_another_name_takes_a_layer_of_its_model() -> None:
    model = CATALOG.model("deepseek-ai/DeepSeek-V3")
    path = CATALOG.root / "models" / "deepseek-ai--DeepSeek-V3.json"
    config = {**json.loads(path.read_text()), "architectures": ["DeepSeekMTPModel"]}
    module = read(config)
    assert module.layers == model.layers[-1:]
    # DeepSeek-V3: 11.5 B of the 14 B of its module; embedding and head are the target's
    assert count_parameters(module).total == pytest.approx(11.6e9, rel=0.01)
