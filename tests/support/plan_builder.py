"""Plans made by hand for tests of what is reported about a plan; the figures are plausible, not solved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from planner.fleet.rejection_reason import RejectionReason
from planner.plan.alternatives import Alternative, Infeasibility, RejectionGroup, Relaxation
from planner.plan.periods import Period
from planner.plan.provenance import Provenance, Run, SolverReport
from planner.plan.replica_group import Prediction, ReplicaGroup, StepBreakdown
from planner.plan.schema import NodeCount, Plan, ServicePlan, Totals
from planner.scenario.schema import Scenario
from planner.units import GIB, HOURS_PER_MONTH, HOURS_PER_YEAR

SCENARIO = {
    "name": "chat",
    "model": "meta-llama/Meta-Llama-3-70B-Instruct",
    "rate": 50,
    "prompt_tokens": 1000,
    "output_tokens": 500,
    "slo": {"ttft_p99": "2s", "tpot_p99": "100ms"},
    "search": {"tensor_parallel": [2, 4]},
}


def scenario(**changes: Any) -> Scenario:
    return Scenario.model_validate({**SCENARIO, **changes})


def period(
    name: str,
    replicas: dict[str, int],
    *,
    hours: float = 1.0,
    mean_qps: float = 1.0,
    busiest_qps: float = 1.0,
    nodes: dict[str, int] | None = None,
    service: str = "chat",
) -> Period:
    return Period(
        period=name,
        hours=hours,
        mean_qps={service: mean_qps},
        busiest_qps={service: busiest_qps},
        replicas=replicas,
        nodes=nodes or {},
        unserved_qps={},
    )


def group(**changes: Any) -> ReplicaGroup:
    values: dict[str, Any] = {
        "gpu": "h100-sxm-80gb",
        "engine": "vllm",
        "engine_version": "0.19",
        "tensor_parallel": 4,
        "weights": "fp8",
        "kv_cache": "bf16",
        "replicas": 5,
        "gpus": 20,
        "usd_per_hour": 50.0,
        "capacity_qps": 10.9,
        "routed_qps": 50.0,
        "concurrency": 212.7,
        "utilisation": 0.917,
        "kv_used_share": 0.62,
        "limited_by": "tpot_p99",
        "memory": {
            "weights_bytes": 17.9 * GIB,
            "kv_pool_bytes": 49.1 * GIB,
            "activations_bytes": 2.3 * GIB,
            "cuda_graphs_bytes": 0.9 * GIB,
            "context_bytes": 1.1 * GIB,
            "adapters_bytes": 0.0,
            "outside_budget_bytes": 7.88 * GIB,
            "total_bytes": 79.18 * GIB,
        },
        "kv_pool_tokens": 643_000.0,
        "predicted": Prediction(
            ttft_p50_s=0.31,
            ttft_p99_s=1.42,
            tpot_p50_s=0.041,
            tpot_p99_s=0.087,
            e2e_p99_s=44.2,
            step_factors=(0.9, 1.1),
            ttft_factors=(0.9, 1.3),
            intervals={"ttft_p99_s": (1.1, 1.9), "tpot_p99_s": (0.078, 0.096)},
        ),
        "step": StepBreakdown(
            weights_s=0.006,
            kv_s=0.004,
            compute_s=0.003,
            collectives_s=0.0045,
            overhead_s=0.0025,
            total_s=0.0193,
        ),
        "evidence": "calibrated",
        **changes,
    }
    return ReplicaGroup(**values)


def node(**changes: Any) -> NodeCount:
    values: dict[str, Any] = {
        "provider": "acme",
        "region": "us-east-1",
        "instance_type": "h100x8",
        "term": "on-demand",
        "gpu": "h100-sxm-80gb",
        "gpus_per_node": 8,
        "count": 3,
        "usd_per_hour_each": 20.0,
        "idle_gpus": 4,
        "price_as_of": "2026-10-01",
        "price_source": "https://acme.example/prices",
        **changes,
    }
    paid = values["count"] * values.get("hours_share", 1.0)
    return NodeCount(usd_per_hour=paid * values["usd_per_hour_each"], **values)


def plan(
    question: Scenario | None = None,
    *,
    groups: tuple[ReplicaGroup, ...] | None = None,
    nodes: tuple[NodeCount, ...] | None = None,
    provenance: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Plan:
    question = question or scenario()
    groups = (group(),) if groups is None else groups
    nodes = (node(),) if nodes is None else nodes
    hourly = sum(n.usd_per_hour for n in nodes)
    service = question.services[0]
    output = service.rate * (service.output_tokens.mean or 0) * 3600 / 1e6
    tokens = (
        service.rate
        * 3600
        / 1e6
        * sum(t.mean or 0 for t in (service.prompt_tokens, service.output_tokens))
    )
    values: dict[str, Any] = {
        "scenario": question,
        "status": "optimal",
        "objective_usd_per_hour": hourly,
        "bound_usd_per_hour": hourly,
        "gap": 0.0,
        "services": (
            ServicePlan(
                name=service.name,
                model=str(service.model),
                rate_qps=service.rate,
                served_qps=service.rate,
                targets={t.key: t.seconds for t in service.slo.targets},
                replica_groups=groups,
                usd_per_hour=hourly,
                headroom_qps=4.5,
                floors={"ttft_s": 0.07, "tpot_s": 0.0055},
            ),
        ),
        "nodes": nodes,
        "totals": Totals(
            gpus=sum(g.gpus for g in groups),
            gpus_rented=sum(n.count * n.gpus_per_node for n in nodes),
            nodes=sum(n.count for n in nodes),
            usd_per_hour=hourly,
            usd_per_month=hourly * HOURS_PER_MONTH,
            usd_per_year=hourly * HOURS_PER_YEAR,
            usd_per_million_output_tokens=hourly / output,
            usd_per_million_tokens=hourly / tokens,
        ),
        "alternatives": (
            Alternative(
                label="12x (2x h100-sxm-80gb TP2 fp8, KV bf16)",
                gpus=24,
                usd_per_hour=66.0,
                reason="needs 24 GPUs: each replica holds only 4.2 req/s",
            ),
            Alternative(
                label="9x (8x a100-sxm-80gb TP8 int4, KV bf16)",
                gpus=72,
                usd_per_hour=129.6,
                reason="costs $69.60/h more",
            ),
        ),
        "rejections": (
            RejectionGroup(
                reason=RejectionReason.NO_MEMORY,
                count=12,
                nearest_miss="1x h100-sxm-80gb TP1 bf16 needs 131.4 GiB, has 79.2",
                examples=("1x l4 TP1 bf16",),
            ),
        ),
        "assumptions": ("no prompt token is in the prefix cache",),
        "warnings": ("prices are 50 days old",),
        "solver": SolverReport(
            name="HiGHS",
            version="1.15.1",
            status="optimal",
            variables=14,
            constraints=9,
            candidates=210,
            candidates_after_dominance=14,
            gap_tolerance=1e-6,
        ),
        "provenance": Provenance(
            **{
                "planner_version": "0.1.0",
                "catalog_digest": "c" * 64,
                "scenario_digest": "5" * 64,
                "calibration": "shipped",
                "calibration_digest": "f" * 64,
                "price_dates": ("2026-10-01", "2026-10-01"),
                "run": Run(created_at="2026-11-20T10:00:00Z", duration_s=1.2, host="test"),
                **(provenance or {}),
            }
        ),
        **changes,
    }
    return Plan(**values)


def infeasible_plan(question: Scenario | None = None) -> Plan:
    return plan(
        question,
        groups=(),
        nodes=(),
        status="infeasible",
        objective_usd_per_hour=None,
        bound_usd_per_hour=None,
        gap=None,
        services=(),
        totals=None,
        alternatives=(),
        infeasibility=Infeasibility(
            summary="no deployment holds TTFT p99 2 s with at most 4 GPUs",
            conflict=("max_gpus 4", "ttft_p99 2 s"),
            relaxations=(
                Relaxation(requirement="max_gpus", current="4", relaxed="20", usd_per_hour=60.0),
            ),
        ),
    )
