"""What must hold between the objects of a cluster: selectors meet pods, and nothing scales below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import yaml

from planner.deploy.cluster.yaml_text import read_yaml_stream
from planner.deploy.manifest import Stated
from planner.errors import OutputError

Object = Stated  # of a file that is read back
DAY = 24 * 60  # minutes


class PlannedReplicas(NamedTuple):
    """Replicas of the busiest hour, of each hour (empty where they do not vary), and the fewest."""

    busiest: int
    by_hour: tuple[int, ...]
    least: int


def check_cluster(files: Mapping[str, str], replicas: Mapping[str, PlannedReplicas]) -> None:
    """Hold the objects against one another, and autoscaling against ``replicas``, planned by name."""
    groups = {n: read_yaml_stream(t) for n, t in files.items() if n.endswith(".group.yaml")}
    objects = [o for listed in groups.values() for o in listed]
    _one_each(objects, replicas)
    for item in objects:
        check_scaling(item, replicas)
    pods = [pod for item in objects for pod in _pods(item)]
    for selector in _selectors(objects, files):
        _hold(any(selector.items() <= pod.items() for pod in pods), str(selector), "selector")
    claims = {
        yaml.safe_load(text)["metadata"]["name"]
        for name, text in files.items()
        if name.endswith(".models.yaml")
    }
    mounted = {name for item in objects for t in _templates(item) for name in _claims(t)}
    _hold(mounted == claims, "PersistentVolumeClaim", "claims that pods mount")
    listed = set(yaml.safe_load(files["kustomization.yaml"])["resources"])
    written = {n for n in files if n.endswith((".group.yaml", ".models.yaml", ".service.yaml"))}
    _hold(listed == written, "kustomization.yaml", "resources")


def check_scaling(item: Object, replicas: Mapping[str, PlannedReplicas]) -> None:
    """Hold a ScaledObject or a HorizontalPodAutoscaler against the plan; anything else passes."""
    if item["kind"] == "ScaledObject":
        name, spec = item["metadata"]["name"], item["spec"]
        hold_bounds(
            name, spec["minReplicaCount"], spec["maxReplicaCount"], spec["triggers"], replicas[name]
        )
    elif item["kind"] == "HorizontalPodAutoscaler":
        name = item["metadata"]["name"]
        _hold(item["spec"]["minReplicas"] == replicas[name][0], name, "minReplicas")
        _hold(item["spec"]["maxReplicas"] >= replicas[name][0], name, "maxReplicas")


def hold_bounds(
    name: str,
    least_written: int,
    most_written: int,
    triggers: Iterable[Object],
    planned: PlannedReplicas,
) -> None:
    """Hold how far KEDA may go down and up, and what its clock asks for, against the plan."""
    busiest, by_hour, least = planned
    most = max(busiest, *by_hour) if by_hour else busiest
    _hold(most_written >= most, name, "maxReplicaCount")
    _hold(least_written == least, name, "minReplicaCount")
    clock = [t["metadata"] for t in triggers if t["type"] == "cron"]
    for hour, wanted in enumerate(by_hour):
        floor = _floor_at(hour, least_written, clock)
        _hold(wanted <= floor <= most, name, "replicas by hour")


def _floor_at(hour: int, least: int, clock: Iterable[Object]) -> int:
    """The fewest replicas half past ``hour``: the least, or what the clock then asks for."""
    floor = least
    for shift in clock:
        start, end = (_minute(shift[key]) for key in ("start", "end"))
        now = hour * 60 + 30
        if (now - start) % DAY < (end - start) % DAY:
            floor = max(floor, int(shift["desiredReplicas"]))
    return floor


def _minute(cron: str) -> int:
    minute, hour, *_ = cron.split()
    return int(hour) * 60 + int(minute)


def _one_each(objects: Iterable[Object], replicas: Iterable[str]) -> None:
    for kinds in (("Deployment", "LeaderWorkerSet"), ("PodDisruptionBudget",)):
        names = sorted(o["metadata"]["name"] for o in objects if o["kind"] in kinds)
        _hold(names == sorted(replicas), " or ".join(kinds), "objects, one for each replica group")


def _templates(item: Object) -> list[Object]:
    if item["kind"] == "Deployment":
        return [item["spec"]["template"]]
    if item["kind"] == "LeaderWorkerSet":
        both = item["spec"]["leaderWorkerTemplate"]
        return [both["leaderTemplate"], both["workerTemplate"]]
    return []


def _pods(item: Object) -> list[Mapping[str, str]]:
    return [template["metadata"]["labels"] for template in _templates(item)]


def _claims(template: Object) -> Iterable[str]:
    for volume in template["spec"]["volumes"]:
        if "persistentVolumeClaim" in volume:
            yield volume["persistentVolumeClaim"]["claimName"]


def _selectors(objects: Iterable[Object], files: Mapping[str, str]) -> Iterable[Mapping[str, str]]:
    for item in objects:
        if item["kind"] in ("Deployment", "PodDisruptionBudget"):
            yield item["spec"]["selector"]["matchLabels"]
    for name, text in files.items():
        if name.endswith(".service.yaml"):
            yield yaml.safe_load(text)["spec"]["selector"]
        elif name.endswith(".router.values.yaml"):
            yield yaml.safe_load(text)["router"]["modelServers"]["matchLabels"]


def _hold(holds: bool, where: str, what: str) -> None:
    if not holds:
        raise OutputError(
            f"the manifests disagree on {what}",
            where=where,
            action="this is a bug: report it with the plan",
        )
