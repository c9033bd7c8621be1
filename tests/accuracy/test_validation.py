from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from planner.accuracy.point import MeasuredPoint
from planner.accuracy.validation import Predictor
from planner.catalog.store import load_catalog
from planner.cli.accuracy import command
from planner.performance.factors import load_calibration

HEADER = "model,gpu,engine,weights,tensor_parallel,prompt_tokens,output_tokens,concurrency,ttft_ms,tpot_ms"
ROW = "openai/gpt-oss-120b,h200-sxm-141gb,vllm,mxfp4,1,1024,1024,8,105.9,9.06"


def write(tmp_path: Path, *rows: str) -> str:
    path = tmp_path / "points.csv"
    path.write_text("\n".join((HEADER, *rows)) + "\n")
    return str(path)


def test_json_has_summary_groups_and_every_row(tmp_path: Path) -> None:
    points = write(tmp_path, ROW, ROW.replace("h200-sxm-141gb", "h2000"), ROW.replace("9.06", "x"))
    result = CliRunner().invoke(command, [points, "--format", "json"], standalone_mode=False)
    assert result.return_value == 0
    text = json.loads(result.stdout)
    assert set(text) == {"summary", "groups", "rows"}
    assert text["summary"]["points"] == 1
    assert len(text["rows"]) == 3
    good, unknown, broken = text["rows"]
    assert good["error"] is None
    low, high = good["interval"]["tpot_ms"]
    assert low < good["predicted_tpot_ms"] < high
    assert good["interval"]["level"] == 0.8
    assert "h2000" in unknown["error"]
    assert "tpot_ms" in broken["error"]
    assert ":3:" in result.stderr
    assert ":4:" in result.stderr


@pytest.mark.parametrize("style", ["table", "md"])
def test_users_are_reported_the_errors(tmp_path: Path, style: str) -> None:
    result = CliRunner().invoke(
        command, [write(tmp_path, ROW), "--format", style], standalone_mode=False
    )
    assert result.return_value == 0
    assert "TPOT" in result.stdout


def test_exit_code_2_when_nothing_is_usable(tmp_path: Path) -> None:
    points = write(tmp_path, ROW.replace("vllm", "vlllm"))
    result = CliRunner().invoke(command, [points], standalone_mode=False)
    assert result.return_value == 2


@pytest.mark.parametrize("gpu", ["h100-sxm-80gb", "mi300x", "b300-sxm-288gb", "gb200", "l40s"])
@pytest.mark.parametrize("engine", ["vllm", "sglang", "trtllm"])
def test_every_engine_and_gpu_gets_a_prediction_with_borrowed_factors(
    gpu: str, engine: str
) -> None:
    catalog = load_catalog()
    predictor = Predictor(catalog, load_calibration(catalog))
    prediction = predictor.predict(
        MeasuredPoint("Qwen/Qwen3-30B-A3B", gpu, engine, "fp8", 4, 1024, 1024, 16, 100.0, 10.0)
    )
    assert prediction.tpot_ms > 0
    assert prediction.tpot_interval is not None
    assert prediction.tpot_interval.low < prediction.tpot_ms < prediction.tpot_interval.high


def test_rows_that_no_plan_would_launch_are_predicted_with_a_warning(tmp_path: Path) -> None:
    odd = "Qwen/Qwen3-8B,h100-sxm-80gb,vllm,bf16,3,1000,200,8,100,9"
    long = "Qwen/Qwen3-8B,h100-sxm-80gb,vllm,bf16,1,100000,200,8,9000,90"
    points = write(tmp_path, odd, long, odd.replace("bf16,3", "bf16,2"), odd)
    result = CliRunner().invoke(command, [points, "--format", "json"], standalone_mode=False)
    said = " ".join(result.stderr.split())
    assert (
        "2 rows, first line 2: predicted, though no plan would launch it: 32 attention heads"
        in said
    )
    assert "line 3: predicted, though no plan would launch it: 100,200 tokens of a request" in said
    assert "line 4" not in said


def test_runs_faster_than_their_gpus_read_the_weights_are_doubted(tmp_path: Path) -> None:
    """8.2 GB x 2 at 3.35 TB/s are 4.5 ms a token; 141 GB do not lie on one H100."""
    fast = "Qwen/Qwen3-8B,h100-sxm-80gb,vllm,bf16,1,1000,200,1,25,0.5"
    large = "meta-llama/Llama-3.3-70B-Instruct,h100-sxm-80gb,vllm,bf16,1,1000,200,1,500,60"
    points = write(tmp_path, fast, fast.replace("0.5", "6.2"), large)
    result = CliRunner().invoke(command, [points, "--format", "json"], standalone_mode=False)
    said = " ".join(result.stderr.split())
    assert "line 2: TPOT below 4.52 ms" in said
    assert "line 3" not in said
    assert "line 4: predicted, though no plan would launch it: 141.1 GB of weights" in said
