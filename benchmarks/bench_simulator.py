"""How fast the simulator is: one replica for ten minutes, and a million requests through 32 replicas.

python -m benchmarks.bench_simulator            # the replica alone, seconds
python -m benchmarks.bench_simulator --million  # also the fleet, seconds; a minute in the Python loop
PLANNER_COMPILED_CORE=0 python -m benchmarks.bench_simulator  # the Python loop
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import time

from planner.catalog.store import load_catalog
from planner.deployment import Deployment
from planner.performance.factors import load_calibration
from planner.performance.model import step_model
from planner.scenario.lengths import Lengths
from planner.scenario.schema import Arrivals, Routing
from planner.serving.limits import replica_limits
from planner.serving.simulation.compiled.library import library
from planner.serving.simulation.replica_groups import SimulatedGroup
from planner.serving.simulation.requests import open_loop
from planner.serving.simulation.simulator import simulate
from planner.sizing.memory import memory_layout
from planner.sizing.precision import weights_for
from planner.workload.lengths import joint_lengths

LENGTHS = joint_lengths(Lengths(mean=1000, cv=0.7, max=8000), Lengths(mean=300, cv=0.7, max=2000))


def group(replicas: int) -> SimulatedGroup:
    catalog = load_catalog()
    model = catalog.model("meta-llama/Meta-Llama-3-8B-Instruct")
    deployment = Deployment(
        model,
        catalog.gpu("h100-sxm-80gb"),
        catalog.engine("vllm"),
        1,
        weights_for(model, "bf16", catalog.weight_format),
        catalog.kv_format("bf16"),
    )
    steps = step_model(deployment, load_calibration(catalog))
    return SimulatedGroup(steps, replica_limits(deployment, memory_layout(deployment)), replicas)


def replica_seconds() -> float:
    """Core seconds of one replica at 10 requests/s for 600 simulated seconds, without the imports."""
    one = group(1)
    requests = open_loop(LENGTHS, Arrivals(), 10.0, 600.0, 1)
    started = time.process_time()
    simulate([one], requests)
    return time.process_time() - started


def million() -> tuple[float, float]:
    """Core seconds and peak memory [GB] of 1,000,000 requests through 32 replicas, least loaded."""
    fleet = group(32)
    rate = 32 * 10.0
    requests = open_loop(LENGTHS, Arrivals(), rate, 1_000_000 / rate, 1)
    started = time.process_time()
    result = simulate([fleet], requests, Routing(policy="least-loaded"))
    seconds = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024
    print(f"  {len(result.arrival_s):,} requests, {result.steps:,} steps")
    return seconds, peak * unit / 1e9


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--million", action="store_true")
    options, _ = parser.parse_known_args()
    print("compiled core" if library() else "Python loop")
    times = [replica_seconds() for _ in range(5)]
    print(
        f"one replica, 10 req/s for 600 s: median {statistics.median(times):.2f} core seconds of {len(times)}"
    )
    if options.million:
        seconds, gigabytes = million()
        print(
            f"1,000,000 requests, 32 replicas: {seconds:.1f} core seconds, peak memory {gigabytes:.2f} GB"
        )


if __name__ == "__main__":
    main()
