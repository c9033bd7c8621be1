"""Names that a catalog must know, and GPUs that somebody must offer."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner.catalog.store import load_catalog
from planner.errors import InputError
from planner.scenario.reader import read_scenario

TEXT = """\
model: meta-llama/Llama-3.1-8B
rate: 1
prompt_tokens: 500
output_tokens: 200
slo: {ttft_p99: 2s, tpot_p99: 60ms}
search: {gpus: [gb10]}
"""


def test_a_gpu_without_an_offer_is_no_infeasible_scenario(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(TEXT)
    with pytest.raises(InputError, match="no offer for gb10") as caught:
        read_scenario(path, load_catalog())
    message = str(caught.value)
    assert "s.yaml:6" in message
    assert "prices.file" in message
    assert "existing" in message


def test_a_gpu_without_an_offer_can_be_planned_as_owned(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(TEXT + "existing: [{gpu: gb10, gpus_per_node: 1, nodes: 3}]\n")
    assert read_scenario(path, load_catalog()).existing[0].gpu == "gb10"
