"""What is beside a plan: alternatives that serve as much, native precision, the requested model."""

import pytest

from planner.api import solve
from planner.comparison.deciding import Decider
from planner.comparison.frontiers import FrontierQuestions, explore
from planner.comparison.sweeps import AXES, sweep
from planner.findings.schema import Findings
from planner.fleet.sized_before import SizedBefore
from planner.plan.alternatives import Alternative
from planner.plan.decision import Cheapest
from planner.plan.schema import Plan
from planner.reporting.formats import html
from planner.reporting.plan.decision_text import as_predicted_line, cheapest_line, searched_line
from planner.reporting.plan.plan_document import plan_document
from planner.reporting.plan.terminal import render_plan
from planner.reporting.rounding import usd_per_hour
from planner.reporting.studies.frontier_document import frontier_document
from planner.reporting.studies.sweep_document import sweep_document
from planner.scenario.reader import validate
from planner.scenario.text.yaml_source import parse_source
from planner.session import Session
from planner.solving.options import SolveOptions

TWO = """\
serve: by-priority
limits: {stock: {h100-sxm-80gb: 2, l4: 2}}
search: {gpus: [h100-sxm-80gb, l4], tensor_parallel: [1, 2]}
slo: {ttft_p99: 2s, tpot_p99: 80ms}
prompt_tokens: 500
output_tokens: 200
services:
  - {name: big, model: Qwen/Qwen2.5-Coder-32B-Instruct, rate: 40, priority: 1}
  - {name: small, model: Qwen/Qwen2.5-Coder-7B-Instruct, rate: 5, priority: 2}
"""


def solved(text):
    return solve(validate(parse_source(text, "test.yaml")), verify="none")


@pytest.fixture(scope="module")
def short():
    return solved(TWO)


def stated(plan):
    import io

    from rich.console import Console

    page = io.StringIO()
    Console(file=page, width=200).print(render_plan(plan))
    return page.getvalue()


def test_a_fleet_that_serves_less_is_no_alternative(short):
    served = sum(s.served_qps for s in short.services)
    assert 0 < served < 45
    assert all(a.gpus > 0 for a in short.alternatives)
    assert not any("l4" in a.label and "h100" not in a.label for a in short.alternatives)
    assert f"Only {served:.3g} req/s of 45 req/s are served." in stated(short)


def test_every_cost_beside_a_plan_by_priority_says_what_it_serves(short):
    others = [o for o in short.left_out if o.usd_per_hour is not None]
    assert others
    assert all(set(o.served_qps) == {"big", "small"} for o in others)
    sglang = next(o for o in others if o.name == "sglang")
    assert sum(sglang.served_qps.values()) < sum(s.served_qps for s in short.services)
    assert f"sglang: {usd_per_hour(sglang.usd_per_hour)}" in searched_line(short)
    assert searched_line(short).count("serves ") == len(others)
    assert short.as_predicted is not None
    assert set(short.as_predicted.served_qps) == {"big", "small"}
    assert "serves " in as_predicted_line(short)
    assert Plan.model_validate_json(short.model_dump_json()) == short


def test_an_alternative_of_a_plan_by_priority_says_what_it_serves(short):
    other = Alternative(
        label="2x (1x h100)", gpus=2, usd_per_hour=9.0, reason="dearer",
        served_qps={"big": 15.0, "small": 5.0},
    )  # fmt: skip
    plan = short.model_copy(update={"alternatives": (other,)})
    for page in (stated(plan), html.render(plan_document(Findings(plan)))):
        text = " ".join(page.split())
        assert "What it serves" in text
        assert "20 req/s" in text
        assert "big 15 req/s" in text
    cheapest = Cheapest(
        label="2x (1x h100)", gpus=2, usd_per_hour=9.0, status="optimal", offers=(), doubts=(),
        served_qps={"big": 15.0, "small": 5.0},
    )  # fmt: skip
    line = cheapest_line(short.model_copy(update={"cheapest": cheapest}))
    assert "serves 20 req/s (big 15 req/s, small 5 req/s)" in line


def test_each_point_of_a_sweep_and_of_a_frontier_says_what_it_serves():
    scenario = validate(parse_source(TWO, "test.yaml"))
    session = Session.open(options=SolveOptions("none", rivals=0))
    swept = sweep(scenario, AXES["rate"], (30.0, 60.0), session.solver_of_variants())
    table = sweep_document(swept).tables()["points"]
    assert [column.key for column in table.columns][-1] == "serves"
    assert all("req/s (big " in row[-1] for row in table.rows)
    decider = Decider(
        session.catalog, SizedBefore(session.catalog, session.factors), session.options
    )
    found = explore(decider, scenario, FrontierQuestions(("alternatives",)))
    table = frontier_document(found).tables()["alternatives"]
    assert all("req/s (big " in row[-1] for row in table.rows)


def test_a_plan_that_serves_all_says_nothing_of_it():
    plan = solved(TWO.replace("by-priority", "all").replace("rate: 40", "rate: 4"))
    assert all(not o.served_qps for o in plan.left_out)
    assert "served_qps" not in plan.model_dump(mode="json")["left_out"][0]
    assert "serves" not in searched_line(plan)


def test_the_checkpoint_requested_for_is_reported_and_not_its_relative(short):
    assert [s.model for s in short.services] == [
        "Qwen/Qwen2.5-Coder-32B-Instruct",
        "Qwen/Qwen2.5-Coder-7B-Instruct",
    ]
    assert " for big" in stated(short).splitlines()[0]


def test_a_short_name_is_reported_by_the_catalog(catalog):
    model = catalog.model("qwen2.5-7b-instruct")
    assert model.requested_as("qwen2.5-7b-instruct") == model.name
    assert model.requested_as("qwen/qwen2.5-coder-7b-instruct") == "Qwen/Qwen2.5-Coder-7B-Instruct"


def test_no_plan_at_native_precision_is_said():
    plan = solved(
        "model: meta-llama/Llama-3.1-8B-Instruct\nrate: 2\nprompt_tokens: 500\noutput_tokens: 100\n"
        "slo: {tpot_p99: 80ms}\nallow_lower_precision: true\n"
        "search: {gpus: [l4], weights: [fp8], kv_cache: [bf16], tensor_parallel: [1]}\n"
    )
    assert plan.native_precision is None
    assert any("own precision (bf16)" in a for a in plan.assumptions)
    assert "1 GPU, " in stated(plan)
