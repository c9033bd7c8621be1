"""The pods of one replica group: a Deployment on single nodes, a LeaderWorkerSet across several."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from planner.deploy.cluster.routers import side_channel_env
from planner.deploy.cluster.yaml_text import to_yaml
from planner.deploy.engines.command_line import Command, command
from planner.deploy.launch import NODE_RANK, EnvironmentVariable, Launch, Role
from planner.deploy.quoting import CONFIG_PATH, container_word
from planner.errors import InputError

Json = dict[str, Any]
INSTANCE = "app.kubernetes.io/instance"
PART_OF = "app.kubernetes.io/part-of"
ROLE = "planner/role"
SERVER, WORKER = "server", "worker"
PROBE_PERIOD_S = 10
START_UP_ALLOWANCE = 10  # a first start also downloads the weights
SHARED_MEMORY = "16Gi"
MODEL_CACHE = "/models"


def workload_objects(launch: Launch, labels: Mapping[str, str], replicas: int) -> list[Json]:
    """ConfigMap (when the engine reads a file), pods and disruption budget of one launch.

    ``labels`` go on every pod beside the launch's own; ``replicas`` are asked for at once. Raises
    InputError for TensorRT-LLM across nodes, which MPI starts outside a cluster's own means.
    """
    if launch.nodes > 1 and launch.dialect.engine == "tensorrt-llm":
        raise InputError(
            "TensorRT-LLM across nodes starts under MPI, which these manifests do not set up",
            where=f"service {launch.service!r}",
            action="write a Slurm script with --target trtllm",
        )
    started = {role: command(launch, role) for role in launch.roles}
    config = next(iter(started.values())).config
    objects = [_config_map(launch, config)] if config is not None else []
    if launch.nodes == 1:
        pods = _deployment(launch, labels, started[Role.SINGLE], replicas)
    else:
        pods = _leader_worker_set(launch, labels, started, replicas)
    return [*objects, pods, _disruption_budget(launch)]


def scale_target(launch: Launch) -> Json:
    """What an autoscaler scales."""
    if launch.nodes == 1:
        return {"apiVersion": "apps/v1", "kind": "Deployment", "name": launch.name}
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "name": launch.name,
    }


def metadata(launch: Launch) -> Json:
    """Name and labels of an object of this launch."""
    return {
        "name": launch.name,
        "labels": {INSTANCE: launch.name, "app.kubernetes.io/managed-by": "planner"},
    }


def _deployment(launch: Launch, labels: Mapping[str, str], started: Command, replicas: int) -> Json:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(launch),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {INSTANCE: launch.name}},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1},
            },
            "template": _template(launch, labels, Role.SINGLE, started),
        },
    }


def _leader_worker_set(
    launch: Launch, labels: Mapping[str, str], started: Mapping[Role, Command], replicas: int
) -> Json:
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": metadata(launch),
        "spec": {
            "replicas": replicas,
            "rolloutStrategy": {
                "type": "RollingUpdate",
                "rollingUpdateConfiguration": {"maxSurge": 0, "maxUnavailable": 1},
            },
            "leaderWorkerTemplate": {
                "size": launch.nodes,
                "restartPolicy": "RecreateGroupOnPodRestart",
                "leaderTemplate": _template(launch, labels, Role.LEADER, started[Role.LEADER]),
                "workerTemplate": _template(launch, labels, Role.WORKER, started[Role.WORKER]),
            },
        },
    }


def _template(launch: Launch, labels: Mapping[str, str], role: Role, started: Command) -> Json:
    serves = role is not Role.WORKER
    pod: Json = {
        "labels": {INSTANCE: launch.name, ROLE: SERVER if serves else WORKER, **labels},
    }
    path = launch.dialect.any_runtime().metrics_path
    if serves and path:
        pod["annotations"] = {
            "prometheus.io/scrape": "true",
            "prometheus.io/port": str(launch.port),
            "prometheus.io/path": path,
        }
    label, value = launch.node_label
    resource = launch.dialect.device(launch.gpu.vendor).resource
    return {
        "metadata": pod,
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": launch.drain_s + 30,
            "nodeSelector": {label: value},
            "tolerations": [{"key": resource, "operator": "Exists", "effect": "NoSchedule"}],
            "containers": [_container(launch, role, started, resource)],
            "volumes": _volumes(launch, started),
        },
    }


def _container(launch: Launch, role: Role, started: Command, resource: str) -> Json:
    container: Json = {
        "name": "engine",
        "image": launch.image,
        **_entry(launch, started),
        "env": [
            {"name": "HF_HOME", "value": MODEL_CACHE},
            {
                "name": "HF_TOKEN",
                "valueFrom": {
                    "secretKeyRef": {"name": "hf-token", "key": "token", "optional": True}
                },
            },
            *side_channel_env(launch),
        ],
        "resources": {
            "limits": {resource: str(launch.node_gpus)},
            "requests": {resource: str(launch.node_gpus)},
        },
        "securityContext": {"allowPrivilegeEscalation": False},
        "volumeMounts": _mounts(launch, started),
    }
    if role is Role.WORKER:
        return container
    return {**container, **_serving(launch)}


def _entry(launch: Launch, started: Command) -> Json:
    """The image's own entrypoint runs the program where it prepares the libraries for it."""
    plain = [w for w in started.words if not _is_product(w)]
    words = [container_word(word, launch) for word in plain]
    if len(plain) == len(started.words):
        if launch.keep_entrypoint:
            return {"args": [*started.program, *words]}
        return {"command": list(started.program), "args": words}
    (at,) = (i for i, w in enumerate(started.words) if _is_product(w))
    option, product = started.words[at - 1], started.words[at]
    assert isinstance(option, str)
    assert isinstance(product, EnvironmentVariable)
    words.remove(option)
    script = f'exec "$@" {option} "$((LWS_WORKER_INDEX * {product.times}))"'
    return {"command": ["sh", "-c", script, "sh"], "args": [*started.program, *words]}


