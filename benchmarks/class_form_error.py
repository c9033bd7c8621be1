"""How far the closed form of request classes by priority is from the simulator, in TTFT p99.

python -m benchmarks.class_form_error [REQUESTS]

One replica of a 70B model with 24 to 512 batch slots, two and three classes, chunked prefill and prefill
first, Poisson and bursty arrivals, loads as shares of the replica's ceiling. Prints, for the first and the
last class, the mean over both schedulers of the median error, and the range.
"""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping
from functools import cache

from planner.catalog.engine import Scheduler
from planner.catalog.store import load_catalog
from planner.deployment import Deployment
from planner.performance.factors import load_calibration
from planner.performance.model import step_model
from planner.performance.steps import StepModel
from planner.scenario.schema import Service
from planner.serving.closed_form.capacity import ceiling_qps
from planner.serving.closed_form.percentiles_at_rate import latencies_at
from planner.serving.closed_form.replica_curves import replica_curves
from planner.serving.limits import ReplicaLimits
from planner.serving.simulation.replica_groups import SimulatedGroup
from planner.serving.simulation.requests import open_loop
from planner.serving.simulation.simulation_result import Study
from planner.serving.simulation.simulator import simulate
from planner.sizing.precision import weights_for
from planner.workload.lengths import lengths_of

MODEL, GPU = "meta-llama/Llama-3.3-70B-Instruct", "h100-sxm-80gb"
SLOTS = (24, 64, 256, 512)
SCHEDULERS = (Scheduler.CHUNKED_PREFILL, Scheduler.PREFILL_FIRST)
BURSTS = (1.0, 2.0, 3.0)
LOADS = {"up to 0.7": (0.3, 0.5, 0.7), "0.85": (0.85,), "0.95": (0.95,)}
TOKENS_A_STEP = 4096
SEEDS = (0, 1)
FAR = 1.0
Class = Mapping[str, object]
CHAT, TOOLS, DIGEST = (
    {
        "name": name,
        "prompt_tokens": {"mean": prompt, "cv": 1.0, "max": 8 * prompt},
        "output_tokens": {"mean": output, "cv": 0.7, "max": 6 * output},
        "slo": {"ttft_p99": "1s"},
    }
    for name, prompt, output in (("chat", 600, 200), ("tools", 1500, 100), ("digest", 3000, 500))
)
MIXES: tuple[tuple[tuple[Class, float], ...], ...] = (
    ((CHAT, 0.4), (DIGEST, 0.6)),
    ((CHAT, 0.4), (TOOLS, 0.3), (DIGEST, 0.3)),
)


@cache
def _steps() -> StepModel:
    """Llama-3.3-70B in FP8 on four H100."""
    catalog = load_catalog()
    model = catalog.model(MODEL)
    deployment = Deployment(
        model,
        catalog.gpu(GPU),
        catalog.engine("vllm"),
        tensor_parallel=4,
        weights=weights_for(model, "fp8", catalog.weight_format),
        kv_cache=catalog.kv_format("fp8"),
    )
    return step_model(deployment, load_calibration(catalog))


def main(requests: int) -> None:
    """Print a row for each burstiness and band of loads."""
    for cv in BURSTS:
        for band, loads in LOADS.items():
            found: dict[tuple[str, Scheduler], list[float]] = defaultdict(list)
            for mix in MIXES:
                for scheduler in SCHEDULERS:
                    for slots in SLOTS:
                        for load in loads:
                            for which, error in _errors(mix, scheduler, slots, load, cv, requests):
                                found[which, scheduler].append(error)
            print(
                f"CV {cv:g}, load {band}: " + "; ".join(_line(found, w) for w in ("first", "last"))
            )


def _line(found: dict[tuple[str, Scheduler], list[float]], which: str) -> str:
    errors = [found[which, scheduler] for scheduler in SCHEDULERS]
    middle = statistics.mean(statistics.median(e) for e in errors)
    low, high = min(map(min, errors)), max(map(max, errors))
    far = sum(error > FAR for group in errors for error in group)
    return f"{which} class {middle:+.0%} ({low:+.0%} to {high:+.0%}; {far} over {FAR:.0%})"


def _errors(
    mix: tuple[tuple[Class, float], ...],
    scheduler: Scheduler,
    slots: int,
    load: float,
    cv: float,
    requests: int,
) -> list[tuple[str, float]]:
    """Predicted over simulated TTFT p99, less one, of the first and of the last class."""
    classes = [
        {**fields, "share": share, "priority": len(mix) - at}
        for at, (fields, share) in enumerate(mix)
    ]
    service = Service.model_validate(
        {"model": "m", "rate": 1, "classes": classes, "arrivals": _arrivals(cv)}
    )
    limits, lengths = ReplicaLimits(scheduler, slots, TOKENS_A_STEP), lengths_of(service)
    rate = load * ceiling_qps(_steps(), limits, lengths)
    predicted = latencies_at(replica_curves(_steps(), limits, lengths), rate, cv, service.slo)
    study = Study(
        tuple(
            simulate(
                [SimulatedGroup(_steps(), limits, 1)],
                open_loop(lengths, service.arrivals, rate, requests / rate, seed),
                warm_up_s=requests / 5 / rate,
            )
            for seed in SEEDS
        )
    )
    return [
        (which, predicted[f"{mix[at][0]['name']}/ttft_p99"] / _p99(study, at) - 1)
        for which, at in (("first", 0), ("last", len(mix) - 1))
    ]


def _arrivals(cv: float) -> dict[str, object]:
    return {"process": "poisson"} if cv == 1 else {"process": "gamma", "cv": cv}


def _p99(study: Study, request_class: int) -> float:
    return study.of_class(request_class).percentile("ttft", 99.0).value_s


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 12_000)
