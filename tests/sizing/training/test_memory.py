"""Training memory: states by parameter, ZeRO's divisions, and the published activation formula."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.catalog.model import ModelSpec
from planner.catalog.model_config import parse_config
from planner.catalog.store import Catalog, load_catalog
from planner.errors import InputError
from planner.sizing.parameters import count_parameters
from planner.sizing.training.activations import (
    Recompute,
    layer_bytes,
    logits_bytes,
    published_layer_bytes,
)
from planner.sizing.training.memory import Method, TrainingJob, TrainingMemory, training_memory
from planner.units import GB

CATALOG = load_catalog()
GPT = {
    "architectures": ["GPTNeoXForCausalLM"],
    "model_type": "gpt_neox",
    "hidden_size": 12288,
    "intermediate_size": 4 * 12288,
    "num_hidden_layers": 4,
    "num_attention_heads": 96,
    "vocab_size": 51200,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": False,
}


@cache
def gpt() -> ModelSpec:
    return parse_config(GPT, name="gpt-175b-layers", where="test")


@cache
def qwen() -> ModelSpec:
    return CATALOG.model("Qwen/Qwen3-8B")


def sized(**changes: Any) -> TrainingMemory:
    return training_memory(CATALOG, qwen(), replace(TrainingJob(), **changes), CATALOG.gpu("h100"))


@pytest.mark.parametrize("tensor_parallel", [1, 2, 8])
@pytest.mark.parametrize("recompute", list(Recompute))
def test_a_gpt_layer_keeps_what_the_published_formula_says(
    tensor_parallel: int, recompute: Recompute
) -> None:
    """Korthikanti et al. 2022, equation 2 and table 2, for the 175B model's shapes."""
    shape = (2048, 1, tensor_parallel, recompute)
    exact = layer_bytes(gpt().layers[0], 12288, *shape)
    assert exact == pytest.approx(published_layer_bytes(12288, 96, *shape))


def test_the_published_formula() -> None:
    base = 2048 * 12288
    none = published_layer_bytes(12288, 96, 2048, 1, 8, Recompute.NONE)
    assert none == base * (10 + 24 / 8 + 5 * 96 * 2048 / (12288 * 8))
    assert published_layer_bytes(12288, 96, 2048, 1, 1, Recompute.SELECTIVE) == 34 * base
    assert published_layer_bytes(12288, 96, 2048, 1, 8, Recompute.FULL) == 2 * base


def test_mixed_precision_adam_takes_sixteen_bytes_a_parameter() -> None:
    memory = sized()
    parameters = count_parameters(qwen()).total
    states = memory.weights_bytes + memory.gradients_bytes + memory.optimizer_bytes
    assert states == 16 * parameters
    assert memory.trainable_parameters == parameters


@pytest.mark.parametrize(("optimizer", "size"), [("adam", 12), ("adamw8bit", 6.03125), ("sgd", 4)])
def test_optimizer_states(optimizer: str, size: float) -> None:
    assert sized(optimizer=optimizer).optimizer_bytes == size * count_parameters(qwen()).total


@pytest.mark.parametrize(
    ("zero", "divided"),
    [(0, ()), (1, ("optimizer",)), (2, ("optimizer", "gradients")),
     (3, ("optimizer", "gradients", "weights"))],
)  # fmt: skip
def test_zero_divides_more_with_each_stage(zero: int, divided: tuple[str, ...]) -> None:
    one, eight = sized().parts_bytes(), sized(zero=zero, data_parallel=8).parts_bytes()
    for part in ("weights", "gradients", "optimizer", "activations"):
        assert eight[part] == pytest.approx(one[part] / (8 if part in divided else 1))


def test_recomputation_trades_activations() -> None:
    none, selective, full = (
        sized(recompute=kind, seq_tokens=4096).activations_bytes
        for kind in (Recompute.NONE, Recompute.SELECTIVE, Recompute.FULL)
    )
    assert none > selective > full > logits_bytes(qwen(), 4096, 1, 1)


