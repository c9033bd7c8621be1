"""Batches: scenarios a second, speed-up from one to two workers, memory of a large batch.

``python -m benchmarks batch`` runs 200 scenarios; set PLANNER_BENCH_LARGE=1 for 10,000 as well.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import tempfile
import time
from pathlib import Path

MODELS = (
    ("meta-llama/Llama-3.1-8B-Instruct", ("l4", "l40s", "a10g")),
    ("Qwen/Qwen3-32B", ("h100-sxm-80gb", "a100-sxm-80gb")),
    ("meta-llama/Meta-Llama-3-70B-Instruct", ("h100-sxm-80gb", "h200-sxm-141gb")),
)


def write_scenarios(folder: Path, count: int, seed: int = 1) -> None:
    """Single-service scenarios with their own rates, lengths and targets."""
    rng = random.Random(seed)
    for i in range(count):
        model, gpus = rng.choice(MODELS)
        text = (
            f"model: {model}\nrate: {rng.uniform(1, 60):.2f}\n"
            f"prompt_tokens: {{mean: {rng.randrange(200, 3000)}, cv: 0.6}}\n"
            f"output_tokens: {{mean: {rng.randrange(50, 600)}, cv: 0.6}}\n"
            f"slo: {{ttft_p99: {rng.uniform(1.5, 5):.2f}s, tpot_p99: {rng.randrange(40, 120)}ms}}\n"
            f"search: {{gpus: [{', '.join(gpus)}], weights: [bf16, fp8]}}\n"
            "allow_lower_precision: true\n"
        )
        (folder / f"{i:05}.yaml").write_text(text)


def timed_s(source: Path, jobs: int) -> float:
    """Wall time of a whole batch, start-up of its workers included [s]."""
    from planner.batches.run import run_batch

    out = Path(tempfile.mkdtemp())
    started = time.perf_counter()
    run_batch(source, out, jobs=jobs)
    seconds = time.perf_counter() - started
    shutil.rmtree(out)
    return seconds


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        source = Path(name)
        write_scenarios(source, 200)
        two, one = timed_s(source, 2), timed_s(source, 1)
        print(f"200 scenarios, one worker   {200 / one:8.1f} a second")
        print(f"200 scenarios, two workers  {200 / two:8.1f} a second  (aim 50)")
        print(f"speed-up                    {one / two:8.2f}           (aim 1.8)")
        if os.environ.get("PLANNER_BENCH_LARGE"):
            write_scenarios(source, 10_000)
            seconds = timed_s(source, 2)
            parent = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            print(f"10,000 scenarios            {10_000 / seconds:8.1f} a second")
            print(f"memory                      {parent + 2 * worker:8.0f} MB         (aim 1,500)")


if __name__ == "__main__":
    main()
