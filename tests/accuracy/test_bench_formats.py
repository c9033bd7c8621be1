"""Today's files of load generators: what each says of load, lengths and latencies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bench_files import flat, read, read_all
from click.testing import CliRunner

from planner.accuracy.bench.files import Setting, read_bench_file
from planner.accuracy.measures import Measure
from planner.accuracy.point import LoadKind
from planner.cli.accuracy import command
from planner.errors import InputError

TTFT_P50, TPOT_P50 = Measure("ttft", 50.0), Measure("tpot", 50.0)


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


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"id": "a", "conversations": [{"from": "human", "value": "Hi."}]}], "ShareGPT"),
        ({"avg_latency": 1.0, "latencies": [1.0], "percentiles": {}}, "vllm bench latency"),
        ({"elapsed_time": 1.0, "total_num_tokens": 9, "num_requests": 1}, "vllm bench throughput"),
        ({"experiments": []}, "profile_export_genai_perf.json"),
        ({"input_length": 1, "output_length": 2, "timestamp": 0}, "trace describe"),
        ("Metric,avg,min,max,p99\n", "the JSON file in the same folder"),
        ({"results_ttft_s_mean": 0.1, "results_inter_token_latency_s_mean": 0.01}, "LLMPerf"),
        ({"root_group": {}, "metrics": {"http_req_duration": {}}}, "k6"),
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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Metric,avg,min,max,p99\n", "genai-perf's CSV export"),
        ("Type,Name,Request Count,Failure Count\nPOST,/v1,1,0\n", "Locust"),
    ],
)
def test_a_table_that_another_tool_exports_is_named(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "export.csv"
    path.write_text(text)
    outcome = CliRunner().invoke(command, [str(path)], standalone_mode=False)
    assert message in str(outcome.exception)


def test_options_complete_a_table_that_lacks_their_columns(tmp_path: Path) -> None:
    """The summary of a sweep: a row a run, and nothing of the deployment."""
    path = tmp_path / "sweep.csv"
    path.write_text(
        "max_concurrency,random_input_len,random_output_len,mean_ttft_ms,mean_tpot_ms,model_id\n"
        "8,1024,128,80,9,Qwen/Qwen3-8B\n"
    )
    options = ["--gpu", "h100-sxm-80gb", "--engine", "vllm", "--weights", "bf16"]
    outcome = CliRunner().invoke(command, [str(path), *options, "--format", "json"])
    (row,) = json.loads(outcome.stdout)["rows"]
    assert (row["gpu"], row["tensor_parallel"], row["error"]) == ("h100-sxm-80gb", "1", None)
    bare = CliRunner().invoke(command, [str(path)], standalone_mode=False)
    assert "missing columns: gpu, engine, weights" in str(bare.exception)


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
