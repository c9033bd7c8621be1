"""Autoscaling on queue depth and by the clock, never below what the plan needs at the hour."""

from __future__ import annotations

import math
from typing import Any

from planner.deploy.choices import Choices
from planner.deploy.cluster.pods import metadata, scale_target
from planner.deploy.cluster.timetable import Shift, shifts
from planner.deploy.launch import Launch

MAX_WINDOW_S = 3600  # the longest stabilisation window Kubernetes takes


def scaling_objects(launch: Launch, choices: Choices) -> list[dict[str, Any]]:
    """A KEDA ScaledObject or a HorizontalPodAutoscaler; none where it is not asked or measured."""
    if choices.autoscaler == "none" or not can_scale(launch, choices):
        return []
    if launch.batch:  # its queue is full as long as there is work
        clocked = choices.autoscaler == "keda" and any(shifts(launch.by_hour))
        return [_scaled_object(launch, choices)] if clocked else []
    if choices.autoscaler == "hpa":
        return [_pod_autoscaler(launch, choices)]
    return [_scaled_object(launch, choices)]


def can_scale(launch: Launch, choices: Choices) -> bool:
    """Whether this engine version reports its queue in the way that the autoscaler needs."""
    kind = launch.dialect.any_runtime().queue_kind
    return kind == "gauge" or (kind == "seconds" and choices.autoscaler == "keda")


def first_replicas(launch: Launch, choices: Choices) -> int:
    """What is asked for at once: the least where the clock adds the rest, else what the plan runs."""
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


def _scaled_object(launch: Launch, choices: Choices) -> dict[str, Any]:
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": metadata(launch),
        "spec": {
            "scaleTargetRef": scale_target(launch),
            "minReplicaCount": launch.least_replicas,
            "maxReplicaCount": most_replicas(launch, choices),
            "pollingInterval": 15,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _behavior(launch)}},
            "triggers": [
                *([] if launch.batch else [_by_the_queue(launch, choices)]),
                *(_by_the_clock(shift, launch, choices) for shift in shifts(launch.by_hour)),
            ],
        },
    }


def _by_the_queue(launch: Launch, choices: Choices) -> dict[str, Any]:
    return {
        "type": "prometheus",
        "metricType": "AverageValue",
        "metadata": {
            "serverAddress": choices.prometheus_url,
            "query": _query(launch),
            "threshold": str(launch.queue_threshold),
        },
    }


def _by_the_clock(shift: Shift, launch: Launch, choices: Choices) -> dict[str, Any]:
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


def _pod_autoscaler(launch: Launch, choices: Choices) -> dict[str, Any]:
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(launch),
        "spec": {
            "scaleTargetRef": scale_target(launch),
            "minReplicas": launch.replicas,
            "maxReplicas": most_replicas(launch, choices),
            "behavior": _behavior(launch),
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


def _query(launch: Launch) -> str:
    """Requests waiting over all replicas; from queue seconds by Little's law where no gauge exists."""
    runtime = launch.dialect.any_runtime()
    suffix = "[a-z0-9]+-[a-z0-9]+" if launch.nodes == 1 else "[0-9]+"
    series = f'{runtime.queue_metric}{{pod=~"{launch.name}-{suffix}"}}'
    return f"sum({series})" if runtime.queue_kind == "gauge" else f"sum(rate({series}[2m]))"


def scale_down_window_s(launch: Launch) -> int:
    """How long replicas outlast the need for them [s]: twice their start-up, at least five minutes."""
    return min(MAX_WINDOW_S, max(300, round(2 * launch.start_up_s)))


def _behavior(launch: Launch) -> dict[str, Any]:
    return {"scaleDown": {"stabilizationWindowSeconds": scale_down_window_s(launch)}}
