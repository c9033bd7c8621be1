from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from planner.catalog.store import Catalog, load_catalog
from planner.deployment import Deployment
from planner.performance.factors import Calibration, load_calibration
from planner.performance.loads import loads_of
from planner.performance.model import step_model
from planner.performance.steps import StepBatch, StepModel
from planner.sizing.precision import weights_for


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture(scope="module")
def calibration(catalog: Catalog) -> Calibration:
    return load_calibration(catalog)


def deployment(catalog: Catalog, model: str, gpu: str, tp: int, **kwargs: Any) -> Deployment:
    spec = catalog.model(model)
    device = catalog.gpu(gpu)
    weights = weights_for(spec, str(kwargs.pop("weights", "native")), catalog.weight_format)
    engine = catalog.engine(str(kwargs.pop("engine", "vllm")))
    kv = catalog.kv_format("bf16")
    return Deployment(spec, device, engine, tp, weights, kv, **kwargs)


def test_arrays_and_floats_agree(catalog: Catalog, calibration: Calibration) -> None:
    steps: StepModel = step_model(
        deployment(catalog, "meta-llama/Meta-Llama-3-70B-Instruct", "h100-sxm-80gb", 4), calibration
    )
    sequences = np.array([1.0, 16.0, 256.0])
    together = steps.step_seconds(StepBatch(sequences, sequences * 1000, sampled_tokens=sequences))
    apart = [steps.step_seconds(StepBatch(n, n * 1000, sampled_tokens=n)) for n in sequences]
    np.testing.assert_allclose(together, apart, rtol=1e-12)


def test_parts_are_all_within_the_total(catalog: Catalog, calibration: Calibration) -> None:
    steps = step_model(
        deployment(catalog, "meta-llama/Meta-Llama-3-70B-Instruct", "h100-sxm-80gb", 4), calibration
    )
    times = steps.step_times(StepBatch(64.0, 64000.0, 2048.0, 2.0, 2048.0 * 512, 66.0))
    for part in ("weights_s", "kv_s", "compute_s", "collectives_s", "overhead_s"):
        assert 0 < getattr(times, part) < times.total_s


@pytest.mark.parametrize(
    ("model", "values"),
    [
        ("google/gemma-3n-E4B-it", 262_400 * 2_048),  # beside a table of 262,144 x 8,960 per layer
        ("google/gemma-4-E4B-it", 262_144 * 2_560),
        ("openai-community/gpt2", (50_257 + 47) * 768),  # rows padded to 64; positions are no head
        ("meta-llama/Llama-3.1-8B-Instruct", 128_256 * 4_096),
        ("BAAI/bge-m3", 0),
        ("BAAI/bge-reranker-v2-m3", 2 * 1_024),
    ],
)
def test_a_step_reads_of_embeddings_what_makes_logits_alone(
    catalog: Catalog, model: str, values: int
) -> None:
    head = loads_of(deployment(catalog, model, "l40s", 1)).head
    assert (head.flops_per_token, head.weight_bytes) == (2 * values, 2 * values)


def test_a_tied_head_is_read_in_the_last_pipeline_stage_alone(catalog: Catalog) -> None:
    one, two = (
        loads_of(deployment(catalog, "Qwen/Qwen3-4B", "l40s", 1, pipeline_parallel=stages)).head
        for stages in (1, 2)
    )
    assert two.weight_bytes * 2 == one.weight_bytes == 151_936 * 2_560 * 2
