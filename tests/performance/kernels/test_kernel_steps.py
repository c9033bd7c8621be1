"""Steps from measured kernels: the tables as shipped, and the sums made of them."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from planner.catalog.model import RecurrentMixer
from planner.catalog.store import load_catalog
from planner.deployment import Deployment
from planner.evidence import Evidence
from planner.performance.factors import load_calibration
from planner.performance.kernels import lookup
from planner.performance.kernels.components import COMPONENTS, CONTEXTS, SEQUENCES
from planner.performance.kernels.prompts import PROMPTS
from planner.performance.kernels.recurrences import Recurrence, recurrence
from planner.performance.kernels.summing import components
from planner.performance.kernels.table import kernel_table
from planner.performance.model import step_model
from planner.performance.steps import StepBatch
from planner.sizing.precision import weights_for

CATALOG = load_catalog()
CALIBRATION = load_calibration(CATALOG)


def built(
    model: str, gpu: str, engine: str, tp: int, weights: str = "native", dp: int = 1
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
        expert_parallel=dp,
    )


STEPS = (
    StepBatch(1.0, 500.0, sampled_tokens=1.0),
    StepBatch(64.0, 96_000.0, sampled_tokens=64.0),
    StepBatch(1500.0, 3e6, sampled_tokens=1500.0),
    StepBatch(32.0, 64_000.0, 2048.0, 2.0, 1.5e6, 34.0),
    StepBatch(0.0, 0.0, 40_000.0, 5.0, 1.6e8, 5.0),
)


@pytest.mark.parametrize("dp", [1, 8])
def test_one_step_costs_what_it_costs_among_many(dp: int) -> None:
    deployment = built("deepseek-ai/DeepSeek-V3", "b200-sxm-180gb", "sglang", 8 // dp, dp=dp)
    steps = CALIBRATION.kernel_steps(deployment)
    assert steps is not None
    columns = [[getattr(step, f.name) for step in STEPS] for f in fields(StepBatch)]
    many = StepBatch(*(np.array(column, dtype=float) for column in columns))
    apart = [steps.step_seconds(step) for step in STEPS]
    assert apart == pytest.approx(steps.step_seconds(many))
    assert apart == pytest.approx(steps.step_times(many).total_s)


@pytest.mark.parametrize(
    "model",
    [
        "ai21labs/Jamba-v0.1",
        "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16",
    ],
)
def test_a_recurrence_that_was_never_timed_is_not_called_measured(model: str) -> None:
    """Though the other kernels are, and runs of models with a gated delta rule do not speak for it."""
    steps = step_model(built(model, "h100-sxm-80gb", "vllm", 2), CALIBRATION)
    assert steps.kernels is not None
    assert steps.evidence is Evidence.MODELLED
    assert steps.distance in ("relative", "distant")


DELTA = "moonshotai/Kimi-Linear-48B-A3B-Instruct"


@pytest.mark.parametrize(
    ("model", "gpu", "engine", "evidence"),
    [
        (DELTA, "h100-sxm-80gb", "vllm", Evidence.KERNELS),
        (DELTA, "h100-sxm-80gb", "sglang", Evidence.KERNELS),
        ("moonshotai/Kimi-K3", "gb300", "vllm", Evidence.KERNELS),
        (DELTA, "h100-sxm-80gb", "tensorrt-llm", Evidence.MODELLED),
        (DELTA, "a100-sxm-80gb", "vllm", Evidence.MODELLED),
        (DELTA, "mi300x", "vllm", Evidence.MODELLED),
    ],
)
def test_kimis_delta_attention_is_measured_where_its_kernels_were(
    model: str, gpu: str, engine: str, evidence: Evidence
) -> None:
    assert step_model(built(model, gpu, engine, 8), CALIBRATION).evidence is evidence


def delta_of(model: str, tp: int, drafts: int = 0) -> Recurrence:
    """The recurrence of a model on H100 under vLLM."""
    deployment = built(model, "h100-sxm-80gb", "vllm", tp)
    settings = replace(deployment.settings, draft_tokens=drafts)
    deployment = replace(deployment, settings=settings) if drafts else deployment
    table = kernel_table(CATALOG.root, "h100-sxm-80gb", "vllm")
    assert table is not None
    for layer in deployment.model.layers:
        if isinstance(layer.mixer, RecurrentMixer):
            return recurrence(deployment, table, layer, layer.mixer)
    raise AssertionError


def test_delta_attention_takes_what_its_kernels_took() -> None:
    """12 heads a GPU, 64 sequences: one kernel for all 41.9 us (convolution and recurrence 4.8 + 39.1).

    96 heads, a prompt of 8,192: 996.2 us, and 526.7 us for the convolution, SGLang's: vLLM's 684.4 us
    hold the host's launch. Three drafts to verify, which no kernel does whole: 6.4 + 94.5 us.
    """
    at, length = list(SEQUENCES).index(64), list(PROMPTS).index(8192)
    assert delta_of("moonshotai/Kimi-K3", 8).decode[at] == pytest.approx(41.9e-6, rel=5e-3)
    prompt = delta_of("moonshotai/Kimi-K3", 1).prompt[0, length]
    assert prompt == pytest.approx((996.2 + 526.7) * 1e-6, rel=5e-3)
    verified = delta_of("moonshotai/Kimi-K3", 8, drafts=3).decode[at]
    assert verified == pytest.approx((6.4 + 94.5) * 1e-6, rel=5e-3)


def test_delta_attention_of_other_head_counts_follows_from_the_measured_ones() -> None:
    """32 heads lie between 24 and 48; 4 heads of 256 sequences are as many as 12 of 85."""
    least, most = (delta_of("moonshotai/Kimi-K3", tp) for tp in (4, 2))
    found = delta_of(DELTA, 1)
    for name in ("decode", "prompt"):
        low, own, high = (getattr(each, name) for each in (least, found, most))
        assert (np.minimum(low, high) <= own).all()
        assert (own <= np.maximum(low, high)).all()
    few = delta_of(DELTA, 8).decode[list(SEQUENCES).index(256)]
    assert few == pytest.approx(54.9e-6, rel=0.01)  # 12 heads: 41.9 us for 64, 80.4 us for 128


def test_gated_delta_rules_were_timed() -> None:
    steps = step_model(built("Qwen/Qwen3.5-27B", "h100-sxm-80gb", "vllm", 2), CALIBRATION)
    assert steps.evidence is Evidence.KERNELS


def test_what_nobody_fitted_is_priced_by_its_measured_kernels() -> None:
    steps = step_model(
        built("mistralai/Mixtral-8x7B-v0.1", "h100-sxm-80gb", "vllm", 2), CALIBRATION
    )
    assert steps.evidence is Evidence.KERNELS
    assert steps.distance == "kernels"
    assert steps.interval(0.01, "tpot").low < 0.01 < steps.interval(0.01, "tpot").high


def test_a_model_measured_on_its_engine_and_gpu_keeps_its_fitted_factors() -> None:
    model, traits = next(key for key in CALIBRATION.carriers if key[1].engine == "tensorrt-llm")
    assert CALIBRATION.distance(model, traits) == "fitted"


def test_a_gpu_without_tables_is_priced_by_its_roofline() -> None:
    deployment = built("meta-llama/Llama-3.1-8B-Instruct", "mi210", "vllm", 1)
    assert CALIBRATION.kernel_steps(deployment) is None
    assert step_model(deployment, CALIBRATION).evidence is not Evidence.KERNELS


def test_a_product_between_tabulated_sizes_lies_between_them() -> None:
    table = kernel_table(CATALOG.root, "h200-sxm-141gb", "vllm")
    assert table is not None
    sizes = [lookup.product(table, "bfloat16", rows, 4096) for rows in (8192, 9000, 10240)]
    low, middle, high = (found[1] for found in sizes if found is not None)
    assert (np.minimum(low, high) <= middle).all()
    assert (middle <= np.maximum(low, high)).all()


def test_experts_nobody_measured_take_their_neighbours_times_their_work() -> None:
    table = kernel_table(CATALOG.root, "h200-sxm-141gb", "vllm")
    assert table is not None
    known = lookup.Experts(7168, 2048, 8, 256, 8, 1, 1.0)
    wider = lookup.Experts(7168, 2560, 8, 256, 8, 1, 1.0)
    first = lookup.experts(table, ("fp8_block",), known)
    second = lookup.experts(table, ("fp8_block",), wider)
    assert first is not None
    assert second is not None
    grown = np.exp(second[1] - first[1])[4:]
    assert ((grown > 0.8) & (grown < 1.8)).all()


@pytest.mark.parametrize(("gpu", "least"), [("h200-sxm-141gb", 1.8), ("b200-sxm-180gb", 1.4)])
def test_heads_beyond_the_tabulated_cost_arithmetic(gpu: str, least: float) -> None:
    """128 heads keep H200's arithmetic busy; twice as many take nearly twice as long."""
    table = kernel_table(CATALOG.root, gpu, "tensorrt-llm")
    assert table is not None
    at = (list(SEQUENCES).index(128), list(CONTEXTS).index(8192))
    found = [lookup.latent_reads(table, "fp8", heads) for heads in (16, 64, 128, 256, 512)]
    times = [each[at] for each in found if each is not None]
    assert times == sorted(times)
    assert least < times[3] / times[2] <= 2.0
    assert times[4] / times[3] <= 2.0


