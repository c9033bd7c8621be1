"""Hundreds at once: each gets a response or is asked to come back, and the server stays small."""

import json
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

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


def held_bytes(server_pid):
    """Resident memory of the server and of the processes it started."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(
                line.split(":", 1) for line in status.read_text().splitlines() if ":" in line
            )
        except OSError:
            continue
        pid = int(status.parent.name)
        parents[pid] = (int(fields["PPid"]), int(fields.get("VmRSS", "0 kB").split()[0]) * 1024)
    family, found = {server_pid}, 0
    while len(family) > found:
        found = len(family)
        family |= {pid for pid, (parent, _) in parents.items() if parent in family}
    return sum(parents[pid][1] for pid in family if pid in parents)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
def test_each_of_200_requests_is_answered_or_told_to_come_back(server, server_process):
    with ThreadPoolExecutor(REQUESTS) as threads:
        found = list(threads.map(lambda n: asked(server, n), range(REQUESTS)))
    statuses = Counter(status for status, _ in found)
    assert set(statuses) <= {200, 429}, statuses
    assert statuses[200] >= 2
    assert {said for status, said in found if status == 200} == {"optimal"}
    assert held_bytes(server_process.pid) < MOST_BYTES
    assert asked(server, 1) == (200, "optimal")  # and it goes on
