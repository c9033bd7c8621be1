"""A plan's fleet replayed under autoscalers: the files they would be given, against a trace of rates.

Every replica group is scaled by itself, on its share of the service's rate. Beside the autoscalers stand the
plan's own schedule, started ahead by the start-up, and a fleet of what the busiest hour needs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from planner.catalog.store import Catalog
from planner.deploy.choices import Choices
from planner.deploy.cluster.autoscaling import (
    can_scale,
    most_replicas,
    scale_down_window_s,
    scaling_objects,
)
from planner.deploy.cluster.variant_autoscaling import variant_autoscaling_text
from planner.deploy.cluster.yaml_text import to_yaml_stream
from planner.deploy.launch import Launch, PoolRole
from planner.deploy.pieces import Piece, pieces
from planner.deploy.resolve import resolve
from planner.errors import InputError
from planner.fleet.periods import hourly_of
from planner.one_by_one import Counted, one_by_one
from planner.performance.factors import Calibration
from planner.plan.rebuild import placed
from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import Plan
from planner.scenario.schema import Service
from planner.serving.autoscaling.parameters import AutoscalerRow, ScalingRule, autoscalers
from planner.serving.autoscaling.policies import (
    Clock,
    Highest,
    Pacing,
    Policy,
    QueueLength,
    Saturation,
    Static,
)
from planner.serving.autoscaling.replay import (
    RateTrace,
    Replay,
    Scaled,
    least_replica_hours,
    replay,
)
from planner.serving.autoscaling.signals import ReplicaSignals, replica_signals
from planner.serving.split_arrivals import replica_cv
from planner.workload.lengths import lengths_of
from planner.workload.rate_series import read_rates

HOUR_S = 3600.0
HOURS = 24
AT_ONCE = ScalingRule(window_s=0, pods=10**6, percent=100, period_s=1)
OWN = ("static", "schedule")  # of the plan itself
POLICIES = (*OWN, "keda", "hpa", "llm-d")


@dataclass(frozen=True, slots=True)
class Given:
    """What a replay takes besides the plan.

    rates: a rate series file, None = the scenario's load; workload: a column in it; as_is: its rates are
    not scaled to the service's mean; policies: names of ``POLICIES``; start_up_s: instead of the service's
    own [s]; queue_threshold: instead of the plan's.
    """

    rates: str | None = None
    workload: str | None = None
    as_is: bool = False
    policies: tuple[str, ...] = POLICIES
    start_up_s: float | None = None
    queue_threshold: int | None = None


@dataclass(frozen=True, slots=True)
class PolicyRun:
    """One replica group under one policy; gpu_hours of the whole trace, usd at the plan's mean price."""

    policy: str
    replay: Replay
    gpu_hours: float
    usd: float


@dataclass(frozen=True, slots=True)
class GroupStudy:
    """One replica group under every policy.

    least_gpu_hours: of a fleet that knows all rates ahead and starts at once; capacity_qps: of a replica
    within its targets; left_out: policies that cannot scale it, with the reason.
    """

    service: str
    layout: str
    launch: Launch
    trace: RateTrace
    capacity_qps: float
    start_up_s: float
    least_gpu_hours: float
    runs: tuple[PolicyRun, ...]
    left_out: tuple[str, ...]

    def run(self, policy: str) -> PolicyRun | None:
        """The run under ``policy``, where there is one."""
        return next((r for r in self.runs if r.policy == policy), None)


