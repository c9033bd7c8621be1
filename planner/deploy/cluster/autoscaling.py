"""Autoscaling on queue depth and by the clock, never below what the plan needs at the hour."""

from __future__ import annotations

import math

from planner.deploy.choices import Choices
from planner.deploy.cluster.labels import metadata, scale_target
from planner.deploy.cluster.timetable import Shift, shifts
from planner.deploy.launch import Launch
from planner.deploy.manifest import Manifest

MAX_WINDOW_S = 3600  # the longest stabilisation window Kubernetes takes


def scaling_objects(
    launch: Launch, choices: Choices, workload: str | None = None
) -> list[Manifest]:
    """A KEDA ScaledObject or a HorizontalPodAutoscaler; none where it is not requested or measured.

    ``workload``: what is scaled where something else than the launch's own name names it.
    """
    if choices.autoscaler == "none" or not can_scale(launch, choices):
        return []
    if launch.batch:  # its queue is full as long as there is work
        clocked = choices.autoscaler == "keda" and any(shifts(launch.by_hour))
        return [_scaled_object(launch, choices, workload)] if clocked else []
    if choices.autoscaler == "hpa":
        return [_pod_autoscaler(launch, choices, workload)]
    return [_scaled_object(launch, choices, workload)]


def can_scale(launch: Launch, choices: Choices) -> bool:
    """Whether this engine version reports its queue in the way that the autoscaler needs."""
    kind = launch.dialect.any_runtime().queue_kind
    return kind == "gauge" or (kind == "seconds" and choices.autoscaler == "keda")


def first_replicas(launch: Launch, choices: Choices) -> int:
    """What is requested at once: the least where the clock adds the rest, else what the plan runs."""
    clocked = launch.by_hour and choices.autoscaler == "keda" and can_scale(launch, choices)
    if launch.batch:
        clocked = bool(scaling_objects(launch, choices))
    return launch.least_replicas if clocked else launch.replicas


def adapted_metric(launch: Launch) -> str:
    """The queue's metric as a Prometheus adapter offers it to a HorizontalPodAutoscaler."""
    return launch.dialect.any_runtime().queue_metric.replace(":", "_")


def most_replicas(launch: Launch, choices: Choices) -> int:
    """How far autoscaling may go; a batch job needs no more than its plan."""
    if launch.batch:
        return launch.most_replicas
    return math.ceil(launch.most_replicas * choices.burst)


def _scaled_object(launch: Launch, choices: Choices, workload: str | None) -> Manifest:
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": metadata(launch),
        "spec": {
            "scaleTargetRef": scale_target(launch, workload),
            "minReplicaCount": launch.least_replicas,
            "maxReplicaCount": most_replicas(launch, choices),
            "pollingInterval": 15,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": behavior(launch)}},
            "triggers": triggers(launch, choices, pods_of(launch, workload)),
        },
    }


def triggers(launch: Launch, choices: Choices, pods: str) -> list[Manifest]:
    """What KEDA scales on: the queue of the pods that the regular expression matches, and the clock.

    The queue of a batch job says nothing: it is full as long as there is work.
    """
    return [
        *([] if launch.batch else [_by_the_queue(launch, choices, pods)]),
        *(_by_the_clock(shift, launch, choices) for shift in shifts(launch.by_hour)),
    ]


def pods_of(launch: Launch, workload: str | None = None) -> str:
    """A regular expression of the pods that serve: a Deployment's, or the leaders of its groups."""
    suffix = "[a-z0-9]+-[a-z0-9]+" if launch.nodes == 1 else "[0-9]+"
    return f"{workload or launch.name}-{suffix}"


def _by_the_queue(launch: Launch, choices: Choices, pods: str) -> Manifest:
    return {
        "type": "prometheus",
        "metricType": "AverageValue",
        "metadata": {
            "serverAddress": choices.prometheus_url,
            "query": _query(launch, pods),
            "threshold": str(launch.queue_threshold),
        },
    }


def _by_the_clock(shift: Shift, launch: Launch, choices: Choices) -> Manifest:
    start, end = shift.cron(launch.start_up_s)
    return {
        "type": "cron",
        "metadata": {
            "timezone": choices.timezone,
            "start": start,
            "end": end,
            "desiredReplicas": str(shift.replicas),
        },
    }


def _pod_autoscaler(launch: Launch, choices: Choices, workload: str | None) -> Manifest:
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(launch),
        "spec": {
            "scaleTargetRef": scale_target(launch, workload),
            "minReplicas": launch.replicas,
            "maxReplicas": most_replicas(launch, choices),
            "behavior": behavior(launch),
            "metrics": [
                {
                    "type": "Pods",
                    "pods": {
                        "metric": {"name": adapted_metric(launch)},
                        "target": {
                            "type": "AverageValue",
                            "averageValue": str(launch.queue_threshold),
                        },
                    },
                }
            ],
        },
    }


def _query(launch: Launch, pods: str) -> str:
    """Requests waiting over all replicas; from queue seconds by Little's law where no gauge exists."""
    runtime = launch.dialect.any_runtime()
    series = f'{runtime.queue_metric}{{pod=~"{pods}"}}'
    return f"sum({series})" if runtime.queue_kind == "gauge" else f"sum(rate({series}[2m]))"


def scale_down_window_s(launch: Launch) -> int:
    """How long replicas outlast the need for them [s]: twice their start-up, at least five minutes."""
    return min(MAX_WINDOW_S, max(300, round(2 * launch.start_up_s)))


def behavior(launch: Launch) -> Manifest:
    """How long to wait before a replica is given up: twice what another takes to start."""
    return {"scaleDown": {"stabilizationWindowSeconds": scale_down_window_s(launch)}}
