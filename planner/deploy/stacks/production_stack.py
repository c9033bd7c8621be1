"""vLLM production-stack: Helm values per service, and KEDA objects beside them.

The chart writes the command itself: settings it has fields for go there, the rest into extraArgs. Its
field list calls ``keda.triggers`` an object while KEDA needs a list, so scaling is written apart.
"""

from __future__ import annotations

from collections.abc import Iterable

from planner.deploy.choices import Choices
from planner.deploy.cluster.autoscaling import most_replicas, scaling_objects
from planner.deploy.cluster.host_needs import host_needs
from planner.deploy.cluster.kubernetes import service_labels
from planner.deploy.cluster.model_cache import (
    IMAGE_VOLUME,
    cache_mounts,
    cache_volumes,
    needs_claim,
)
from planner.deploy.cluster.pods import (
    HOST,
    PROBE_PERIOD_S,
    SHARED_MEMORY,
    ZONE,
    environment,
    start_up_checks,
)
from planner.deploy.cluster.yaml_text import to_yaml, to_yaml_stream
from planner.deploy.engines.command_line import ENGINES, spell
from planner.deploy.launch import Launch, PoolRole, Role
from planner.deploy.manifest import Manifest
from planner.deploy.quoting import container_word
from planner.deploy.stacks.fields import value_rows
from planner.errors import InputError
from planner.plan.schema import Plan

STACK = "production-stack"
VALUES, SCALING = ".values.yaml", ".scaling.yaml"
CHARTS_OWN = ("model", "host", "port", "lora")  # what its template writes of itself
ROUTING = {"prefix-aware": "prefixaware"}
TURNS = "roundrobin"


def production_stack_files(
    plan: Plan, launches: tuple[Launch, ...], choices: Choices
) -> dict[str, str]:
    """Values for one release per service, and what scales its Deployments."""
    files: dict[str, str] = {}
    policies = {s.name: s.routing.policy for s in plan.scenario.services}
    for service, label in service_labels(launches).items():
        own = [launch for launch in launches if launch.service == service]
        for launch in own:
            _must_be_plain(launch)
        files[f"{label}{VALUES}"] = to_yaml(_values(own, policies[service], choices))
        for launch in own:
            scaled = scaling_objects(launch, choices, _deployment_name(label, launch))
            if scaled:
                files[f"{launch.name}{SCALING}"] = to_yaml_stream(scaled)
    return files


def production_stack_warnings(plan: Plan) -> list[str]:
    """What the reader of these files must know."""
    found = [
        "the chart's router image is named without a version of its own: pin routerSpec.tag",
        "the chart has no field for disk requests or limits, and none are written",
    ]
    found += [
        f"service {s.name!r} is planned for {s.routing.policy} routing, and the chart's router takes turns"
        for s in plan.scenario.services
        if s.routing.policy not in (*ROUTING, "round-robin")
    ]
    return found


def _must_be_plain(launch: Launch) -> None:
    if launch.dialect.engine != "vllm":
        what, found = "the production stack serves with vLLM alone", launch.dialect.engine
    elif launch.pool is not PoolRole.BOTH:
        what = "the production stack moves KV caches by LMCache, and the plan by NIXL"
        found = f"a {launch.pool.value} pool"
    elif launch.nodes > 1:
        what = "the production stack spans nodes by Ray, and the plan by vLLM's own processes"
        found = f"{launch.gpus} GPUs over {launch.nodes} nodes"
    else:
        return
    raise InputError(
        what,
        where=f"service {launch.service!r}",
        found=found,
        action="use --target kubernetes, kserve, dynamo or llm-d",
    )


def _values(launches: Iterable[Launch], policy: str, choices: Choices) -> Manifest:
    models = list(launches)
    slowest = max(models, key=lambda launch: launch.start_up_s)
    return {
        "servingEngineSpec": {
            "enableEngine": True,
            "imagePullPolicy": "IfNotPresent",
            "startupProbe": {
                "httpGet": {"path": "/health", "port": slowest.port},
                "periodSeconds": PROBE_PERIOD_S,
                "failureThreshold": start_up_checks(slowest),
            },
            "containerPort": slowest.port,
            "modelSpec": [_model(launch, choices) for launch in models],
        },
        "routerSpec": {"enableRouter": True, "routingLogic": ROUTING.get(policy, TURNS)},
    }


