import json

import pytest
from click.testing import CliRunner

from planner.cli.frontier import command
from planner.comparison.latency_bounds import read_factors
from planner.errors import InputError

SCENARIO = """
name: small
model: meta-llama/Llama-3.1-8B-Instruct
rate: 90
prompt_tokens: 700
output_tokens: 200
slo: {ttft_p99: 2s, tpot_p99: 80ms}
search: {gpus: [l40s, h100-sxm-80gb, a10g], tensor_parallel: [1, 2], weights: [bf16], kv_cache: [bf16]}
limits: {stock: {l40s: 64}}
max_deployments: 1
"""
QUICK = ("--verify", "none")


@pytest.fixture(scope="module")
def scenario(tmp_path_factory):
    path = tmp_path_factory.mktemp("frontier") / "small.yaml"
    path.write_text(SCENARIO)
    return str(path)


def run(*arguments):
    return CliRunner().invoke(command, list(arguments), standalone_mode=False)


@pytest.fixture(scope="module")
def stated(scenario):
    result = run(
        scenario,
        "--format",
        "json",
        "--demand-cv",
        "0.1",
        "--tolerance",
        "20",
        "--target",
        "tpot_p99",
        "--range",
        "0.1..2",
    )
    assert result.return_value == 0, result.output
    return json.loads(result.stdout)


def test_every_question_is_answered(stated):
    assert set(stated) == {
        "scenario", "latency", "resilience", "assurance_small", "sized_for", "alternatives", "limits",
    }  # fmt: skip


def test_the_latency_frontier_has_no_dominated_point(stated):
    points = [(p["usd_per_hour"], p["bound_s"]) for p in stated["latency"]]
    assert len(points) >= 2
    assert points == sorted(points)
    assert [b for _, b in points] == sorted((b for _, b in points), reverse=True)
    assert all(p["achieved_s"] <= p["bound_s"] for p in stated["latency"])


def test_resilience_and_assurance_never_save_money(stated):
    prices = [row["price_usd_per_hour"] for row in stated["resilience"]]
    assert prices[0] == 0
    assert min(prices) >= 0
    sized = [row["usd_per_hour"] for row in stated["sized_for"]]
    assert sized == sorted(sized)
    chances = [row["probability"] for row in stated["assurance_small"]]
    assert chances == sorted(chances)


def test_alternatives_differ_and_cost_no_less(stated):
    made_of = [row["made_of"] for row in stated["alternatives"]]
    assert len(set(made_of)) == len(made_of) >= 2
    assert [r["extra"] for r in stated["alternatives"]] == sorted(
        r["extra"] for r in stated["alternatives"]
    )


def test_limits_are_valued_per_unit(stated):
    assert {row["limit"] for row in stated["limits"]} == {"stock.l40s"}
    assert {"+1 GPU", "+8 GPUs"} <= {row["more"] for row in stated["limits"]}


def test_the_table_names_the_decision(scenario):
    result = run(scenario, "--show", "alternatives", "--verify", "none")
    assert result.output.startswith("As stated: ")
    assert "Cost against latency" not in result.output


def test_an_unknown_target_names_those_there_are(scenario):
    with pytest.raises(InputError, match="no such target") as caught:
        CliRunner().invoke(
            command,
            [scenario, "--target", "ttft_p98"],
            standalone_mode=False,
            catch_exceptions=False,
        )
    assert "ttft_p99" in str(caught.value)


@pytest.mark.parametrize("text", ["4", "a..b", "4..1", "0..2", "1..inf", "-1..2"])
def test_a_range_of_factors_is_two_positive_numbers(text):
    with pytest.raises(InputError, match="range of factors"):
        read_factors(text)


def test_the_forecast_is_as_uncertain_as_the_scenario_says():
    def chances(*more):
        stated = run("chat_8b_assured", "--show", "assurance", "--format", "json", *QUICK, *more)
        assert stated.return_value == 0
        return stated.stdout

    as_said = chances()
    assert chances("--demand-cv", "0.15") == as_said
    assert chances("--demand-cv", "0") != as_said
