"""Recorded conversations: nested records of load generators and of tracing, and what repeats in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from planner.cli.trace import command
from planner.serving.simulation.requests import from_trace
from planner.workload.recorded_reuse import CHAIN_BLOCK_TOKENS, chains
from planner.workload.trace import Trace, read_trace
from planner.workload.trace_statistics import describe

BASE_NS = 1_759_813_207_532_900_363


def read(tmp_path: Path, text: str, name: str = "t.jsonl") -> Trace:
    path = tmp_path / name
    path.write_text(text)
    return read_trace(str(path))


def otlp(start_s: float, tokens: tuple[int, int], talk: str) -> dict[str, object]:
    values = {
        "gen_ai.usage.input_tokens": {"intValue": str(tokens[0])},
        "gen_ai.usage.output_tokens": {"intValue": str(tokens[1])},
        "gen_ai.conversation.id": {"stringValue": talk},
    }
    return {
        "spanId": f"{start_s}",
        "startTimeUnixNano": str(BASE_NS + int(start_s * 1e9)),
        "attributes": [{"key": k, "value": v} for k, v in values.items()],
    }


def test_spans_as_otlp_writes_them(tmp_path: Path) -> None:
    """Exported in order of their ends; a tool's span is no request."""
    tool = {"spanId": "t", "startTimeUnixNano": str(BASE_NS), "name": "execute_tool"}
    spans = [otlp(9.0, (900, 50), "a"), tool, otlp(0.0, (500, 40), "a"), otlp(1.5, (640, 30), "b")]
    whole = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
    for text in (json.dumps(whole), json.dumps(whole, indent=1)):
        trace = read(tmp_path, text)
        assert trace.publisher == "OpenTelemetry"
        assert trace.arrival_s.round(6).tolist() == [0.0, 1.5, 9.0]
        assert trace.prompt_tokens.tolist() == [500, 640, 900]
        assert trace.conversation.tolist() == [0, 1, 0]


def test_spans_one_a_line_with_the_older_names(tmp_path: Path) -> None:
    rows = [
        {
            "start_time": f"2026-10-01T12:00:0{i}.25Z",
            "attributes": {
                "gen_ai.usage.prompt_tokens": 100 + i,
                "gen_ai.usage.completion_tokens": 0 if i == 1 else 7,
                "session.id": "s",
            },
        }
        for i in range(3)
    ]
    trace = read(tmp_path, "\n".join(map(json.dumps, rows)))
    assert (trace.arrival_s.tolist(), trace.failed) == ([0.0, 2.0], 1)


@pytest.mark.parametrize(
    "info",
    [
        {"input_tokens": 591, "output_tokens": 140},
        {
            "request_metrics": {"text": {"input_tokens": 591}},
            "response_metrics": {"output_tokens": 140},
        },
    ],
)
def test_records_of_inference_perf(tmp_path: Path, info: dict[str, object]) -> None:
    rows = [
        {"start_time": 100.5, "end_time": 102.0, "request": "{}", "info": info, "error": None},
        {"start_time": 100.0, "end_time": 101.5, "request": "{}", "info": info, "error": None},
        {"start_time": 101.0, "end_time": 101.1, "info": {}, "error": {"error_type": "timeout"}},
    ]
    trace = read(tmp_path, json.dumps(rows), "per_request_lifecycle_metrics.json")
    assert (trace.publisher, trace.failed) == ("inference-perf", 1)
    assert trace.arrival_s.tolist() == [0.0, 0.5]
    assert (trace.prompt_tokens.tolist(), trace.output_tokens.tolist()) == ([591] * 2, [140] * 2)
    assert trace.conversation is None


def test_turns_of_aiperf_belong_to_their_session(tmp_path: Path) -> None:
    def record(start_s: int, session: str, turn: int, tokens: int) -> str:
        metadata = {
            "request_start_ns": BASE_NS + start_s * 10**9,
            "benchmark_phase": "profiling",
            "x_correlation_id": session,
            "conversation_id": "template",
            "turn_index": turn,
        }
        metrics = {
            "input_sequence_length": {"value": tokens, "unit": "tokens"},
            "output_sequence_length": {"value": 60, "unit": "tokens"},
        }
        return json.dumps({"metadata": metadata, "metrics": metrics, "error": None})

    rows = [record(0, "x", 0, 1000), record(1, "y", 0, 1000), record(5, "x", 1, 1200)]
    trace = read(tmp_path, "\n".join(rows), "profile_export.jsonl")
    assert trace.conversation.tolist() == [0, 1, 0]


def test_a_turn_repeats_what_its_conversation_held(tmp_path: Path) -> None:
    """100 and 200 tokens of a rewritten history repeat nothing."""
    text = (
        "arrival_s,prompt_tokens,output_tokens,conversation_id\n"
        "0,1000,24,a\n1,1000,24,b\n2,1200,100,a\n3,500,10,a\n4,520,10,a\n"
    )
    trace = read(tmp_path, text, "t.csv")
    found, block = chains(trace)
    assert block == CHAIN_BLOCK_TOKENS
    assert len(set(found[0]) & set(found[2])) == 1000 // block
    assert found[2][: 1024 // block][:7] == found[0][:7]
    assert not set(found[1]) & set(found[0])
    assert not set(found[3]) & set(found[2])
    assert found[4][:3] == found[3][:3]
    known = (7 + 1 + 3) * block  # the seven of turn one and the block that its answer filled
    assert describe(trace).prefix_share == pytest.approx(known / 4220, abs=block / 4220)
    assert describe(trace).conversations == 2
    requests = from_trace(trace)
    assert requests.recorded
    assert requests.answered
    assert requests.prefix[2][: len(found[2])] == found[2]
    assert len(requests.prefix[2]) == 1300 // block  # the answer's block too


def test_the_command_names_conversations(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("arrival_s,prompt_tokens,output_tokens,session_id\n0,900,24,a\n9,1000,24,a\n")
    result = CliRunner().invoke(command, ["describe", str(path)])
    assert result.exit_code == 0
    assert "turns of 1 conversation," in " ".join(result.output.split())
