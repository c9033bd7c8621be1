"""The policies of one service side by side, and the file of one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from planner.autoscaling.parameters import parameter
from planner.autoscaling.policies import Queue, Saturation, ScalingPolicy, Schedule, Static
from planner.autoscaling.replay import STEP_S, Replayed, ScaledReplica, replay
from planner.catalog.store import Catalog
from planner.deploy.choices import Choices
from planner.deploy.cluster.autoscaling import behavior, can_scale, most_replicas, scaling_objects
from planner.deploy.cluster.yaml_text import to_yaml_stream
from planner.deploy.launch import Launch, PoolRole
from planner.deploy.resolve import resolve
from planner.errors import InputError, nearest
from planner.plan.schema import Plan, ReplicaGroup
from planner.workload.length_tables import RateSeries

PolicyName = Literal["static", "schedule", "keda", "hpa", "llm-d"]
POLICIES: tuple[PolicyName, ...] = ("static", "schedule", "keda", "hpa", "llm-d")


@dataclass(frozen=True)
class PolicyComparison:
    """What each policy cost and missed for ``service``; ``scale``: the series times this had its rate."""

    service: str
    series: str
    scale: float
    results: Mapping[PolicyName, Replayed]


def compare_policies(
    plan: Plan, catalog: Catalog, series: RateSeries, service: str | None, choices: Choices
) -> PolicyComparison:
    """Replay ``series``, scaled to the service's mean rate, under every policy.

    Replicas of several layouts share the requests as in the plan. Raises InputError for an unknown
    service, a series without windows of equal length, and disaggregated pools.
    """
    name = _service_name(plan, service)
    launches = _launches(plan, catalog, name, choices)
    if series.window_s <= 0 or not series.rate_qps.size:
        raise InputError(
            "a rate over time has at least two windows", where=series.name, allowed="window_start_s"
        )
    mean = float(series.rate_qps.mean())
    wanted = next(s.rate_qps for s in plan.services if s.name == name)
    routed = sum(launch.rate_qps * launch.replicas for launch, _ in launches)
    scaled = [launch for launch, _ in launches]
    results: dict[PolicyName, list[Replayed]] = {
        policy: [] for policy in POLICIES if _applies(policy, scaled, choices)
    }
    for launch, group in launches:
        share = launch.rate_qps * launch.replicas / routed if routed else 1 / len(launches)
        rates = [float(rate) * share * wanted / mean for rate in series.rate_qps]
        for policy, parts in results.items():
            parts.append(
                replay(
                    [float(s) for s in series.start_s],
                    rates,
                    series.window_s,
                    _replica(launch, group),
                    _policy(policy, launch, choices, catalog.root),
                    _interval_s(policy, catalog.root),
                )
            )
    summed = {policy: _sum(parts) for policy, parts in results.items()}
    return PolicyComparison(name, series.name, wanted / mean, summed)


def policy_file(
    plan: Plan, catalog: Catalog, service: str | None, policy: PolicyName, choices: Choices
) -> str:
    """The objects that put ``policy`` to work beside ``planner deploy --target kubernetes``.

    Raises InputError for a policy without a file: static needs none, and llm-d's controller has its own.
    """
    name = _service_name(plan, service)
    launches = [launch for launch, _ in _launches(plan, catalog, name, choices)]
    if policy in ("static", "llm-d"):
        raise InputError(
            "no file is written for this policy",
            found=policy,
            allowed="schedule, keda, hpa",
            action="static: planner deploy --autoscaler none; llm-d: its own autoscaler's defaults",
        )
    autoscaler: Literal["hpa", "keda"] = "hpa" if policy == "hpa" else "keda"
    own = Choices(
        autoscaler=autoscaler,
        prometheus_url=choices.prometheus_url,
        burst=1.0 if policy == "schedule" else choices.burst,
        timezone=choices.timezone,
    )
    objects = [o for launch in launches for o in scaling_objects(launch, own)]
    if policy == "schedule":
        objects = [_by_clock_alone(o) for o in objects if _clock(o)]
    if not objects:
        raise InputError(
            "this plan has nothing to scale by",
            where=f"service {name!r}",
            found=policy,
            action="give the service a load over the hours (load: hourly) and solve again",
        )
    return to_yaml_stream(objects)


def _service_name(plan: Plan, service: str | None) -> str:
    names = [s.name for s in plan.services if any(g.replicas for g in s.replica_groups)]
    if service is None and len(names) == 1:
        return names[0]
    if service in names:
        return str(service)
    raise InputError(
        "the plan has several services" if service is None else "the plan has no such service",
        found=service,
        allowed=", ".join(names),
        action="name one with --service" if service is None else nearest(service, names),
    )


def _launches(
    plan: Plan, catalog: Catalog, name: str, choices: Choices
) -> list[tuple[Launch, ReplicaGroup]]:
    groups = [g for s in plan.services if s.name == name for g in s.replica_groups if g.replicas]
    found = [
        launch for launch in resolve(plan, catalog, choices).launches if launch.service == name
    ]
    if any(launch.pool is not PoolRole.BOTH for launch in found):
        raise InputError(
            "disaggregated prefill and decode are not replayed",
            where=f"service {name!r}",
            action="solve without disaggregation to compare autoscalers",
        )
    return list(zip(found, groups, strict=True))


def _applies(policy: PolicyName, launches: Sequence[Launch], choices: Choices) -> bool:
    """Whether the plan has hours to follow, or its engine a queue that the autoscaler can read."""
    if policy == "schedule":
        return any(launch.by_hour for launch in launches)
    if policy in ("keda", "hpa"):
        return all(can_scale(launch, choices) for launch in launches)
    return True


def _replica(launch: Launch, group: ReplicaGroup) -> ScaledReplica:
    used = group.kv_used_share / group.utilisation if group.utilisation > 0 else 1.0
    return ScaledReplica(
        capacity_qps=launch.capacity_qps,
        may_wait=float(launch.queue_threshold),
        kv_at_capacity=used,
        gpus=launch.gpus,
        start_up_s=launch.start_up_s,
    )


def _policy(name: PolicyName, launch: Launch, choices: Choices, root: Path) -> ScalingPolicy:
    most = most_replicas(launch, choices)
    schedule = Schedule(launch.by_hour, launch.start_up_s) if launch.by_hour else None
    window = float(behavior(launch)["scaleDown"]["stabilizationWindowSeconds"])
    if name == "schedule" and schedule is not None:
        return schedule
    if name == "llm-d":
        return Saturation(root, launch.least_replicas, most)
    if name in ("keda", "hpa"):
        least = launch.replicas if name == "hpa" else launch.least_replicas
        floor = schedule if name == "keda" else None
        return Queue(root, float(launch.queue_threshold), least, most, window, floor)
    return Static(launch.most_replicas)


def _interval_s(name: PolicyName, root: Path) -> float:
    if name in ("static", "schedule"):
        return STEP_S
    return parameter(root, "llm-d" if name == "llm-d" else "hpa", "interval")


def _sum(parts: Sequence[Replayed]) -> Replayed:
    return Replayed(
        gpu_hours=sum(p.gpu_hours for p in parts),
        requests=sum(p.requests for p in parts),
        late=sum(p.late for p in parts),
        mean_replicas=sum(p.mean_replicas for p in parts),
        most_replicas=sum(p.most_replicas for p in parts),
        starts=sum(p.starts for p in parts),
        hours=max(p.hours for p in parts),
    )


def _clock(item: Mapping[str, Any]) -> list[Any]:
    return [t for t in item["spec"].get("triggers", []) if t["type"] == "cron"]


def _by_clock_alone(item: Mapping[str, Any]) -> dict[str, Any]:
    return {**item, "spec": {**item["spec"], "triggers": _clock(item)}}
