"""The tools of ``planner mcp``: typed, with evidence and assumptions in their answers."""

import asyncio

import pytest

from planner.catalog.store import load_catalog
from planner.session import Session

pytest.importorskip("mcp.server.mcpserver")

SCENARIO = """\
model: Qwen/Qwen3-8B
rate: 5
prompt_tokens: 500
output_tokens: 200
slo: {ttft_p99: 2s, tpot_p99: 100ms}
search: {gpus: [l40s], tensor_parallel: [1]}
"""


@pytest.fixture(scope="module")
def server():
    from planner.web.mcp_server import create_server

    return create_server(Session.open(load_catalog()))


def call(server, name, **arguments):
    return asyncio.run(server.call_tool(name, arguments)).structured_content


def test_the_tools_say_what_they_take(server):
    tools = {t.name: t for t in asyncio.run(server.list_tools())}
    assert set(tools) == {"solve", "compare", "memory", "explain", "check"}
    assert tools["solve"].input_schema["properties"]["scenario"]["type"] == "string"
    assert all(t.description for t in tools.values())


def test_a_plan_carries_evidence_intervals_and_assumptions(server):
    found = call(server, "solve", scenario=SCENARIO, simulate=False)
    group = found["plan"]["services"][0]["replica_groups"][0]
    assert found["decision"]["usd_per_hour"] > 0
    assert found["decision"]["evidence"] == group["evidence"]
    assert group["predicted"]["intervals"]
    assert found["plan"]["assumptions"]


def test_memory_and_problems(server):
    assert call(server, "memory", model="Qwen/Qwen3-8B", gpu="l40s")["memory"]["model"]
    wrong = SCENARIO.replace("l40s", "l40x")
    (problem,) = call(server, "check", scenario=wrong)["problems"]
    assert problem["field"] == "search.gpus"


@pytest.mark.parametrize("values", [[1, 2], ["1", "2"]])
def test_degrees_to_compare_are_numbers_or_text(server, values):
    two = SCENARIO.replace(", tensor_parallel: [1]", "")
    found = call(server, "compare", scenario=two, vary={"tensor_parallel": values})
    assert "tensor_parallel 1" in found["verdict"]


def test_an_error_says_what_is_allowed(server):
    from mcp.server.mcpserver.exceptions import ToolError

    with pytest.raises(ToolError, match="did you mean"):
        call(server, "solve", scenario=SCENARIO.replace("l40s", "l40x"))


def test_an_unknown_argument_is_refused_by_name(server):
    from mcp.server.mcpserver.exceptions import ToolError

    with pytest.raises(ToolError, match="takes no argument 'simulat'") as raised:
        call(server, "solve", scenario=SCENARIO, simulat=False)
    assert "allowed: scenario, simulate\n  next: did you mean 'simulate'?" in str(raised.value)
    tools = asyncio.run(server.list_tools())
    assert all(t.input_schema["additionalProperties"] is False for t in tools)


def test_an_unknown_tool_is_refused(server):
    from mcp.server.mcpserver.exceptions import ToolError

    with pytest.raises(ToolError, match="size"):
        call(server, "size", scenario=SCENARIO)


def test_a_file_of_the_server_is_refused(server):
    from mcp.server.mcpserver.exceptions import ToolError

    with pytest.raises(ToolError, match="only files uploaded"):
        call(server, "solve", scenario=SCENARIO.replace("Qwen/Qwen3-8B", "/etc/passwd"))


def test_errors_name_lines_and_no_file_of_the_server(server):
    from mcp.server.mcpserver.exceptions import ToolError

    with pytest.raises(ToolError) as raised:
        call(server, "solve", scenario="model: Qwen/Qwen3-8B\n")
    said = str(raised.value)
    assert "line 1, rate: the field 'rate' is required" in said
    assert "line 1, slo: the field 'slo' is required" in said
    assert "scenario.yaml" not in said


def test_an_argument_that_a_tool_does_not_have_is_refused(server):
    from mcp.server.mcpserver.exceptions import ToolError

    with pytest.raises(ToolError) as raised:
        call(server, "memory", model="Qwen/Qwen3-8B", tensor_paralel=2)
    said = str(raised.value)
    assert "memory takes no argument 'tensor_paralel'" in said
    assert "concurrency" in said
    assert "did you mean 'tensor_parallel'?" in said
    with pytest.raises(ToolError, match="takes no argument 'budget'"):
        call(server, "check", scenario=SCENARIO, budget=3)
    with pytest.raises(ToolError, match="nknown tool"):
        call(server, "plan", scenario=SCENARIO)
