"""Today's files of load generators: what each says of load, lengths and latencies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from planner.accuracy.bench.files import BenchResult, Setting, read_bench_file
from planner.accuracy.measures import Measure
from planner.accuracy.points import LoadKind
from planner.cli.accuracy import command
from planner.errors import InputError

TTFT_P50, TPOT_P50 = Measure("ttft", 50.0), Measure("tpot", 50.0)


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


def test_medians_alone_in_seconds_are_read(tmp_path: Path) -> None:
    """An InferenceX result of GLM-5: medians and p99 in seconds, no means."""
    result = read(
        tmp_path,
        {
            "model_id": "zai-org/GLM-5-FP8",
            "num_prompts": 160,
            "request_rate": "inf",
            "max_concurrency": 16,
            "duration": 214.6,
            "completed": 160,
            "total_input_tokens": 1638400,
            "total_output_tokens": 20480,
            "median_ttft": 3.1382,
            "p99_ttft": 16.5618,
            "median_tpot": 0.14105,
            "p99_tpot": 0.19623,
            "median_e2el": 21.448,
        },
    )
    assert (result.prompt_tokens, result.output_tokens, result.concurrency) == (10240, 128, 16)
    assert result.measures[TTFT_P50] == pytest.approx(3.1382)
    assert result.measures[TPOT_P50] == pytest.approx(0.14105)
    assert result.measures[Measure("e2e", 50.0)] == pytest.approx(21.448)


def test_a_rate_is_an_open_loop(tmp_path: Path) -> None:
    result = read(tmp_path, flat(request_rate=4.0, max_concurrency=None))
    assert (result.load, result.rate_qps, result.concurrency) == (LoadKind.OPEN, 4.0, 0.0)


def test_everything_at_once_is_offline(tmp_path: Path) -> None:
    result = read(tmp_path, flat(max_concurrency=None))
    assert (result.load, result.concurrency, result.requests) == (LoadKind.OFFLINE, 160, 160)


def test_own_lengths_of_a_detailed_result(tmp_path: Path) -> None:
    result = read(tmp_path, flat(input_lens=[100, 300], output_lens=[20, 40]))
    assert result.lengths is not None
    assert result.lengths.prompt_tokens.tolist() == [100, 300]


def test_nominal_lengths_of_sglang(tmp_path: Path) -> None:
    content = flat(
        server_info={}, random_input_len=1024, random_output_len=256, random_range_ratio=0.5
    )
    result = read(tmp_path, json.dumps(content), "run.jsonl")
    assert (result.prompt_tokens, result.output_tokens, result.spread) == (1024, 256, 0.5)


@pytest.mark.parametrize(
    ("changes", "gap"),
    [
        ({"p99_itl_ms": 60.0}, 0.060),
        ({"p99_itl_ms": 24.0, "server_info": {}}, 0.024),
        ({"p99_itl_ms": 24.0, "server_info": {}, "accept_length": 2.5}, 0.060),
    ],
)
def test_gaps_are_between_the_pieces_a_client_receives(
    tmp_path: Path, changes: dict[str, Any], gap: float
) -> None:
    """vLLM's tool counts them so; SGLang's shares a piece's gap among its tokens."""
    result = read(tmp_path, flat(**changes))
    assert result.measures[Measure("itl", 99.0)] == pytest.approx(gap)


def test_gaps_of_pieces_of_unknown_size_are_left_out(tmp_path: Path) -> None:
    content = flat(p99_itl_ms=60.0, server_info={"speculative_algorithm": "EAGLE"})
    assert Measure("itl", 99.0) not in read(tmp_path, content).measures


def test_a_pasted_table(tmp_path: Path) -> None:
    printed = """============ Serving Benchmark Result ============
Successful requests:                     30
Maximum request concurrency:             1
Benchmark duration (s):                  223.53
Total input tokens:                      480000
Total generated tokens:                  6000
Mean TTFT (ms):                          3345.37
Mean TPOT (ms):                          20.63
=================================================="""
    result = read(tmp_path, printed, "run.txt")
    assert (result.prompt_tokens, result.output_tokens, result.concurrency) == (16000, 200, 1)
    assert (result.ttft_ms, result.tpot_ms) == (pytest.approx(3345.37), pytest.approx(20.63))


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


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"id": "a", "conversations": [{"from": "human", "value": "Hi."}]}], "ShareGPT"),
        ({"avg_latency": 1.0, "latencies": [1.0], "percentiles": {}}, "vllm bench latency"),
        ({"elapsed_time": 1.0, "total_num_tokens": 9, "num_requests": 1}, "vllm bench throughput"),
        ({"experiments": []}, "profile_export_genai_perf.json"),
        ({"input_length": 1, "output_length": 2, "timestamp": 0}, "trace describe"),
        ("Metric,avg,min,max,p99\n", "the JSON file that lies beside it"),
    ],
)
def test_what_cannot_be_read_is_named_as_what_it_is(
    tmp_path: Path, content: Any, text: str
) -> None:
    with pytest.raises(InputError, match=text):
        read_all(tmp_path, content)


def test_a_result_file_is_predicted_like_a_table(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(flat(p99_tpot_ms=14.0)))
    options = ["--gpu", "h100-sxm-80gb", "--engine", "vllm", "--weights", "bf16"]
    result = CliRunner().invoke(
        command, [str(path), *options, "--format", "json"], standalone_mode=False
    )
    (row,) = json.loads(result.stdout)["rows"]
    assert row["error"] is None
    assert row["prompt_tokens"] == "1024"
    assert 5 < row["predicted_tpot_p99_ms"] < 30


def test_everything_a_result_file_leaves_out_is_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "console.txt"
    path.write_text(
        "============ Serving Benchmark Result ============\n"
        "Successful requests:                     30\n"
        "Maximum request concurrency:             1\n"
        "Benchmark duration (s):                  223.53\n"
        "Total input tokens:                      480000\n"
        "Total generated tokens:                  6000\n"
        "Mean TTFT (ms):                          3345.37\n"
        "Mean TPOT (ms):                          20.63\n"
    )
    (result,) = read_bench_file(path)
    with pytest.raises(InputError) as caught:
        result.point(Setting(gpu="l40s"), "console.txt")
    assert "model, engine and weights" in str(caught.value)
    assert "--model, --engine and --weights" in str(caught.value)
