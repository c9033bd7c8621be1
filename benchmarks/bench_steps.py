"""Step-time predictions per second: arrays, single calls, and building a model of a deployment."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from planner.catalog.store import load_catalog
from planner.deployment import Deployment
from planner.performance.factors import load_calibration
from planner.performance.model import step_model
from planner.performance.steps import StepBatch
from planner.sizing.precision import weights_for

ROWS = 20_000
RUNS = 15


def median_s(work: Callable[[], object], repeats: int = 1) -> float:
    """Median seconds of one call of ``work``."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        for _ in range(repeats):
            work()
        times.append((time.perf_counter() - start) / repeats)
    return statistics.median(times)


def main() -> dict[str, float]:
    """Print and return the medians."""
    catalog = load_catalog()
    calibration = load_calibration(catalog)
    model, gpu = catalog.model("deepseek-ai/DeepSeek-V3"), catalog.gpu("h200-sxm-141gb")
    deployment = Deployment(
        model=model,
        gpu=gpu,
        engine=catalog.engine("vllm"),
        tensor_parallel=8,
        weights=weights_for(model, "native", catalog.weight_format),
        kv_cache=catalog.kv_format("bf16"),
    )
    steps = step_model(deployment, calibration)
    rng = np.random.default_rng(0)
    sequences = rng.integers(1, 512, ROWS).astype(float)
    contexts = sequences * rng.integers(100, 8000, ROWS).astype(float)
    many = StepBatch(sequences, contexts, sampled_tokens=sequences)
    one = StepBatch(64.0, 96_000.0, sampled_tokens=64.0)
    found = {
        "step predictions per second (arrays)": ROWS / median_s(lambda: steps.step_seconds(many)),
        "step predictions per second (single calls)": 1
        / median_s(lambda: steps.step_seconds(one), 1000),
        "step models built per second": 1
        / median_s(lambda: step_model(deployment, calibration), 50),
    }
    for name, value in found.items():
        print(f"{name:44} {value:12,.0f}")
    return found


if __name__ == "__main__":
    main()
