"""What a client may send: one strict, frozen model for each route; they describe the OpenAPI too."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, WithJsonSchema

from planner.solving.options import Verify

Text = Annotated[str, Field(max_length=1_000_000)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


def as_written(value: object) -> object:
    """A number as its text; anything else as it is."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if number else value


Value = Annotated[
    Name,
    BeforeValidator(as_written),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "minLength": 1, "maxLength": 200}, {"type": "number"}]}
    ),
]
"""A value as the command line takes it: a number, or text such as 80ms."""
Names = Annotated[tuple[Name, ...], Field(max_length=100)]
Values = Annotated[tuple[Value, ...], Field(max_length=100)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
PlanData = dict[str, JsonValue]

SCENARIO = """\
model: meta-llama/Llama-3.1-8B-Instruct
rate: 2/s
prompt_tokens: 500
output_tokens: 100
slo: {ttft_p99: 2s, tpot_p99: 80ms}
search: {gpus: [l40s], tensor_parallel: [1]}
"""
"""A scenario that solves in a second: the example that OpenAPI shows."""

Detail = Literal["quick", "plan", "report"]
Style = Literal["html", "xlsx", "csv", "json", "md", "launch"]
Target = Literal[
    "vllm", "sglang", "trtllm", "docker-compose", "kubernetes", "llm-d", "kserve", "dynamo",
    "production-stack",
]  # fmt: skip


class Request(BaseModel):
    """The base of every request: unknown keys are errors, numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    files: Annotated[dict[str, str], Field(description="Uploaded text files by plain name.")] = (
        Field(default_factory=dict)
    )


class ScenarioRequest(Request):
    """A request about one scenario, given as YAML text."""

    scenario: Annotated[Text, Field(description="The scenario as YAML text.", examples=[SCENARIO])]


class CheckRequest(ScenarioRequest):
    """Every problem of the scenario at once."""


class SolveRequest(ScenarioRequest):
    """The cheapest fleet.

    ``detail``: quick (decision and charts), plan (with derivation and prices), report (with
    sensitivity and other ways to pay, each a solve of its own). ``among``: GPU types the search is
    narrowed to, for a preview. ``since``: an earlier plan to say what changed against.
    """

    verify: Verify = "simulate"
    detail: Detail = "plan"
    rivals: Annotated[int, Field(ge=0, le=20)] = 5
    time_limit_s: Annotated[float, Field(gt=0, le=60)] = 30.0
    seed: Annotated[int, Field(ge=0, le=2**31)] = 0
    among: Names = ()
    since: PlanData | None = None


class CompareRequest(ScenarioRequest):
    """One scenario under restrictions: ``{"tensor_parallel": [2, 4]}``, each value text or a number."""

    vary: Annotated[
        dict[Name, Values],
        Field(min_length=1, max_length=4, examples=[{"tensor_parallel": [1]}]),
    ]
    verify: Verify = "none"


class DifferenceRequest(Request):
    """What changed from plan ``old`` to plan ``new``, and why."""

    old: PlanData
    new: PlanData


class SweepRequest(ScenarioRequest):
    """One input over a range; ``low`` and ``high``: a number, or text such as 0.5s, 80ms, 4/s."""

    axis: Annotated[Name, Field(examples=["rate"])]
    low: Annotated[Value, Field(examples=[1])]
    high: Annotated[Value, Field(examples=["4/s"])]
    steps: Annotated[int, Field(ge=2, le=50)] = 9
    refinements: Annotated[int, Field(ge=0, le=4)] = 0
    price_of: Name | None = None


class ExplainRequest(ScenarioRequest):
    """The derivation step by step: the textbook beside what the targets need."""

    verify: Verify = "none"


class MemoryRequest(Request):
    """Parameters, weights, KV cache, and with ``gpu`` the memory of each GPU."""

    model: Annotated[Name, Field(examples=["Qwen/Qwen3-8B"])]
    gpu: Annotated[Name | None, Field(examples=["h100"])] = None
    weights: Name = "native"
    kv_cache: Name = "bf16"
    engine: Name = "vllm"
    tensor_parallel: Count = 1
    pipeline_parallel: Count = 1
    context_tokens: Count = 4096
    concurrency: Count = 1


class AccuracyRequest(Request):
    """How far predictions are from measured points; ``points`` names an uploaded CSV file."""

    points: Name
    level: Annotated[float, Field(ge=0.1, le=0.99)] = 0.8


class ExportRequest(Request):
    """A plan as a file: a report, a table, or launch files as a ZIP archive."""

    plan: PlanData
    style: Style
    table: Name = "order"
    target: Target = "vllm"
