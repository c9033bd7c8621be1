"""Requests that are no question: what is wrong, where, and what would be right."""

import pytest
from fastapi.testclient import TestClient

from planner.web.app import create_app

SHORT = "model: x"


@pytest.fixture(scope="module")
def client():
    with TestClient(create_app()) as client:
        yield client


def problems(answer, status=400):
    assert answer.status_code == status
    found = answer.json()["problems"]
    assert all({"what", "field", "line", "found", "allowed", "next"} <= one.keys() for one in found)
    return found


@pytest.mark.parametrize(
    ("route", "body", "field", "what", "right"),
    [
        ("solve", {}, "scenario", "the field 'scenario' is required", "scenario"),
        ("solve", {"scenario": 5}, "scenario", "scenario must be text", None),
        ("solve", {"scenario": SHORT, "sead": 1}, "sead", "unknown field 'sead'", "seed"),
        (
            "solve",
            {"scenario": SHORT, "time_limit_s": -1},
            "time_limit_s",
            "out of range",
            "above 0",
        ),
        (
            "solve",
            {"scenario": SHORT, "time_limit_s": 1e9},
            "time_limit_s",
            "out of range",
            "at most",
        ),
        ("solve", {"scenario": SHORT, "detail": "all"}, "detail", "not one of its values", "quick"),
        ("compare", {"scenario": SHORT, "vary": {}}, "vary", "vary is empty", None),
        ("diff", {"old": None, "new": {}}, "old", "old must be a JSON object", None),
        (
            "memory",
            {"model": "x", "concurrency": 1.5},
            "concurrency",
            "must be a whole number",
            None,
        ),
    ],
)
def test_a_field_is_named_with_what_would_be_right(client, route, body, field, what, right):
    found = problems(client.post(f"/api/{route}", json=body))
    one = next(p for p in found if p["field"] == field)
    assert what in one["what"]
    assert right is None or right in f"{one['allowed']} {one['next']}"


@pytest.mark.parametrize(
    ("body", "kind", "what", "action"),
    [
        (b"", "application/json", "the request has no body", "send a JSON object"),
        (b"[]", "application/json", "the body must be a JSON object", "send a JSON object"),
        (b'{"scenario": "x"}', "text/plain", "the body is not read as JSON", "Content-Type"),
    ],
)
def test_a_body_that_is_no_object(client, body, kind, what, action):
    answer = client.post("/api/solve", content=body, headers={"Content-Type": kind})
    (one,) = problems(answer)
    assert one["what"] == what
    assert action in one["next"]


def test_a_wrong_address_method_or_name_of_the_server_is_said_in_the_same_shape(client):
    assert "no such address" in problems(client.get("/api/nothing"), 404)[0]["what"]
    assert "does not answer this method" in problems(client.get("/api/solve"), 405)[0]["what"]
    (one,) = problems(client.get("/", headers={"Host": "evil.example"}))
    assert one["found"] == "evil.example"
    assert "127.0.0.1" in one["allowed"]


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8123", "127.0.0.1:80", "[::1]:8123", "[::1]"]
)
def test_its_own_names_are_answered(client, host):
    assert client.get("/api/about", headers={"Host": host}).status_code == 200


def test_every_problem_of_a_scenario_is_listed(client):
    found = problems(client.post("/api/solve", json={"scenario": SHORT}))
    assert [p["field"] for p in found] == ["rate", "prompt_tokens", "output_tokens", "slo"]
    assert all(p["line"] == 1 for p in found)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"scenario": "x", "seed": ' + b"9" * 6_000 + b"}",
        b'{"scenario": "\xff\xfe"}',
    ],
)
def test_a_body_that_no_reader_takes_says_why_and_what_to_send(client, body):
    answer = client.post("/api/solve", content=body, headers={"Content-Type": "application/json"})
    (found,) = problems(answer)
    assert found["what"].startswith("the body cannot be read")
    assert "send a JSON object" in found["next"]
