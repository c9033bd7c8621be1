"""KServe: an LLMInferenceService for each kind of replica, both pools of a unit in one.

The engine's command is written whole, so that KServe's presets add the routing and nothing to it; the
checkpoint comes from the same claim or image as for plain Kubernetes.
"""

from __future__ import annotations

from dataclasses import replace

from planner.deploy.choices import Choices
from planner.deploy.cluster.autoscaling import behavior, can_scale, most_replicas, triggers
from planner.deploy.cluster.kubernetes import claim_files, kustomization, service_labels
from planner.deploy.cluster.labels import MANAGED, PART_OF
from planner.deploy.cluster.pods import config_map, disruption_budget, pod_metadata, pod_spec
from planner.deploy.cluster.yaml_text import to_yaml, to_yaml_stream
from planner.deploy.engines.command_line import command
from planner.deploy.launch import Launch, PoolRole, Role
from planner.deploy.manifest import Manifest
from planner.deploy.stacks.fields import field_list
from planner.deploy.stacks.pairs import Served, served
from planner.errors import InputError

STACK = "kserve"
SUFFIX = ".llmisvc.yaml"
ENGINES = ("vllm", "sglang")  # those that KServe has presets for
BEHIND_SIDECAR = 8001  # where the presets' routing sidecar expects the decode server
MAIN = "main"


def kserve_files(launches: tuple[Launch, ...], choices: Choices) -> dict[str, str]:
    """A file per LLMInferenceService, the claims with the checkpoints, and their kustomization."""
    labels = service_labels(launches)
    files: dict[str, str] = {}
    for one in served(launches):
        files[f"{one.name}{SUFFIX}"] = to_yaml_stream(_objects(one, labels, choices))
    files |= claim_files(launches, labels, choices)
    files["kustomization.yaml"] = to_yaml(kustomization(sorted(files)))
    return files


def kserve_warnings(launches: tuple[Launch, ...], choices: Choices) -> list[str]:
    """What the reader of these files must know."""
    found = [
        "the servers speak plain HTTP, and KServe's presets may expect TLS between gateway and servers: "
        "unvalidated, install KServe with its TLS for LLMInferenceServices switched off"
    ]
    if choices.autoscaler == "hpa":
        found.append(
            "an LLMInferenceService scales by KEDA or its own autoscaler, not by a "
            "HorizontalPodAutoscaler of its own: replicas are fixed"
        )
    by_service: dict[str, int] = {}
    for one in served(launches):
        by_service[one.main.service] = by_service.get(one.main.service, 0) + 1
    found += [
        f"service {name!r} has unlike replicas, and each LLMInferenceService has an endpoint of its own: "
        "share the requests out in front of them, or use --target llm-d"
        for name, documents in by_service.items()
        if documents > 1
    ]
    return found


def _objects(one: Served, labels: dict[str, str], choices: Choices) -> list[Manifest]:
    launches = [one.main] if one.prefill is None else [one.main, one.prefill]
    configs = [(p, command(p, p.roles[0]).config) for p in launches]
    return [
        *(config_map(launch, config) for launch, config in configs if config is not None),
        _service(one, labels[one.main.service], choices),
        *(disruption_budget(launch) for launch in launches),
    ]


def _service(one: Served, label: str, choices: Choices) -> Manifest:
    main = one.main if one.prefill is None else replace(one.main, port=BEHIND_SIDECAR)
    row = field_list(main.dialect.root, STACK).first
    spec: Manifest = {
        "model": {"uri": _uri(main), "name": main.served_name},
        "storageInitializer": {"enabled": False},
        **_workload(main, one.name, label, choices),
        "router": {"gateway": {}, "route": {}, "scheduler": {}},
    }
    if one.prefill is not None:
        spec["prefill"] = _workload(one.prefill, one.name, label, choices)
    return {
        "apiVersion": row.api_version,
        "kind": row.kind,
        "metadata": {"name": one.name, "labels": MANAGED},
        "spec": spec,
    }


