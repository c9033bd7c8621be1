"""Every column of a table of points is simulated: its value changes what is predicted, or does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from planner.accuracy.measures import Measure
from planner.accuracy.points import read_points
from planner.accuracy.validation import Predictor
from planner.catalog.store import load_catalog
from planner.cli.accuracy import command
from planner.performance.factors import load_calibration

CATALOG = load_catalog()
PREDICTOR = Predictor(CATALOG, load_calibration(CATALOG))
TTFT, TPOT, MAKESPAN = "ttft_ms", "tpot_ms", "makespan_s"
BASE = {
    "model": "Qwen/Qwen3-8B",
    "gpu": "l40s",
    "engine": "vllm",
    "weights": "fp8",
    "tensor_parallel": "1",
    "prompt_tokens": "2000",
    "output_tokens": "100",
    "concurrency": "8",
    TTFT: "100",
    TPOT: "20",
    MAKESPAN: "30",
}
POOLS = {
    "model": "deepseek-ai/DeepSeek-R1",
    "gpu": "h200-sxm-141gb",
    "engine": "sglang",
    "tensor_parallel": "",
    "prefill_tensor_parallel": "8",
    "decode_tensor_parallel": "8",
    "concurrency": "32",
}


def predicted(folder: Path, **cells: str) -> dict[str, float]:
    """What is predicted of one row, in its own columns."""
    row = {**BASE, **cells}
    path = folder / "points.csv"
    path.write_text(",".join(row) + "\n" + ",".join(row.values()) + "\n")
    (read,) = read_points(path).rows
    assert read.error is None, read.error
    assert read.point is not None
    values = PREDICTOR.predict(read.point).values
    return {name: values[found.measure] / found.unit for name, found in read.measured.items()}


@pytest.mark.parametrize(
    ("measure", "less", "more"),
    [
        (TPOT, {"kv_cache": "fp8"}, {"kv_cache": "bf16"}),
        (TPOT, {"weights": "fp8"}, {"weights": "bf16"}),
        (TPOT, {"tensor_parallel": "2"}, {"tensor_parallel": "1"}),
        (TPOT, {"concurrency": "1"}, {"concurrency": "1", "pipeline_parallel": "2"}),
        (TPOT, {"data_parallel": "2"}, {"data_parallel": ""}),
        (TTFT, {"load": "closed", "requests": "64"}, {"load": "offline", "requests": "64"}),
        (TTFT, {"load": "open", "rate": "0.2", "concurrency": ""}, {"load": "closed"}),
        (TPOT, {"load": "open", "rate": "0.2"}, {"load": "open", "rate": "2"}),
        (MAKESPAN, {"requests": "16"}, {"requests": "160"}),
        (MAKESPAN, {"length_spread": "0.5"}, {"length_spread": "1"}),
        (TTFT, {"max_num_seqs": "8"}, {"max_num_seqs": "2"}),
        (MAKESPAN, {"max_num_batched_tokens": "8192"}, {"max_num_batched_tokens": "256"}),
        (TPOT, {"eager": "false"}, {"eager": "true"}),
        (TPOT, {"speculative": "eagle3:3", "acceptance": "0.9"}, {"speculative": "none"}),
        (
            TPOT,
            {"speculative": "eagle3:3", "acceptance": "3.2"},
            {"speculative": "eagle3:3", "acceptance": "1.4"},
        ),
        (TPOT, {"prompt_tokens": "200"}, {"prompt_tokens": "20000"}),
        (MAKESPAN, {"output_tokens": "50"}, {"output_tokens": "200"}),
        (TPOT, {"concurrency": "1"}, {"concurrency": "64"}),
    ],
)
def test_a_column_changes_what_is_predicted(
    tmp_path: Path, measure: str, less: dict[str, str], more: dict[str, str]
) -> None:
    small, large = predicted(tmp_path, **less)[measure], predicted(tmp_path, **more)[measure]
    assert 0 < small < large


@pytest.mark.parametrize(
    ("measure", "less", "more"),
    [
        (TTFT, {"prefill_workers": "4"}, {"prefill_workers": "1"}),
        (TPOT, {"decode_workers": "4"}, {"decode_workers": "1"}),
        (TTFT, {"prefill_tensor_parallel": "8"}, {"prefill_tensor_parallel": "4"}),
        (TPOT, {"decode_tensor_parallel": "8"}, {"decode_tensor_parallel": "4"}),
        (TTFT, {"prefill_gpus": "16"}, {"prefill_gpus": "8"}),
        (TPOT, {"decode_gpus": "16"}, {"decode_gpus": "8"}),
    ],
)
def test_a_column_of_a_pool_changes_what_is_predicted(
    tmp_path: Path, measure: str, less: dict[str, str], more: dict[str, str]
) -> None:
    small, large = (predicted(tmp_path, **{**POOLS, **cells}) for cells in (less, more))
    assert 0 < small[measure] < large[measure]


@pytest.mark.parametrize("side", ["prefill", "decode"])
@pytest.mark.parametrize("column", ["attention_dp", "expert_parallel"])
def test_the_spread_of_a_pool_changes_what_is_predicted(
    tmp_path: Path, side: str, column: str
) -> None:
    measure = TTFT if side == "prefill" else TPOT
    plain = predicted(tmp_path, **POOLS)[measure]
    value = {"attention_dp": "1", "expert_parallel": "8"}[column]
    spread = predicted(tmp_path, **{**POOLS, f"{side}_{column}": value})[measure]
    assert spread != pytest.approx(plain, rel=1e-4)


def test_memory_fraction_matters_where_the_pool_binds_alone(tmp_path: Path) -> None:
    tight = {"concurrency": "64", "prompt_tokens": "8000", "weights": "bf16", "kv_cache": "bf16"}
    more = predicted(tmp_path, **tight, memory_fraction="0.95")
    less = predicted(tmp_path, **tight, memory_fraction="0.6")
    assert less[TTFT] > 1.2 * more[TTFT]
    assert predicted(tmp_path, memory_fraction="0.95") == predicted(tmp_path, memory_fraction="0.8")


def test_a_model_length_that_holds_every_request_changes_nothing(tmp_path: Path) -> None:
    assert predicted(tmp_path, max_model_len="4096") == predicted(tmp_path)


def test_lengths_of_a_file_are_simulated(tmp_path: Path) -> None:
    (tmp_path / "long.csv").write_text("prompt_tokens,output_tokens\n4000,100\n4000,100\n")
    (tmp_path / "short.csv").write_text("prompt_tokens,output_tokens\n400,100\n400,100\n")
    empty = {"prompt_tokens": "", "output_tokens": "", "requests": "16"}
    long, short = (predicted(tmp_path, **empty, lengths_file=f"{n}.csv") for n in ("long", "short"))
    assert short[TTFT] < long[TTFT]


def test_releases_and_dates_name_the_engine_that_was_measured(tmp_path: Path) -> None:
    """SGLang 0.5.6 on B200 delivers first tokens otherwise than 0.5.1; a date means a release."""
    run = {
        "model": "deepseek-ai/DeepSeek-R1",
        "gpu": "b200-sxm-180gb",
        "engine": "sglang",
        "weights": "nvfp4",
        "tensor_parallel": "8",
    }
    old = predicted(tmp_path, **run, engine_version="0.5.1")
    new = predicted(tmp_path, **run, engine_version="0.5.9")
    assert old[TTFT] != pytest.approx(new[TTFT], rel=1e-3)
    assert predicted(tmp_path, **run, measured_on="2025-09-01") != predicted(tmp_path, **run)


def test_gpus_divide_what_is_counted_per_gpu(tmp_path: Path) -> None:
    one = predicted(tmp_path, tokens_per_s_per_gpu="1000")
    two = predicted(tmp_path, tokens_per_s_per_gpu="1000", tensor_parallel="2", gpus="2")
    assert two["tokens_per_s_per_gpu"] < one["tokens_per_s_per_gpu"]


def test_every_quantity_has_a_prediction_under_its_own_column(tmp_path: Path) -> None:
    latencies = [
        f"{metric}_{statistic}_{unit}"
        for metric in ("ttft", "tpot", "itl", "e2e")
        for statistic in ("mean", "median", "p50", "p75", "p90", "p95", "p99")
        for unit in (("s",) if metric == "e2e" else ("ms",))
    ]
    totals = ["makespan_s", "output_tokens_per_s", "tokens_per_s_per_gpu"]
    row = {**BASE, **dict.fromkeys([*latencies, *totals], "10")}
    path = tmp_path / "points.csv"
    path.write_text(",".join(row) + "\n" + ",".join(row.values()) + "\n")
    result = CliRunner().invoke(command, [str(path), "--format", "json"], standalone_mode=False)
    (found,) = json.loads(result.stdout)["rows"]
    values = {name: found[f"predicted_{name}"] for name in (*latencies, *totals)}
    assert all(value > 0 for value in values.values()), values
    for metric in ("ttft", "tpot", "itl", "e2e"):
        unit = "s" if metric == "e2e" else "ms"
        tail = [values[f"{metric}_{p}_{unit}"] for p in ("p50", "p75", "p90", "p95", "p99")]
        assert tail == sorted(tail)
        assert values[f"{metric}_median_{unit}"] == values[f"{metric}_p50_{unit}"]


@pytest.mark.parametrize("load", ["closed", "open", "offline"])
def test_answers_of_one_token_have_a_ttft_and_no_tpot(tmp_path: Path, load: str) -> None:
    cells = {"output_tokens": "1", TPOT: "", "load": load, "rate": "2", "requests": "20"}
    found = predicted(tmp_path, **cells)
    assert 0 < found[TTFT] < 60_000
    path = tmp_path / "points.csv"
    result = CliRunner().invoke(command, [str(path), "--format", "json"], standalone_mode=False)
    (row,) = json.loads(result.stdout)["rows"]
    assert row["error"] is None
    assert row["predicted_tpot_ms"] is None
    assert row["interval"]["tpot_ms"] is None
    assert row["predicted_ttft_ms"] == pytest.approx(found[TTFT])


def test_a_first_token_leaves_with_the_last_at_the_latest(tmp_path: Path) -> None:
    """Two tokens whose second waits behind prompts: the first is not delivered steps later than it."""
    run = {"engine": "sglang", "load": "offline", "requests": "64", "output_tokens": "2"}
    found = predicted(tmp_path, **run, e2e_mean_s="9")
    assert found[TTFT] <= found["e2e_mean_s"] * 1e3 * 1.001
    assert (
        Measure("e2e") in PREDICTOR.predict(read_points(tmp_path / "points.csv").points[0]).values
    )
