"""Replicas on parts of a GPU: what a cluster calls a part, and what cuts the GPUs that way.

A MIG slice is a device of its own. The device plugin offers it as ``nvidia.com/mig-PROFILE`` under the
strategy "mixed", with ``.`` for the ``+`` of a profile; the GPU's product label stays that of the whole GPU.
A time slice is not isolated: the device plugin hands out a GPU several times, all in equal parts, and with
``renameByDefault`` as ``nvidia.com/gpu.shared``, which leaves the product label alone as well (NVIDIA GPU
Operator, "Time-Slicing GPUs in Kubernetes"; NVIDIA/k8s-device-plugin README; MIG user guide).

How much memory an engine takes of a shared GPU is its own affair. vLLM's fraction is of the whole GPU, per
instance, whatever else runs there. SGLang counts from what is free when it starts, and TensorRT-LLM's
fraction is of what is free once it has loaded: what they take depends on who starts first, so they get no
time slices.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping

from planner.deploy.cluster.yaml_text import to_yaml
from planner.deploy.launch import Launch
from planner.deploy.manifest import Manifest
from planner.deploy.sharing_resources import WHOLE, shared_resource
from planner.errors import InputError

TIME_SLICES, MIG = "gpu-time-slices.yaml", "gpu-mig.yaml"
TIME_SLICES_NAME, MIG_NAME = "planner-time-slices", "planner-mig"
NAMESPACE = "gpu-operator"
PATCH = "kubectl patch clusterpolicies.nvidia.com/cluster-policy --type merge -p"


def parts_per_gpu(share: float) -> int:
    """How many equal parts of that share one GPU holds."""
    return math.floor(1 / share + 1e-9)


def must_be_sharable(launches: Iterable[Launch], *, by_cluster: bool) -> None:
    """Refuse parts of GPUs that the target or the engine has no way to give out, with the reason."""
    by_gpu: dict[str, list[Launch]] = {}
    for launch in launches:
        by_gpu.setdefault(launch.gpu.name, []).append(launch)
        if launch.is_whole:
            continue
        if launch.gpu.vendor != "nvidia":
            raise _refused(launch, "parts of a GPU are written for NVIDIA devices alone")
        if not launch.profile and launch.dialect.engine != "vllm":
            raise _refused(
                launch,
                f"{launch.dialect.engine} sizes its memory by what is free when it starts, so that "
                "replicas on time slices of one GPU take what the first leaves",
            )
    if not by_cluster:
        return
    for own in by_gpu.values():
        slices = {launch.gpu_share for launch in own if launch.is_time_slice}
        if slices and (len(slices) > 1 or len(slices) < len({one.gpu_share for one in own})):
            raise _refused(
                next(launch for launch in own if launch.is_time_slice),
                "the device plugin cuts all GPUs of a node into equal time slices, and this plan cuts "
                "those of one type unequally",
            )


def _refused(launch: Launch, why: str) -> InputError:
    return InputError(
        why,
        where=f"service {launch.service!r}",
        found=f"{launch.part} of a {launch.gpu.name}",
        action="cut by MIG (sharing.gpu: mig), or solve without sharing.gpu",
    )


def cluster_files(launches: Iterable[Launch]) -> dict[str, str]:
    """What the GPU Operator is given so that nodes offer the parts; nothing for whole GPUs."""
    files: dict[str, str] = {}
    slices, layouts = _slices(launches), _layouts(launches)
    if slices:
        data = {gpu: to_yaml(_time_slices(parts)) for gpu, parts in slices.items()}
        files[TIME_SLICES] = to_yaml(_config_map(TIME_SLICES_NAME, data))
    if layouts:
        files[MIG] = to_yaml(_config_map(MIG_NAME, {"config.yaml": to_yaml(_mig(layouts))}))
    return files


def _slices(launches: Iterable[Launch]) -> dict[str, int]:
    """Time slices of a GPU, by its type."""
    return {x.gpu.name: parts_per_gpu(x.gpu_share) for x in launches if x.is_time_slice}


def _layouts(launches: Iterable[Launch]) -> dict[str, tuple[str, int]]:
    """Profile and slices of a GPU, by its type, where all of its replicas have the same profile."""
    by_gpu: dict[str, set[tuple[str, float]]] = {}
    for launch in launches:
        by_gpu.setdefault(launch.gpu.name, set()).add((launch.profile, launch.gpu_share))
    return {
        gpu: (profile, parts_per_gpu(share))
        for gpu, cuts in by_gpu.items()
        if len(cuts) == 1
        for profile, share in cuts
        if profile
    }


def _time_slices(parts: int) -> Manifest:
    shared = {"name": WHOLE, "replicas": parts}
    rules = {
        "renameByDefault": True,
        "failRequestsGreaterThanOne": True,
        "resources": [shared],
    }
    return {"version": "v1", "sharing": {"timeSlicing": rules}}


def _mig(layouts: Mapping[str, tuple[str, int]]) -> Manifest:
    cut = {
        gpu: [{"devices": "all", "mig-enabled": True, "mig-devices": {profile: parts}}]
        for gpu, (profile, parts) in layouts.items()
    }
    whole = {"all-disabled": [{"devices": "all", "mig-enabled": False}]}
    return {"version": "v1", "mig-configs": {**whole, **cut}}


def _config_map(name: str, data: Mapping[str, str]) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "data": dict(data),
    }


def part_needs(launches: tuple[Launch, ...], *, by_cluster: bool) -> list[str]:
    """What the GPUs must be before replicas on parts of them start, for the README."""
    parts = [launch for launch in launches if not launch.is_whole]
    if not parts:
        return []
    lines = ["## Parts of a GPU", ""]
    lines += [f"- {launch.name}: {_what(launch, by_cluster=by_cluster)}" for launch in parts]
    if not by_cluster:
        return [*lines, "", *_by_hand(parts), ""]
    commands = [*_cutting(parts, _layouts(launches)), *_slicing(parts)]
    if commands:
        lines += ["", "With the GPU Operator, before the pods:", "", "```sh", *commands, "```"]
    mixed = {x.gpu.name for x in parts if x.profile} - set(_layouts(launches))
    lines += [
        f"- {gpu} has replicas of several kinds: cut its GPUs so that all of them fit (NVIDIA mig-parted)"
        for gpu in sorted(mixed)
    ]
    return [*lines, ""]


def _cutting(parts: Iterable[Launch], layouts: Mapping[str, tuple[str, int]]) -> list[str]:
    """How the operator's MIG manager is told."""
    labels = _labels(x for x in parts if x.profile and x.gpu.name in layouts)
    if not labels:
        return []
    told = {"spec": {"mig": {"strategy": "mixed"}, "migManager": {"config": {"name": MIG_NAME}}}}
    labelled = [
        f"kubectl label nodes -l {label} nvidia.com/mig.config={gpu} --overwrite"
        for gpu, label in labels
    ]
    return [f"kubectl apply -f {MIG}", f"{PATCH} '{json.dumps(told)}'", *labelled]


