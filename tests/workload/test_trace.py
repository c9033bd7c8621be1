from __future__ import annotations

import json

import numpy as np
import pytest

from planner.errors import InputError
from planner.workload.length_tables import is_quantile_table, read_quantiles
from planner.workload.rate_series import read_rates
from planner.workload.trace import read_trace

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:03.9799600,4808,10
2023-11-16 18:17:04.0319600,3180,8
2023-11-16 18:18:04.0319600,110,27
"""


def write(tmp_path, text, name="t.csv"):
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def test_azure_keeps_fractions_of_a_second(tmp_path):
    trace = read_trace(write(tmp_path, AZURE))
    assert trace.arrival_s == pytest.approx([0, 0.052, 60.052], abs=1e-6)
    assert trace.prompt_tokens.tolist() == [4808, 3180, 110]
    assert trace.output_tokens.tolist() == [10, 8, 27]
    assert trace.prefix is None


def test_mooncake_brings_its_prefix_blocks(tmp_path):
    rows = [
        {"timestamp": 0, "input_length": 700, "output_length": 5, "hash_ids": [0, 1]},
        {"timestamp": 1500, "input_length": 900, "output_length": 6, "hash_ids": [0, 2]},
    ]
    trace = read_trace(write(tmp_path, "\n".join(map(json.dumps, rows)), "t.jsonl"))
    assert trace.arrival_s is not None
    assert trace.arrival_s.tolist() == [0, 1.5]
    assert trace.prefix == ((0, 1), (0, 2))


def test_request_logs_of_engines_start_at_zero(tmp_path):
    rows = [
        {"request_id": "a", "input_toks": 5, "output_toks": 6, "arrival_time": 1787267980.5},
        {"request_id": "b", "input_toks": 7, "output_toks": 8, "arrival_time": 1787267981.0},
    ]
    trace = read_trace(write(tmp_path, "\n".join(map(json.dumps, rows)), "t.jsonl"))
    assert trace.arrival_s is not None
    assert trace.arrival_s.tolist() == [0, 0.5]


def test_lengths_without_arrivals(tmp_path):
    trace = read_trace(write(tmp_path, "prompt_tokens,output_tokens\n5,6\n7,8\n"))
    assert trace.arrival_s is None
    assert len(trace) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("a,b\n1,2\n", "columns are missing"),
        ("arrival_s,prompt_tokens,output_tokens\n", "no requests"),
        ("arrival_s,prompt_tokens,output_tokens\n0,0,5\n", "prompt tokens"),
        ("arrival_s,prompt_tokens,output_tokens\n0,5,2.5\n", "output tokens"),
        ("arrival_s,prompt_tokens,output_tokens\n0,5,nan\n", "output tokens"),
        ("arrival_s,prompt_tokens,output_tokens\n0,5\n", "too short"),
        ("arrival_s,prompt_tokens,output_tokens\nnan,5,5\n", "not a time"),
        ("arrival_s,prompt_tokens,output_tokens\nnoon,5,5\n", "not a time"),
        ("arrival_s,prompt_tokens,output_tokens\n5,5,5\n1,5,5\n", "not in order"),
        ("arrival_s,prompt_tokens,output_tokens\n0,5,5\n99999999999,5,5\n", "more than a year"),
        ('{"timestamp": 0, "input_length": 5}\n', "columns are missing: output tokens"),
        ('{"timestamp": 0\n', "not a JSON object"),
        (
            '{"timestamp": 0, "input_length": 5, "output_length": 5, "hash_ids": "x"}',
            "hash_ids",
        ),
    ],
)
def test_a_bad_trace_is_named_with_its_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as caught:
        read_trace(write(tmp_path, text))
    assert "t.csv" in str(caught.value)


def test_requests_longer_than_the_context_are_counted(tmp_path):
    trace = read_trace(write(tmp_path, AZURE))
    trace.check_context(8192, "m")
    with pytest.raises(InputError, match="1 of 3 requests are longer than the context of m"):
        trace.check_context(4096, "m")


def test_unknown_trace_names_what_ships():
    with pytest.raises(InputError, match="no such trace file"):
        read_trace("nowhere.csv")


def test_quantile_tables(tmp_path):
    name = write(tmp_path, "quantile,tokens\n0.1,5\n0.5,9\n0.9,20\n")
    assert is_quantile_table(name)
    assert read_quantiles(name) == ((0.1, 5.0), (0.5, 9.0), (0.9, 20.0))
    with pytest.raises(InputError, match="must rise"):
        read_quantiles(write(tmp_path, "quantile,tokens\n0.5,5\n0.1,9\n", "b.csv"))


def test_rates_drop_gaps_and_ask_which_workload(tmp_path):
    text = "workload,window_start_s,rate_rps\n" + "".join(
        f"{w},{600 * i},{r}\n" for w in ("a", "b") for i, r in enumerate((5, 0, "", 7, "NaN"))
    )
    name = write(tmp_path, text)
    rates = read_rates(name, "a")
    assert rates.window_s == 600
    assert np.array_equal(rates.rate_qps, [5, 0, 7])
    assert rates.dropped == 2
    with pytest.raises(InputError, match="several workloads"):
        read_rates(name)
    with pytest.raises(InputError, match="no such workload"):
        read_rates(name, "c")
