"""Result files of load generators, written and read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from planner.accuracy.bench.files import read_bench_file
from planner.accuracy.bench.result import BenchResult


def read(tmp_path: Path, content: Any, name: str = "run.json") -> BenchResult:
    (result,) = read_all(tmp_path, content, name)
    return result


def read_all(tmp_path: Path, content: Any, name: str = "run.json") -> list[BenchResult]:
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_bench_file(path)


def flat(**changes: Any) -> dict[str, Any]:
    return {
        "model_id": "Qwen/Qwen3-8B",
        "request_rate": "inf",
        "max_concurrency": 16,
        "completed": 160,
        "total_input_tokens": 163840,
        "total_output_tokens": 20480,
        "duration": 60.0,
        "mean_ttft_ms": 120.0,
        "mean_tpot_ms": 10.0,
        **changes,
    }
