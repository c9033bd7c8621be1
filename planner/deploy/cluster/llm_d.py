"""llm-d: model servers as Kustomize resources, and Helm values for one llm-d router per service."""

from __future__ import annotations

from dataclasses import replace

from planner.deploy.choices import Choices
from planner.deploy.cluster.autoscaling import first_replicas, scaling_objects
from planner.deploy.cluster.kubernetes import claim_files, kustomization, service_labels
from planner.deploy.cluster.labels import PART_OF, ROLE, SERVER
from planner.deploy.cluster.names import dns_label
from planner.deploy.cluster.pods import workload_objects
from planner.deploy.cluster.yaml_text import to_yaml, to_yaml_stream
from planner.deploy.engines.dialect import llm_d_components
from planner.deploy.launch import Launch, PoolRole
from planner.deploy.manifest import Manifest
from planner.deploy.quoting import HTTP_PORT
from planner.errors import InputError

GUIDE = "llm-d.ai/guide"
BEHIND_SIDECAR = 8200  # where the sidecar expects the decode server
PLUGINS_FILE = "pools-config.yaml"
CONNECTORS = {"vllm": "nixlv2", "sglang": "sglang"}
SERVER_TYPES = {"vllm": "vllm", "sglang": "sglang", "tensorrt-llm": "trtllm-serve"}


def llm_d_files(launches: tuple[Launch, ...], choices: Choices) -> dict[str, str]:
    """A file of model servers per replica group, their kustomization, and the routers' values."""
    labels = service_labels(launches)
    files: dict[str, str] = {}
    for launch in launches:
        first = first_replicas(launch, choices)
        served = replace(launch, port=BEHIND_SIDECAR) if _has_sidecar(launch) else launch
        objects = workload_objects(served, _labels(launch, labels[launch.service]), first, choices)
        if _has_sidecar(launch):
            objects = [_with_sidecar(item, launch) for item in objects]
        objects += scaling_objects(launch, choices)
        files[f"{launch.name}.group.yaml"] = to_yaml_stream(objects)
    files |= claim_files(launches, labels, choices)
    files["kustomization.yaml"] = to_yaml(kustomization(sorted(files)))
    for service, label in labels.items():
        serving = [launch for launch in launches if launch.service == service]
        files[f"{label}.router.values.yaml"] = to_yaml(_router_values(label, serving))
    return files


def _labels(launch: Launch, label: str) -> dict[str, str]:
    return {
        PART_OF: label,
        GUIDE: label,
        "llm-d.ai/role": "prefill" if launch.pool is PoolRole.PREFILL else "decode",
        "llm-d.ai/model": dns_label(launch.served_name),
        "llm-d.ai/accelerator-vendor": launch.gpu.vendor,
    }


def _has_sidecar(launch: Launch) -> bool:
    return launch.pool is PoolRole.DECODE


def _with_sidecar(item: Manifest, launch: Launch) -> Manifest:
    """The proxy beside a decode server that has the prompt prefilled first."""
    if item["kind"] != "Deployment":
        return item
    row = llm_d_components(launch.dialect.root)["disagg_sidecar"]
    sidecar = {
        "name": "routing-proxy",
        "image": f"{row.reference}:{row.version}",
        "args": [
            f"--port={HTTP_PORT}",
            f"--kv-connector={CONNECTORS[launch.dialect.engine]}",
            "--secure-serving=false",
        ],
        "ports": [{"name": "sidecar", "containerPort": HTTP_PORT, "protocol": "TCP"}],
        "restartPolicy": "Always",
        "securityContext": {"allowPrivilegeEscalation": False, "runAsNonRoot": True},
    }
    item["spec"]["template"]["spec"]["initContainers"] = [sidecar]
    return item


def _pool_plugins() -> Manifest:
    """Every prompt goes to a prefill server, its answer to a decode server, each the least busy."""
    profiles = [
        {
            "name": role,
            "plugins": [
                {"pluginRef": plugin}
                for plugin in (f"{role}-filter", "active-request-scorer", "max-score-picker")
            ],
        }
        for role in ("prefill", "decode")
    ]
    handler = {
        "type": "disagg-profile-handler",
        "parameters": {"deciders": {"prefill": "always-disagg-pd-decider"}},
    }
    plugins = [
        {"type": "always-disagg-pd-decider"},
        handler,
        *(
            {"type": plugin}
            for plugin in (
                "prefill-filter",
                "decode-filter",
                "inflight-load-producer",
                "active-request-scorer",
                "max-score-picker",
            )
        ),
    ]
    config = {
        "apiVersion": "llm-d.ai/v1",
        "kind": "EndpointPickerConfig",
        "plugins": plugins,
        "schedulingProfiles": profiles,
    }
    return {
        "replicas": 1,
        "pluginsConfigFile": PLUGINS_FILE,
        "pluginsCustomConfig": {PLUGINS_FILE: to_yaml(config)},
    }


def _router_values(label: str, launches: list[Launch]) -> Manifest:
    engines = sorted({launch.dialect.engine for launch in launches})
    if len(engines) > 1:
        raise InputError(
            "an llm-d router reads the metrics of one kind of engine",
            where=f"service {launches[0].service!r}",
            found=", ".join(engines),
            action="solve again with one engine for this service, or use --target kubernetes",
        )
    chart = llm_d_components(launches[0].dialect.root)["router_chart"]
    path = launches[0].dialect.any_runtime().metrics_path or "/metrics"
    return {
        "router": {
            "extraServicePorts": [
                {"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8081}
            ],
            "epp": {
                "image": {"tag": chart.version},
                "metricsDataSource": {"scheme": "http", "path": path},
                **(_pool_plugins() if any(_has_sidecar(one) for one in launches) else {}),
            },
            "modelServers": {
                "type": SERVER_TYPES[engines[0]],
                "protocol": "http",
                "targetPorts": [{"number": HTTP_PORT}],
                "matchLabels": {GUIDE: label, ROLE: SERVER},
            },
        }
    }