def test_lora_trains_rank_times_both_sides() -> None:
    memory = sized(method=Method.LORA, lora_rank=8)
    heads, kv, hidden, mlp = 4096, 1024, 4096, 12288
    sides = (hidden + heads) + 2 * (hidden + kv) + (heads + hidden) + 3 * (hidden + mlp)
    assert memory.trainable_parameters == 36 * 8 * sides
    assert memory.weights_bytes == pytest.approx(
        2 * (count_parameters(qwen()).total + memory.trainable_parameters)
    )


def test_qlora_stores_the_base_in_four_bits() -> None:
    lora, qlora = sized(method=Method.LORA), sized(method=Method.QLORA)
    assert 0.25 < qlora.weights_bytes / lora.weights_bytes < 0.4
    assert qlora.activations_bytes == lora.activations_bytes


def test_tensor_and_pipeline_parallelism_divide_the_states() -> None:
    one, split = sized(), sized(tensor_parallel=4, pipeline_parallel=2)
    assert split.gpus == 8
    assert one.weights_bytes / 8 < split.weights_bytes < one.weights_bytes / 6


def test_gpus_are_the_fewest_that_fit() -> None:
    needed = sized(zero=3).fewest_gpus
    assert needed is not None
    assert sized(zero=3, data_parallel=needed).fits
    assert not sized(zero=3, data_parallel=needed - 1).fits
    assert sized().fewest_gpus is None  # replicas of 16 bytes a parameter never fit


@given(
    zero=st.integers(0, 3),
    tensor_parallel=st.sampled_from([1, 2, 4]),
    pipeline_parallel=st.sampled_from([1, 3, 6]),
    data_parallel=st.integers(1, 64),
    seq=st.integers(1, 8192),
    recompute=st.sampled_from(list(Recompute)),
    method=st.sampled_from(list(Method)),
)
def test_more_ranks_never_take_more_of_a_gpu(
    zero: int,
    tensor_parallel: int,
    pipeline_parallel: int,
    data_parallel: int,
    seq: int,
    recompute: Recompute,
    method: Method,
) -> None:
    job = TrainingJob(
        method=method,
        zero=zero,
        tensor_parallel=tensor_parallel,
        pipeline_parallel=pipeline_parallel,
        seq_tokens=seq,
        recompute=recompute,
    )
    one = training_memory(CATALOG, qwen(), job)
    many = training_memory(CATALOG, qwen(), replace(job, data_parallel=data_parallel))
    assert many.total_bytes <= one.total_bytes
    assert all(size >= 0 for size in many.parts_bytes().values())


def test_rules_of_thumb_stand_beside() -> None:
    parameters = count_parameters(qwen()).total
    assert sized().rule_of_thumb_gb == (parameters * 12 / GB,) * 2
    low, high = sized(method=Method.LORA).rule_of_thumb_gb
    assert (low, high) == (
        pytest.approx(parameters * 2.4 * 1.2 / GB),
        pytest.approx(parameters * 2.4 * 1.5 / GB),
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"tensor_parallel": 3},
        {"pipeline_parallel": 1000},
        {"data_parallel": 0},
        {"zero": 4},
        {"seq_tokens": 0},
        {"batch": -1},
        {"lora_rank": 0},
        {"optimizer": "lion"},
    ],
)
def test_jobs_that_cannot_be_are_named(catalog: Catalog, changes: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        training_memory(catalog, qwen(), replace(TrainingJob(), **changes))


@pytest.mark.parametrize("name", ["deepseek-ai/DeepSeek-V3", "Qwen/Qwen3-Next-80B-A3B-Instruct"])
def test_latent_and_recurrent_models_have_activations(catalog: Catalog, name: str) -> None:
    memory = training_memory(catalog, catalog.model(name), TrainingJob(zero=3, data_parallel=256))
    assert memory.activations_bytes > 0
    assert memory.total_bytes < 16 * count_parameters(catalog.model(name)).total
