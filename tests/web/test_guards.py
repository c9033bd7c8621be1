"""What comes before every route: sizes, hosts, other sites, headers; errors in one shape."""

import pytest
from fastapi.testclient import TestClient
from web_handlers import scripted

from planner.web.app import create_app
from planner.web.limits import ServerLimits

LIMITS = ServerLimits(workers=1, waiting=1, body_bytes=20_000)


@pytest.fixture(scope="module")
def client():
    with TestClient(create_app(limits=LIMITS, handler=scripted)) as client:
        yield client


def only_problem(answer):
    (found,) = answer.json()["problems"]
    assert set(found) == {"what", "field", "line", "found", "allowed", "next", "exit_code"}
    return found


def test_every_answer_forbids_inline_script_and_other_hosts(client):
    for path in ("/", "/static/page.js", "/api/about", "/nowhere"):
        policy = client.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy


def test_a_body_over_the_limit_is_refused(client):
    answer = client.post("/api/solve", json={"scenario": "x" * 30_000})
    assert answer.status_code == 413
    assert "20,000 bytes" in only_problem(answer)["allowed"]


def test_a_body_without_a_length_is_counted(client):
    def chunks():
        for _ in range(30):
            yield b" " * 1_000

    answer = client.post(
        "/api/solve", content=chunks(), headers={"content-type": "application/json"}
    )
    assert answer.status_code == 413


def test_another_site_cannot_call(client):
    answer = client.post(
        "/api/solve", json={"scenario": "x"}, headers={"origin": "https://elsewhere.example"}
    )
    assert answer.status_code == 403


def test_an_unknown_host_is_refused(client):
    assert client.get("/api/about", headers={"host": "rebound.example"}).status_code == 400


def test_a_request_that_is_no_scenario_says_field_and_found(client):
    found = client.post("/api/solve", json={"scenario": 3, "what": 1}).json()["problems"]
    assert {p["field"] for p in found} == {"scenario", "what"}


def test_text_that_is_not_json_is_refused(client):
    answer = client.post("/api/solve", content=b"{", headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["problems"]


def test_an_unknown_route_has_the_same_shape(client):
    answer = client.post("/api/nothing", json={})
    assert answer.status_code == 404
    only_problem(answer)


def test_a_problem_carries_field_line_and_exit_code(client):
    answer = client.post("/api/solve", json={"scenario": "refuse"})
    found = only_problem(answer)
    assert answer.status_code == 400
    assert (found["field"], found["line"], found["found"]) == ("rate", 3, "-1")
    assert found["exit_code"] == 2


def test_a_bug_keeps_its_internals(client):
    answer = client.post("/api/solve", json={"scenario": "fail"})
    assert answer.status_code == 500
    assert "secret" not in answer.text


def test_a_stream_ends_with_the_problem(client):
    answer = client.post(
        "/api/solve", json={"scenario": "refuse"}, headers={"accept": "text/event-stream"}
    )
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.startswith("event: problem\n")
