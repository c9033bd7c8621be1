"""The suffix of ``-o FILE`` says the format where ``--format`` does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from planner.cli.main import main

SCENARIO = """\
model: meta-llama/Llama-3.1-8B-Instruct
rate: 1
prompt_tokens: 500
output_tokens: 100
slo: {ttft_p99: 2s, tpot_p99: 200ms}
search: {gpus: [l4], weights: [bf16], kv_cache: [bf16], tensor_parallel: [1]}
"""


@pytest.fixture
def requested(tmp_path: Path) -> str:
    path = tmp_path / "question.yaml"
    path.write_text(SCENARIO)
    return str(path)


def written(requested: str, name: str, *more: str) -> bytes:
    path = Path(requested).parent / name
    assert main(["solve", requested, "--verify", "none", "-o", str(path), *more]) == 0
    return path.read_bytes()


def test_the_suffix_says_the_format(requested: str) -> None:
    assert json.loads(written(requested, "plan.json"))["status"] == "optimal"
    assert written(requested, "plan.csv").startswith(b"provider,region,")
    assert written(requested, "plan.md").startswith(b"# Capacity plan")
    assert written(requested, "plan.HTML").lstrip().lower().startswith(b"<!doctype html>")
    assert written(requested, "plan.xlsx").startswith(b"PK")


def test_a_format_that_is_given_wins(requested: str) -> None:
    assert written(requested, "plan.csv", "--format", "json").startswith(b"{")


def test_a_suffix_that_says_nothing_leaves_the_default(requested: str) -> None:
    assert b"What to rent" in written(requested, "plan.out")


def test_a_suffix_of_a_format_that_the_command_lacks_is_refused(
    requested: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = Path(requested).parent / "derived.xlsx"
    assert main(["explain", requested, "--verify", "none", "-o", str(target)]) == 2
    text = capsys.readouterr().err
    assert "this command does not write that format" in text
    assert "allowed: .json, .md, .markdown, .html, .htm, .csv, .txt" in text
    assert not target.exists()


def test_a_document_that_no_command_writes_is_refused(
    requested: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = Path(requested).parent / "plan.pdf"
    assert main(["report", requested, "--quick", "--verify", "none", "-o", str(target)]) == 2
    assert "found:   .pdf" in capsys.readouterr().err
    assert not target.exists()
