"""Hundreds at once: each gets a response or is asked to come back, and the server stays small."""

import json
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from processes import HAS_PROC, resident_bytes

from planner.scenario.reader import find_scenario

pytestmark = pytest.mark.slow

MOST_BYTES = 1.5e9
REQUESTS = 200


def asked(address, number):
    """The status of one quick solve, each at a rate of its own."""
    text = find_scenario("llama70b_qps50").read_text(encoding="utf-8")
    body = {"scenario": text.replace("rate: 50 ", f"rate: {20 + number} "), "verify": "none"}
    request = urllib.request.Request(
        address + "api/solve",
        json.dumps({**body, "detail": "quick", "rivals": 0}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=300) as answer:
            return answer.status, json.load(answer)["status"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["problems"][0]["what"]


@pytest.mark.skipif(not HAS_PROC, reason="reads memory from /proc")
def test_each_of_200_requests_is_answered_or_told_to_come_back(server, server_process):
    with ThreadPoolExecutor(REQUESTS) as threads:
        found = list(threads.map(lambda n: asked(server, n), range(REQUESTS)))
    statuses = Counter(status for status, _ in found)
    assert set(statuses) <= {200, 429}, statuses
    assert statuses[200] >= 2
    assert {said for status, said in found if status == 200} == {"optimal"}
    assert resident_bytes(server_process.pid) < MOST_BYTES
    assert asked(server, 1) == (200, "optimal")  # and it goes on