def drafting(ranks: int, tokens: int) -> float:
    """Decode attention [s] of 128 sequences a rank with 8,192 tokens each, ``tokens`` drafted."""
    model = "deepseek-ai/DeepSeek-V3"
    plain = built(model, "h200-sxm-141gb", "tensorrt-llm", 8 // ranks, dp=ranks)
    settings = replace(plain.settings, draft_tokens=tokens, draft_acceptance=0.7)
    found = components(replace(plain, settings=settings), CATALOG.root)
    assert found is not None
    at = (list(SEQUENCES).index(128), list(CONTEXTS).index(8192))
    return float(found.decode[at])


def test_drafts_are_verified_against_the_whole_cache() -> None:
    """All heads of all checked tokens read a latent once: 128 heads a rank have no arithmetic to spare."""
    assert drafting(8, 2) > 2.3 * drafting(8, 0)
    assert drafting(1, 2) < 1.3 * drafting(1, 0)


def test_every_component_grows_with_the_layers_that_need_it() -> None:
    found = components(built("Qwen/Qwen3-32B", "h100-sxm-80gb", "vllm", 2, "fp8"), CATALOG.root)
    assert found is not None
    seconds = dict(zip(COMPONENTS, found.seconds(STEPS[3]).T[0], strict=True))
    assert seconds["experts"] == 0.0
    assert all(seconds[name] > 0 for name in COMPONENTS if name != "experts")
    assert found.norms == 64


@pytest.mark.parametrize("path", sorted((CATALOG.root / "kernels").glob("*.npz")))
def test_every_table_names_a_known_gpu_and_engine(path: object) -> None:
    gpu, engine, _ = str(path).rsplit("/", 1)[-1].rsplit(".", 2)
    assert CATALOG.gpu(gpu).name == gpu
    assert CATALOG.engine(engine).name == engine
    table = kernel_table(CATALOG.root, gpu, engine)
    assert table is not None
    for operation in table.operations.values():
        assert np.isfinite(operation.log_ns).all()
        assert (operation.log_ns > np.log(500)).all()
