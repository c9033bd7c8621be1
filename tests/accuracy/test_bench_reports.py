"""Files of tools that report their own strategy or deployment: GuideLLM, AIPerf, InferenceX and others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from bench_files import flat, read, read_all

from planner.accuracy.measures import Measure
from planner.accuracy.point import LoadKind
from planner.errors import InputError

TTFT_P50, TPOT_P50 = Measure("ttft", 50.0), Measure("tpot", 50.0)


def guidellm(strategy: dict[str, Any], **report: Any) -> dict[str, Any]:
    def stat(mean: float) -> dict[str, Any]:
        percentiles = {"p50": mean, "p99": 2 * mean, "p001": 0.1}
        return {"successful": {"mean": mean, "count": 40, "percentiles": percentiles}}

    return {
        "metadata": {"version": 2, "guidellm_version": "0.7.3"},
        **report,
        "benchmarks": [
            {
                "config": {"strategy": strategy},
                "metrics": {
                    "request_totals": {"successful": 40, "errored": 0},
                    "request_concurrency": stat(0.008),
                    "prompt_token_count": stat(512.0),
                    "output_token_count": stat(128.0),
                    "time_to_first_token_ms": stat(80.0),
                    "time_per_output_token_ms": stat(11.0),
                    "inter_token_latency_ms": stat(10.0),
                    "request_latency": stat(1.4),
                },
            }
        ],
    }


@pytest.mark.parametrize(
    ("strategy", "load", "concurrency", "rate"),
    [
        ({"type_": "constant", "rate": 2.0}, LoadKind.OPEN, 0, 2.0),
        ({"kind": "poisson", "rate": 2.0}, LoadKind.OPEN, 0, 2.0),
        ({"type_": "concurrent", "streams": 8}, LoadKind.CLOSED, 8, 0.0),
        ({"type_": "synchronous"}, LoadKind.CLOSED, 1, 0.0),
        ({"type_": "throughput"}, LoadKind.OFFLINE, 40, 0.0),
    ],
)
def test_strategies_of_guidellm(
    tmp_path: Path, strategy: dict[str, Any], load: LoadKind, concurrency: int, rate: float
) -> None:
    result = read(tmp_path, guidellm(strategy))
    assert (result.load, result.concurrency, result.rate_qps) == (load, concurrency, rate)
    assert result.tpot_ms == pytest.approx(10.0)
    assert result.measures[Measure("e2e", 99.0)] == pytest.approx(2.8)
    assert not any(m.percentile and m.percentile < 50 for m in result.measures)


def test_guidellm_states_the_profile_in_the_arguments(tmp_path: Path) -> None:
    args = {"profile": "concurrent", "rate": [32.0], "backend_kwargs": {"model": "org/model"}}
    result = read(tmp_path, guidellm({}, args=args))
    assert (result.load, result.concurrency, result.model) == (LoadKind.CLOSED, 32, "org/model")


def test_guidellm_without_a_strategy_is_not_taken_as_a_closed_loop(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no fixed concurrency"):
        read(tmp_path, guidellm({}))


def test_phases_of_aiperf(tmp_path: Path) -> None:
    result = read(
        tmp_path,
        {
            "aiperf_version": "0.7.0",
            "time_to_first_token": {"unit": "ms", "avg": 120.5, "p99": 300.0},
            "inter_token_latency": {"unit": "ms", "avg": 11.2},
            "output_sequence_length": {"unit": "tokens", "avg": 128.0},
            "input_sequence_length": {"unit": "tokens", "avg": 1024.0},
            "request_count": {"unit": "requests", "avg": 320},
            "input_config": {
                "models": {"items": [{"name": "Qwen/Qwen3-8B"}]},
                "phases": [
                    {"name": "warmup", "type": "concurrency", "concurrency": 2},
                    {"name": "profiling", "type": "concurrency", "concurrency": 16},
                ],
            },
        },
    )
    assert (result.concurrency, result.model, result.requests) == (16, "Qwen/Qwen3-8B", 320)
    assert result.measures[Measure("ttft", 99.0)] == pytest.approx(0.3)


def record(start_s: float, end_s: float, **metadata: Any) -> str:
    def metric(value: float, unit: str) -> dict[str, Any]:
        return {"value": value, "unit": unit}

    return json.dumps(
        {
            "metadata": {
                "request_start_ns": int((1e6 + start_s) * 1e9),
                "request_end_ns": int((1e6 + end_s) * 1e9),
                "benchmark_phase": "profiling",
                "was_cancelled": False,
                **metadata,
            },
            "metrics": {
                "input_sequence_length": metric(550, "tokens"),
                "output_sequence_length": metric(10, "tokens"),
                "time_to_first_token": metric(250.0, "ms"),
                "inter_token_latency": metric(5.0, "ms"),
                "request_latency": metric((end_s - start_s) * 1e3, "ms"),
            },
            "error": None,
        }
    )


def test_requests_of_aiperf_are_replayed_as_they_were_sent(tmp_path: Path) -> None:
    lines = [record(0, 0.3), record(1, 1.3), record(5, 5.3, benchmark_phase="warmup")]
    result = read(tmp_path, "\n".join(lines), "profile_export.jsonl")
    assert (result.load, result.requests, result.rate_qps) == (LoadKind.OPEN, 2, pytest.approx(1.0))
    assert result.lengths is not None
    assert result.lengths.arrival_s is not None
    assert result.lengths.arrival_s.tolist() == pytest.approx([0.0, 1.0])
    assert result.tpot_ms == pytest.approx(5.0)


def test_requests_that_each_release_the_next_were_a_closed_loop(tmp_path: Path) -> None:
    lines = [record(0.3 * i, 0.3 * i + 0.29) for i in range(5)]
    result = read(tmp_path, "\n".join(lines), "profile_export.jsonl")
    assert (result.load, result.concurrency) == (LoadKind.CLOSED, 1)


def test_rates_of_genai_perf(tmp_path: Path) -> None:
    content = {
        "input_config": {"perf_analyzer": {"stimulus": {"request_rate": 5.0}}},
        "time_to_first_token": {"unit": "ms", "avg": 150.0},
        "inter_token_latency": {"unit": "ms", "avg": 12.0},
        "input_sequence_length": {"unit": "tokens", "avg": 900.0},
        "output_sequence_length": {"unit": "tokens", "avg": 200.0},
    }
    result = read(tmp_path, content)
    assert (result.load, result.rate_qps) == (LoadKind.OPEN, 5.0)


def test_llm_optimizer_keeps_what_was_requested_beside_what_came_back(tmp_path: Path) -> None:
    requested = {"max_concurrency": 32, "request_rate": "inf"}
    came = {k: v for k, v in flat().items() if k not in ("max_concurrency", "request_rate")}
    run = {"config": {"client_args": requested, "server_args": {"tp_size": 2}}, "results": came}
    (result,) = read_all(tmp_path, [run])
    assert (result.concurrency, result.prompt_tokens) == (32, 1024)


def test_an_aggregated_inferencex_result_says_its_deployment(tmp_path: Path) -> None:
    content = {
        "hw": "mi355x",
        "framework": "sglang",
        "precision": "fp8",
        "tp": 8,
        "conc": 64,
        "isl": 1024,
        "osl": 1024,
        "model": "deepseek-ai/DeepSeek-R1",
        "median_ttft": 0.4,
        "median_tpot": 0.02,
        "tput_per_gpu": 700.0,
    }
    result = read(tmp_path, content)
    assert result.found["gpu"] == "mi355x"
    assert (result.prompt_tokens, result.concurrency, result.spread) == (1024, 64, 0.8)
    assert result.measures[Measure("tokens_per_s_per_gpu")] == 700.0


def llm_d(requested: dict[str, Any]) -> str:
    def mean(value: float, units: str) -> dict[str, Any]:
        return {"units": units, "mean": value, "p50": value, "p99p9": 3 * value}

    report = {
        "version": "0.2",
        "scenario": {
            "stack": [
                {
                    "standardized": {
                        "model": {"name": "Qwen/Qwen3-8B"},
                        "accelerator": {"model": "NVIDIA-H100", "parallelism": {"tp": 2}},
                    }
                }
            ],
            "load": {"standardized": requested},
        },
        "results": {
            "request_performance": {
                "aggregate": {
                    "requests": {
                        "total": 500,
                        "input_length": mean(2000.0, "count"),
                        "output_length": mean(500.0, "count"),
                    },
                    "latency": {
                        "time_to_first_token": mean(0.2, "s"),
                        "time_per_output_token": mean(12.0, "ms/token"),
                    },
                    "throughput": {"output_token_rate": mean(900.0, "tokens/s")},
                }
            }
        },
    }
    return yaml.safe_dump(report)


def test_a_report_of_llm_d(tmp_path: Path) -> None:
    result = read(
        tmp_path, llm_d({"rate_qps": 10, "concurrency": float("inf")}), "benchmark_report.yaml"
    )
    assert (result.load, result.rate_qps, result.model) == (LoadKind.OPEN, 10.0, "Qwen/Qwen3-8B")
    assert result.found == {"tensor_parallel": "2"}
    assert (result.ttft_ms, result.tpot_ms) == (pytest.approx(200.0), pytest.approx(12.0))
    assert result.measures[Measure("ttft", 99.9)] == pytest.approx(0.6)


def test_a_summary_of_inference_perf(tmp_path: Path) -> None:
    content = {
        "load_summary": {"count": 100, "requested_rate": 5.0},
        "successes": {
            "count": 100,
            "prompt_len": {"mean": 500.0},
            "output_len": {"mean": 100.0},
            "latency": {
                "time_to_first_token": {"mean": 0.1, "median": 0.09},
                "inter_token_latency": {"mean": 0.011},
                "request_latency": {"mean": 1.2},
            },
        },
    }
    result = read(tmp_path, content)
    assert (result.load, result.rate_qps) == (LoadKind.OPEN, 5.0)
    assert (result.ttft_ms, result.tpot_ms) == (pytest.approx(100.0), pytest.approx(11.0))
