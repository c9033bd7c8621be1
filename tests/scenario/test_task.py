"""Services whose prompts are pooled: no output tokens, targets of whole requests, models that can."""

from __future__ import annotations

import json

import pytest
from encoders import BERT_LARGE

from planner.cli.main import main
from planner.scenario.json_schema import scenario_schema
from planner.scenario.schema import Scenario, Service

RERANKER = {
    "model": "Qwen/Qwen3-Reranker-8B",
    "task": "rerank",
    "rate": 20,
    "prompt_tokens": 400,
    "slo": {"e2e_p99": "500ms"},
}
GENERATOR = {**RERANKER, "output_tokens": 100, "slo": {"ttft_p99": "1s"}}
GENERATOR.pop("task")


def test_a_pooling_service_needs_no_output_tokens_and_reads_back_as_it_was_written():
    service = Scenario.model_validate(RERANKER).services[0]
    assert service.output_tokens.mean == 1
    written = service.model_dump(mode="json")
    assert written["task"] == "rerank"
    assert "output_tokens" not in written
    assert Service.model_validate_json(json.dumps(written)) == service


def test_a_service_that_generates_reads_as_it_always_did():
    assert "task" not in Scenario.model_validate(GENERATOR).services[0].model_dump(mode="json")


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"output_tokens": 300}, "output_tokens", "writes no tokens: leave output_tokens out"),
        ({"slo": {"ttft_p99": "1s"}}, "slo", "has no ttft"),
        ({"slo": {"tpot_p90": "1s", "e2e_p99": "1s"}}, "slo", "such as e2e_p90"),
        ({"length_correlation": 0.5}, "length_correlation", "no tokens that lengths"),
        ({"search": {"disaggregation": True}}, "search", "leave search.disaggregation out"),
        (
            {"search": {"settings": {"draft_tokens": 2, "draft_acceptance": 0.7}}},
            "search",
            "leave search.settings.draft_tokens out",
        ),
        ({"buckets": {"output_tokens": [10]}}, "buckets", "leave buckets.output_tokens out"),
        ({"task": "translate"}, "task", "'generate', 'embed', 'rerank' or 'classify'"),
        ({"model": "bert.json"}, "task", "bert.json has no head for task rerank"),
        ({**GENERATOR, "model": "bert.json", "task": "generate"}, "model", "give task: embed"),
    ],
)
def test_what_a_pooling_service_cannot_have_is_refused_at_its_field(
    change, field, words, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bert.json").write_text(json.dumps(BERT_LARGE))
    (tmp_path / "s.yaml").write_text(json.dumps({**RERANKER, **change}, indent=1))
    assert main(["validate", "s.yaml"]) == 2
    out, err = capsys.readouterr()
    assert words in (out + err).replace("\n", " ")
    assert f"({field})" in out + err or field in out + err


def test_the_json_schema_takes_a_file_without_output_tokens_only_where_prompts_are_pooled():
    ways = scenario_schema()["anyOf"][1:]
    # recorded conversations and classes bring their lengths
    lengths = {"output_tokens", "conversations", "classes"}
    pooled = [way for way in ways if lengths.isdisjoint(way["required"])]
    assert len(pooled) == 2
    for way in pooled:
        assert way["properties"]["task"]["enum"] == ["embed", "rerank", "classify"]


CALLS = {**RERANKER, "rate": "40 calls/s", "prompts_per_call": 25}


def test_calls_count_as_their_prompts():
    service = Scenario.model_validate(CALLS).services[0]
    assert service.rate == 1000
    assert service.prompts_cv == 5
    written = service.model_dump(mode="json")
    assert Service.model_validate_json(json.dumps(written)) == service
    assert "prompts_per_call" not in Scenario.model_validate(RERANKER).services[0].model_dump()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"prompts_per_call": 0}, "prompts_per_call"),
        ({"prompts_per_call": 20_000}, "prompts_per_call"),
        ({**GENERATOR, "task": "generate"}, "task: generate does not go with prompts_per_call"),
    ],
)
def test_what_calls_cannot_be_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        Scenario.model_validate({**CALLS, **change})
