"""Bytes of a tensor by format, and what a checkpoint's own format leaves alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.catalog.model import Tensor
from planner.catalog.store import load_catalog
from planner.sizing.parameters import count_parameters, model_tensors
from planner.sizing.precision import (
    is_below_native,
    stored_format,
    tensor_bytes,
    weight_bytes,
    weights_for,
)
from planner.units import GIB

CATALOG = load_catalog()
FORMATS = [
    "fp8", "fp8_tensor", "fp8_block", "int8", "int4", "int4_experts", "nvfp4", "nvfp4_experts",
    "mxfp4", "mxfp8", "nf4", "q8_0", "q4_k_m",
]  # fmt: skip


def weights(model, name):
    return weights_for(model, name, CATALOG.weight_format)


def test_sixteen_bits_is_two_bytes_a_parameter():
    model = CATALOG.model("llama-3-70b")
    assert weight_bytes(model, weights(model, "bf16")) == 2 * count_parameters(model).total


@pytest.mark.parametrize(
    ("name", "bits_per_value"),
    [
        ("fp8_tensor", 8 + 32 / (4096 * 4096)),
        ("fp8", 8 + 32 / 4096),
        ("fp8_block", 8 + 32 / (128 * 128)),
        ("int8", 8 + 32 / 4096),
        ("int4", 4 + 20 / 128),
        ("nvfp4", 4.5),
        ("mxfp4", 4.25),
        ("mxfp8", 8.25),
        ("q8_0", 8.5),
    ],
)
def test_bits_per_value_with_scales_and_zero_points(name, bits_per_value):
    tensor = Tensor("w", "expert", 4096, 4096, copies=3)
    stored = tensor_bytes(tensor, CATALOG.weight_format(name))
    assert stored == pytest.approx(tensor.values * bits_per_value / 8, rel=1e-9)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("klass", ["norm", "bias", "router", "conv", "gate"])
def test_small_tensors_are_never_quantised(name, klass):
    tensor = Tensor("w", klass, 4096, 1)
    assert tensor_bytes(tensor, CATALOG.weight_format(name)) == 2 * tensor.values


@given(rows=st.integers(1, 9000), cols=st.integers(128, 9000), name=st.sampled_from(FORMATS))
def test_quantised_is_never_larger_than_sixteen_bits(rows, cols, name):
    tensor = Tensor("w", "expert", rows, cols)
    assert tensor_bytes(tensor, CATALOG.weight_format(name)) <= 2 * tensor.values + 64


@pytest.mark.parametrize("name", FORMATS)
def test_whole_models_shrink(name):
    for model_name in ("llama-3-70b", "mixtral-8x7b", "deepseek-v3"):
        model = CATALOG.model(model_name)
        assert weight_bytes(model, weights(model, name)) < weight_bytes(
            model, weights(model, "bf16")
        )


@pytest.mark.parametrize(
    ("model_name", "requested", "concrete"),
    [
        ("deepseek-v3", "fp8", "fp8_block"),
        ("llama-3-70b", "fp8", "fp8"),
        ("Qwen/Qwen3-32B-FP8-Static-PerTensor", "fp8", "fp8_tensor"),
        ("moonshotai/Kimi-K2-Thinking", "int4", "int4_experts"),
        ("gpt-oss-120b", "mxfp4", "mxfp4"),
        ("gpt-oss-120b", "native", "mxfp4"),
        ("deepseek-ai/DeepSeek-V4-Pro", "fp4", "mxfp4"),
        ("deepseek-v3", "int4", "int4"),
        ("deepseek-v3", "bf16", "bf16"),
    ],
)
def test_friendly_names_mean_the_checkpoints_own_variant(model_name, requested, concrete):
    assert weights(CATALOG.model(model_name), requested).name == concrete


def test_a_mixed_checkpoint_stores_each_class_in_its_own_format():
    model = CATALOG.model("nvidia/Qwen3.6-35B-A3B-NVFP4")
    native = weights(model, "native")
    by_class = {t.klass: stored_format(t, native) for t in model_tensors(model)}
    assert by_class["attention"].name == "fp8_tensor"
    assert by_class["expert"].name == "nvfp4"
    assert by_class["router"] is None


def test_gpt_oss_quantises_its_experts_alone():
    model = CATALOG.model("gpt-oss-120b")
    total = weight_bytes(model, weights(model, "native"))
    assert total / GIB == pytest.approx(60.8, rel=0.01)  # the checkpoint's 60.8 GiB on disk


def test_the_deepseek_checkpoint_is_671_gb_and_a_little():
    model = CATALOG.model("deepseek-v3")
    assert weight_bytes(model, weights(model, "fp8")) / 1e9 == pytest.approx(671, rel=0.005)


def is_below(name: str, fmt: str) -> bool:
    model = CATALOG.model(name)
    return is_below_native(model, weights(model, fmt), CATALOG.weight_format)


def test_below_native_needs_permission():
    assert is_below("deepseek-v3", "int4")
    assert not is_below("deepseek-v3", "fp8")
    assert not is_below("deepseek-v3", "bf16")


def test_weights_quantised_twice_are_below_native():
    assert is_below("gpt-oss-120b", "int4")  # as many bits as MXFP4, of other values
    assert is_below("gpt-oss-120b", "fp8")  # attention is in 16 bits in the checkpoint
    assert not is_below("gpt-oss-120b", "mxfp4")
    assert not is_below("gpt-oss-120b", "bf16")
    assert is_below("deepseek-v3", "int8")


def test_every_checkpoint_permits_its_own_format_and_more_bits():
    for entry in CATALOG.model_index():
        assert not is_below(entry.name, "native"), entry.name
