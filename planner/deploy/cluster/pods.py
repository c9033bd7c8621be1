"""The pods of one replica group: a Deployment on single nodes, a LeaderWorkerSet across several."""

from __future__ import annotations

import math
from collections.abc import Mapping

from planner.deploy.choices import Choices
from planner.deploy.cluster.host_needs import host_needs
from planner.deploy.cluster.labels import INSTANCE, PART_OF, ROLE, SERVER, WORKER, metadata
from planner.deploy.cluster.model_cache import (
    MODEL_CACHE,
    cache_mounts,
    cache_volumes,
    ephemeral_gib,
)
from planner.deploy.cluster.routers import side_channel_env
from planner.deploy.cluster.yaml_text import to_yaml
from planner.deploy.engines.command_line import Command, command
from planner.deploy.launch import NODE_RANK, Launch, PoolRole, Role
from planner.deploy.manifest import EnvironmentVariable, Manifest, Stated
from planner.deploy.quoting import CONFIG_PATH, container_word
from planner.errors import InputError

HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
PROBE_PERIOD_S = 10
START_UP_ALLOWANCE = 10  # a first start also downloads the weights
SHARED_MEMORY = "16Gi"
TOKEN_SECRET, TOKEN_KEY = "hf-token", "token"


def workload_objects(
    launch: Launch, labels: Mapping[str, str], replicas: int, choices: Choices
) -> list[Manifest]:
    """ConfigMap (when the engine reads a file), pods and disruption budget of one launch.

    ``labels`` go on every pod beside the launch's own, its service's under ``PART_OF`` among them;
    ``replicas`` are requested at once. Raises
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
    objects = [config_map(launch, config)] if config is not None else []
    templates = {
        role: {
            "metadata": pod_metadata(launch, labels, role),
            "spec": pod_spec(launch, role, one, labels[PART_OF], choices),
        }
        for role, one in started.items()
    }
    if launch.nodes == 1:
        pods = _deployment(launch, templates[Role.SINGLE], replicas)
    else:
        pods = _leader_worker_set(launch, templates, replicas)
    return [*objects, pods, disruption_budget(launch)]


def _deployment(launch: Launch, template: Manifest, replicas: int) -> Manifest:
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
            "template": template,
        },
    }


def _leader_worker_set(
    launch: Launch, templates: Mapping[Role, Manifest], replicas: int
) -> Manifest:
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
                "leaderTemplate": templates[Role.LEADER],
                "workerTemplate": templates[Role.WORKER],
            },
        },
    }


def pod_metadata(launch: Launch, labels: Mapping[str, str], role: Role) -> Manifest:
    """Labels of a pod, and where Prometheus reads it."""
    serves = role is not Role.WORKER
    pod: Manifest = {
        "labels": {INSTANCE: launch.name, ROLE: SERVER if serves else WORKER, **labels},
    }
    path = launch.dialect.any_runtime().metrics_path
    if serves and path:
        pod["annotations"] = {
            "prometheus.io/scrape": "true",
            "prometheus.io/port": str(launch.port),
            "prometheus.io/path": path,
        }
    return pod


def pod_spec(
    launch: Launch, role: Role, started: Command, label: str, choices: Choices, main: str = "engine"
) -> Manifest:
    """The pod of one process; ``label``: its service's, ``main``: the name of the engine's container."""
    node_label, value = launch.node_label
    resource = launch.dialect.device(launch.gpu.vendor).resource
    spec: Manifest = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": launch.drain_s + 30,
        "nodeSelector": {node_label: value},
        "tolerations": [{"key": resource, "operator": "Exists", "effect": "NoSchedule"}],
        "containers": [_container(launch, role, started, choices, main)],
        "volumes": _volumes(launch, started, label, choices),
    }
    spread = spread_constraints(launch)
    return {**spec, "topologySpreadConstraints": spread} if spread else spec


def spread_constraints(launch: Launch) -> list[Manifest]:
    """Replicas over nodes where there is room, and over zones: strictly where the plan may lose one.

    Replicas of several nodes stay where their network is, and so do pools that exchange KV caches.
    """
    if launch.replicas == 1 or launch.nodes > 1:
        return []
    keys = [(HOST, "ScheduleAnyway")]
    if launch.pool is PoolRole.BOTH:
        keys.append((ZONE, "DoNotSchedule" if launch.survives_zones else "ScheduleAnyway"))
    selector = {"matchLabels": {INSTANCE: launch.name}}
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": strictness,
            "labelSelector": selector,
        }
        for key, strictness in keys
    ]


def _container(
    launch: Launch, role: Role, started: Command, choices: Choices, name: str
) -> Manifest:
    container: Manifest = {
        "name": name,
        "image": launch.image,
        **_entry(launch, started),
        "env": environment(launch),
        "resources": resources(launch, choices),
        "securityContext": {"allowPrivilegeEscalation": False},
        "volumeMounts": _mounts(launch, started),
    }
    if role is Role.WORKER:
        return container
    return {**container, **_serving(launch)}


def environment(launch: Launch) -> list[Manifest]:
    """Where the checkpoint is kept, the token of a gated one (from a Secret), the KV connector's host."""
    secret = {"name": TOKEN_SECRET, "key": TOKEN_KEY, "optional": True}
    return [
        {"name": "HF_HOME", "value": MODEL_CACHE},
        {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": secret}},
        *side_channel_env(launch),
    ]


def resources(launch: Launch, choices: Choices) -> Manifest:
    """Requests of GPUs, CPUs, memory and disk; limits of GPUs alone (``host_needs``)."""
    gpus = {launch.resource: str(launch.node_gpus)}
    needs = host_needs(launch)
    requests = {
        **gpus,
        "cpu": str(needs.cpus),
        "memory": f"{needs.memory_gib}Gi",
        "ephemeral-storage": f"{ephemeral_gib(launch, choices)}Gi",
    }
    return {"limits": gpus, "requests": requests}


def _entry(launch: Launch, started: Command) -> Manifest:
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


def start_up_checks(launch: Launch) -> int:
    """How often a starting server may be found not ready: ten times its start-up, for the download."""
    return max(3, math.ceil(launch.start_up_s * START_UP_ALLOWANCE / PROBE_PERIOD_S))


def _serving(launch: Launch) -> Manifest:
    probe = {"httpGet": {"path": "/health", "port": "http"}, "timeoutSeconds": 5}
    return {
        "ports": [{"name": "http", "containerPort": launch.port, "protocol": "TCP"}],
        "startupProbe": {
            **probe,
            "periodSeconds": PROBE_PERIOD_S,
            "failureThreshold": start_up_checks(launch),
        },
        "readinessProbe": {**probe, "periodSeconds": 5, "failureThreshold": 3},
        "livenessProbe": {**probe, "periodSeconds": PROBE_PERIOD_S, "failureThreshold": 6},
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(launch.drain_s)]}}},
    }


def _volumes(launch: Launch, started: Command, label: str, choices: Choices) -> list[Manifest]:
    volumes = cache_volumes(launch, label, choices)
    volumes.append(
        {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": SHARED_MEMORY}}
    )
    if started.config is not None:
        volumes.append({"name": "config", "configMap": {"name": launch.name}})
    return volumes


def _mounts(launch: Launch, started: Command) -> list[Manifest]:
    mounts = [*cache_mounts(launch), {"name": "shared-memory", "mountPath": "/dev/shm"}]
    if started.config is not None:
        folder = CONFIG_PATH.rpartition("/")[0]
        mounts.append({"name": "config", "mountPath": folder, "readOnly": True})
    return mounts


def config_map(launch: Launch, config: Stated) -> Manifest:
    """The engine's configuration file as a cluster object."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(launch),
        "data": {CONFIG_PATH.rpartition("/")[2]: to_yaml(config)},
    }


def disruption_budget(launch: Launch) -> Manifest:
    """One replica at a time may be taken down."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(launch),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {INSTANCE: launch.name}}},
    }
