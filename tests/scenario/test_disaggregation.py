"""What a search may split: ratios, places and the link, strictly read."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from planner.scenario.reader import read_scenario
from planner.scenario.search.disaggregation import Disaggregation
from planner.scenario.search.fields import Search

BASE = """
model: meta-llama/Llama-3.1-8B-Instruct
rate: 4
prompt_tokens: 500
output_tokens: 60
slo: {ttft_p99: 2s}
search:
"""


def test_true_asks_for_the_defaults_and_false_for_none():
    assert Search.model_validate({"disaggregation": True}).disaggregation == Disaggregation()
    assert Search.model_validate({"disaggregation": False}).disaggregation is None


def test_ratios_are_reported_as_xpyd_whatever_separates_them():
    requested = Disaggregation.model_validate({"ratios": ["2p3d", "1:2", "3P+1D", "2P3D"]})
    assert requested.ratios == ("2P3D", "1P2D", "3P1D")
    assert requested.counts == ((2, 3), (1, 2), (3, 1))


def test_the_default_ratios_hold_no_multiple_of_another():
    counts = Disaggregation().counts
    assert (1, 1) in counts
    assert (2, 2) not in counts
    assert max(max(c) for c in counts) == 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"ratios": []},
        {"ratios": ["0P1D"]},
        {"ratios": ["17P1D"]},
        {"ratios": [62]},
        {"ratios": ["12"]},
        {"ratios": [f"{p}P{d}D" for p in range(1, 10) for d in range(1, 10)]},
        {"within": "rack"},
        {"kv_link": {"gb_s": 0}},
        {"kv_link": {"latency": "-1s"}},
        {"prefill_tensor_parallel": 0},
        {"pools": 2},
    ],
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValidationError):
        Disaggregation.model_validate(wrong)


def test_a_bare_ratio_is_explained_with_its_line(tmp_path):
    path = tmp_path / "chat.yaml"
    path.write_text(BASE + "  disaggregation: {ratios: [1:2]}\n")
    with pytest.raises(Exception, match="2P3D") as caught:
        read_scenario(path)
    assert "chat.yaml" in str(caught.value)


def test_a_search_that_asks_for_neither_reads_as_it_always_did():
    text = Search().model_dump(mode="json")
    assert "disaggregation" not in text
    assert "spanning_nodes" not in text
    requested = Search.model_validate({"disaggregation": True, "spanning_nodes": 2})
    text = requested.model_dump(mode="json")
    assert text["spanning_nodes"] == 2
    assert Search.model_validate(text) == requested
    assert Search.model_validate_json(requested.model_dump_json()) == requested
