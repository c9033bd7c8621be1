from __future__ import annotations

import csv
import json

import pytest

from planner.cli.main import main

SCENARIO = """
model: meta-llama/Meta-Llama-3-8B-Instruct
rate: 4
prompt_tokens: {mean: 500, cv: 0.5, max: 3000}
output_tokens: 60
slo: {ttft_p99: 2s, tpot_p99: 80ms}
search: {gpus: [l40s], tensor_parallel: [1], weights: [bf16], kv_cache: [bf16]}
"""


@pytest.fixture
def scenario(tmp_path):
    path = tmp_path / "chat.yaml"
    path.write_text(SCENARIO)
    return str(path)


def test_a_plan_that_holds_exits_0_and_reports_targets(scenario, capsys):
    assert main(["simulate", scenario, "--duration", "3m", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["holds"] is True
    (service,) = found["services"]
    assert {t["target"] for t in service["targets"]} == {"ttft_p99", "tpot_p99"}
    low, high = service["percentiles"]["ttft_p99_s"]["interval"]
    assert low <= service["percentiles"]["ttft_p99_s"]["value"] <= high


def test_the_same_seed_prints_the_same(scenario, capsys):
    outputs = []
    for seed in ("3", "3", "4"):
        main(["simulate", scenario, "--duration", "60s", "--seed", seed, "--format", "json"])
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1] != outputs[2]


def test_requests_and_series_are_written_whole(scenario, tmp_path, capsys):
    requests, series = tmp_path / "r.csv", tmp_path / "s.parquet"
    files = ["--requests", str(requests), "--series", str(series)]
    assert main(["simulate", scenario, "--duration", "3m", *files]) == 0
    rows = list(csv.DictReader(requests.read_text().splitlines()))
    assert float(rows[0]["ttft_s"]) > 0
    assert {"wait_s", "tpot_s", "e2e_s", "preemptions", "longest_gap_s"} <= set(rows[0])
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(series)
    assert table.column_names[2:] == ["time_s", "running", "waiting", "kv_used_share"]
    assert not list(tmp_path.glob(".*"))
    capsys.readouterr()


def test_a_plan_file_is_simulated_without_solving(scenario, tmp_path, capsys):
    plan = tmp_path / "plan.json"
    assert main(["solve", scenario, "--verify", "none", "--format", "json", "-o", str(plan)]) == 0
    assert main(["simulate", scenario, "--plan", str(plan), "--duration", "3m"]) == 0
    assert "Every target holds" in capsys.readouterr().out


def test_a_plan_meets_the_load_of_the_scenario_that_is_named(scenario, tmp_path, capsys):
    plan, busier, other = (tmp_path / n for n in ("plan.json", "busier.yaml", "other.yaml"))
    assert main(["solve", scenario, "--verify", "none", "--format", "json", "-o", str(plan)]) == 0
    busier.write_text(SCENARIO.replace("rate: 4", "rate: 6"))
    main(["simulate", str(busier), "--plan", str(plan), "--duration", "3m", "--format", "json"])
    assert json.loads(capsys.readouterr().out)["services"][0]["rate_qps"] == pytest.approx(6)
    other.write_text(SCENARIO.replace("Meta-Llama-3-8B", "Meta-Llama-3-70B"))
    assert main(["simulate", str(other), "--plan", str(plan)]) == 2
    assert "serves other models" in capsys.readouterr().err


def test_a_trace_is_simulated(scenario, capsys):
    trace = ["--trace", "azure_conversation_2023", "--duration", "60s"]
    assert main(["simulate", scenario, *trace]) in (0, 3)
    assert "requests measured" in capsys.readouterr().out


def test_a_run_too_short_for_its_percentile_says_so(scenario, capsys):
    assert main(["simulate", scenario, "--duration", "30s"]) == 3
    assert "too short to be sure" in capsys.readouterr().out


def test_a_closed_loop_finds_its_own_rate(scenario, capsys):
    rates = []
    for concurrency in ("4", "32"):
        main(["simulate", scenario, "--concurrency", concurrency, "--format", "json"])
        rates.append(json.loads(capsys.readouterr().out)["services"][0]["rate_qps"])
    assert 0 < rates[0] < rates[1]


def test_a_rate_beyond_the_fleet_is_said(scenario, capsys):
    assert main(["simulate", scenario, "--rate-scale", "100"]) == 3
    assert "grow without end" in capsys.readouterr().err


def test_scaling_up_helps_after_the_start_up(scenario, capsys):
    def p99(*options: str) -> float:
        base = ["simulate", scenario, "--rate-scale", "1.3", "--duration", "5m"]
        main([*base, "--format", "json", *options])
        found = json.loads(capsys.readouterr().out)
        return found["services"][0]["percentiles"]["tpot_p95_s"]["value"]

    assert p99("--scale", "0s:4") < p99()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--duration", "soon"], "duration"),
        (["--duration", "0"], "longer than 0"),
        (["--rate-scale", "0"], "rate-scale"),
        (["--scale", "soon"], "TIME:REPLICAS"),
        (["--scale", "5m:0"], "at least one replica"),
        (["--trace", "nowhere.csv"], "no such trace"),
        (["--concurrency", "4", "--trace", "azure_code_2023"], "leave out"),
        (["--requests", "r.xyz"], "unknown table format"),
    ],
)
def test_bad_options_exit_2(scenario, options, message, capsys):
    assert main(["simulate", scenario, "--duration", "20s", *options]) == 2
    assert message in capsys.readouterr().err


def test_trace_describe(capsys):
    assert main(["trace", "describe", "mooncake_conversation"]) == 0
    assert "prefix cache" in capsys.readouterr().out
    assert main(["trace", "describe", "azure_code_2023", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["requests"] == 1500
    assert found["interarrival_cv"] > 5


def test_a_bad_trace_exits_2_with_its_line(tmp_path, capsys):
    path = tmp_path / "bad.csv"
    path.write_text("arrival_s,prompt_tokens,output_tokens\n0,5,5\n1,zero,5\n")
    assert main(["trace", "describe", str(path)]) == 2
    assert "bad.csv:3" in capsys.readouterr().err
