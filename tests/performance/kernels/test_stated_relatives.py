"""Kernels carried over from another vendor's GPU: what is carried, what is not, and how far off it is."""

from __future__ import annotations

import numpy as np
import pytest

from planner.accuracy.margin_fit import errors_by_grade, read_left_out_errors
from planner.catalog.store import load_catalog
from planner.deployment import Deployment
from planner.evidence import Evidence
from planner.performance.factors import load_calibration
from planner.performance.kernels.components import COMPONENTS
from planner.performance.kernels.stated_relatives import from_relative, read_relatives
from planner.performance.kernels.table import kernel_table
from planner.performance.loads import loads_of
from planner.performance.model import step_model
from planner.performance.steps import StepBatch
from planner.sizing.precision import weights_for

CATALOG = load_catalog()
CALIBRATION = load_calibration(CATALOG)
FOLDER = CATALOG.root / "calibration"
COLLECTIVES = COMPONENTS.index("collectives")


def built(model: str, gpu: str, engine: str, tp: int, weights: str = "native") -> Deployment:
    spec = CATALOG.model(model)
    return Deployment(
        model=spec,
        gpu=CATALOG.gpu(gpu),
        engine=CATALOG.engine(engine),
        tensor_parallel=tp,
        weights=weights_for(spec, weights, CATALOG.weight_format),
        kv_cache=CATALOG.kv_format("bf16"),
    )


def test_every_relative_has_tables_and_speaks_for_gpus_without() -> None:
    rows = read_relatives(FOLDER)
    assert rows
    assert CALIBRATION.kernels is not None
    corrected = CALIBRATION.kernels.vendors
    for row in rows:
        assert kernel_table(CATALOG.root, row.tables_gpu, row.tables_engine) is not None
        spoken = [g for g in CATALOG.gpus() if g.compute_capability == row.compute_capability]
        assert spoken
        assert all(kernel_table(CATALOG.root, g.name, row.engine) is None for g in spoken)
        assert all(g.vendor in corrected for g in spoken)
    keys = [(row.compute_capability, row.engine) for row in rows]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(("gpu", "tp"), [("mi300x", 2), ("mi325x", 4), ("mi355x", 8)])
def test_carried_kernels_stay_above_peak_and_are_not_called_measured(gpu: str, tp: int) -> None:
    deployment = built("Qwen/Qwen3-235B-A22B-FP8", gpu, "vllm", tp)
    steps = CALIBRATION.kernel_steps(deployment)
    assert steps is not None
    assert not steps.measured
    assert step_model(deployment, CALIBRATION).evidence in (Evidence.CALIBRATED, Evidence.MODELLED)
    loads, batch = loads_of(deployment), StepBatch(512.0, 512 * 2048.0, sampled_tokens=512.0)
    read = loads.quantised.weight_bytes + loads.plain.weight_bytes + loads.expert.weight_bytes
    read += 512 * 2048.0 * loads.context_bytes_per_token
    assert steps.step_seconds(batch) > read / loads.bandwidth_bytes_s


def test_a_small_all_reduce_takes_latency_whatever_the_link_carries() -> None:
    """In proportion to the links' rates two GPUs of a mesh took 84 us for one of 8 KB."""
    for tp, hops in ((2, 1), (4, 2), (8, 3)):
        found = from_relative(built("MiniMaxAI/MiniMax-M2.5", "mi355x", "vllm", tp), CATALOG.root)
        assert found is not None
        each = found.local[COLLECTIVES][0] / found.loads.reductions
        assert each == pytest.approx(hops * 5.25e-6, rel=0.05)


def test_a_deployment_measured_on_amd_keeps_its_fitted_factors() -> None:
    names = {model for model, traits in CALIBRATION.carriers if traits.vendor == "amd"}
    assert "deepseek-ai/DeepSeek-R1" in names
    deployment = built("deepseek-ai/DeepSeek-R1", "mi355x", "sglang", 8)
    traits = CALIBRATION.traits(deployment)
    known = any(
        (model, carrier) == (deployment.model.name, traits)
        for model, carrier in CALIBRATION.carriers
    )
    assert known == (CALIBRATION.kernel_steps(deployment) is None)


def test_pairs_of_model_and_gpu_left_out_are_off_by_less_than_under_a_roofline() -> None:
    """Every pair weighing alike: 20.3 % by the roofline of AMD's layer, of runs 16.6 / 12.4 %."""
    rows = read_left_out_errors(FOLDER, "amd")
    off = np.array([abs(np.exp(-row.left_out) - 1) for row in rows])
    assert off.mean() < 0.156
    assert np.median(off) < 0.112
    pairs: dict[tuple[str, str], list[float]] = {}
    for row, each in zip(rows, off, strict=True):
        pairs.setdefault((row.model, row.gpu), []).append(each)
    assert np.mean([np.mean(each) for each in pairs.values()]) < 0.17
    assert len(errors_by_grade(rows)["calibrated"].groups) == 6
