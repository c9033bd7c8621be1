"""Latency of a planned replica over its request rate, from a fifth of its capacity to the whole."""

from __future__ import annotations

from collections.abc import Iterator

from planner.catalog.store import Catalog
from planner.comparison.findings import LatencyCurve, LatencyPoint
from planner.comparison.naming import layout_name
from planner.errors import PlannerError
from planner.fleet.candidates import deployments
from planner.performance.factors import load_calibration
from planner.performance.model import step_model
from planner.plan import Plan, ReplicaGroup
from planner.scenario import Search, Service
from planner.serving.capacity import operating_point
from planner.serving.lengths import lengths_of
from planner.sizing.memory import memory_layout

_SHARES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0)


def latency_curves(plan: Plan, catalog: Catalog) -> tuple[LatencyCurve, ...]:
    """One curve per replica group, in closed form under the shipped calibration.

    A group whose names this catalog no longer knows is left out.
    """
    return tuple(_curves(plan, catalog))


def _curves(plan: Plan, catalog: Catalog) -> Iterator[LatencyCurve]:
    questions = {s.name: s for s in plan.scenario.services}
    for answer in plan.services:
        for group in answer.replica_groups:
            try:
                yield _curve(questions[answer.name], group, catalog)
            except PlannerError:
                continue


def _curve(service: Service, group: ReplicaGroup, catalog: Catalog) -> LatencyCurve:
    search = Search(
        gpus=(group.gpu,),
        engines=(group.engine,),
        tensor_parallel=(group.tensor_parallel,),
        pipeline_parallel=(group.pipeline_parallel,),
        data_parallel=(group.data_parallel,),
        expert_parallel=(group.expert_parallel,),
        weights=(group.weights,),
        kv_cache=(group.kv_cache,),
        settings=service.search.settings,
    )
    (deployment,) = deployments(
        service.model_copy(update={"search": search}), catalog, (group.gpu,)
    )
    steps = step_model(deployment, load_calibration(catalog))
    memory, lengths = memory_layout(deployment), lengths_of(service)
    points = []
    for share in _SHARES:
        rate = share * group.capacity_qps
        at = operating_point(
            steps,
            memory,
            deployment,
            lengths,
            service.slo,
            rate,
            arrival_cv=max(1.0, service.arrivals.cv),
            prefix_hit_share=service.assumptions.prefix_hit_share,
        ).latency_s
        points.append(LatencyPoint(rate, at["ttft_p99"], at["tpot_p99"]))
    return LatencyCurve(
        service=service.name,
        layout=layout_name(group),
        points=tuple(points),
        operating_qps=group.routed_qps / group.replicas,
        capacity_qps=group.capacity_qps,
    )
