"""llm-d: model servers as Kustomize resources, and Helm values for one llm-d router per service."""

from __future__ import annotations

from typing import Any

from planner.deploy.choices import Choices
from planner.deploy.dialect import llm_d_components
from planner.deploy.documents import to_yaml, to_yaml_stream
from planner.deploy.kubernetes import kustomization, service_labels
from planner.deploy.launch import Launch
from planner.deploy.names import dns_label
from planner.deploy.scaling import first_replicas, scaling_objects
from planner.deploy.words import HTTP_PORT
from planner.deploy.workloads import PART_OF, ROLE, SERVER, workload_objects
from planner.errors import InputError

GUIDE = "llm-d.ai/guide"
SERVER_TYPES = {"vllm": "vllm", "sglang": "sglang", "tensorrt-llm": "trtllm-serve"}


def llm_d_files(launches: tuple[Launch, ...], choices: Choices) -> dict[str, str]:
    """A file of model servers per replica group, their kustomization, and the routers' values."""
    labels = service_labels(launches)
    files: dict[str, str] = {}
    for launch in launches:
        first = first_replicas(launch, choices)
        objects = workload_objects(launch, _labels(launch, labels[launch.service]), first)
        objects += scaling_objects(launch, choices)
        files[f"{launch.name}.group.yaml"] = to_yaml_stream(objects)
    files["kustomization.yaml"] = to_yaml(kustomization(sorted(files)))
    for service, label in labels.items():
        serving = [launch for launch in launches if launch.service == service]
        files[f"{label}.router.values.yaml"] = to_yaml(_router_values(label, serving))
    return files


def _labels(launch: Launch, label: str) -> dict[str, str]:
    return {
        PART_OF: label,
        GUIDE: label,
        "llm-d.ai/role": "decode",
        "llm-d.ai/model": dns_label(launch.served_name),
        "llm-d.ai/accelerator-vendor": launch.gpu.vendor,
    }


def _router_values(label: str, launches: list[Launch]) -> dict[str, Any]:
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
            },
            "modelServers": {
                "type": SERVER_TYPES[engines[0]],
                "protocol": "http",
                "targetPorts": [{"number": HTTP_PORT}],
                "matchLabels": {GUIDE: label, ROLE: SERVER},
            },
        }
    }
