"""The planner's questions as tools of the Model Context Protocol, over standard input and output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import JsonValue

from planner.errors import InputError, OutputError, PlannerError, nearest
from planner.session import Session
from planner.version import package_version
from planner.web import requests as requested
from planner.web.handlers import handle
from planner.web.limits import ServerLimits
from planner.web.problems import Json, as_text, problems_of
from planner.web.worker import WorkerState

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

INSTRUCTIONS = (
    "Plans LLM-serving capacity: from a scenario (YAML: model, rate in requests/s, prompt_tokens, "
    "output_tokens, slo such as {ttft_p99: 2s, tpot_p99: 100ms}, optional search, prices and limits) to the "
    "cheapest GPU fleet. Times are in seconds, money in USD, sizes in bytes. Every prediction carries an "
    "evidence grade (measured, calibrated, modelled, assumed) and intervals: repeat them with the numbers."
)
_PLAN_PARTS = (
    "status",
    "services",
    "nodes",
    "totals",
    "alternatives",
    "native_precision",
    "rejections",
    "infeasibility",
    "assumptions",
    "warnings",
    "verification",
    "bound_usd_per_hour",
    "gap",
    "provenance",
)


def create_server(session: Session) -> MCPServer:
    """The server with its tools; ``run("stdio")`` serves them.

    Raises OutputError when the package ``mcp`` is missing.
    """
    try:
        from mcp.server.mcpserver import Context, MCPServer
        from mcp.server.mcpserver.exceptions import ToolError
        from mcp_types import CallToolResult, InputRequiredResult, Tool
    except ImportError:
        raise OutputError(
            "the tools need an optional package", action="pip install 'llm-fleet-planner[mcp]'"
        ) from None

    class StrictServer(MCPServer):
        """Tools that take the arguments of their schemas and no others."""

        async def list_tools(self) -> list[Tool]:
            tools = await super().list_tools()
            closed = {"additionalProperties": False}
            return [t.model_copy(update={"input_schema": t.input_schema | closed}) for t in tools]

        async def call_tool(
            self, name: str, arguments: dict[str, JsonValue], context: Context | None = None
        ) -> CallToolResult | InputRequiredResult:
            taken = {
                t.name: tuple(t.input_schema["properties"]) for t in await super().list_tools()
            }
            unknown = [a for a in arguments if a not in taken.get(name, arguments)]
            if unknown:
                raise ToolError("\n".join(_not_taken(name, a, taken[name]) for a in unknown))
            return await super().call_tool(name, arguments, context)

    state = WorkerState(session, ServerLimits())
    server = StrictServer("planner", version=package_version(), instructions=INSTRUCTIONS)

    def answer(request: requested.Request) -> Json:
        try:
            return handle(state, request, lambda _message: None)
        except PlannerError as error:
            raise ToolError("\n".join(map(as_text, problems_of(error)))) from None

    @server.tool()
    def solve(scenario: str, simulate: bool = True) -> Json:
        """Find the cheapest fleet for a scenario given as YAML text.

        Returns the decision with cost, margin and evidence, the plan's services with predicted latency
        and intervals, alternatives with the reason each lost, assumptions and warnings. With simulate
        the chosen fleet is checked in the simulator, which takes some seconds longer.
        """
        request = requested.SolveRequest(
            scenario=scenario, verify="simulate" if simulate else "none", detail="quick"
        )
        found = answer(request)
        return {"decision": found["decision"], "plan": _parts(found["plan"])}

    @server.tool()
    def compare(scenario: str, vary: dict[str, list[str | int | float]]) -> Json:
        """Solve a scenario under each combination of restrictions, and say which wins and why.

        vary: axis to values, numbers or text; axes are tensor_parallel, gpu, engine, weights, kv_cache,
        term, provider.
        """
        axes = {axis: tuple(map(str, values)) for axis, values in vary.items()}
        return answer(requested.CompareRequest(scenario=scenario, vary=axes))

    @server.tool()
    def memory(
        model: str,
        gpu: str | None = None,
        tensor_parallel: int = 1,
        weights: str = "native",
        kv_cache: str = "bf16",
        context_tokens: int = 4096,
        concurrency: int = 1,
    ) -> Json:
        """Size a model: parameters, weights, KV cache, and with gpu the memory of each GPU [bytes]."""
        request = requested.MemoryRequest(
            model=model,
            gpu=gpu,
            tensor_parallel=tensor_parallel,
            weights=weights,
            kv_cache=kv_cache,
            context_tokens=context_tokens,
            concurrency=concurrency,
        )
        return {"memory": answer(request)["memory"]}

    @server.tool()
    def explain(scenario: str) -> Json:
        """Derive a scenario's plan step by step, the textbook sizing beside what the targets need."""
        return answer(requested.ExplainRequest(scenario=scenario))

    @server.tool()
    def check(scenario: str) -> Json:
        """List every problem of a scenario's text at once; an empty list when it can be solved."""
        return answer(requested.CheckRequest(scenario=scenario))

    return server


def _not_taken(tool: str, argument: str, taken: Sequence[str]) -> str:
    """What is wrong with an argument that a tool does not take, and those that it takes."""
    return as_text(
        *problems_of(
            InputError(
                f"{tool} takes no argument {argument!r}",
                allowed=", ".join(taken),
                action=nearest(argument, taken),
            )
        )
    )


def _parts(plan: object) -> Json:
    """What of a plan answers the question; the scenario was the question."""
    return {k: plan[k] for k in _PLAN_PARTS} if isinstance(plan, Mapping) else {}
