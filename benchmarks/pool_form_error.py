"""How far the closed form of prefill and decode pools is from the simulator.

python -m benchmarks.pool_form_error [REQUESTS]

Units of one and several replicas a pool, two engines, two models, 50 and 90 % of their capacity, under
random routing (what the closed form assumes) and least-loaded routing (what fleets do).
"""

from __future__ import annotations

import statistics
import sys

from planner.catalog.store import Catalog, load_catalog
from planner.deployment import Deployment
from planner.evidence import Evidence
from planner.performance.factors import load_calibration
from planner.performance.model import step_model
from planner.scenario.lengths import Lengths
from planner.scenario.schema import Arrivals, Routing
from planner.scenario.slo import Slo
from planner.serving.closed_form.unit_point import unit_capacity, unit_of, unit_point
from planner.serving.pools import KvLink, Prefill
from planner.serving.simulation.replica_groups import unit_group
from planner.serving.simulation.requests import open_loop
from planner.serving.simulation.simulation_result import Study
from planner.serving.simulation.simulator import simulate
from planner.sizing.memory import memory_layout
from planner.sizing.precision import weights_for
from planner.workload.lengths import joint_lengths

DENSE = ("meta-llama/Llama-3.3-70B-Instruct", "h100-sxm-80gb", (3000, 300))
MIXTURE = ("deepseek-ai/DeepSeek-V3", "h200-sxm-141gb", (2000, 500))
UNITS = (  # model, (P, (TP, DP, EP)), (D, (TP, DP, EP)), GB/s
    (DENSE, (1, (2, 1, 1)), (1, (2, 1, 1)), 50),
    (DENSE, (2, (2, 1, 1)), (1, (4, 1, 1)), 50),
    (DENSE, (3, (2, 1, 1)), (2, (2, 1, 1)), 3),
    (DENSE, (3, (4, 1, 1)), (1, (4, 1, 1)), 50),
    (MIXTURE, (4, (8, 1, 8)), (1, (1, 16, 16)), 50),
    (MIXTURE, (2, (8, 1, 8)), (1, (8, 1, 8)), 50),
)
SLO = Slo.model_validate({"ttft_p99": "4s", "tpot_p99": "60ms"})
KEYS = (("ttft", 50), ("ttft", 99), ("tpot", 50), ("tpot", 99), ("e2e", 99))


def main(requests: int) -> None:
    """Print the error of every percentile, by routing, and its median."""
    catalog = load_catalog()
    calibration = load_calibration(catalog)
    errors: dict[tuple[str, str], list[float]] = {}
    for (name, gpu, (prompt, output)), (p, mine), (d, theirs), gb_s in UNITS:
        lengths = joint_lengths(
            Lengths(mean=prompt, cv=0.6, max=4 * prompt),
            Lengths(mean=output, cv=0.6, max=4 * output),
        )
        for engine in ("vllm", "sglang"):
            a, b = (_deployment(catalog, name, gpu, engine, x) for x in (mine, theirs))
            link = KvLink(gb_s, 0.005, "network", Evidence.ASSUMED)
            steps = step_model(a, calibration)
            pool = Prefill(a, memory_layout(a), steps, p, d, link, "zone")
            memory, answers = memory_layout(b), step_model(b, calibration)
            unit = unit_of(pool, b, memory, answers)
            capacity = unit_capacity(unit, lengths, SLO)
            for share in (0.5, 0.9):
                rate = share * capacity.qps
                point = unit_point(unit, lengths, SLO, rate)
                sent = open_loop(lengths, Arrivals(), rate, requests / rate, 1)
                for routing in ("random", "least-loaded"):
                    group = unit_group(pool, b, memory, answers, 1, 1.0)
                    warm = 0.05 * requests / rate
                    run = simulate([group], sent, Routing(policy=routing), warm_up_s=warm)
                    for metric, q in KEYS:
                        key = f"{metric}_p{q}"
                        simulated = Study((run,)).percentile(metric, q).value_s
                        error = point.latency_s[key] / simulated - 1
                        errors.setdefault((routing, key), []).append(error)
            print(f"{pool.label(b)}: {capacity.qps:.3g}/s, {capacity.limited_by}")
    for (routing, key), found in errors.items():
        low, high = min(found), max(found)
        middle = statistics.median(map(abs, found))
        print(f"{routing:13} {key:9} |error| median {middle:5.1%}, from {low:+.0%} to {high:+.0%}")


def _deployment(
    catalog: Catalog, name: str, gpu: str, engine: str, degrees: tuple[int, int, int]
) -> Deployment:
    model, (tp, dp, ep) = catalog.model(name), degrees
    return Deployment(
        model=model,
        gpu=catalog.gpu(gpu),
        engine=catalog.engine(engine),
        tensor_parallel=tp,
        weights=weights_for(model, "fp8", catalog.weight_format),
        kv_cache=catalog.kv_format("bf16"),
        data_parallel=dp,
        expert_parallel=ep,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
