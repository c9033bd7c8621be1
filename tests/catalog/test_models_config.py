"""Reading model configurations: every family, and one clear error for what is wrong."""

import contextlib
import json
import random

import pytest

from planner.catalog.architectures.registry import BY_MODEL_TYPE, PARSERS
from planner.catalog.inline_model import parse_inline
from planner.catalog.model import SoftmaxAttention
from planner.catalog.model_config import parse_config
from planner.catalog.store import load_catalog
from planner.errors import InputError
from planner.sizing.parameters import count_parameters
from planner.sizing.precision import stored_format, weights_for

CATALOG = load_catalog()
LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 4096,
    "num_hidden_layers": 2,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
}


def parse(**changes):
    return parse_config({**LLAMA, **changes}, "m", "config.json")


def config_of(name):
    entry = next(e for e in CATALOG.model_index() if e.name == name)
    return json.loads((CATALOG.root / "models" / entry.file).read_text())


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"num_hidden_layers": 0}, "num_hidden_layers"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers"),
        ({"num_hidden_layers": None}, "num_hidden_layers"),
        ({"num_key_value_heads": 7}, "num_attention_heads"),
        ({"num_attention_heads": 31, "num_key_value_heads": 31}, "hidden_size"),
        ({"vocab_size": -1}, "vocab_size"),
        ({"vocab_size": "128256"}, "vocab_size"),
        ({"hidden_size": True}, "hidden_size"),
        ({"hidden_size": 4096.5}, "hidden_size"),
        ({"intermediate_size": [1]}, "intermediate_size"),
        ({"intermediate_size": float("nan")}, "intermediate_size"),
        ({"tie_word_embeddings": "no"}, "tie_word_embeddings"),
        ({"torch_dtype": 16}, "torch_dtype"),
        ({"rope_scaling": [1]}, "rope_scaling"),
        ({"quantization_config": {"quant_method": "wat"}}, "quant_method"),
        ({"quantization_config": {"quant_method": "compressed-tensors"}}, "config_groups"),
    ],
)
def test_absurd_fields_are_one_error_that_names_them(changes, field):
    with pytest.raises(InputError) as caught:
        parse(**changes)
    message = str(caught.value)
    assert field in message
    assert message.startswith("config.json")
    assert caught.value.exit_code == 2


def test_an_unknown_architecture_is_refused_by_name_with_the_nearest():
    with pytest.raises(InputError, match="LlamaForCausalLN") as caught:
        parse(architectures=["LlamaForCausalLN"])
    assert "LlamaForCausalLM" in str(caught.value)


def test_neither_architecture_nor_model_type():
    with pytest.raises(InputError, match="model_type"):
        parse(architectures=None)
    with pytest.raises(InputError, match="mapping"):
        parse_config([1], "m", "config.json")


def test_model_type_is_in_for_a_missing_architecture():
    assert parse(architectures=None, model_type="llama").layers == parse().layers
    assert set(BY_MODEL_TYPE.values()) <= set(PARSERS)


def test_every_architecture_is_named_by_a_catalog_model_or_a_family():
    seen = {CATALOG.model(name).architecture for name in CATALOG.model_names()}
    assert seen <= set(PARSERS)
    assert len(seen) >= 45


def test_a_required_field_left_out_of_any_catalog_file_is_an_input_error():
    """No parser crashes on a file with a key missing: it parses or raises InputError."""
    by_architecture = {CATALOG.model(name).architecture: name for name in CATALOG.model_names()}
    for name in by_architecture.values():
        config = config_of(name)
        text = config.get("text_config", config)
        for key in list(text):
            broken = {k: v for k, v in text.items() if k != key}
            if text is not config:
                broken = {**config, "text_config": broken}
            with contextlib.suppress(InputError):
                parse_config(broken, name, "config.json")


@pytest.mark.parametrize("value", [0, -3, "x", None, True, 1.5, [], {}, 10**12])
def test_no_value_of_any_field_crashes_a_parser(value):
    by_architecture = {CATALOG.model(name).architecture: name for name in CATALOG.model_names()}
    for name in by_architecture.values():
        config = config_of(name)
        text = config.get("text_config", config)
        for key in list(text):
            broken = {**text, key: value}
            if text is not config:
                broken = {**config, "text_config": broken}
            with contextlib.suppress(InputError):
                parse_config(broken, name, "config.json")


