"""What a running fleet's exporters and API server would print."""

from __future__ import annotations

import json
from typing import Any

import yaml

LLAMA = "meta-llama/Meta-Llama-3-70B-Instruct"
PREFIX = {"vllm": "vllm:", "sglang": "sglang:"}
LENGTHS = {
    "vllm": ("request_prompt_tokens", "request_generation_tokens"),
    "sglang": ("prompt_tokens_histogram", "generation_tokens_histogram"),
}
REQUESTS = {"vllm": "request_success_total", "sglang": "num_requests_total"}


def histogram(name: str, labels: str, counts: dict[float | str, float], total: float) -> list[str]:
    """A histogram in the text format; ``counts`` at or below each bound."""
    lines = [f"# TYPE {name} histogram"]
    lines += [f'{name}_bucket{{{labels},le="{le}"}} {count}' for le, count in counts.items()]
    last = list(counts.values())[-1]
    return [*lines, f"{name}_sum{{{labels}}} {total}", f"{name}_count{{{labels}}} {last}"]


def dump(engine: str = "vllm", model: str = LLAMA, scale: float = 1.0, pod: str = "a") -> str:
    """One scrape: 86,400 requests with prompts of 760 and outputs of 210 tokens on average."""
    labels = f'model_name="{model}",pod="{pod}"'
    prefix = PREFIX[engine]
    prompt, output = LENGTHS[engine]
    shares = {100: 0.1, 500: 0.45, 1000: 0.8, 2000: 0.95, 5000: 1.0, "+Inf": 1.0}
    replies = {50: 0.1, 100: 0.35, 200: 0.7, 500: 0.95, 1000: 1.0, "+Inf": 1.0}
    waits = {0.1: 0.1, 0.25: 0.5, 0.5: 0.9, 1.0: 0.98, 2.5: 1.0, "+Inf": 1.0}
    gaps = {0.01: 0.0, 0.025: 0.3, 0.05: 0.9, 0.1: 1.0, "+Inf": 1.0}
    n = 86_400 * scale
    lines = [
        "# HELP a comment",
        f"{prefix}{REQUESTS[engine]}{{{labels}}} {n}",
        *histogram(f"{prefix}{prompt}", labels, {k: v * n for k, v in shares.items()}, 760 * n),
        *histogram(f"{prefix}{output}", labels, {k: v * n for k, v in replies.items()}, 210 * n),
        *histogram(
            f"{prefix}time_to_first_token_seconds",
            labels,
            {k: v * n for k, v in waits.items()},
            0.3 * n,
        ),
        *histogram(
            f"{prefix}inter_token_latency_seconds",
            labels,
            {k: v * n * 209 for k, v in gaps.items()},
            0.03 * n,
        ),
    ]
    if engine == "vllm":
        lines += [
            f"vllm:prefix_cache_queries_total{{{labels}}} {760 * n}",
            f"vllm:prefix_cache_hits_total{{{labels}}} {190 * n}",
        ]
    else:
        lines += [
            f"sglang:prompt_tokens_total{{{labels}}} {760 * n}",
            f"sglang:cached_tokens_total{{{labels}}} {190 * n}",
        ]
    return "\n".join(lines) + "\n"


def dcgm(hosts: int = 2, gpus: int = 8, product: str = "NVIDIA H100 80GB HBM3") -> str:
    """DCGM's gauges of every GPU."""
    return "\n".join(
        f'DCGM_FI_DEV_GPU_UTIL{{gpu="{g}",UUID="GPU-{h}-{g}",modelName="{product}",Hostname="n{h}"}} 50'
        for h in range(hosts)
        for g in range(gpus)
    )


def answer(*series: tuple[dict[str, str], list[tuple[float, float]]]) -> str:
    """The JSON of query_range."""
    result = [
        {"metric": metric, "values": [[t, str(v)] for t, v in points]} for metric, points in series
    ]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})


def container(
    words: list[str],
    image: str = "vllm/vllm-openai:v0.19.0",
    gpus: int = 4,
    **more: Any,
) -> dict[str, Any]:
    return {
        "name": "engine",
        "image": image,
        "command": words,
        "resources": {"limits": {"nvidia.com/gpu": str(gpus)}},
        **more,
    }


def pod_spec(one: dict[str, Any], product: str = "NVIDIA-H100-80GB-HBM3") -> dict[str, Any]:
    return {"nodeSelector": {"nvidia.com/gpu.product": product}, "containers": [one]}


def workload(
    one: dict[str, Any], replicas: int = 3, kind: str = "Deployment", name: str = "chat"
) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "template": {"spec": pod_spec(one)}},
    }


def listed(*objects: dict[str, Any]) -> str:
    """As kubectl prints several objects."""
    whole = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    return yaml.safe_dump(json.loads(json.dumps(whole)))
