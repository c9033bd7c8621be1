"""Fleets that cannot be: contradictory limits, no stock, senseless prices, too little time."""

import json

import pytest

from planner.cli.main import main
from planner.plan.schema import read_plan

SCENARIO = """
name: small
model: meta-llama/Llama-3.1-8B-Instruct
rate: 40
prompt_tokens: 700
output_tokens: 200
slo: {{ttft_p99: {ttft}, tpot_p99: 80ms}}
search: {{gpus: [l40s, h100-sxm-80gb], tensor_parallel: [1, 2], weights: [bf16], kv_cache: [bf16]}}
limits: {limits}
prices: {prices}
"""
PRICES = (
    "provider,region,instance_type,gpu,gpu_count,term,usd_per_hour,as_of,source,confidence\n"
    "mine,here,box,h100-sxm-80gb,1,on-demand,{price},2026-10-01,quote,high\n"
    "mine,here,small,l40s,1,on-demand,0.9,2026-10-01,quote,high\n"
)


@pytest.fixture
def solve(tmp_path, capsys):
    def run(*options, limits="{}", prices=None, ttft="2s"):
        if prices is None:
            (tmp_path / "two.csv").write_text(PRICES.format(price="2.5"))
            prices = "{file: two.csv}"
        scenario = tmp_path / "small.yaml"
        scenario.write_text(SCENARIO.format(limits=limits, prices=prices, ttft=ttft))
        output = tmp_path / "plan.json"
        code = main(
            [
                "solve",
                str(scenario),
                "--verify",
                "none",
                "--format",
                "json",
                "-o",
                str(output),
                *options,
            ]
        )
        plan = read_plan(output) if output.exists() else None
        return code, plan, capsys.readouterr().err

    return run


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        ("{max_gpus: 1}", {"rate", "limits.max_gpus"}),
        ("{max_cost_usd_per_hour: 1.5}", {"rate", "limits.max_cost_usd_per_hour"}),
        ("{max_gpus: 64, stock: {h100-sxm-80gb: 0, l40s: 0}}", {"limits.stock"}),
        ("{max_gpus: 2, max_cost_usd_per_hour: 2}", {"rate"}),
    ],
)
def test_contradictory_limits_exit_3_and_name_themselves(solve, limits, named):
    code, plan, err = solve(limits=limits)
    assert code == 3, err
    assert plan.status == "infeasible"
    stated = plan.infeasibility
    text = " ".join(stated.conflict)
    assert all(name in text for name in named), text
    assert stated.relaxations
    assert all(r.usd_per_hour is None or r.usd_per_hour > 0 for r in stated.relaxations)
    assert plan.objective_usd_per_hour is None


def test_a_target_below_the_floor_exits_3_and_says_by_how_much(solve):
    code, plan, err = solve(ttft="1ms")
    assert code == 3, err
    assert plan.infeasibility.conflict == ("ttft_p99: 1 ms",)
    alone = [r for r in plan.infeasibility.relaxations if r.requirement == "ttft_p99"]
    assert alone
    for relaxation in alone:
        number, unit = relaxation.relaxed.split()
        assert float(number) * {"ms": 1e-3, "s": 1.0}[unit] > 0.005


def test_a_relaxation_reported_is_one_that_works(solve):
    _, plan, _ = solve(limits="{max_cost_usd_per_hour: 1.5}")
    (budget,) = [
        r for r in plan.infeasibility.relaxations
        if r.requirement == "limits.max_cost_usd_per_hour"
    ]  # fmt: skip
    relaxed = float(budget.relaxed.strip("$").removesuffix("/h"))
    code, again, err = solve(limits=f"{{max_cost_usd_per_hour: {relaxed}}}")
    assert code == 0, err
    assert again.objective_usd_per_hour == pytest.approx(budget.usd_per_hour)
    code, _, _ = solve(limits=f"{{max_cost_usd_per_hour: {0.98 * budget.usd_per_hour}}}")
    assert code == 3


@pytest.mark.parametrize("price", ["-2.5", "0", "nan", "inf", "two", ""])
def test_a_senseless_price_exits_2_and_names_file_and_line(solve, tmp_path, price):
    path = tmp_path / "prices.csv"
    path.write_text(PRICES.format(price=price))
    code, plan, err = solve(prices=f"{{file: {path}}}")
    assert code == 2
    assert plan is None
    assert f"{path}:2" in err
    assert "usd_per_hour" in err


def test_an_unknown_region_exits_2_and_says_where_to_look(solve):
    code, plan, err = solve(prices="{regions: [atlantis-1]}")
    assert code == 2
    assert plan is None
    assert "atlantis-1" in err
    assert "planner catalog offers" in err or "allowed" in err


def test_too_little_time_is_called_optimal_only_with_proof(solve):
    code, plan, err = solve("--time-limit", "1e-6")
    assert code == (0 if plan.status == "optimal" else 5), err
    if plan.status == "optimal":
        assert plan.bound_usd_per_hour == pytest.approx(plan.objective_usd_per_hour)
    if plan.status == "unknown":
        assert plan.objective_usd_per_hour is None


@pytest.mark.parametrize("limit", ["0", "-1", "soon"])
def test_a_senseless_time_limit_exits_2(solve, limit):
    code, plan, _ = solve("--time-limit", limit)
    assert code == 2
    assert plan is None


@pytest.mark.parametrize(
    ("limits", "field"),
    [
        ("{max_gpus: 0}", "max_gpus"),
        ("{max_gpus: -3}", "max_gpus"),
        ("{max_cost_usd_per_hour: 0}", "max_cost_usd_per_hour"),
        ("{stock: {h100-sxm-80gb: -1}}", "stock"),
        ("{stock: {h100-xsm: 4}}", "h100"),
        ("{max_gpu: 4}", "max_gpu"),
    ],
)
def test_senseless_limits_exit_2_and_name_the_field(solve, limits, field):
    code, plan, err = solve(limits=limits)
    assert code == 2
    assert plan is None
    assert field in err


def test_verify_refuses_what_is_no_plan(tmp_path, capsys):
    path = tmp_path / "no_plan.json"
    for text in ("{}", "[]", "nonsense", json.dumps({"schema_version": 99})):
        path.write_text(text)
        assert main(["verify", str(path)]) == 2
        assert "Traceback" not in capsys.readouterr().err
    assert main(["verify", str(tmp_path / "missing.json")]) == 2