def replayed(
    plan: Plan,
    catalog: Catalog,
    calibration: Calibration,
    choices: Choices,
    given: Given,
    progress: Counted | None = None,
    *,
    keeps: bool = False,
) -> tuple[GroupStudy, ...]:
    """Replay every replica group of the plan that serves by rate.

    ``keeps``: Ctrl-C ends it with the groups that are there. Raises InputError where there is none, for
    an unknown policy and for a trace that cannot be read.
    """
    unknown = [p for p in given.policies if p not in POLICIES]
    if unknown:
        raise InputError("no such policy", found=unknown[0], allowed=", ".join(POLICIES))
    requested = {s.name: s for s in plan.scenario.services}
    launches = {launch.name: launch for launch in resolve(plan, catalog, choices).launches}
    scaled = scaled_pieces(plan)

    def study(piece: Piece) -> GroupStudy:
        return _study(
            plan, piece, requested[piece.service.name], launches[piece.name], catalog, calibration,
            choices, given,
        )  # fmt: skip

    studies = one_by_one(scaled, study, lambda piece: piece.name, progress, keeps=keeps)
    if not studies:
        raise InputError(
            "nothing to replay: units of two pools and batch jobs are not scaled by load",
            allowed="a plan with replicas that prefill and decode, for a service with a rate",
        )
    return tuple(studies)


def scaled_pieces(plan: Plan) -> tuple[Piece, ...]:
    """The replica groups that serve by rate."""
    jobs = {s.name for s in plan.scenario.services if s.job is not None}
    return tuple(p for p in pieces(plan) if p.pool is PoolRole.BOTH and p.service.name not in jobs)


def policy_files(
    studies: Sequence[GroupStudy], catalog: Catalog, choices: Choices
) -> dict[str, str]:
    """The file of every autoscaler that was replayed, as it would be given to the cluster."""
    rows, files = autoscalers(catalog.root), {}
    for study in studies:
        name = study.launch.name
        for run in study.runs:
            if run.policy == "llm-d":
                text = variant_autoscaling_text(study.launch, choices, rows["llm-d"])
                files[f"{name}.llm-d.yaml"] = text
            elif run.policy == "keda":
                own = replace(choices, autoscaler="keda")
                files[f"{name}.keda.yaml"] = to_yaml_stream(scaling_objects(study.launch, own))
            elif run.policy == "hpa":
                own = replace(choices, autoscaler="hpa")
                files[f"{name}.hpa.yaml"] = to_yaml_stream(scaling_objects(study.launch, own))
    return files


def _study(
    plan: Plan,
    piece: Piece,
    service: Service,
    launch: Launch,
    catalog: Catalog,
    calibration: Calibration,
    choices: Choices,
    given: Given,
) -> GroupStudy:
    group = piece.group
    start_up = launch.start_up_s if given.start_up_s is None else given.start_up_s
    threshold = given.queue_threshold or launch.queue_threshold
    launch = replace(launch, start_up_s=start_up, queue_threshold=threshold)
    signals = replica_signals(
        placed(service, group, catalog, calibration),
        lengths_of(service),
        group.capacity_qps,
        replica_cv(service, group.capacity_qps),
        service.assumptions.prefix_hit_share,
    )
    trace = _trace(service, _share(piece), given)
    price = _usd_per_gpu_hour(plan, piece.service.name, group)
    each = group.gpus_each * group.gpu_share
    runs, left_out = [], []
    for name in given.policies:
        reason = _cannot(name, launch, choices)
        if reason is not None:
            left_out.append(f"{name}: {reason}")
            continue
        scaled, first = _scaled(name, launch, choices, autoscalers(catalog.root), trace, signals)
        found = replay(trace, signals, scaled, first, start_up)
        hours = found.replica_hours * each
        runs.append(PolicyRun(name, found, hours, hours * price))
    least = least_replica_hours(trace, signals, launch.least_replicas) * each
    return GroupStudy(
        service=service.name,
        layout=group.name,
        launch=launch,
        trace=trace,
        capacity_qps=group.capacity_qps,
        start_up_s=start_up,
        least_gpu_hours=least,
        runs=tuple(runs),
        left_out=tuple(left_out),
    )


def _cannot(policy: str, launch: Launch, choices: Choices) -> str | None:
    """Why a policy cannot scale this engine; None where it can."""
    if policy in OWN:
        return None
    if policy == "llm-d":
        gauge = launch.dialect.any_runtime().queue_kind == "gauge"
        return None if gauge else "the engine reports no queue length"
    scaled: Choices = replace(choices, autoscaler="keda" if policy == "keda" else "hpa")
    return None if can_scale(launch, scaled) else "the engine reports no queue it could read"