def _is_product(word: object) -> bool:
    return isinstance(word, EnvironmentVariable) and word.name == NODE_RANK.name and word.times > 1


def _serving(launch: Launch) -> Json:
    probe = {"httpGet": {"path": "/health", "port": "http"}, "timeoutSeconds": 5}
    patience = math.ceil(launch.start_up_s * START_UP_ALLOWANCE / PROBE_PERIOD_S)
    return {
        "ports": [{"name": "http", "containerPort": launch.port, "protocol": "TCP"}],
        "startupProbe": {
            **probe,
            "periodSeconds": PROBE_PERIOD_S,
            "failureThreshold": max(3, patience),
        },
        "readinessProbe": {**probe, "periodSeconds": 5, "failureThreshold": 3},
        "livenessProbe": {**probe, "periodSeconds": PROBE_PERIOD_S, "failureThreshold": 6},
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(launch.drain_s)]}}},
    }


def _volumes(launch: Launch, started: Command) -> list[Json]:
    volumes: list[Json] = [{"name": "models", "emptyDir": {}}]
    volumes.append(
        {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": SHARED_MEMORY}}
    )
    if started.config is not None:
        volumes.append({"name": "config", "configMap": {"name": launch.name}})
    if launch.is_local:
        path = {"path": launch.checkpoint, "type": "Directory"}
        volumes.append({"name": "checkpoint", "hostPath": path})
    return volumes


def _mounts(launch: Launch, started: Command) -> list[Json]:
    mounts: list[Json] = [
        {"name": "models", "mountPath": MODEL_CACHE},
        {"name": "shared-memory", "mountPath": "/dev/shm"},
    ]
    if started.config is not None:
        folder = CONFIG_PATH.rpartition("/")[0]
        mounts.append({"name": "config", "mountPath": folder, "readOnly": True})
    if launch.is_local:
        mounts.append({"name": "checkpoint", "mountPath": launch.checkpoint, "readOnly": True})
    return mounts


def _config_map(launch: Launch, config: Mapping[str, Any]) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(launch),
        "data": {CONFIG_PATH.rpartition("/")[2]: to_yaml(config)},
    }


def _disruption_budget(launch: Launch) -> Json:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(launch),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {INSTANCE: launch.name}}},
    }
