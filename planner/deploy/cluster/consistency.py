"""What must hold between the objects of a cluster: selectors meet pods, and nothing scales below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from planner.deploy.cluster.yaml_text import read_yaml_stream
from planner.errors import OutputError

Object = Mapping[str, Any]
DAY = 24 * 60  # minutes


def check_cluster(
    files: Mapping[str, str], replicas: Mapping[str, tuple[int, tuple[int, ...], int]]
) -> None:
    """Hold the objects against one another, and autoscaling against the plan.

    ``replicas``: by name, those of the busiest hour, of each hour (empty where they do not vary), and the
    fewest.
    """
    groups = {n: read_yaml_stream(t) for n, t in files.items() if n.endswith(".group.yaml")}
    objects = [o for listed in groups.values() for o in listed]
    _one_each(objects, replicas)
    for item in objects:
        name = item["metadata"]["name"]
        if item["kind"] == "ScaledObject":
            busiest, by_hour, least = replicas[name]
            most = max(busiest, *by_hour) if by_hour else busiest
            _hold(item["spec"]["maxReplicaCount"] >= most, name, "maxReplicaCount")
            _hold(item["spec"]["minReplicaCount"] == least, name, "minReplicaCount")
            for hour, wanted in enumerate(by_hour):
                _hold(wanted <= _floor_at(hour, item["spec"]) <= most, name, "replicas by hour")
        elif item["kind"] == "HorizontalPodAutoscaler":
            _hold(item["spec"]["minReplicas"] == replicas[name][0], name, "minReplicas")
            _hold(item["spec"]["maxReplicas"] >= replicas[name][0], name, "maxReplicas")
    pods = [pod for item in objects for pod in _pods(item)]
    for selector in _selectors(objects, files):
        _hold(any(selector.items() <= pod.items() for pod in pods), str(selector), "selector")
    listed = set(yaml.safe_load(files["kustomization.yaml"])["resources"])
    written = {n for n in files if n.endswith((".group.yaml", ".service.yaml"))}
    _hold(listed == written, "kustomization.yaml", "resources")


def _floor_at(hour: int, spec: Object) -> int:
    """The fewest replicas half past ``hour``: the least, or what a cron trigger then wants."""
    floor = int(spec["minReplicaCount"])
    for trigger in spec["triggers"]:
        if trigger["type"] == "cron":
            start, end = (_minute(trigger["metadata"][key]) for key in ("start", "end"))
            now = hour * 60 + 30
            if (now - start) % DAY < (end - start) % DAY:
                floor = max(floor, int(trigger["metadata"]["desiredReplicas"]))
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