def _uri(launch: Launch) -> str:
    if launch.dialect.engine not in ENGINES:
        raise InputError(
            f"KServe has no preset for {launch.dialect.engine}",
            where=f"service {launch.service!r}",
            allowed=", ".join(ENGINES),
            action="use --target kubernetes or llm-d",
        )
    if launch.is_local:
        raise InputError(
            "an LLMInferenceService takes no checkpoint from a folder of its nodes",
            where=f"service {launch.service!r}",
            found=launch.checkpoint,
            action="name a repository with --checkpoint, or an image with --model-image",
        )
    return f"oci://{launch.model_image}" if launch.model_image else f"hf://{launch.checkpoint}"


def _workload(launch: Launch, name: str, label: str, choices: Choices) -> Manifest:
    """Pods, their number and their parallelism, of one pool."""
    pods = {
        role: pod_spec(launch, role, command(launch, role), label, choices, MAIN)
        for role in launch.roles
    }
    about = pod_metadata(launch, {PART_OF: label}, launch.roles[0])
    workload: Manifest = {
        **about,
        **_replicas(launch, name, choices),
        "parallelism": _parallelism(launch),
        "template": _plain_http(pods[launch.roles[0]]),
    }
    return {**workload, "worker": pods[Role.WORKER]} if Role.WORKER in pods else workload


def _replicas(launch: Launch, name: str, choices: Choices) -> Manifest:
    """``replicas``, or ``scaling`` where KEDA follows the queue; never both."""
    if choices.autoscaler != "keda" or not can_scale(launch, choices):
        return {"replicas": launch.replicas}
    if launch.least_replicas < 1:
        raise InputError(
            "an LLMInferenceService keeps at least one replica, and this job's servers stop between runs",
            where=f"service {launch.service!r}",
            action="use --target kubernetes or llm-d, or keep them up with --autoscaler none",
        )
    return {
        "scaling": {
            "minReplicas": launch.least_replicas,
            "maxReplicas": most_replicas(launch, choices),
            "keda": {
                "pollingInterval": 15,
                "advanced": {"horizontalPodAutoscalerConfig": {"behavior": behavior(launch)}},
                "triggers": triggers(launch, choices, _pods(launch, name)),
            },
        }
    }


def _pods(launch: Launch, name: str) -> str:
    """A regular expression of the pods KServe names after the service."""
    pool = "-prefill" if launch.pool is PoolRole.PREFILL else ""
    wide = "-mn" if launch.nodes > 1 else ""
    return f"{name}-kserve{wide}{pool}-[a-z0-9]+(-[a-z0-9]+)?"


def _parallelism(launch: Launch) -> Manifest:
    """Degrees as KServe counts nodes by them: pipeline stages, or ranks over ranks on a node."""
    stated: Manifest = {"tensor": launch.tensor_parallel}
    if launch.pipeline_parallel > 1:
        stated["pipeline"] = launch.pipeline_parallel
    if launch.data_parallel > 1:
        stated |= {"data": launch.data_parallel, "dataLocal": launch.data_parallel // launch.nodes}
    if launch.expert_parallel > 1:
        stated["expert"] = True
    by_degrees = (
        launch.data_parallel // stated["dataLocal"]
        if launch.data_parallel > 1
        else launch.pipeline_parallel
    )
    if launch.nodes > 1 and by_degrees != launch.nodes:
        raise InputError(
            "KServe starts a node for each pipeline stage, and this replica has others",
            where=f"service {launch.service!r}",
            found=f"{launch.pipeline_parallel} stages on {launch.nodes} nodes",
            action="use --target kubernetes or llm-d",
        )
    return stated


def _plain_http(spec: Manifest) -> Manifest:
    """Probes that say HTTP: the presets they are merged into may say HTTPS."""
    (container,) = spec["containers"]
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        probe = container[name]
        container[name] = {**probe, "httpGet": {**probe["httpGet"], "scheme": "HTTP"}}
    return spec
