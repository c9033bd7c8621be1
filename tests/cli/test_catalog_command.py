"""``planner catalog`` lists, filters and shows; what it does not know ends in exit code 2."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from planner.cli.main import main


def run(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> str:
    assert main(["catalog", *args]) == code
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return captured.err if code else captured.out


def test_gpus_as_json_carry_exact_values(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(run(capsys, "gpus", "hopper", "switch", "--format", "json"))
    h100 = next(row for row in rows if row["name"] == "h100-sxm-80gb")
    assert h100["cuda_visible_gib"] == 79.18
    assert h100["fp4_tflops"] is None
    assert all(row["architecture"] == "hopper" for row in rows)


def test_offers_are_sorted_and_limited(capsys: pytest.CaptureFixture[str]) -> None:
    text = run(capsys, "offers", "h100-sxm", "on-demand", "--limit", "20", "--format", "csv")
    prices = [float(row["usd_per_gpu_hour"]) for row in csv.DictReader(io.StringIO(text))]
    assert len(prices) == 20
    assert prices == sorted(prices)
    stated = run(capsys, "offers", "h100-sxm")
    assert "more are not shown; --limit 0 shows all" in stated


def test_engines_as_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    assert "| vllm | 0.19.0 | chunked-prefill |" in run(capsys, "engines", "--format", "md")


def test_a_table_can_be_written_to_a_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(capsys, "gpus", "t4", "-o", str(tmp_path / "gpus.txt")) == ""
    assert "turing" in (tmp_path / "gpus.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "fact"),
    [("H100", "cuda_visible_gib"), ("vllm 0.12", "max_num_seqs"), ("trtllm", "no-evict")],
)
def test_show(capsys: pytest.CaptureFixture[str], name: str, fact: str) -> None:
    assert fact in run(capsys, "show", name)


def test_show_as_json_has_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    shown = json.loads(run(capsys, "show", "h200-sxm-141gb", "--format", "json"))
    assert shown["memory_bandwidth_gb_s"] == 4800.0


def test_unknown_name_gives_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert "h100-sxm-80gb" in run(capsys, "show", "h100-sxm-80g", code=2)


def test_a_filter_without_a_match_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert "nothing matches" in run(capsys, "gpus", "no-such-gpu", code=2)


def test_a_broken_catalog_folder_exits_4(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "gpus.csv").write_text("name,color\nx,red\n")
    assert "color" in run(capsys, "gpus", "--catalogs", str(tmp_path), code=4)


@pytest.mark.parametrize(
    ("listing", "words", "shown"),
    [
        ("formats", ["kv", "nvfp4"], "one per 16"),
        ("rules", ["sglang", "gaudi"], "SGLang runs on"),
        ("apis", ["gpt-oss-120b"], "fireworks"),
        ("servers", ["b200"], "hgx-b200-8"),
        ("models", ["llama-3-70b"], "Meta-Llama-3-70B-Instruct"),
    ],
)
def test_every_listing_filters(
    capsys: pytest.CaptureFixture[str], listing: str, words: list[str], shown: str
) -> None:
    assert shown in run(capsys, listing, *words)
    assert json.loads(run(capsys, listing, "--format", "json"))
    assert len(run(capsys, listing, "--format", "json", "--limit", "1")) < 2000
