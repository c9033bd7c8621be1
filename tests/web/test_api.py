"""Every route on the walkthrough question: the same answers as the Python API and the command line."""

import io
import json
import time
import zipfile

import numpy as np
import pytest
from fastapi.testclient import TestClient

from planner.api import solve
from planner.scenario.reader import find_scenario, validate
from planner.scenario.text.yaml_source import parse_source
from planner.session import Session
from planner.web.app import create_app
from planner.web.handlers import handle
from planner.web.limits import ServerLimits
from planner.web.requests import SolveRequest
from planner.web.worker import WorkerState

NAME = "llama70b_qps50"
POINTS = (
    "model,gpu,engine,weights,tensor_parallel,prompt_tokens,output_tokens,concurrency,ttft_ms,tpot_ms\n"
    "{},h100-sxm-80gb,vllm,fp8,2,1000,500,16,300,20\n"
)


@pytest.fixture(scope="module")
def text():
    return find_scenario(NAME).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def client():
    with TestClient(create_app(limits=ServerLimits(workers=1))) as client:
        yield client


@pytest.fixture(scope="module")
def answer(client, text):
    return solved(client, text)


def solved(client, text):
    found = client.post("/api/solve", json={"scenario": text, "verify": "none"})
    assert found.status_code == 200, found.text
    return found.json()


@pytest.fixture(scope="module")
def plan(answer):
    return answer["plan"]


def unnamed(plan):
    """The plan without what a run's clock puts into it."""
    copy = json.loads(json.dumps(plan))
    del copy["provenance"]["run"]
    return copy


def test_the_plan_is_that_of_the_python_api(plan):
    text = find_scenario(NAME).read_text(encoding="utf-8")
    question = validate(parse_source(text, NAME), "scenario")
    assert unnamed(plan) == unnamed(json.loads(solve(question, verify="none").to_json()))


def test_the_decision_says_cost_margin_and_evidence(answer, plan):
    decision = answer["decision"]
    assert decision["sentence"].startswith("Rent ")
    assert 0 < decision["margin"] < 1
    assert decision["margin_of"] == "tpot_p99"
    (group,) = plan["services"][0]["replica_groups"]
    if group["margin"]["passed"]:
        assert decision["probability"] == 0.8
        assert decision["assumed_slowdown"] is None
    else:
        assert decision["probability"] is None
        assert decision["assumed_slowdown"] == pytest.approx(group["margin"]["slowdown"])
    assert decision["evidence"] in (
        "measured",
        "measured kernels",
        "calibrated",
        "modelled",
        "assumed",
    )


def test_a_margin_that_is_assumed_is_no_probability(client, text):
    on_amd = solved(client, text.replace("gpus: all", "gpus: [mi300x]"))
    (group,) = on_amd["plan"]["services"][0]["replica_groups"]
    assert not group["margin"]["passed"]
    assert on_amd["decision"]["probability"] is None
    assert on_amd["decision"]["assumed_slowdown"] == group["margin"]["slowdown"] > 1


def test_the_memory_of_a_gpu_sums(answer):
    (memory,) = answer["charts"]["memory"]
    assert sum(p["bytes"] for p in memory["parts"]) == pytest.approx(memory["total_bytes"])


def test_the_latency_chart_has_the_operating_point_and_a_band(answer):
    (chart,) = answer["charts"]["latency"]
    assert chart["operating_qps"] <= chart["capacity_qps"]
    band, values = chart["band"]["tpot_p99_s"], chart["tpot_p99_s"]
    assert len(values) == len(band["low"]) == len(band["high"])
    known = [ends for ends in zip(band["low"], values, band["high"], strict=True) if ends[2]]
    assert known
    assert all(low < value < high for low, value, high in known)