def _model(launch: Launch, choices: Choices) -> Manifest:
    repository, separator, tag = launch.image.rpartition(":")
    if not separator or "@" in launch.image:
        raise InputError(
            "the chart takes an image by name and version, not by digest",
            found=launch.image,
            action="name it as --image vllm=NAME:VERSION",
        )
    needs, resource = host_needs(launch), launch.dialect.device(launch.gpu.vendor).resource
    return {
        "name": launch.name,
        "repository": repository,
        "tag": tag,
        "modelURL": launch.loads,
        "replicaCount": launch.replicas,
        "requestCPU": needs.cpus,
        "requestMemory": f"{needs.memory_gib}Gi",
        "requestGPU": launch.node_gpus,
        "requestGPUType": launch.resource,
        "shmSize": SHARED_MEMORY,
        **_storage(launch, choices),
        "env": [e for e in environment(launch) if e["name"] != "HF_HOME"],
        "affinity": _affinity(launch),
        "tolerations": [{"key": resource, "operator": "Exists", "effect": "NoSchedule"}],
        **({"enableLoRA": True} if launch.lora_adapters else {}),
        "vllmConfig": _config(launch),
    }


def _storage(launch: Launch, choices: Choices) -> Manifest:
    """A claim that the release's pods share, and a checkpoint mounted from a folder or an image."""
    own = [v for v in cache_volumes(launch, "", choices) if v["name"] == IMAGE_VOLUME]
    mounts = [m for m in cache_mounts(launch) if m["name"] == IMAGE_VOLUME]
    stored: Manifest = {"extraVolumes": own, "extraVolumeMounts": mounts} if own else {}
    if not needs_claim(launch, choices):
        return stored
    mode = "ReadWriteMany" if most_replicas(launch, choices) > 1 else "ReadWriteOnce"
    stored |= {
        "pvcStorage": f"{max(1, host_needs(launch).checkpoint_gib)}Gi",
        "pvcAccessMode": [mode],
    }
    return (
        stored
        if choices.storage_class is None
        else {
            **stored,
            "storageClass": choices.storage_class,
        }
    )


def _affinity(launch: Launch) -> Manifest:
    """Nodes with the GPU, and replicas apart where there is room; strictly where a zone may be lost."""
    key, value = launch.node_label
    terms = [{"matchExpressions": [{"key": key, "operator": "In", "values": [value]}]}]
    affinity: Manifest = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}
        }
    }
    if launch.replicas == 1:
        return affinity
    selector = {"matchLabels": {"model": launch.name}}
    apart = [
        {"weight": weight, "podAffinityTerm": {"topologyKey": key, "labelSelector": selector}}
        for key, weight in ((ZONE, 100), (HOST, 50))
    ]
    own: Manifest = {"preferredDuringSchedulingIgnoredDuringExecution": apart}
    return {**affinity, "podAntiAffinity": own}


def _config(launch: Launch) -> Manifest:
    """Settings under the chart's own names, and every other as an argument."""
    stated: Manifest = ENGINES[launch.dialect.engine].settings(launch, Role.SINGLE)
    fields = {row.setting: row.field for row in value_rows(launch.dialect.root)}
    named = {fields[name]: value for name, value in stated.items() if name in fields}
    others = {n: v for n, v in stated.items() if n not in fields and n not in CHARTS_OWN}
    spelled = spell(launch.dialect, launch.program, others)
    words = [container_word(word, launch) for word in spelled.words]
    return {**named, "extraArgs": words}


def _deployment_name(release: str, launch: Launch) -> str:
    """The Deployment that the chart names after release and model."""
    return f"{release}-{launch.name}-deployment-vllm"
