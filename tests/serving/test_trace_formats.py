"""Traces as their publishers ship them today, each a few rows of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from planner.cli.trace import command
from planner.errors import InputError
from planner.workload.trace import Trace, read_trace
from planner.workload.trace_statistics import describe


def read(tmp_path: Path, text: str, name: str = "t.csv") -> Trace:
    path = tmp_path / name
    path.write_text(text)
    return read_trace(str(path))


def arrivals(trace: Trace) -> list[float]:
    assert trace.arrival_s is not None
    return [round(t, 6) for t in trace.arrival_s.tolist()]


def test_dates_with_a_zone(tmp_path: Path) -> None:
    """Azure's traces of 2024 state the zone."""
    trace = read(
        tmp_path,
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2024-05-10 00:00:00.009930+00:00,2162,5\n"
        "2024-05-10 00:00:01.123456+00:00,2376,9\n",
    )
    assert arrivals(trace) == [0.0, 1.113526]
    assert (trace.publisher, trace.time_unit) == ("Azure", "dates")


def test_bailian_counts_in_seconds_and_blocks_of_16(tmp_path: Path) -> None:
    rows = [
        {
            "chat_id": 1,
            "timestamp": 0.1,
            "input_length": 64,
            "output_length": 9,
            "hash_ids": [1, 2, 3, 4],
        },
        {
            "chat_id": 2,
            "timestamp": 10.4,
            "input_length": 80,
            "output_length": 9,
            "hash_ids": [1, 2, 9, 8, 7],
        },
    ]
    trace = read(tmp_path, "\n".join(map(json.dumps, rows)), "t.jsonl")
    assert arrivals(trace) == [0.0, 10.3]
    assert (trace.publisher, trace.time_unit, trace.block_tokens) == ("Bailian", "seconds", 16)
    assert describe(trace).prefix_share == pytest.approx(32 / 144)


def test_mooncake_counts_in_milliseconds(tmp_path: Path) -> None:
    rows = [
        {"timestamp": t, "input_length": 600, "output_length": 9, "hash_ids": [1, 2]}
        for t in (0, 3000)
    ]
    trace = read(tmp_path, "\n".join(map(json.dumps, rows)), "t.jsonl")
    assert (arrivals(trace), trace.time_unit) == ([0.0, 3.0], "milliseconds")


def test_burstgpt_leaves_out_requests_that_failed(tmp_path: Path) -> None:
    trace = read(
        tmp_path,
        "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
        "5,ChatGPT,472,18,490,Conversation log\n"
        "45,ChatGPT,1087,0,1087,Conversation log\n"
        "118,GPT-4,417,276,693,API log\n",
    )
    assert (arrivals(trace), trace.failed) == ([0.0, 113.0], 1)
    assert trace.output_tokens.tolist() == [18, 276]


def test_semicolons_and_a_byte_order_mark(tmp_path: Path) -> None:
    trace = read(tmp_path, "\ufeffarrival_s;prompt_tokens;output_tokens\n0;5;6\n1.5;7;8\n")
    assert arrivals(trace) == [0.0, 1.5]


@pytest.mark.parametrize(
    ("header", "times", "unit"),
    [
        ("timestamp", (1787267980.5, 1787267981.0), "seconds"),
        ("timestamp", (1787267980500, 1787267981000), "milliseconds"),
        ("timestamp", (1787267980500000, 1787267981000000), "microseconds"),
        ("timestamp", (1787267980500000000, 1787267981000000000), "nanoseconds"),
        ("timestamp_ms", (100, 600), "milliseconds"),
    ],
)
def test_the_unit_of_times_follows_from_name_or_size(
    tmp_path: Path, header: str, times: tuple[float, float], unit: str
) -> None:
    rows = "".join(f"{t},5,6\n" for t in times)
    trace = read(tmp_path, f"{header},prompt_tokens,output_tokens\n{rows}")
    assert trace.arrival_s is not None
    assert trace.arrival_s.tolist() == pytest.approx([0.0, 0.5], abs=1e-3)
    assert trace.time_unit == unit


def test_logs_written_as_requests_end_are_put_in_order_of_arrival(tmp_path: Path) -> None:
    rows = [
        {"request_id": "b", "input_toks": 7, "output_toks": 8, "arrival_time": 1787267981.0},
        {"request_id": "a", "input_toks": 5, "output_toks": 6, "arrival_time": 1787267980.5},
    ]
    trace = read(tmp_path, "\n".join(map(json.dumps, rows)), "t.jsonl")
    assert (arrivals(trace), trace.prompt_tokens.tolist()) == ([0.0, 0.5], [5, 7])


