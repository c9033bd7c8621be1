"""Result files trimmed to the keys their tools write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from planner.accuracy.bench.files import Setting, read_bench_file
from planner.errors import InputError

VLLM = {
    "date": "20260801-101112",
    "backend": "openai",
    "model_id": "Qwen/Qwen3-8B",
    "num_prompts": 320,
    "request_rate": "inf",
    "max_concurrency": 32,
    "duration": 100.0,
    "completed": 320,
    "total_input_tokens": 294912,
    "total_output_tokens": 73728,
    "mean_ttft_ms": 150.5,
    "median_ttft_ms": 120.0,
    "mean_tpot_ms": 12.25,
    "mean_itl_ms": 12.3,
}
SGLANG = VLLM | {"server_info": {"model_path": "Qwen/Qwen3-8B"}, "mean_e2e_latency_ms": 3000.0}
GUIDELLM = {
    "benchmarks": [
        {
            "config": {"strategy": {"type_": "concurrent", "streams": 32}},
            "metrics": {
                "request_totals": {"successful": 320},
                "request_concurrency": {"successful": {"mean": 31.6}},
                "prompt_token_count": {"successful": {"mean": 921.6}},
                "output_token_count": {"successful": {"mean": 230.4}},
                "time_to_first_token_ms": {"successful": {"mean": 150.5}},
                "inter_token_latency_ms": {"successful": {"mean": 12.25}},
            },
        }
    ]
}
GENAI_PERF = {
    "input_config": {
        "model_names": ["Qwen/Qwen3-8B"],
        "perf_analyzer": {"stimulus": {"concurrency": 32}},
    },
    "time_to_first_token": {"unit": "ms", "avg": 150.5},
    "inter_token_latency": {"unit": "ms", "avg": 12.25},
    "input_sequence_length": {"unit": "tokens", "avg": 921.6},
    "output_sequence_length": {"unit": "tokens", "avg": 230.4},
}
AIPERF = {
    "input_config": {
        "endpoint": {"model_names": ["Qwen/Qwen3-8B"]},
        "loadgen": {"concurrency": 32},
    },
    "time_to_first_token": {"unit": "ms", "avg": 150.5},
    "inter_token_latency": {"unit": "ms", "avg": 12.25},
    "input_sequence_length": {"unit": "tokens", "avg": 921.6},
    "output_sequence_length": {"unit": "tokens", "avg": 230.4},
}
SETTING = Setting(
    gpu="l40s", engine="vllm", weights="fp8", tensor_parallel=2, model="Qwen/Qwen3-8B"
)


def write(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "result.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("content", "tool"),
    [
        (VLLM, "vllm bench serve"),
        (SGLANG, "SGLang bench_serving"),
        (GUIDELLM, "GuideLLM"),
        (GENAI_PERF, "genai-perf"),
        (AIPERF, "AIPerf"),
    ],
)
def test_every_tool_gives_the_same_point(tmp_path: Path, content: Any, tool: str) -> None:
    (result,) = read_bench_file(write(tmp_path, content))
    assert result.tool == tool
    point = result.point(SETTING, "test")
    assert (point.prompt_tokens, point.output_tokens, point.concurrency) == (922, 230, 32)
    assert point.mean_lengths
    assert (point.ttft_ms, point.tpot_ms) == (150.5, 12.25)
    assert point.gpus == 2


def test_seconds_are_converted(tmp_path: Path) -> None:
    content = GENAI_PERF | {"time_to_first_token": {"unit": "s", "avg": 0.1505}}
    (result,) = read_bench_file(write(tmp_path, content))
    assert result.ttft_ms == pytest.approx(150.5)


def test_json_lines_hold_one_run_each(tmp_path: Path) -> None:
    lines = "\n".join(json.dumps(SGLANG | {"max_concurrency": n}) for n in (1, 8))
    assert [r.concurrency for r in read_bench_file(write(tmp_path, lines))] == [1, 8]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("not json", "neither JSON"),
        ([1, 2], "JSON object"),
        ({"hello": 1}, "not a result file"),
        (
            {k: v for k, v in VLLM.items() if k not in ("max_concurrency", "request_rate")},
            "no fixed concurrency",
        ),
        (VLLM | {"mean_ttft_ms": "fast"}, "missing number"),
        (VLLM | {"mean_ttft_ms": -1}, "above 0"),
        ({"benchmarks": [{}]}, "has metrics"),
        ({"benchmarks": []}, "no finished run"),
        ({"benchmarks": [3]}, "has metrics"),
        (VLLM | {"max_concurrency": "many"}, "missing number"),
        (GENAI_PERF | {"input_config": 7}, "no fixed concurrency"),
    ],
)
def test_a_bad_file_is_reported_in_one_message(tmp_path: Path, content: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_bench_file(write(tmp_path, content))