def test_the_band_of_the_latency_chart_goes_through_the_queue(answer):
    """Where the chart has the rate of the plan its band is what the closed form says of slower steps."""
    (chart,) = answer["charts"]["latency"]
    predicted = answer["plan"]["services"][0]["replica_groups"][0]["predicted"]
    _quick, slow = predicted["step_factors"]
    high, rates = chart["band"]["tpot_p99_s"]["high"], chart["rates_qps"]
    first = next(i for i, rate in enumerate(rates) if slow * rate >= rates[1])
    expected = slow * np.interp(slow * rates[first], rates, chart["tpot_p99_s"])
    assert high[first] == pytest.approx(expected)
    ratios = [h / v for h, v in zip(high, chart["tpot_p99_s"], strict=True) if h]
    assert ratios[-1] > slow
    assert ratios == sorted(ratios)


def test_an_uploaded_price_file_reaches_every_part_of_an_answer(client, text):
    quote = (
        "provider,region,instance_type,gpu,gpu_count,term,usd_per_hour,as_of,source,confidence\n"
        "acme,eu,box,h100-sxm-80gb,8,on-demand,9.0,2026-11-01,quote 7,high\n"
    )
    named = text.replace("file: null", "file: prices.csv")
    body = {"scenario": named, "verify": "none", "files": {"prices.csv": quote}}
    found = client.post("/api/solve", json=body)
    assert found.status_code == 200, found.text
    plan = found.json()["plan"]
    assert plan["nodes"][0]["provider"] == "acme"
    assert plan["scenario"]["prices"]["file"] == "prices.csv"
    again = client.post("/api/solve", json={**body, "detail": "quick", "since": plan})
    assert again.json()["changes"]["increase"] == 0
    html = {"plan": plan, "style": "html", "files": {"prices.csv": quote}}
    exported = client.post("/api/export", json=html)
    assert exported.status_code == 200
    assert "quote 7" in exported.text
    assert "/tmp" not in exported.text


def test_a_second_answer_says_what_changed(client, text, plan):
    more = text.replace("rate: 50 ", "rate: 100 ")
    body = {"scenario": more, "verify": "none", "detail": "quick", "since": plan}
    changes = client.post("/api/solve", json=body).json()["changes"]
    assert changes["increase"] > 0.5
    assert "rate" in json.dumps(changes["sections"])


def test_a_preview_searches_among_the_named_gpus(client, text):
    body = {"scenario": text, "verify": "none", "detail": "quick", "among": ["h100-sxm-80gb"]}
    assert client.post("/api/solve", json=body).json()["gpus"] == ["h100-sxm-80gb"]


def test_every_problem_at_once(client, text):
    wrong = text.replace("rate: 50 ", "rate: fast ").replace("ttft_p99: 2s", "ttft_p99: soon")
    found = client.post("/api/check", json={"scenario": wrong}).json()["problems"]
    assert [(p["field"], p["line"]) for p in found] == [("rate", 4), ("slo.ttft_p99", 7)]
    assert client.post("/api/check", json={"scenario": text}).json() == {"problems": []}


def test_progress_comes_as_events(client, text):
    body = {"scenario": text, "verify": "none", "detail": "quick"}
    stream = client.post("/api/solve", json=body, headers={"accept": "text/event-stream"}).text
    kinds = [line[7:] for line in stream.splitlines() if line.startswith("event: ")]
    assert kinds[0] == "progress"
    assert kinds[-1] == "answer"


def test_a_sweep_costs_more_with_the_rate(client, text):
    body = {"scenario": text, "axis": "rate", "low": "10", "high": "100", "steps": 3}
    found = client.post("/api/sweep", json=body).json()
    costs = [p["usd_per_hour"] for p in found["points"]]
    assert costs == sorted(costs)
    assert found["axis"]["quantity"] == "qps"


def test_a_sweep_of_an_unknown_axis_names_the_known(client, text):
    body = {"scenario": text, "axis": "colour", "low": "1", "high": "2"}
    answer = client.post("/api/sweep", json=body)
    assert answer.status_code == 400
    assert "rate" in answer.json()["problems"][0]["allowed"]


def test_options_side_by_side(client, text):
    body = {"scenario": text, "vary": {"gpu": ["h100-sxm-80gb", "mi300x"]}}
    found = client.post("/api/compare", json=body).json()
    assert found["winner"]["gpu"] in ("h100-sxm-80gb", "mi300x")
    assert found["verdict"].startswith("gpu ")


