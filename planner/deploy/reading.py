"""Launch files read back: what each workload would start, by the names that are in the files."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from planner.deploy.cluster.yaml_text import read_yaml_stream
from planner.deploy.compose import GROUP, PART
from planner.deploy.quoting import CONFIG_PATH
from planner.deploy.scripts import FLEET_FILE, config_name
from planner.errors import OutputError


@dataclass(frozen=True, slots=True)
class Started:
    """One kind of process that files would start.

    ``words`` follow the program. ``replicas`` and ``gpus`` (of this process) are None where the kind of
    file does not say; ``nodes`` make one replica. ``image`` is empty for a bare command. ``resource``: what
    a cluster is asked for, "" elsewhere.
    """

    name: str
    words: tuple[str, ...]
    config: Mapping[str, Any] | None
    replicas: int
    gpus: int | None
    nodes: int
    image: str
    serves: bool
    resource: str = ""


def read_scripts(files: Mapping[str, str]) -> Iterator[Started]:
    """The processes of shell scripts, counted by ``fleet.yaml``."""
    for entry in yaml.safe_load(files[FLEET_FILE])["replicas"]:
        config = files.get(config_name(entry["name"]))
        for script in entry["scripts"]:
            command = files[script].split("\nexec ", 1)[1]
            words = shlex.split(command.replace("\\\n", " "), comments=False)
            yield Started(
                name=entry["name"],
                words=tuple(_after_program(words)),
                config=yaml.safe_load(config) if config else None,
                replicas=entry["replicas"],
                gpus=entry["gpus_per_replica"] // entry["nodes_per_replica"],
                nodes=entry["nodes_per_replica"],
                image="",
                serves=".worker." not in script,
            )


def read_compose(files: Mapping[str, str]) -> Iterator[Started]:
    """The processes of compose files: one of each replica group, with replicas over all machines."""
    found: dict[str, list[Started]] = {}
    for name, text in files.items():
        if not name.endswith(".compose.yaml"):
            continue
        project = yaml.safe_load(text)
        machines = project["x-planner"]["machines"]
        _devices_apart(name, project)
        for service in project["services"].values():
            group = service["labels"][GROUP]
            words = [*service.get("entrypoint", ()), *service["command"]]
            config = files.get(config_name(group))
            found.setdefault(group, []).append(
                Started(
                    name=group,
                    words=tuple(w.replace("$$", "$") for w in _after_program(words)),
                    config=yaml.safe_load(config) if config else None,
                    replicas=machines,
                    gpus=len(_devices(service)),
                    nodes=1,
                    image=service["image"],
                    serves=True,
                )
            )
    for equal in found.values():
        first = equal[0]
        if any((s.words, s.gpus, s.image) != (first.words, first.gpus, first.image) for s in equal):
            raise OutputError("replicas of one group differ", where=first.name)
        yield _with_replicas(first, sum(s.replicas for s in equal))


def read_manifests(files: Mapping[str, str]) -> Iterator[Started]:
    """The processes of Deployments and LeaderWorkerSets."""
    objects = [
        o for n, t in files.items() if n.endswith(".group.yaml") for o in read_yaml_stream(t)
    ]
    configs = {
        o["metadata"]["name"]: yaml.safe_load(o["data"][CONFIG_PATH.rpartition("/")[2]])
        for o in objects
        if o["kind"] == "ConfigMap"
    }
    for item in objects:
        spec, name = item.get("spec", {}), item["metadata"]["name"]
        if item["kind"] == "Deployment":
            templates, nodes = [(spec["template"], True)], 1
        elif item["kind"] == "LeaderWorkerSet":
            group = spec["leaderWorkerTemplate"]
            nodes = group["size"]
            templates = [(group["leaderTemplate"], True), (group["workerTemplate"], False)]
        else:
            continue
        for template, serves in templates:
            replicas, config = spec["replicas"], configs.get(name)
            yield started_of_pod(name, template["spec"], replicas, nodes, config, serves=serves)


def started_of_pod(
    name: str,
    spec: Mapping[str, Any],
    replicas: int,
    nodes: int,
    config: Mapping[str, Any] | None = None,
    *,
    serves: bool,
) -> Started:
    """What the one container of a pod starts."""
    (container,) = spec["containers"]
    ((resource, limit),) = container["resources"]["limits"].items()
    words = [*container.get("command", ()), *container["args"]]
    return Started(
        name=name,
        words=tuple(w.replace("$$", "$") for w in _after_program(words)),
        config=config,
        replicas=replicas,
        gpus=int(limit),
        nodes=nodes,
        image=container["image"],
        serves=serves,
        resource=resource,
    )


PROGRAMS = (
    ("vllm", "serve"),
    ("python3", "-m", "sglang.launch_server"),
    ("trtllm-serve",),
    ("python3", "-m", "dynamo.vllm"),
    ("python3", "-m", "dynamo.sglang"),
)


def _after_program(words: list[str]) -> list[str]:
    """The engine's own words; a shell that adds one option is undone."""
    added: list[str] = []
    if words[:2] == ["sh", "-c"]:
        script, words = words[2], words[4:]
        added = script.removeprefix('exec "$@" ').split(" ", 1)
    for program in PROGRAMS:
        for start in range(len(words) - len(program) + 1):
            if tuple(words[start : start + len(program)]) == program:
                return [*words[start + len(program) :], *added]
    raise OutputError("no known program is started", found=" ".join(words[:3]))


def _devices(service: Mapping[str, Any]) -> list[str]:
    if "deploy" in service:
        (requested,) = service["deploy"]["resources"]["reservations"]["devices"]
        return list(requested["device_ids"])
    visible = (v for k, v in service["environment"].items() if k.endswith("VISIBLE_DEVICES"))
    return str(next(visible)).split(",")


def _shares(service: Mapping[str, Any]) -> bool:
    """Whether it has a time slice of its device: a share of a GPU, where a MIG slice has a name."""
    return str(service["labels"].get(PART, "")).replace(".", "", 1).isdigit()


def _share(services: Iterable[Mapping[str, Any]], device: str) -> float:
    """The largest share that a service has of the device."""
    return max(float(s["labels"][PART]) for s in services if _shares(s) and device in _devices(s))


def _devices_apart(name: str, project: Mapping[str, Any]) -> None:
    services = project["services"].values()
    used = [d for service in services if not _shares(service) for d in _devices(service)]
    shared = Counter(d for service in services if _shares(service) for d in _devices(service))
    if any(n * _share(services, d) > 1 + 1e-6 or d in used for d, n in shared.items()):
        raise OutputError("a shared device is given out too often", where=name)
    ports = [p for service in project["services"].values() for p in service["ports"]]
    if len(set(used)) != len(used) or len(set(ports)) != len(ports):
        raise OutputError("two replicas share a device or a port", where=name)
    gpus = {d.partition(":")[0] for d in (*used, *shared)}
    if len(gpus) > project["x-planner"]["gpus"]:
        raise OutputError("a machine has fewer devices than its replicas need", where=name)


def _with_replicas(started: Started, replicas: int) -> Started:
    return Started(
        started.name,
        started.words,
        started.config,
        replicas,
        started.gpus,
        started.nodes,
        started.image,
        started.serves,
    )
