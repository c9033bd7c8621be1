"""Plans to deploy: hand-made fleets over every engine, layout and GPU vendor."""

from __future__ import annotations

from typing import Any

import plan_builder as build

from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import Plan, ServicePlan
from planner.scenario.schema import Scenario

LLAMA = "meta-llama/Meta-Llama-3-70B-Instruct"
DEEPSEEK = "deepseek-ai/DeepSeek-V3"
GPT_OSS = "openai/gpt-oss-120b"
VERSIONS = {"vllm": "0.19.0", "sglang": "0.5.9", "tensorrt-llm": "1.2.0"}


def group(replicas: int = 2, **changes: Any) -> ReplicaGroup:
    degrees = ("tensor_parallel", "pipeline_parallel", "data_parallel")
    given = {"tensor_parallel": 4, **changes}
    size = 1
    for degree in degrees:
        size *= given.get(degree, 1)
    engine = given.get("engine", "vllm")
    given.setdefault("engine_version", VERSIONS[engine])
    return build.group(**{"replicas": replicas, "gpus": replicas * size, **given})


def service(name: str, groups: tuple[ReplicaGroup, ...], model: Any = LLAMA) -> dict[str, Any]:
    return {"name": name, "model": model, "groups": groups}


def fleet(
    *services: dict[str, Any],
    nodes: tuple[Any, ...] | None = None,
    sharing: dict[str, Any] | None = None,
    **shared: Any,
) -> Plan:
    """A plan of these services on enough nodes of eight; ``shared``: what each service also asks."""
    requested = Scenario.model_validate(
        {
            "name": "fleet",
            "sharing": sharing or {},
            "services": [
                {
                    "name": s["name"],
                    "model": s["model"],
                    "rate": 50,
                    "prompt_tokens": 1000,
                    "output_tokens": 500,
                    "slo": {"ttft_p99": "2s", "tpot_p99": "100ms"},
                    **shared,
                }
                for s in services
            ],
        }
    )
    groups = [g for s in services for g in s["groups"]]
    if nodes is None:
        gpus = {
            name: sum(g.gpus for g in groups if g.gpu == name) for name in {g.gpu for g in groups}
        }
        nodes = tuple(
            build.node(gpu=name, instance_type=f"{name}-8", count=-(-n // 8), idle_gpus=-n % 8)
            for name, n in sorted(gpus.items())
        )
    plan = build.plan(requested, groups=tuple(groups), nodes=nodes)
    planned = tuple(
        ServicePlan(
            name=s["name"],
            model=s["model"] if isinstance(s["model"], str) else s["model"]["name"],
            rate_qps=50,
            served_qps=50,
            targets={"ttft_p99": 2.0, "tpot_p99": 0.1},
            replica_groups=s["groups"],
            usd_per_hour=1.0,
        )
        for s in services
    )
    return plan.model_copy(update={"services": planned})