def _slicing(parts: Iterable[Launch]) -> list[str]:
    """How the operator's device plugin is told."""
    labels = _labels(x for x in parts if x.is_time_slice)
    if not labels:
        return []
    told = {"spec": {"devicePlugin": {"config": {"name": TIME_SLICES_NAME}}}}
    labelled = [
        f"kubectl label nodes -l {label} nvidia.com/device-plugin.config={gpu} --overwrite"
        for gpu, label in labels
    ]
    return [f"kubectl apply -f {TIME_SLICES}", f"{PATCH} '{json.dumps(told)}'", *labelled]


def _labels(launches: Iterable[Launch]) -> list[tuple[str, str]]:
    """GPU types and what their nodes are labelled with."""
    return list(dict.fromkeys((x.gpu.name, "=".join(x.node_label)) for x in launches))


def _what(launch: Launch, *, by_cluster: bool) -> str:
    """The part in words, and what the cluster calls it."""
    called = (
        f", which the cluster offers as `{shared_resource(launch.profile)}`" if by_cluster else ""
    )
    if launch.profile:
        return f"a replica has the MIG slice {launch.profile} of a {launch.gpu.name}{called}"
    return (
        f"{parts_per_gpu(launch.gpu_share)} replicas share a {launch.gpu.name}{called}; nothing isolates "
        f"their memory, of which each is started with {launch.memory_fraction:g}: start them one after "
        "the other"
    )


def _by_hand(parts: Iterable[Launch]) -> list[str]:
    """How the GPUs of one machine are cut, and what a process is given."""
    lines = [
        f"Cut each {gpu} with `nvidia-smi mig -i INDEX -cgi {','.join([profile] * count)} -C` (MIG mode on: "
        "`nvidia-smi -i INDEX -mig 1`)."
        for gpu, profile, count in dict.fromkeys(
            (x.gpu.name, x.profile, parts_per_gpu(x.gpu_share)) for x in parts if x.profile
        )
    ]
    if lines:
        lines.append(
            "`nvidia-smi -L` lists the slices; a process sees one with "
            "`CUDA_VISIBLE_DEVICES=MIG-<UUID>`, a container as device `GPU:SLICE`."
        )
    return lines