def _scaled(
    policy: str,
    launch: Launch,
    choices: Choices,
    rows: dict[str, AutoscalerRow],
    trace: RateTrace,
    signals: ReplicaSignals,
) -> tuple[Scaled, int]:
    """A policy as the launch's files state it, and the replicas at the beginning of the trace."""
    most = most_replicas(launch, choices)
    static = launch.most_replicas
    clock = Clock(launch.by_hour or (static,) * HOURS, launch.start_up_s)
    by_clock = clock.by_hour[int(trace.start_s[0] // HOUR_S) % HOURS]
    if policy == "static":
        return Scaled(Static(static), Pacing(AT_ONCE, AT_ONCE, static, static)), static
    if policy == "schedule":
        return Scaled(clock, Pacing(AT_ONCE, AT_ONCE, 0, static)), by_clock
    row = rows[policy]
    if policy == "llm-d":
        assert row.saturation is not None
        pacing = Pacing(row.scale_up, row.scale_down, launch.least_replicas, most)
        first = math.ceil(float(trace.rate_qps[0]) / signals.capacity_qps)
        scaled = Scaled(Saturation(row.saturation), pacing, row.interval_s, row.saturation.peak_s)
        return scaled, min(max(first, launch.least_replicas), most)
    queue: Policy = QueueLength(launch.queue_threshold, row.tolerance)
    down = row.scale_down.model_copy(update={"window_s": float(scale_down_window_s(launch))})
    if policy == "hpa":  # its least is what the busiest hour needs
        pacing = Pacing(row.scale_up, down, launch.replicas, most)
        return Scaled(queue, pacing, row.interval_s), launch.replicas
    timed = Highest((queue, clock)) if launch.by_hour else queue
    pacing = Pacing(row.scale_up, down, launch.least_replicas, most)
    return Scaled(timed, pacing, row.interval_s), max(launch.least_replicas, by_clock)


def _share(piece: Piece) -> float:
    """The group's share of its service's rate, as the plan routes its busiest hour."""
    routed = sum(g.routed_qps for g in piece.service.replica_groups)
    return piece.group.routed_qps / routed if routed else 1.0


def _trace(service: Service, share: float, given: Given) -> RateTrace:
    """Rates of the file, or of the scenario's load hour by hour; at least a day of them."""
    if given.rates is None:
        hourly = hourly_of(service).mean_qps
        hours = np.resize(hourly, max(HOURS, len(hourly)))
        starts = HOUR_S * np.arange(len(hours), dtype=np.float64)
        rates = np.asarray(hours * share, dtype=np.float64)
        return RateTrace(starts, rates, float(HOUR_S * len(hours)))
    series = read_rates(given.rates, given.workload)
    if series.window_s <= 0:
        raise InputError("a rate trace has at least two windows", where=given.rates)
    scale = 1.0 if given.as_is else service.rate / float(series.rate_qps.mean())
    end = float(series.start_s[-1] + series.window_s)
    return RateTrace(series.start_s, series.rate_qps * scale * share, end)


def _usd_per_gpu_hour(plan: Plan, service: str, group: ReplicaGroup) -> float:
    """What the group pays for a GPU-hour of its replicas, on average over the plan."""
    each, key = group.gpus_each * group.gpu_share, group.key(service)
    used = list(_replica_hours(plan, key)) or [(group.replicas, 1.0)]
    hours = sum(h for _, h in used)
    mean = sum(n * h for n, h in used) / hours * each
    return group.usd_per_hour / mean if mean else 0.0


def _replica_hours(plan: Plan, key: str) -> Iterator[tuple[int, float]]:
    for period in plan.periods:
        yield period.replicas.get(key, 0), period.hours
