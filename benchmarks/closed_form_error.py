"""How far the closed form's capacity is from the simulator's, over a randomised grid.

    python -m benchmarks.closed_form_error --points 60 --seed 1

Every point draws a model and layout, lengths and their CVs, arrivals, targets and an engine; prints
the signed error of each and the median and 90th percentile of its size.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from multiprocessing import Pool

import numpy as np

from planner.catalog.store import Catalog, load_catalog
from planner.deployment import Deployment
from planner.performance.factors import Calibration, load_calibration
from planner.performance.model import step_model
from planner.scenario.lengths import Lengths
from planner.scenario.schema import Arrivals
from planner.scenario.slo import Slo
from planner.serving.capacity_limit import LimitedBy
from planner.serving.closed_form.capacity import capacity_within
from planner.serving.limits import replica_limits
from planner.serving.simulation.capacity import simulated_capacity
from planner.sizing.memory import memory_layout
from planner.sizing.precision import weights_for
from planner.workload.lengths import joint_lengths

LAYOUTS = (
    ("meta-llama/Meta-Llama-3-70B-Instruct", "h100-sxm-80gb", 4, "bf16"),
    ("meta-llama/Meta-Llama-3-70B-Instruct", "h100-sxm-80gb", 4, "fp8"),
    ("meta-llama/Meta-Llama-3-70B-Instruct", "a100-sxm-80gb", 8, "bf16"),
    ("meta-llama/Meta-Llama-3-8B-Instruct", "l40s", 1, "bf16"),
    ("meta-llama/Meta-Llama-3-8B-Instruct", "h100-sxm-80gb", 1, "bf16"),
    ("Qwen/Qwen3-30B-A3B", "h100-sxm-80gb", 2, "bf16"),
    ("openai/gpt-oss-120b", "h100-sxm-80gb", 2, "mxfp4"),
)
NARROW = 0.03  # Monte-Carlo half-width of a point
ENGINES = ("vllm", "sglang", "trtllm")


@dataclass(frozen=True)
class Point:
    layout: tuple[str, str, int, str]
    engine: str
    prompt: tuple[float, float]
    output: tuple[float, float]
    cv: float
    ttft_s: float
    tpot_s: float
    percentile: float
    seed: int


@dataclass(frozen=True)
class CapacityComparison:
    point: Point
    closed_qps: float
    simulated_qps: float
    half_width: float
    limits: tuple[LimitedBy, LimitedBy | None]
    concurrency: float
    seconds: float

    @property
    def error(self) -> float:
        return self.closed_qps / self.simulated_qps - 1


GROUPS: dict[str, Callable[[CapacityComparison], bool]] = {
    "all": lambda o: True,
    "half-width under 3 %": lambda o: o.half_width < NARROW,
    "8 or more in flight": lambda o: o.half_width < NARROW and o.concurrency >= 8,
    "fewer than 8 in flight": lambda o: o.half_width < NARROW and o.concurrency < 8,
    "arrivals of CV 1": lambda o: o.half_width < NARROW and o.point.cv == 1,
    "arrivals of CV over 1": lambda o: o.half_width < NARROW and o.point.cv > 1,
    "limited by TTFT": lambda o: o.half_width < NARROW and _limited_by(o, "ttft"),
    "limited by TPOT": lambda o: o.half_width < NARROW and _limited_by(o, "tpot"),
    "vLLM": lambda o: o.half_width < NARROW and o.point.engine == "vllm",
    "SGLang": lambda o: o.half_width < NARROW and o.point.engine == "sglang",
    "TensorRT-LLM": lambda o: o.half_width < NARROW and o.point.engine == "trtllm",
}


def _limited_by(outcome: CapacityComparison, metric: str) -> bool:
    """Whether a target of ``metric`` is what the simulated capacity misses first."""
    limit = outcome.limits[1]
    return limit is not None and limit.startswith(metric)


def draw(seed: int) -> Point:
    rng = np.random.default_rng(seed)
    choice = rng.integers
    return Point(
        layout=LAYOUTS[choice(len(LAYOUTS))],
        engine=ENGINES[choice(len(ENGINES))],
        prompt=(float(np.exp(rng.uniform(np.log(150), np.log(6000)))), float(rng.uniform(0, 1.5))),
        output=(float(np.exp(rng.uniform(np.log(30), np.log(1000)))), float(rng.uniform(0, 1.2))),
        cv=float(rng.choice([1.0, 1.0, 1.5, 2.5])),
        ttft_s=float(np.exp(rng.uniform(np.log(0.5), np.log(5)))),
        tpot_s=float(np.exp(rng.uniform(np.log(0.025), np.log(0.15)))),
        percentile=float(rng.choice([90, 95, 99])),
        seed=seed,
    )


@cache
def _data() -> tuple[Catalog, Calibration]:
    catalog = load_catalog()
    return catalog, load_calibration(catalog)


def evaluate(seed: int, requests: int = 8000) -> CapacityComparison | None:
    point = draw(seed)
    catalog, calibration = _data()
    name, gpu, tp, weights = point.layout
    model = catalog.model(name)
    deployment = Deployment(
        model,
        catalog.gpu(gpu),
        catalog.engine(point.engine),
        tp,
        weights_for(model, weights, catalog.weight_format),
        catalog.kv_format("bf16"),
    )
    steps = step_model(deployment, calibration)
    memory = memory_layout(deployment)
    if not memory.fits:
        return None
    lengths = joint_lengths(
        Lengths(mean=point.prompt[0], cv=point.prompt[1], max=30_000),
        Lengths(mean=point.output[0], cv=point.output[1], max=8_000),
    )
    key = f"p{point.percentile:g}"
    slo = Slo.model_validate({f"ttft_{key}": point.ttft_s, f"tpot_{key}": point.tpot_s})
    limits = replica_limits(deployment, memory)
    closed = capacity_within(steps, limits, lengths, slo, point.cv)
    if closed.qps <= 0:
        return None
    started = time.perf_counter()
    simulated = simulated_capacity(
        steps,
        limits,
        lengths,
        slo,
        Arrivals(process="poisson" if point.cv == 1 else "gamma", cv=point.cv),
        closed,
        requests=requests,
        seed=seed,
        half_width=NARROW,
    )
    if simulated.qps <= 0:
        return None
    return CapacityComparison(
        point,
        closed.qps,
        simulated.qps,
        simulated.half_width,
        (closed.limited_by, simulated.limited_by),
        closed.concurrency,
        time.perf_counter() - started,
    )


def _evaluate(arguments: tuple[int, int]) -> CapacityComparison | None:
    return evaluate(*arguments)


def line(o: CapacityComparison) -> str:
    """One point in words."""
    p = o.point
    return (
        f"{o.error:+7.1%} ±{o.half_width:5.1%} closed {o.closed_qps:8.3f} sim "
        f"{o.simulated_qps:8.3f} {p.engine:6} {p.layout[0].split('/')[1][:16]:16} "
        f"{p.layout[1][:6]} p {p.prompt[0]:5.0f}/{p.prompt[1]:.1f} "
        f"o {p.output[0]:4.0f}/{p.output[1]:.1f} cv {p.cv} ttft {p.ttft_s:.2f} "
        f"tpot {p.tpot_s * 1e3:.0f} p{p.percentile:g} n {o.concurrency:.0f} "
        f"{o.limits[0]}|{o.limits[1]} {o.seconds:.1f}s #{p.seed}"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--requests", type=int, default=8000)
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    seeds = [(options.seed * 100_000 + i, options.requests) for i in range(options.points)]
    _data()  # once, before the processes part
    outcomes = []
    with Pool(options.processes) as pool:
        for outcome in pool.imap_unordered(_evaluate, seeds):
            if outcome is not None:
                outcomes.append(outcome)
                print(line(outcome), flush=True)
    for title, chosen in GROUPS.items():
        errors = np.array([abs(o.error) for o in outcomes if chosen(o)])
        if len(errors):
            print(
                f"{title:32} {len(errors):3} points: median {np.median(errors):5.1%}, "
                f"90th percentile {np.quantile(errors, 0.9):5.1%}, mean {errors.mean():5.1%}"
            )


if __name__ == "__main__":
    main()
