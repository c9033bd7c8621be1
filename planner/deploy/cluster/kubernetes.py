"""Plain Kubernetes manifests: pods, disruption budgets, autoscaling and one Service per service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from planner.deploy.choices import Choices
from planner.deploy.cluster.autoscaling import first_replicas, scaling_objects
from planner.deploy.cluster.labels import MANAGED, PART_OF, ROLE, SERVER
from planner.deploy.cluster.model_cache import claim
from planner.deploy.cluster.names import unique_labels
from planner.deploy.cluster.pods import workload_objects
from planner.deploy.cluster.yaml_text import to_yaml, to_yaml_stream
from planner.deploy.launch import Launch
from planner.deploy.manifest import Manifest


def kubernetes_files(launches: tuple[Launch, ...], choices: Choices) -> dict[str, str]:
    """A file per replica group, a file per Service, and the kustomization that lists them."""
    labels = service_labels(launches)
    files: dict[str, str] = {}
    for launch in launches:
        first = first_replicas(launch, choices)
        objects = workload_objects(launch, {PART_OF: labels[launch.service]}, first, choices)
        objects += scaling_objects(launch, choices)
        files[f"{launch.name}.group.yaml"] = to_yaml_stream(objects)
    files |= claim_files(launches, labels, choices)
    for label in labels.values():
        files[f"{label}.service.yaml"] = to_yaml(_service(label))
    files["kustomization.yaml"] = to_yaml(kustomization(sorted(files)))
    return files


def service_labels(launches: tuple[Launch, ...]) -> dict[str, str]:
    """The DNS label of every service, in the plan's order."""
    services = list(dict.fromkeys(launch.service for launch in launches))
    return dict(zip(services, unique_labels(services), strict=True))


def claim_files(
    launches: tuple[Launch, ...], labels: Mapping[str, str], choices: Choices
) -> dict[str, str]:
    """A claim for the checkpoints of each service whose pods share one; ``labels`` by service."""
    files = {}
    for service, label in labels.items():
        own = claim(label, [one for one in launches if one.service == service], choices)
        if own is not None:
            files[f"{label}.models.yaml"] = to_yaml(own)
    return files


def kustomization(resources: Sequence[str]) -> Manifest:
    """What ``kubectl apply -k`` reads."""
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": list(resources),
    }


def _service(label: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": label, "labels": MANAGED},
        "spec": {
            "type": "ClusterIP",
            "selector": {PART_OF: label, ROLE: SERVER},
            "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}],
        },
    }
