"""Where pods keep the checkpoint: a claim they share, an image volume, or their own disk."""

from __future__ import annotations

from collections.abc import Iterable

from planner.deploy.choices import Choices
from planner.deploy.cluster.autoscaling import most_replicas
from planner.deploy.cluster.host_needs import host_needs
from planner.deploy.cluster.labels import MANAGED
from planner.deploy.launch import Launch
from planner.deploy.manifest import Manifest

MODEL_CACHE = "/models"
VOLUME = "models"
IMAGE_VOLUME = "checkpoint"


def claim_name(label: str) -> str:
    """The claim that holds the checkpoints of the service with that label."""
    return f"{label}-models"


def needs_claim(launch: Launch, choices: Choices) -> bool:
    """Whether pods of ``launch`` download into a shared claim."""
    return choices.model_cache == "pvc" and not (launch.is_local or launch.model_image)


def claim(label: str, launches: Iterable[Launch], choices: Choices) -> Manifest | None:
    """The PersistentVolumeClaim of one service; None where none of its pods downloads into one.

    It holds each distinct checkpoint once. Pods that may run on several nodes share it
    (ReadWriteMany).
    """
    held = [launch for launch in launches if needs_claim(launch, choices)]
    if not held:
        return None
    sizes = {launch.checkpoint: host_needs(launch).checkpoint_gib for launch in held}
    pods = sum(most_replicas(launch, choices) * launch.nodes for launch in held)
    spec: Manifest = {
        "accessModes": ["ReadWriteMany" if pods > 1 else "ReadWriteOnce"],
        "resources": {"requests": {"storage": f"{max(1, sum(sizes.values()))}Gi"}},
    }
    if choices.storage_class is not None:
        spec["storageClassName"] = choices.storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": claim_name(label), "labels": MANAGED},
        "spec": spec,
    }


def cache_volumes(launch: Launch, label: str, choices: Choices) -> list[Manifest]:
    """The volumes of a pod that hold its checkpoint and what it downloads."""
    if needs_claim(launch, choices):
        source: Manifest = {"persistentVolumeClaim": {"claimName": claim_name(label)}}
    else:
        source = {"emptyDir": {"sizeLimit": f"{_own_disk_gib(launch)}Gi"}}
    volumes = [{"name": VOLUME, **source}]
    if launch.model_image:
        image = {"reference": launch.model_image, "pullPolicy": "IfNotPresent"}
        volumes.append({"name": IMAGE_VOLUME, "image": image})
    elif launch.is_local:
        path = {"path": launch.checkpoint, "type": "Directory"}
        volumes.append({"name": IMAGE_VOLUME, "hostPath": path})
    return volumes


def cache_mounts(launch: Launch) -> list[Manifest]:
    """Where a container finds those volumes."""
    mounts: list[Manifest] = [{"name": VOLUME, "mountPath": MODEL_CACHE}]
    if launch.model_image or launch.is_local:
        mounts.append({"name": IMAGE_VOLUME, "mountPath": launch.loads, "readOnly": True})
    return mounts


def ephemeral_gib(launch: Launch, choices: Choices) -> int:
    """Node disk that a pod writes to [GiB]: scratch, and the checkpoint where no claim holds it."""
    own = 0 if needs_claim(launch, choices) else _own_disk_gib(launch)
    return host_needs(launch).scratch_gib + own


def _own_disk_gib(launch: Launch) -> int:
    """What a pod downloads onto its node's disk: the checkpoint, or next to nothing beside it."""
    return 1 if launch.is_local or launch.model_image else host_needs(launch).checkpoint_gib