def test_the_derivation_has_both_columns(client, text):
    (derivation,) = client.post("/api/explain", json={"scenario": text}).json()["derivations"]
    assert any(r["textbook"] and r["honest"] for r in derivation["rows"])


def test_memory_of_a_model_on_a_gpu(client):
    body = {"model": "Qwen/Qwen3-8B", "gpu": "h100", "concurrency": 8}
    found = client.post("/api/memory", json=body).json()
    assert found["memory"]["model"] == "Qwen/Qwen3-8B"
    assert client.post("/api/memory", json={"model": "/etc/passwd"}).status_code == 400


def test_measured_points(client):
    def ask(model):
        files = {"points.csv": POINTS.format(model)}
        return client.post("/api/accuracy", json={"points": "points.csv", "files": files})

    assert ask("meta-llama/Meta-Llama-3-70B-Instruct").json()["document"]["headline"]
    assert ask("/etc/passwd").status_code == 400
    assert client.post("/api/accuracy", json={"points": "/etc/passwd"}).status_code == 400


@pytest.mark.parametrize(
    ("style", "starts"),
    [("html", b"<!"), ("xlsx", b"PK"), ("csv", b"prov"), ("json", b"{"), ("md", b"#")],
)
def test_the_plan_as_a_file(client, plan, style, starts):
    found = client.post("/api/export", json={"plan": plan, "style": style})
    assert found.status_code == 200, found.text
    assert found.content.startswith(starts)
    assert f"plan.{style}" in found.headers["content-disposition"]


def test_launch_files_are_an_archive(client, plan):
    body = {"plan": plan, "style": "launch", "target": "vllm"}
    archive = zipfile.ZipFile(io.BytesIO(client.post("/api/export", json=body).content))
    assert "README.md" in archive.namelist()


def test_a_plan_that_names_a_server_file_is_refused(client, plan):
    forged = json.loads(json.dumps(plan))
    forged["scenario"]["services"][0]["model"] = "/etc/passwd"
    answer = client.post("/api/export", json={"plan": forged, "style": "json"})
    assert answer.status_code == 400
    assert "only files uploaded" in answer.json()["problems"][0]["what"]


def test_a_plan_of_another_version_is_refused(client):
    answer = client.post("/api/diff", json={"old": {"schema_version": 99}, "new": {}})
    assert answer.status_code == 400


def test_equal_plans_do_not_differ(client, plan):
    found = client.post("/api/diff", json={"old": plan, "new": plan}).json()
    assert found["increase"] == 0


def test_names_presets_and_versions(client):
    assert "h100-sxm-80gb" in client.get("/api/names").json()["gpus"]
    assert NAME in [p["name"] for p in client.get("/api/presets").json()]
    assert len(client.get("/api/about").json()["catalog_digest"]) == 64


def test_the_routes_are_described(client):
    described = client.get("/openapi.json").json()
    routes = (
        "solve",
        "compare",
        "sweep",
        "explain",
        "memory",
        "accuracy",
        "export",
        "check",
        "diff",
    )
    assert {f"/api/{r}" for r in routes} <= set(described["paths"])


def test_an_infeasible_question_is_an_answer(client):
    text = find_scenario("infeasible_tight_budget").read_text(encoding="utf-8")
    answer = client.post("/api/solve", json={"scenario": text, "verify": "none"})
    assert answer.status_code == 200
    assert answer.json()["exit_code"] == 3


