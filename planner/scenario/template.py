"""A commented scenario to start from, with the answers of a person or sensible ones."""

from __future__ import annotations

import json
from dataclasses import dataclass

from planner.scenario.task import POOLING

REQUESTS = "requests"
CONVERSATIONS = "conversations"
BATCH = "batch"
KINDS = (REQUESTS, CONVERSATIONS, BATCH, *POOLING)
WAYS = ("speculation", "kv-offload", "disaggregation")


@dataclass(frozen=True)
class Answers:
    """What a first scenario needs: a model, the kind of its work, its load and its targets.

    ``kind``: one of ``KINDS``. ``rate`` [requests/s], or ``requests`` a day from hour ``start``, answered
    ``within`` a time, of a batch. Lengths are tokens. ``adapters``: LoRA adapters on the model, 0 for none.
    ``ways``: those of ``WAYS`` to try, with commas; the others are written as comments.
    """

    model: str
    kind: str = REQUESTS
    rate: str = "10"
    requests: str = "1M"
    within: str = "8h"
    start: str = "20"
    prompt_tokens: str = "1000"
    output_tokens: str = "300"
    turns: str = "8"
    think_time: str = "20s"
    growth: str = "500"
    ttft_p99: str = "2s"
    tpot_p99: str = "100ms"
    e2e_p99: str = "1s"
    adapters: str = "0"
    gpus: str = "all"
    ways: str = ""


QUESTIONS = {
    "rate": "Requests per second",
    "requests": "Requests a day",
    "within": "Answered within",
    "start": "There from hour of the day",
    "prompt_tokens": "Prompt tokens per request",
    "output_tokens": "Output tokens per request",
    "turns": "Turns of a conversation",
    "think_time": "Pause before the next turn",
    "growth": "Tokens added by a turn besides its answer",
    "ttft_p99": "Time to first token, 99th percentile",
    "tpot_p99": "Time per output token, 99th percentile",
    "e2e_p99": "Time of a whole request, 99th percentile",
    "adapters": "LoRA adapters (0: none)",
    "gpus": "GPUs to consider (all, or names with commas)",
    "ways": f"Ways to serve to try besides ({', '.join(WAYS)}; with commas, or none)",
}


def questions_of(kind: str) -> tuple[str, ...]:
    """The fields of ``Answers`` that a scenario of that kind says something with, in ``QUESTIONS``' order."""
    if kind in POOLING:
        return ("rate", "prompt_tokens", "e2e_p99", "gpus")
    lengths = ("prompt_tokens", "output_tokens")
    if kind == BATCH:
        return ("requests", "within", "start", *lengths, "adapters", "gpus", "ways")
    turns = ("turns", "think_time", "growth") if kind == CONVERSATIONS else ()
    return ("rate", *lengths, *turns, "ttft_p99", "tpot_p99", "adapters", "gpus", "ways")


def commented_scenario(answers: Answers) -> str:
    """The text of a scenario file."""
    return f"""\
# Find the cheapest fleet for this scenario with: planner solve FILE
# Every field, what it takes and its default: docs/reference/scenario.md
# Check the file with: planner validate FILE

model: {_text(answers.model)}  # names: planner catalog models; or a folder with a config.json

{_load(answers)}{_targets(answers)}
search:
  gpus: {_gpus(answers.gpus)}  # all, or a list such as [h100-sxm-80gb, l40s]
  # engines: [vllm]
  # weights: [native, bf16, fp8, int4]  # formats below the checkpoint's own need the next line
{_ways(answers)}# allow_lower_precision: true

prices:
  terms: [on-demand]  # also spot, 1-year, 3-year, capacity-block
  # providers: [aws, gcp]
  # regions: [us-east-1]

# limits:
#   max_cost_usd_per_hour: 100
#   stock: {{h100-sxm-80gb: 16}}

# failures: {{replicas: 1}}  # how many replicas may be lost with every target held
"""


def _load(answers: Answers) -> str:
    prompt = f"prompt_tokens: {_text(answers.prompt_tokens)}"
    output = f"output_tokens: {_text(answers.output_tokens)}\n"
    spread = "  # or a distribution: {mean: 1000, cv: 1.2}\n"
    if answers.kind == BATCH:
        job = ", ".join(
            f"{k}: {_text(getattr(answers, k))}" for k in ("requests", "start", "within")
        )
        said = "# Work: so many requests a day, there at once from that hour, answered within the window.\n"
        return f"{said}job: {{{job}}}\n{prompt}{spread}{output}{_lora(answers)}"
    rate = f"rate: {_text(answers.rate)}"
    if answers.kind in POOLING:
        text = "one pair of query and document" if answers.kind == "rerank" else "one text"
        said = f"# Load: mean requests per second, each of {text}; nothing is written.\n"
        return f"task: {answers.kind}\n{said}{rate}\n{prompt}{spread}"
    if answers.kind == CONVERSATIONS:
        fields = ("turns", "think_time", "growth")
        turns = ", ".join(f"{k}: {_text(getattr(answers, k))}" for k in fields)
        return (
            "# Load: turns per second, or such as 2 conversations/s; the first prompt, each answer,\n"
            "# and what every turn adds to the history that it resends.\n"
            f"{rate}\n{prompt}{spread}{output}conversations: {{{turns}}}  # also shared_system_prompt\n"
            f"routing: {{policy: prefix-aware}}\n{_lora(answers)}"
        )
    said = "# Load: mean requests per second, and tokens per request.\n"
    return f"{said}{rate}\n{prompt}{spread}{output}{_lora(answers)}"


def _lora(answers: Answers) -> str:
    if answers.adapters.strip() in ("", "0"):
        return "# lora: {adapters: 20, rank: 16}  # adapters of the model, of which each request names one\n"
    return f"lora: {{adapters: {_text(answers.adapters)}, rank: 16}}  # each request names one\n"


def _targets(answers: Answers) -> str:
    if answers.kind == BATCH:
        return ""
    if answers.kind in POOLING:
        said = "\n# Latency target: the whole request, queueing included.\n"
        return f"{said}slo: {{e2e_p99: {_text(answers.e2e_p99)}}}\n"
    return (
        "\n# Latency targets: time to first token, and time per output token after it.\n"
        f"slo: {{ttft_p99: {_text(answers.ttft_p99)}, tpot_p99: {_text(answers.tpot_p99)}}}\n"
    )


def _ways(answers: Answers) -> str:
    """What else may be searched; a pooled prompt writes no tokens and keeps no history."""
    if answers.kind in POOLING:
        return ""
    named = _names(answers.ways)
    lines = {
        "speculation": "speculative: [none, ngram]  # also mtp, eagle3, {draft: MODEL}",
        "kv-offload": "settings: {kv_offload: {host_memory: 256GiB}}  # of one replica",
        "disaggregation": "disaggregation: true  # prefill and decode on replicas of their own",
    }
    if answers.kind == BATCH:
        del lines["disaggregation"]
    return "".join(f"  {'' if way in named else '# '}{line}\n" for way, line in lines.items())


def _text(value: str) -> str:
    """A value as YAML writes it: bare where it stays what it is, quoted otherwise."""
    bare = value and value.isascii() and all(c.isalnum() or c in "._-/" for c in value)
    return value if bare and (value[0].isalnum() or value[0] in "./") else json.dumps(value)


def _names(value: str) -> list[str]:
    return [name.strip() for name in value.strip("[] ").split(",") if name.strip()]


def _gpus(value: str) -> str:
    names = _names(value)
    return "all" if names in ([], ["all"]) else f"[{', '.join(_text(n) for n in names)}]"