def test_layers_that_are_equal_are_one_object():
    model = parse(num_hidden_layers=40)
    assert len(model.layers) == 40
    assert len({id(layer) for layer in model.layers}) == 1


def test_windows_of_alternating_and_patterned_layers():
    gemma = CATALOG.model("google/gemma-3-27b-it")
    windows = [layer.mixer.window for layer in gemma.layers]
    assert windows[:6] == [1024] * 5 + [None]
    oss = CATALOG.model("openai/gpt-oss-20b")
    assert [layer.mixer.window for layer in oss.layers[:4]] == [128, None, 128, None]
    qwen = CATALOG.model("Qwen/Qwen2-7B-Instruct")
    assert all(layer.mixer.window is None for layer in qwen.layers)


def test_a_published_file_that_leaves_out_the_defaults_of_its_class():
    """google/gemma-3-4b-it as published: heads, head width and vocabulary are not in the file."""
    text = {"hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34}
    text |= {"model_type": "gemma3_text", "sliding_window": 1024}
    config = {"architectures": ["Gemma3ForConditionalGeneration"], "text_config": text}
    full = CATALOG.model("google/gemma-3-4b-it")
    assert parse_config(config, "m", "config.json").layers == full.layers


def test_chunked_attention_keeps_the_last_chunk():
    scout = CATALOG.model("meta-llama/Llama-4-Scout-17B-16E-Instruct")
    windows = [layer.mixer.window for layer in scout.layers]
    assert windows[:4] == [8192, 8192, 8192, None]


def test_layers_that_read_another_layers_cache():
    model = CATALOG.model("google/gemma-4-E2B-it")
    shared = [layer.mixer.shares_kv for layer in model.layers]
    assert shared == [False] * 15 + [True] * 20


@pytest.mark.parametrize(
    ("name", "weights", "classes", "kv"),
    [
        ("meta-llama/Meta-Llama-3-70B-Instruct", "bf16", {}, ""),
        ("deepseek-ai/DeepSeek-V3", "fp8_block", {"head": "bf16"}, ""),
        ("openai/gpt-oss-120b", "mxfp4", {"attention": "bf16", "head": "bf16"}, ""),
        ("moonshotai/Kimi-K2-Thinking", "int4_experts", {"attention": "bf16"}, ""),
        ("moonshotai/Kimi-K3", "mxfp4", {"attention": "bf16", "recurrent": "bf16"}, ""),
        ("nvidia/Kimi-K2.5-NVFP4", "nvfp4", {"attention": "bf16"}, "fp8"),
        ("deepseek-ai/DeepSeek-V4-Pro", "mxfp4", {"attention": "fp8_block"}, ""),
        ("nvidia/DeepSeek-V4-Pro-NVFP4", "nvfp4", {"attention": "fp8_block"}, ""),
        ("nvidia/Qwen3.6-35B-A3B-NVFP4", "nvfp4", {"attention": "fp8_tensor", "head": "nvfp4"}, ""),
        ("Qwen/Qwen3-32B-FP8-Static-PerTensor", "fp8_tensor", {"head": "bf16"}, "fp8"),
        ("Qwen/Qwen2.5-32B-Instruct-AWQ", "int4", {}, ""),
        ("RedHatAI/Llama-4-Scout-17B-16E-Instruct-FP8-dynamic", "fp8", {"attention": "bf16"}, ""),
    ],
)
def test_the_checkpoints_own_precision(name, weights, classes, kv):
    model = CATALOG.model(name)
    assert model.native_weights == weights
    assert classes.items() <= dict(model.native_classes).items()
    assert model.native_kv == kv


def test_kimi_k3_is_as_large_as_its_checkpoint():
    """1,560.86 GB by its index file, 0.9 GB of it the image tower, which is not counted."""
    model = CATALOG.model("moonshotai/Kimi-K3")
    native = weights_for(model, "native", CATALOG.weight_format)
    tensors = [t for layer in model.layers for t in layer.tensors] + list(model.outer)
    total = 0.0
    for tensor in tensors:
        stored = stored_format(tensor, native)
        scales = stored.scale_bits / stored.group if stored and stored.group else 0.0
        total += tensor.values * ((stored.bits if stored else 16.0) + scales) / 8
    assert total == pytest.approx(1559.94e9, rel=1e-4)


def test_an_ignore_list_of_a_few_layers_leaves_those_matrices_alone():
    section = {
        "quant_method": "compressed-tensors",
        "config_groups": {"g": {"weights": {"num_bits": 8, "type": "float"}}},
        "ignore": ["model.layers.0.self_attn.q_proj", "lm_head"],
    }
    model = parse(num_hidden_layers=8, quantization_config=section)
    assert dict(model.native_classes) == {"=bf16": "bf16", "head": "bf16"}
    first, *others = model.layers
    kept = {tensor.name for tensor in first.tensors if tensor.stored == "bf16"}
    # q, k and v live in one buffer, which an engine keeps in one format
    assert kept == {f"self_attn.{part}_proj.weight" for part in "qkv"}
    assert not any(tensor.stored for layer in others for tensor in layer.tensors)


def test_names_and_aliases_resolve():
    for alias in (
        "meta-llama/Llama-3.1-70B",
        "zhipuai/GLM-5",
        "llama-3-70b",
        "deepseek-v3",
        "gpt-oss-120b",
        "moonshotai/Kimi-K2.5",
        "Qwen/Qwen3.5-397B-A17B-FP8",
    ):
        assert CATALOG.model(alias).layers
    assert len(CATALOG.model_names()) >= 200


@pytest.mark.parametrize(
    ("mapping", "word"),
    [
        ({"layers": 0}, "layers"),
        ({"heads": 33}, "hidden"),
        ({"kv_heads": 5}, "heads"),
        ({"kv_head": 8}, "kv_heads"),
        ({"experts": 8}, "experts_per_token"),
        ({"dtype": "int4"}, "dtype"),
        ({"mla": {"kv_rank": 512}}, "kv_lora_rank"),
        ({"intermediate": None}, "intermediate"),
    ],
)
def test_inline_models_with_a_mistake(mapping, word):
    base = {"layers": 32, "hidden": 4096, "heads": 32, "vocab": 32000, "intermediate": 11008}
    with pytest.raises(InputError, match=word):
        parse_inline({**base, **mapping}, "scenario.yaml:2")


def test_an_inline_model_with_windows():
    base = {"layers": 4, "hidden": 64, "heads": 4, "vocab": 100, "intermediate": 128}
    model = parse_inline({**base, "sliding_window": 16, "full_attention_every": 2}, "s")
    mixers = [layer.mixer for layer in model.layers]
    assert all(isinstance(mixer, SoftmaxAttention) for mixer in mixers)
    assert [mixer.window for mixer in mixers] == [16, None, 16, None]


JUNK = [0, -1, 7, "x", None, True, 1.5, float("nan"), [], [1], ["a"], [[1]], {}, {"a": 1}, 10**12]


def places(value, path=()):
    """Every place inside a nested configuration."""
    children = value.items() if isinstance(value, dict) else enumerate(value)
    for key, child in children:
        yield (*path, key)
        if isinstance(child, dict | list):
            yield from places(child, (*path, key))


@pytest.mark.parametrize("seed", range(4))
def test_junk_anywhere_inside_a_configuration_is_an_input_error(seed):
    rng = random.Random(seed)
    names = CATALOG.model_names()
    for _ in range(400):
        config = config_of(rng.choice(names))
        *parents, last = rng.choice(list(places(config)))
        holder = config
        for key in parents:
            holder = holder[key]
        holder[last] = rng.choice(JUNK)
        with contextlib.suppress(InputError):
            count_parameters(parse_config(config, "m", "config.json"))


def test_a_window_as_long_as_the_context_is_no_window():
    style = {"sliding_window": 8192, "max_position_embeddings": 8192}
    assert parse(**style).layers[0].mixer.window is None
    assert parse(**{**style, "sliding_window": 4096}).layers[0].mixer.window == 4096


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            {"peft_type": "LORA", "base_model_name_or_path": "a/b"},
            ("an adapter", "base model, a/b"),
        ),
        ({"metadata": {}, "weight_map": {}}, ("the index", "give config.json")),
        ({"tokenizer_class": "LlamaTokenizer"}, ("a tokenizer's", "give config.json")),
        ({"_class_name": "FluxPipeline", "_diffusers_version": "0.3"}, ("diffusion",)),
        ({"max_seq_length": 512, "do_lower_case": False}, ("sentence-transformers",)),
        ({"hidden_size": 8}, ("neither `architectures`",)),
    ],
)
def test_another_file_of_the_folder_is_named_as_what_it_is(content, words):
    with pytest.raises(InputError) as caught:
        parse_config(content, "m", "other.json")
    assert all(word in str(caught.value) for word in words)
