"""What OpenAPI promises is what the server answers, whatever is sent."""

import importlib.util
import subprocess
import sys

import pytest
import yaml
from browser import missing
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.web.app import create_app
from planner.web.described import RequestProblems
from planner.web.limits import ServerLimits
from planner.web.requests import SCENARIO

LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
    | st.sampled_from(["8k", "20/s", "1s", "all", "auto", "h100", "/etc/passwd", "../x"])
)  # fmt: skip
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = yaml.safe_load(SCENARIO)
CHANGED = st.fixed_dictionaries(
    {name: st.just(value) | ANYTHING for name, value in FIELDS.items()},
    optional={"prices": ANYTHING, "limits": ANYTHING, "services": ANYTHING, "trace": ANYTHING},
)


@pytest.fixture(scope="module")
def client():
    with TestClient(create_app(limits=ServerLimits(workers=1))) as client:
        yield client


@pytest.fixture(scope="module")
def described(client):
    return client.get("/openapi.json").json()


def test_every_question_documents_its_refusals_in_one_shape(described):
    questions = [routes["post"] for routes in described["paths"].values() if "post" in routes]
    assert len(questions) == 9
    for question in questions:
        responses = question["responses"]
        assert {"200", "400", "403", "413", "429", "500", "503", "504"} <= set(responses)
        assert "422" not in responses
        for status in ("400", "429", "504"):
            schema = responses[status]["content"]["application/json"]["schema"]
            assert schema["$ref"].endswith("/RequestProblems")


def test_the_shape_of_a_problem_is_what_is_sent(client):
    for body in (None, {}, {"scenario": 1}, {"scenario": "rate: fast"}, {"scenario": "", "x": 1}):
        answer = client.post("/api/solve", json=body)
        assert answer.status_code == 400, answer.text
        assert RequestProblems.model_validate(answer.json()).problems


def test_a_request_without_a_body_is_given_the_way_to_write_one(client):
    (problem,) = client.post("/api/solve").json()["problems"]
    assert problem["found"] is None
    assert "/openapi.json" in problem["next"]


@pytest.mark.parametrize(
    ("route", "body", "field"),
    [
        ("memory", {"model": "Qwen/Qwen3-8B", "gpu": "h1000"}, "gpu"),
        ("memory", {"model": "nobody/nothing"}, "model"),
        ("memory", {"model": "Qwen/Qwen3-8B", "engine": "vlm"}, "engine"),
        ("memory", {"model": "Qwen/Qwen3-8B", "weights": "fp9"}, "weights"),
        ("memory", {"model": "Qwen/Qwen3-8B", "kv_cache": "fp9"}, "kv_cache"),
        ("compare", {"scenario": SCENARIO, "vary": {"colour": ["red"]}}, "vary"),
        ("compare", {"scenario": SCENARIO, "vary": {"gpu": []}}, "vary"),
        ("sweep", {"scenario": SCENARIO, "axis": "colour", "low": "1", "high": "2"}, "axis"),
        ("sweep", {"scenario": SCENARIO, "axis": "rate", "low": "x", "high": "2"}, "low"),
    ],
)
def test_a_problem_is_about_the_field_of_the_request(client, route, body, field):
    answer = client.post(f"/api/{route}", json=body)
    assert answer.status_code == 400
    assert [p["field"] for p in answer.json()["problems"]] == [field]


@settings(
    max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(fields=CHANGED)
def test_no_scenario_is_an_internal_error(client, fields):
    text = yaml.safe_dump(fields)
    answer = client.post("/api/check", json={"scenario": text})
    assert answer.status_code in (200, 400), (text, answer.text)
    if answer.status_code == 200:
        RequestProblems.model_validate(answer.json())


@pytest.mark.parametrize("examples", [25, pytest.param(200, marks=pytest.mark.long)])
def test_schemathesis_finds_no_answer_outside_the_description(examples, server, tmp_path):
    """Every status, media type and body that random requests get is the documented one.

    Names and scenarios that are valid text but mean nothing are refused, which no schema can say.
    """
    if importlib.util.find_spec("schemathesis") is None:
        missing("schemathesis")
    options = (
        f"--exclude-checks positive_data_acceptance --max-examples {examples} --generation-deterministic "
        "--continue-on-failure --request-timeout 60 --no-color"
    )
    program = "from schemathesis.cli import schemathesis; schemathesis()"
    done = subprocess.run(
        [sys.executable, "-c", program, "run", f"{server}openapi.json", *options.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert "12 passed" in done.stdout
