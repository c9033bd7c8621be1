"""What a rank holds: sums back to the whole, known logs, and layouts that cannot be."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.catalog.inline_model import parse_inline
from planner.catalog.store import load_catalog
from planner.deployment import Deployment, EngineSettings
from planner.sizing.legality import legal_reasons
from planner.sizing.parameters import count_parameters
from planner.sizing.precision import weights_for
from planner.sizing.sharding import (
    Cut,
    allocated_bytes,
    local_values,
    rank_tensors,
    rank_weight_bytes,
    rope_table_bytes,
)
from planner.sizing.stages import stage_layers
from planner.units import GIB, MIB

CATALOG = load_catalog()
GPU = CATALOG.gpu("h100-sxm-80gb")
ENGINE = CATALOG.engine("vllm")
MODELS = [
    "llama-3-70b",
    "mixtral-8x7b",
    "deepseek-v3",
    "gpt-oss-120b",
    "Qwen/Qwen3-Next-80B-A3B-Instruct",
]


def deployment(model, tp=1, weights="bf16", **degrees):
    spec = CATALOG.model(model) if isinstance(model, str) else model
    return Deployment(
        spec,
        GPU,
        ENGINE,
        tp,
        weights_for(spec, weights, CATALOG.weight_format),
        CATALOG.kv_format("bf16"),
        **degrees,
    )


@pytest.mark.parametrize("model", MODELS)
def test_one_rank_holds_the_whole_model(model):
    d = deployment(model)
    held = sum(values for _, values in rank_tensors(d))
    spec = d.model
    padded = (-spec.vocab_size % 64) * spec.hidden_size * (1 if spec.tied_embeddings else 2)
    assert held == count_parameters(spec).total + count_parameters(spec).vision + padded


@given(tp=st.sampled_from([2, 4, 8]), model=st.sampled_from(MODELS))
def test_split_tensors_sum_back_to_the_whole(tp, model):
    spec = CATALOG.model(model)
    cut = Cut(tensor=tp, pipeline=1, data=1, expert=1, mtp=False)
    for layer in spec.layers[:8]:
        for tensor in layer.tensors:
            local = local_values(tensor, cut)
            if tensor.shard == "expert" or (tensor.shard == "split" and not tensor.parts):
                assert local * tp == pytest.approx(tensor.values)
            elif tensor.shard == "replicated":
                assert local == tensor.values
            else:
                assert tensor.values / tp <= local <= tensor.values


@settings(deadline=None)
@given(
    model=st.sampled_from(MODELS),
    weights=st.sampled_from(["bf16", "fp8", "int4"]),
    degree=st.sampled_from(["tp", "pp", "ep"]),
)
def test_more_ranks_never_hold_more_weight(model, weights, degree):
    def held(n):
        if degree == "tp":
            d = deployment(model, n, weights)
        elif degree == "pp":
            d = deployment(model, 1, weights, pipeline_parallel=n)
        else:
            d = deployment(model, 1, weights, data_parallel=n, expert_parallel=n)
        return rank_weight_bytes(d)

    sizes = [held(n) for n in (1, 2, 4, 8)]
    assert sizes == sorted(sizes, reverse=True)


def test_expert_and_tensor_parallel_experts_weigh_the_same():
    whole = deployment("deepseek-v3", 8)
    spread = deployment("deepseek-v3", 8, expert_parallel=8)
    assert rank_weight_bytes(whole) == pytest.approx(rank_weight_bytes(spread), rel=0.01)


def test_attention_data_parallelism_replicates_all_but_the_experts():
    d = deployment("deepseek-v3", 1, "fp8", data_parallel=8, expert_parallel=8)
    held = dict.fromkeys(("attention", "expert"), 0.0)
    for tensor, values in rank_tensors(d):
        if tensor.klass in held:
            held[tensor.klass] += values
    by_class = count_parameters(d.model).by_class
    assert held["attention"] == by_class["attention"]
    assert held["expert"] == by_class["expert"] / 8


def test_experts_that_do_not_divide_round_up():
    spec = parse_inline(
        {
            "layers": 1,
            "hidden": 64,
            "heads": 4,
            "vocab": 64,
            "experts": 10,
            "experts_per_token": 2,
            "expert_width": 64,
        },
        "s",
    )
    d = deployment(spec, 1, data_parallel=4, expert_parallel=4)
    experts = sum(values for tensor, values in rank_tensors(d) if tensor.klass == "expert")
    assert experts == 3 * 3 * 64 * 64


def test_kv_projections_are_replicated_beyond_the_heads():
    d8, d16 = deployment("llama-3-70b", 8), deployment("llama-3-70b", 16)
    kv8, kv16 = (
        {t.name: v for t, v in rank_tensors(d)}["self_attn.k_proj.weight"] for d in (d8, d16)
    )
    assert kv8 == kv16


def test_stages_are_uneven_as_the_engine_cuts_them():
    sizes = [len(stage) for stage in stage_layers(61, 4)]
    assert sizes == [15, 15, 16, 15]
    assert [len(stage) for stage in stage_layers(80, 3)] == [27, 27, 26]
    assert [len(stage) for stage in stage_layers(5, 2)] == [3, 2]
    assert [index for stage in stage_layers(61, 4) for index in stage] == list(range(61))


def test_embedding_sits_in_the_first_stage_and_the_head_in_the_last():
    d = deployment("llama-3-70b", pipeline_parallel=4)
    names = [{tensor.name for tensor, _ in rank_tensors(d, stage)} for stage in range(4)]
    assert ["embed_tokens.weight" in stage for stage in names] == [True, False, False, False]
    assert ["lm_head.weight" in stage for stage in names] == [False, False, False, True]
    tied = deployment("meta-llama/Llama-3.2-3B", pipeline_parallel=2)
    assert all("embed_tokens.weight" in {t.name for t, _ in rank_tensors(tied, s)} for s in (0, 1))


def test_mtp_modules_are_loaded_when_the_deployment_drafts():
    plain = deployment("deepseek-v3", 8, "fp8")
    drafting = deployment("deepseek-v3", 8, "fp8", settings=EngineSettings(draft_tokens=1))
    assert 1.0 < (rank_weight_bytes(drafting) - rank_weight_bytes(plain)) / GIB < 3.0


def test_the_allocator_keeps_small_remainders():
    assert allocated_bytes(5 * MIB) == 5 * MIB
    assert allocated_bytes(67.5 * 2 * MIB) == 68 * 2 * MIB
    assert allocated_bytes(12.25 * 2 * MIB) == 12.25 * 2 * MIB


@pytest.mark.parametrize(
    ("model", "weights", "degrees", "words"),
    [
        ("llama-3-70b", "bf16", {"tp": 3}, "attention heads"),
        ("Qwen/Qwen2.5-7B-Instruct", "bf16", {"tp": 8}, "28 attention heads"),
        ("llama-3-70b", "bf16", {"tp": 1, "pipeline_parallel": 81}, "exceeds 80 layers"),
        ("llama-3-70b", "bf16", {"tp": 2, "expert_parallel": 2}, "mixture of experts"),
        ("mixtral-8x7b", "bf16", {"tp": 4, "expert_parallel": 3}, "does not divide"),
        ("Qwen/Qwen3-30B-A3B-FP8", "fp8", {"tp": 4}, "multiple of fp8_block's 128"),
        ("Qwen/Qwen3-Next-80B-A3B-Instruct-FP8", "fp8", {"tp": 8}, "mlp.shared.gate_proj of 512"),
        ("llama-3-70b", "bf16", {"tp": 0}, "start at 1"),
        ("mixtral-8x7b", "bf16", {"tp": 2, "expert_parallel": 0}, "start at 1"),
        ("mixtral-8x7b", "bf16", {"tp": 16, "expert_parallel": 16}, "exceeds 8 experts"),
    ],
)
def test_layouts_that_cannot_be_say_why(model, weights, degrees, words):
    reasons = legal_reasons(deployment(model, degrees.pop("tp"), weights, **degrees))
    assert any(words in reason for reason in reasons), reasons


@pytest.mark.parametrize("tp", [1, 2, 4, 8])
def test_the_usual_degrees_are_legal(tp):
    for model in ("llama-3-70b", "deepseek-v3", "mixtral-8x7b", "gpt-oss-120b"):
        assert legal_reasons(deployment(model, tp, "native")) == ()


LOGGED_GIB = [
    # model, TP, weights, logged GiB per GPU (vLLM start-up logs, weights and rotary table)
    ("meta-llama/Meta-Llama-3-8B-Instruct", 1, "bf16", 14.9596),
    ("meta-llama/Llama-3.1-8B-Instruct", 1, "bf16", 14.9889),
    ("meta-llama/Llama-2-13b-hf", 1, "bf16", 24.2841),
    ("Qwen/Qwen2-7B-Instruct", 1, "bf16", 14.2488),
    ("Qwen/Qwen2-7B-Instruct", 2, "bf16", 7.1217),
    ("Qwen/Qwen2.5-32B", 4, "bf16", 15.3916),
    ("Qwen/Qwen2.5-14B", 4, "bf16", 6.9461),
    ("Qwen/Qwen3-30B-A3B", 1, "bf16", 56.9342),
    ("Qwen/Qwen3-30B-A3B", 2, "bf16", 28.4571),
    ("Qwen/Qwen3-30B-A3B", 4, "bf16", 14.2474),
    ("Qwen/Qwen3-32B", 8, "bf16", 7.6871),
    ("Qwen/Qwen3-4B", 1, "bf16", 7.5552),
    ("Qwen/Qwen2.5-3B", 1, "bf16", 5.79),
    ("microsoft/Phi-3-mini-4k-instruct", 1, "bf16", 7.12),
    ("Qwen/Qwen2.5-1.5B-Instruct", 1, "bf16", 2.8876),
    ("meta-llama/Llama-3.3-70B-Instruct", 1, "fp8", 67.72),
    ("meta-llama/Llama-3.3-70B-Instruct", 2, "fp8", 33.88),
    ("meta-llama/Meta-Llama-3.1-70B", 1, "int8", 67.7229),
    ("Qwen/Qwen3-30B-A3B-FP8", 1, "fp8", 29.09),
    ("Qwen/Qwen3-8B-FP8", 1, "fp8", 8.8),
    ("Qwen/Qwen2.5-14B-Instruct-AWQ", 1, "int4", 9.3795),
    ("Qwen/Qwen2.5-32B-Instruct-AWQ", 1, "int4", 18.1425),
    ("openai/gpt-oss-120b", 4, "mxfp4", 17.2217),
    ("openai/gpt-oss-20b", 1, "mxfp4", 13.72),
    ("meta-llama/Llama-3.2-3B", 1, "q8_0", 3.2637),
    ("microsoft/phi-4", 1, "nf4", 8.6253),
    ("RedHatAI/gemma-4-26B-A4B-it-NVFP4", 1, "native", 15.88),
]


@pytest.mark.parametrize(("model", "tp", "weights", "logged"), LOGGED_GIB)
def test_logged_weights(model, tp, weights, logged):
    d = replace(deployment(model, tp, weights), gpu=CATALOG.gpu("a100-sxm-80gb"))
    planned = (rank_weight_bytes(d) + rope_table_bytes(d.model)) / GIB
    assert planned == pytest.approx(logged, rel=0.005 if weights in ("bf16", "fp8") else 0.03)


def test_mxfp4_experts_are_padded_as_each_generation_does():
    """gpt-oss-120b took 64.4 GiB on one H100 (vLLM 0.11): its width is not rounded up to 128."""
    d = deployment("openai/gpt-oss-120b", 1, "mxfp4")
    hopper = rank_weight_bytes(replace(d, gpu=CATALOG.gpu("h100"))) / GIB
    ampere = rank_weight_bytes(replace(d, gpu=CATALOG.gpu("a100-sxm-80gb"))) / GIB
    assert hopper == pytest.approx(64.4, rel=0.005)
    assert ampere > hopper + 1


@pytest.mark.parametrize(("stage", "logged"), [(0, 27.63), (1, 28.48)])
def test_logged_weights_of_two_pipeline_stages(stage, logged):
    d = deployment("deepseek-ai/DeepSeek-V2", 8, pipeline_parallel=2)
    planned = (rank_weight_bytes(d, stage) + rope_table_bytes(d.model)) / GIB
    assert planned == pytest.approx(logged, rel=0.002)
