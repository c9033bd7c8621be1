"""A commented scenario to start from, with the answers of a person or sensible ones."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Answers:
    """What a first scenario needs: a model, its load [requests/s, tokens] and its targets."""

    model: str
    rate: str = "10"
    prompt_tokens: str = "1000"
    output_tokens: str = "300"
    ttft_p99: str = "2s"
    tpot_p99: str = "100ms"
    gpus: str = "all"


def commented_scenario(answers: Answers) -> str:
    """The text of a scenario file."""
    return f"""\
# Find the cheapest fleet for this scenario with: planner solve FILE
# Every field, what it takes and its default: docs/reference/scenario.md
# Check the file with: planner validate FILE

model: {_text(answers.model)}  # names: planner catalog models; or a folder with a config.json

# Load: mean requests per second, and tokens per request.
rate: {_text(answers.rate)}
prompt_tokens: {_text(answers.prompt_tokens)}  # or a distribution: {{mean: 1000, cv: 1.2}}
output_tokens: {_text(answers.output_tokens)}

# Latency targets: time to first token, and time per output token after it.
slo: {{ttft_p99: {_text(answers.ttft_p99)}, tpot_p99: {_text(answers.tpot_p99)}}}

search:
  gpus: {_gpus(answers.gpus)}  # all, or a list such as [h100-sxm-80gb, l40s]
  # engines: [vllm]
  # weights: [native, bf16, fp8, int4]  # formats below the checkpoint's own need the next line
# allow_lower_precision: true

prices:
  terms: [on-demand]  # also spot, 1-year, 3-year, capacity-block
  # providers: [aws, gcp]
  # regions: [us-east-1]

# limits:
#   max_cost_usd_per_hour: 100
#   stock: {{h100-sxm-80gb: 16}}

# failures: {{replicas: 1}}  # how many replicas may be lost with every target held
"""


def _text(value: str) -> str:
    """A value as YAML writes it: bare where it stays what it is, quoted otherwise."""
    bare = value and value.isascii() and all(c.isalnum() or c in "._-/" for c in value)
    return value if bare and (value[0].isalnum() or value[0] in "./") else json.dumps(value)


def _gpus(value: str) -> str:
    names = [name.strip() for name in value.strip("[] ").split(",") if name.strip()]
    return "all" if names in ([], ["all"]) else f"[{', '.join(_text(n) for n in names)}]"
