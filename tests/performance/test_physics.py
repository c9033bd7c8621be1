"""No prediction beats a floor; more bandwidth is never slower; more work is never faster."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.catalog.store import load_catalog
from planner.deployment import Deployment
from planner.errors import PhysicsBreach
from planner.performance.factors import load_calibration
from planner.performance.guard import check, floors
from planner.performance.model import CalibratedStepModel, step_model
from planner.performance.steps import StepBatch
from planner.sizing.legality import legal_reasons
from planner.sizing.precision import weights_for

CATALOG = load_catalog()
CALIBRATION = load_calibration(CATALOG)
MODELS = (
    "meta-llama/Meta-Llama-3-70B-Instruct",
    "openai/gpt-oss-120b",
    "deepseek-ai/DeepSeek-V3",
    "Qwen/Qwen3-30B-A3B",
    "Qwen/Qwen3.5-397B-A17B",
    "google/gemma-2-27b",
)
GPUS = ("h100-sxm-80gb", "b200-sxm-180gb", "mi300x", "l40s", "a100-sxm-80gb", "rtx-4090")
ENGINES = ("vllm", "sglang", "tensorrt-llm")
FORMATS = ("bf16", "fp8", "int4", "nvfp4")


def built(
    model: str, gpu: str, engine: str, weights: str, tp: int = 1, dp: int = 1, pp: int = 1
) -> Deployment:
    spec, device = CATALOG.model(model), CATALOG.gpu(gpu)
    return Deployment(
        model=spec,
        gpu=device,
        engine=CATALOG.engine(engine),
        tensor_parallel=tp,
        weights=weights_for(spec, weights, CATALOG.weight_format),
        kv_cache=CATALOG.kv_format("bf16"),
        data_parallel=dp,
        pipeline_parallel=pp,
        expert_parallel=dp if dp > 1 else 1,
    )


deployments = st.builds(
    built,
    st.sampled_from(MODELS),
    st.sampled_from(GPUS),
    st.sampled_from(ENGINES),
    st.sampled_from(FORMATS),
    st.sampled_from((1, 2, 4, 8)),
    st.just(1),
    st.sampled_from((1, 2)),
)
batches = st.builds(
    lambda n, each: StepBatch(float(n), float(n * each), sampled_tokens=float(n)),
    st.integers(1, 1024),
    st.integers(1, 32_000),
)
PROPERTY = settings(max_examples=150, deadline=None)


def steps_of(deployment: Deployment) -> CalibratedStepModel:
    return step_model(deployment, CALIBRATION)


def decode(n: float, context: float) -> StepBatch:
    return StepBatch(n, n * context, sampled_tokens=n)


def prefill(tokens: float) -> StepBatch:
    return StepBatch(0.0, 0.0, tokens, 1.0, tokens * (tokens + 1) / 2, 1.0)


@PROPERTY
@given(deployments, st.integers(1, 1024), st.integers(1, 32_000))
def test_no_decode_step_beats_reading_the_active_weights_and_kv(
    deployment: Deployment, n: int, context: int
) -> None:
    floor = floors(deployment).tpot_s(0.0)
    assert float(steps_of(deployment).step_seconds(decode(float(n), float(context)))) >= floor


def test_one_token_in_two_pipeline_stages_reads_as_many_experts_as_in_one() -> None:
    """Half a token a stage was priced as half of its experts, 4 % below the floor."""
    deployment = built("deepseek-ai/DeepSeek-V3", "rtx-4090", "tensorrt-llm", "bf16", pp=2)
    assert float(steps_of(deployment).step_seconds(decode(1.0, 1.0))) >= floors(deployment).tpot_s(
        0.0
    )


@PROPERTY
@given(deployments, st.integers(1, 32_000))
def test_no_prompt_beats_its_flops_at_peak(deployment: Deployment, tokens: int) -> None:
    floor = floors(deployment).ttft_s(float(tokens))
    assert float(steps_of(deployment).step_seconds(prefill(float(tokens)))) >= floor


@PROPERTY
@given(deployments, batches)
def test_parts_are_never_negative(deployment: Deployment, batch: StepBatch) -> None:
    times = steps_of(deployment).step_times(batch)
    parts = (times.weights_s, times.kv_s, times.compute_s, times.collectives_s, times.overhead_s)
    assert all(part >= 0 for part in parts)
    assert times.total_s > 0


@PROPERTY
@given(deployments, batches, st.floats(1.01, 4.0))
def test_more_bandwidth_is_never_slower(
    deployment: Deployment, batch: StepBatch, times: float
) -> None:
    faster = replace(
        deployment,
        gpu=replace(
            deployment.gpu,
            memory_bandwidth_gb_s=deployment.gpu.memory_bandwidth_gb_s * times,
            link_gb_s=deployment.gpu.link_gb_s * times,
            pcie_gb_s=deployment.gpu.pcie_gb_s * times,
        ),
    )
    slow = float(steps_of(deployment).step_seconds(batch))
    assert float(steps_of(faster).step_seconds(batch)) <= slow * (1 + 1e-9)


@PROPERTY
@given(deployments, st.integers(1, 2000), st.integers(1, 8000), st.integers(1, 2000))
def test_more_sequences_never_take_less_time(
    deployment: Deployment, n: int, context: int, more: int
) -> None:
    steps = steps_of(deployment)
    few = float(steps.step_seconds(decode(float(n), float(context))))
    many = float(steps.step_seconds(decode(float(n + more), float(context))))
    assert many >= few * (1 - 1e-9)


@PROPERTY
@given(deployments, batches, st.integers(1, 16_000))
def test_prompt_tokens_never_make_a_step_faster(
    deployment: Deployment, batch: StepBatch, tokens: int
) -> None:
    steps = steps_of(deployment)
    mixed = replace(
        batch,
        prefill_tokens=float(tokens),
        prefill_sequences=1.0,
        prefill_context_tokens=tokens * (tokens + 1) / 2,
    )
    assert float(steps.step_seconds(mixed)) >= float(steps.step_seconds(batch))


@PROPERTY
@given(
    st.sampled_from(MODELS),
    st.sampled_from(GPUS),
    st.sampled_from(ENGINES),
    st.sampled_from((1, 2, 4, 8)),
)
def test_less_precision_never_reads_more_bytes(model: str, gpu: str, engine: str, tp: int) -> None:
    def read(weights: str) -> float:
        loads = steps_of(built(model, gpu, engine, weights, tp)).loads
        gemms = (loads.quantised, loads.plain, loads.head, loads.expert)
        return sum(float(gemm.weight_bytes) for gemm in gemms)

    sizes = [read(weights) for weights in ("bf16", "fp8", "int4")]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("gpu", [gpu.name for gpu in CATALOG.gpus() if gpu.peak_flops("fp16")])
def test_every_gpu_and_engine_has_factors_within_bounds(gpu: str, engine: str) -> None:
    deployment = built("Qwen/Qwen3-30B-A3B", gpu, engine, "fp8", 2)
    assert not legal_reasons(deployment)
    seconds = float(steps_of(deployment).step_seconds(decode(16.0, 1000.0)))
    assert 1e-4 < seconds < 10


def test_attention_data_parallel_shares_the_experts() -> None:
    one = steps_of(built("deepseek-ai/DeepSeek-V3", "h200-sxm-141gb", "sglang", "fp8", 8)).loads
    spread = steps_of(
        built("deepseek-ai/DeepSeek-V3", "h200-sxm-141gb", "sglang", "fp8", 1, 8)
    ).loads
    assert spread.expert.weight_bytes == pytest.approx(float(one.expert.weight_bytes), rel=0.01)
    assert spread.quantised.weight_bytes > 4 * one.quantised.weight_bytes
    assert spread.expert_token_share == 8
    assert spread.exchanges > 0
    assert one.exchanges == 0


def test_a_breach_raises() -> None:
    with pytest.raises(PhysicsBreach, match="floor"):
        check(1.0, 2.0, "TPOT", where="here")
    with pytest.raises(PhysicsBreach, match="ceiling"):
        check(3.0, 2.0, "throughput", where="here", at_most=True)
    with pytest.raises(PhysicsBreach):
        check(float("nan"), 2.0, "TPOT", where="here")
    assert check(2.0, 2.0, "TPOT", where="here") == 2.0


def test_the_walkthrough_needs_at_least_10_h100s_for_its_arithmetic() -> None:
    """50 requests/s of 1000 + 500 tokens on Llama-3-70B: 10.4 H100s at 100 % of BF16 peak."""
    deployment = built(MODELS[0], "h100-sxm-80gb", "vllm", "bf16", 4)
    rate = floors(deployment).requests_per_s(1000, 500)
    assert 50 / rate * 4 == pytest.approx(10.4, abs=0.1)
