"""Every configuration that was served and measured in public must be allowed to launch.

``launched.csv`` lists them (InferenceX-style benchmark runs, Apache-2.0). One public row is left out:
MiniMax-M2.5 in 128-block FP8 over eight ranks without expert parallelism, which both vLLM's checks and
the model's own deployment guide rule out; its expert-parallel column is taken to be wrong.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from planner.catalog.store import load_catalog
from planner.catalog.support import check_support

CATALOG = load_catalog()
with (Path(__file__).parent / "launched.csv").open(encoding="utf-8", newline="") as _file:
    LAUNCHED = list(csv.DictReader(_file))


def test_the_list_covers_engines_formats_and_generations() -> None:
    assert len(LAUNCHED) >= 90
    assert {row["engine"] for row in LAUNCHED} == {"vllm", "sglang", "tensorrt-llm"}
    assert {row["weights"] for row in LAUNCHED} >= {"bf16", "fp8", "fp8_block", "nvfp4", "mxfp4"}


@pytest.mark.parametrize("row", LAUNCHED, ids=lambda row: "-".join(row.values()))
def test_what_was_measured_launches(row: dict[str, str]) -> None:
    reasons = check_support(
        CATALOG.support_rules(),
        engine=CATALOG.engine(row["engine"], row["version"]),
        model=CATALOG.model(row["model"]),
        weights=CATALOG.weight_format(row["weights"]),
        kv_cache=CATALOG.kv_format("bf16"),
        gpu=CATALOG.gpu(row["gpu"]),
        tensor_parallel=int(row["tensor_parallel"]),
        data_parallel=int(row["data_parallel"]),
        expert_parallel=int(row["expert_parallel"]),
    )
    assert reasons == ()