HOSTILE = {
    "nothing": "",
    "a list": "- 1",
    "no mapping": "a",
    "an alias of itself": "a: &a [*a]",
    "a number too large": "rate: 1e400",
    "not a number": "rate: .nan\nmodel: x",
    "no services": "services: []",
    "half a surrogate pair": 'name: "\\ud800"',
    "deep": "x: " + "[" * 5000,
    "a tag": "a: !!python/object/apply:os.system ['id']",
    "a complex key": "? [a]\n: b",
    "a NUL in a name": 'model: "a\\0b"\nrate: 1\nprompt_tokens: 1\noutput_tokens: 1\nslo: {ttft_p99: 1s}',
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_no_text_is_an_internal_error(client, hostile):
    for route in ("solve", "explain", "check"):
        answer = client.post(f"/api/{route}", json={"scenario": hostile})
        assert answer.status_code in (200, 400), answer.text
        assert answer.json()["problems"]


SMALL = """\
model: meta-llama/Llama-3.1-8B-Instruct
rate: 2/s
prompt_tokens: 500
output_tokens: 100
slo: {ttft_p99: 2s, tpot_p99: 80ms}
search: {gpus: [l40s], tensor_parallel: [1]}
"""


def test_numbers_are_taken_where_text_is(client):
    sweep = {"scenario": SMALL, "axis": "rate", "steps": 2}
    numbers = client.post("/api/sweep", json={**sweep, "low": 1, "high": 2.5})
    texts = client.post("/api/sweep", json={**sweep, "low": "1", "high": "2.5"})
    assert numbers.status_code == 200, numbers.text
    assert numbers.json() == texts.json()
    compared = client.post(
        "/api/compare", json={"scenario": SMALL, "vary": {"tensor_parallel": [1]}}
    )
    assert compared.status_code == 200, compared.text
    assert compared.json()["winner"] == {"tensor_parallel": "1"}
    refused = client.post("/api/sweep", json={**sweep, "low": True, "high": 2})
    assert refused.status_code == 400
    assert refused.json()["problems"][0]["field"] == "low"


@pytest.mark.parametrize(
    ("body", "found", "line"),
    [
        ('{"model": "Qwen/Qwen3-8B",\n "gpu": h100}', "'h100}' at line 2, character 9", 2),
        ('{"model": ', "the end at line 1, character 11", 1),
    ],
)
def test_what_is_no_json_is_said_with_its_place(client, body, found, line):
    answer = client.post("/api/memory", content=body, headers={"Content-Type": "application/json"})
    (problem,) = answer.json()["problems"]
    assert answer.status_code == 400
    assert problem["what"].startswith("the request is not JSON: ")
    assert (problem["found"], problem["line"], problem["field"]) == (found, line, None)


def test_errors_advise_fields_and_no_options_of_the_command_line(client):
    layout = {"model": "Qwen/Qwen3-8B", "gpu": "h100", "tensor_parallel": 3}
    (problem,) = client.post("/api/memory", json=layout).json()["problems"]
    assert problem["next"] == "change tensor_parallel or pipeline_parallel"
    priced = {"scenario": SMALL, "axis": "rate", "low": 1, "high": 2, "price_of": "aws"}
    (problem,) = client.post("/api/sweep", json=priced).json()["problems"]
    assert problem["what"] == "price_of needs price_factor"


def test_a_move_of_a_slider_takes_a_third_of_the_first_answer_at_most(text):
    """In processor time: what else the machine does takes no part."""
    state = WorkerState(Session.open(None), ServerLimits())

    def seconds(scenario, among=()):
        requested = {"scenario": scenario, "verify": "none", "detail": "quick", "rivals": 0}
        before = time.process_time()
        answer = handle(state, SolveRequest(**requested, among=among), lambda _text: None)
        return time.process_time() - before, answer

    first_s, first = seconds(text)
    few = tuple(first["gpus"][:3])
    dearer = "prices: {{factors: {{all: {}}}, terms"
    for what, moved in (
        ("rate", [(text.replace("rate: 50 ", f"rate: {x} "), ()) for x in (53, 57, 61)]),
        (
            "price",
            [(text.replace("prices: {terms", dearer.format(x)), ()) for x in (0.9, 1.1, 1.2)],
        ),
        ("target", [(text.replace("100ms", f"{x}ms"), few) for x in (90, 80, 70)]),
        ("assurance", [(f"{text}assurance: {x}\n", few) for x in (0.7, 0.85, 0.9)]),
    ):
        took = sorted(seconds(*question)[0] for question in moved)
        assert took[1] < first_s / 3, what
