"""The labels that objects of one fleet find each other by."""

from __future__ import annotations

from planner.deploy.launch import Launch
from planner.deploy.manifest import Manifest

INSTANCE = "app.kubernetes.io/instance"
PART_OF = "app.kubernetes.io/part-of"
ROLE = "planner/role"
SERVER, WORKER = "server", "worker"
MANAGED = {"app.kubernetes.io/managed-by": "planner"}


def metadata(launch: Launch) -> Manifest:
    """Name and labels of an object of this launch."""
    return {"name": launch.name, "labels": {INSTANCE: launch.name, **MANAGED}}


def scale_target(launch: Launch, workload: str | None = None) -> Manifest:
    """What an autoscaler scales; ``workload``: where it does not have the launch's own name."""
    if launch.nodes == 1:
        name = workload or launch.name
        return {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "name": launch.name,
    }
