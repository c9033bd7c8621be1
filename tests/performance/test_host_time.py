"""Host time: very small models wait for the engine's loop, old engines schedule between steps."""

from __future__ import annotations

import numpy as np
import pytest

from planner.catalog.store import Catalog
from planner.deployment import Deployment
from planner.evidence import Evidence
from planner.performance.factors import load_calibration
from planner.performance.host_time import HostTime, host_time, read_host_time
from planner.performance.model import CalibratedStepModel, step_model
from planner.performance.steps import StepBatch
from planner.sizing.precision import weights_for


def model_of(
    catalog: Catalog,
    name: str,
    *,
    gpu: str = "h100-sxm-80gb",
    version: str | None = None,
    weights: str = "native",
) -> CalibratedStepModel:
    spec = catalog.model(name)
    deployment = Deployment(
        model=spec,
        gpu=catalog.gpu(gpu),
        engine=catalog.engine("vllm", version, oldest_instead=True),
        tensor_parallel=1,
        weights=weights_for(spec, weights, catalog.weight_format),
        kv_cache=catalog.kv_format("bf16"),
    )
    return step_model(deployment, load_calibration(catalog))


ONE = StepBatch(1.0, 1000.0, sampled_tokens=1.0)
MANY = StepBatch(64.0, 64_000.0, sampled_tokens=64.0)


def test_a_very_small_model_waits_for_the_loop_and_a_large_one_hides_it(catalog: Catalog) -> None:
    tiny = model_of(catalog, "Qwen/Qwen2.5-0.5B-Instruct")
    assert tiny.step_seconds(ONE) == tiny.host.loop_s == 2.0e-3
    times = tiny.step_times(ONE)
    assert times.total_s == tiny.host.loop_s
    assert times.overhead_s > times.weights_s
    large = model_of(catalog, "meta-llama/Llama-3.1-8B-Instruct")
    assert large.kernels is not None
    assert large.step_seconds(ONE) == large.kernels.step_seconds(ONE)


def test_arrays_and_single_steps_agree(catalog: Catalog) -> None:
    tiny = model_of(catalog, "Qwen/Qwen2.5-0.5B-Instruct")
    n = np.array([1.0, 64.0])
    both = tiny.step_seconds(StepBatch(n, 1000 * n, 0 * n, 0 * n, 0 * n, n))
    assert both == pytest.approx([tiny.step_seconds(ONE), tiny.step_seconds(MANY)], rel=1e-6)


def test_an_engine_that_schedules_between_steps_takes_longer_on_kernels_too(
    catalog: Catalog,
) -> None:
    name = "meta-llama/Llama-3.1-8B-Instruct"
    old, new = model_of(catalog, name, version="0.6.0"), model_of(catalog, name)
    assert old.evidence is Evidence.KERNELS
    for batch in (ONE, MANY):
        more = old.step_seconds(batch) - new.step_seconds(batch)
        assert more == pytest.approx(old.host.serial(batch), rel=0.5)
    assert 1.6e-3 < old.host.serial(MANY) < 1.8e-3


def test_releases_take_the_row_before_them(catalog: Catalog) -> None:
    rows = read_host_time(catalog.root / "calibration").rows
    assert host_time(rows, catalog.engine("vllm", "0.19.0")).serial_s == 0
    assert host_time((), catalog.engine("vllm")) == HostTime()


def test_dense_int4_on_an_a100_is_priced_by_its_kernels(catalog: Catalog) -> None:
    name = "meta-llama/Llama-3.1-8B-Instruct"
    narrow, wide = (
        model_of(catalog, name, gpu="a100-sxm-80gb", weights=w) for w in ("int4", "bf16")
    )
    assert narrow.evidence is Evidence.KERNELS
    assert narrow.step_seconds(ONE) < 0.7 * wide.step_seconds(ONE)
    assert model_of(catalog, name, weights="int4").evidence is Evidence.MODELLED