def test_records_of_aiperf(tmp_path: Path) -> None:
    def record(start: int, phase: str = "profiling") -> str:
        return json.dumps(
            {
                "metadata": {"request_start_ns": start, "benchmark_phase": phase},
                "metrics": {
                    "input_sequence_length": {"value": 550, "unit": "tokens"},
                    "output_sequence_length": {"value": 9, "unit": "tokens"},
                },
                "error": None,
            }
        )

    base = 1759813207532900363
    lines = [record(base - 10**9, "warmup"), record(base), record(base + 10**9)]
    trace = read(tmp_path, "\n".join(lines), "profile_export.jsonl")
    assert (arrivals(trace), trace.failed) == ([0.0, 1.0], 1)


def test_lengths_saved_by_vllm(tmp_path: Path) -> None:
    saved = {"input_lens": [5, 7], "output_lens": [6, 8], "start_times": [10.0, 10.5]}
    for text in (json.dumps(saved), json.dumps(saved, indent=2)):
        trace = read(tmp_path, text, "run.json")
        assert (arrivals(trace), trace.prompt_tokens.tolist()) == ([0.0, 0.5], [5, 7])


def test_a_list_of_objects(tmp_path: Path) -> None:
    rows = [{"timestamp": 1.5, "input_tokens": 5, "output_tokens": 6}]
    assert len(read(tmp_path, json.dumps(rows), "t.json")) == 1


def test_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "t.parquet"
    columns = {"arrival_s": [0.0, 2.0], "prompt_tokens": [5, 7], "output_tokens": [6, 8]}
    parquet.write_table(pyarrow.table(columns), path)
    trace = read_trace(str(path))
    assert (arrivals(trace), trace.output_tokens.tolist()) == ([0.0, 2.0], [6, 8])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[{"id": "a", "conversations": [{"from": "human", "value": "Hi."}]}]',
            "token counts are needed",
        ),
        ('{"mean_ttft_ms": 5, "completed": 3}\n', "planner accuracy"),
        ("arrival_s,promt_tokens,output_tokens\n0,5,6\n", "did you mean 'prompt_tokens'"),
    ],
)
def test_what_is_no_trace_is_named_as_what_it_is(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, text, "t.json")


def test_what_the_times_were_read_as_is_printed(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("timestamp_ms,prompt_tokens,output_tokens\n0,5,6\n2500,7,8\n")
    result = CliRunner().invoke(command, ["describe", str(path)], standalone_mode=False)
    assert "Times are milliseconds" in result.stdout
    assert "2 requests over 2.5 s" in result.stdout


@pytest.mark.parametrize(
    ("text", "span_s"),
    [
        ("start_time;prompt_len;output_len\n0,5;100;10\n1,5;200;20\n", 1.0),
        ("time_ms\tinput_tokens\toutput_tokens\n0\t100\t10\n1500\t200\t20\n", 1.5),
        ("Time (ms)|Prompt tokens|Output tokens\n0|100|10\n1500|200|20\n", 1.5),
        ('arrival_s,prompt_tokens,output_tokens\n0,"1,024",10\n1,2_048,20\n', 1.0),
        ("# mine\n# of May\narrival_s,prompt_tokens,output_tokens\n0,10,10\n1,10,10\n", 1.0),
        (
            "requestStartTime,promptTokens,completionTokens,endTime\n"
            "2023/11/16 10:00:00,5,5,1\n2023/11/16 10:00:02.5,5,5,1\n",
            2.5,
        ),
        (
            "TIMESTAMP,ContextTokens,GeneratedTokens\n"
            "16.11.2023 18:15:46,374,44\n17.11.2023 18:15:46,374,44\n",
            86_400.0,
        ),
        (
            '{"arrival_time": 1700000000.5, "prompt_tokens": 9, "generation_tokens": 2}\n'
            '{"arrival_time": 1700000001.5, "prompt_tokens": 9, "generation_tokens": 2}\n',
            1.0,
        ),
        (
            '{"created": 1700000000, "usage": {"prompt_tokens": 5, "completion_tokens": 6}}\n'
            '{"created": 1700000003, "usage": {"prompt_tokens": 5, "completion_tokens": 6}}\n',
            3.0,
        ),
        (
            '{"requests": [{"ts": 0, "prompt_tokens": 1, "output_tokens": 1},'
            ' {"ts": 4, "prompt_tokens": 1, "output_tokens": 1}]}',
            4.0,
        ),
    ],
)
def test_tables_as_people_and_programs_write_them(tmp_path: Path, text: str, span_s: float) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path = tmp_path / f"trace-{encoding}.txt"
        path.write_text(text, encoding=encoding)
        trace = read_trace(str(path))
        assert (len(trace), trace.span_s) == (2, pytest.approx(span_s))


def test_a_line_below_remarks_keeps_its_number(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("# mine\narrival_s,prompt_tokens,output_tokens\n0,10,10\n1,x,10\n")
    with pytest.raises(InputError, match=r"t\.csv:4"):
        read_trace(str(path))
