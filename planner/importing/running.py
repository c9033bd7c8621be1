"""Engines that a fleet's manifests start: what each serves, on which GPUs, how often."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from planner.catalog.store import Catalog
from planner.deploy.engines.command_line import ENGINES
from planner.importing.command_words import EngineCommand, engine_command, options_of
from planner.importing.documents import Json, at, count, mappings
from planner.importing.gpu_names import GpuNames

REPLICATED = ("Deployment", "StatefulSet", "ReplicaSet", "ReplicationController", "DaemonSet")
OWNERS = (*REPLICATED, "LeaderWorkerSet", "LLMInferenceService", "DynamoGraphDeployment")


@dataclass(frozen=True)
class Running:
    """Equal replicas that run: engine and settings, ``nodes`` of ``gpus_per_node`` GPUs each.

    ``gpu``: a catalog name, empty where the manifest does not say.
    """

    name: str
    command: EngineCommand
    replicas: int
    nodes: int
    gpus_per_node: int
    gpu: str

    @property
    def gpus(self) -> int:
        """GPUs of all replicas."""
        return self.replicas * self.nodes * self.gpus_per_node

    @property
    def degrees(self) -> tuple[int, int, int, int]:
        """TP, PP, DP and EP of one replica in the planner's terms."""
        settings = {"tensor_parallel": "1", **self.command.settings}
        numbers = {k: v for k, v in settings.items() if not k.endswith("_parallel") or _whole(v)}
        read = ENGINES[self.command.engine].degrees({"tensor_parallel": "1", **numbers})
        return (
            max(1, read.tensor_parallel),
            max(1, read.pipeline_parallel),
            max(1, read.data_parallel),
            max(1, read.expert_parallel),
        )


@dataclass
class _FleetReader:
    """Reads objects with one catalog."""

    catalog: Catalog
    gpus: GpuNames
    found: list[Running] = field(default_factory=list)

    def pod(
        self, name: str, spec: object, replicas: int, nodes: int, command: Json | None = None
    ) -> None:
        """Keep what a pod's engine container runs; ``command``: words the object states elsewhere."""
        for container in mappings(at(spec, "containers")):
            read = engine_command(
                {**container, **(command or {})}, self.catalog.engines(), self.catalog.root
            )
            if read is None:
                continue
            gpus = self.gpus.count(at(container, "resources"))
            gpu = self.gpus.of_pod(spec)
            self.found.append(Running(name, read, replicas, nodes, gpus, gpu))
            return


def layout_label(
    gpus: int, gpu: str, engine: str, version: str, degrees: tuple[int, int, int, int]
) -> str:
    """A replica as a person names it: ``2x h100-sxm-80gb, vllm 0.19.0, TP 2``; degrees from 2 on, and TP."""
    named = zip(("TP", "PP", "DP", "EP"), degrees, strict=True)
    parallel = (f"{word} {n}" for word, n in named if n > 1 or word == "TP")
    return f"{gpus}x {gpu}, {engine} {version}, {', '.join(parallel)}"


def running_label(one: Running) -> str:
    """A running replica as a person names it."""
    gpus, gpu = one.nodes * one.gpus_per_node, one.gpu or "unknown GPU"
    return layout_label(gpus, gpu, one.command.engine, one.command.version, one.degrees)


def running(objects: Iterable[Json], catalog: Catalog) -> tuple[Running, ...]:
    """Every engine that ``objects`` (manifests or Helm values) start."""
    listed = list(objects)
    reader = _FleetReader(catalog, GpuNames(catalog))
    owners = frozenset(
        str(at(item, "metadata", "name")) for item in listed if item.get("kind") in OWNERS
    )
    for item in listed:
        _read(item, reader, owners)
    return tuple(_together(reader.found))


def _read(item: Json, reader: _FleetReader, owners: Collection[str]) -> None:
    kind, spec = item.get("kind"), at(item, "spec")
    name = str(at(item, "metadata", "name") or "")
    if kind in REPLICATED and not _owned(item, owners):
        reader.pod(name, at(spec, "template", "spec"), count(at(spec, "replicas"), 1), 1)
    elif kind == "Pod" and not _owned(item, owners):
        reader.pod(_owner(item) or name, spec, 1, 1)
    elif kind == "LeaderWorkerSet":
        group = at(spec, "leaderWorkerTemplate")
        leader = at(group, "leaderTemplate", "spec") or at(group, "workerTemplate", "spec")
        reader.pod(
            name, leader, count(at(spec, "replicas"), 1), max(1, count(at(group, "size"), 1))
        )
    elif kind == "LLMInferenceService":
        for pool in (spec, at(spec, "prefill")):
            _kserve(name, pool, str(at(spec, "model", "name") or ""), reader)
    elif kind == "DynamoGraphDeployment":
        for component in mappings(at(spec, "components")):
            nodes = max(1, count(at(component, "multinode", "nodeCount"), 1))
            pod = at(component, "podTemplate", "spec")
            reader.pod(name, pod, count(at(component, "replicas"), 1), nodes)
    elif kind is None:
        _values(item, reader)


def _kserve(name: str, pool: object, model: str, reader: _FleetReader) -> None:
    least = count(at(pool, "scaling", "minReplicas"), 1)
    before = len(reader.found)
    reader.pod(name, at(pool, "template"), count(at(pool, "replicas"), least), 1)
    for number in range(before, len(reader.found)):
        one = reader.found[number]
        degrees = at(pool, "parallelism")
        size = count(at(degrees, "data"), 1) // max(1, count(at(degrees, "dataLocal"), 1))
        wide = at(pool, "worker") is not None
        nodes = max(1, size, count(at(degrees, "pipeline"), 1)) if wide else 1
        command = replace(one.command, served_name=one.command.served_name or model)
        reader.found[number] = replace(one, nodes=nodes, command=command)


def _values(values: Json, reader: _FleetReader) -> None:
    """Values of the vLLM production-stack chart, or of llm-d's modelservice chart."""
    for model in mappings(at(values, "servingEngineSpec", "modelSpec")):
        _chart_model(model, reader)
    uri = str(at(values, "modelArtifacts", "uri") or "").partition("://")[2]
    for pool in ("decode", "prefill"):
        part = at(values, pool)
        if at(part, "create") is False or not mappings(at(part, "containers")):
            continue
        before = len(reader.found)
        nodes = max(1, count(at(part, "parallelism", "workers"), 1))
        served = str(at(values, "modelArtifacts", "name") or uri or pool)
        reader.pod(served, part, count(at(part, "replicas"), 1), nodes)
        for number in range(before, len(reader.found)):
            one = reader.found[number]
            tensor = str(count(at(part, "parallelism", "tensor"), 1))
            settings = {"tensor_parallel": tensor, **one.command.settings}
            command = replace(one.command, model=one.command.model or served, settings=settings)
            gpus = one.gpus_per_node or count(at(part, "parallelism", "tensor"), 1)
            reader.found[number] = replace(one, command=command, gpus_per_node=gpus)


def _chart_model(model: Json, reader: _FleetReader) -> None:
    config = at(model, "vllmConfig")
    extra = [str(word) for word in at(config, "extraArgs") or [] if isinstance(word, (str, int))]
    image = f"{at(model, 'repository')}:{at(model, 'tag')}"
    container = {"image": image, "command": ["vllm", "serve", str(at(model, "modelURL") or "")]}
    read = engine_command(container, reader.catalog.engines(), reader.catalog.root)
    if read is None:
        return
    settings = options_of(read.engine, read.version, extra, reader.catalog.root)
    settings.pop("model", None)
    served = str(settings.pop("served_name", ""))
    stated = {
        "tensor_parallel": at(config, "tensorParallelSize"),
        "max_model_len_tokens": at(config, "maxModelLen"),
        "max_num_seqs": at(config, "maxNumSeqs"),
        "memory_fraction": at(config, "gpuMemoryUtilization"),
        "prefix_caching": at(config, "enablePrefixCaching"),
    }
    known = {k: v if isinstance(v, bool) else str(v) for k, v in stated.items() if v is not None}
    command = replace(read, served_name=served, settings={**settings, **known})
    gpus = count(at(model, "requestGPU"), 0)
    gpu = reader.gpus.of_terms(mappings(at(model, "nodeSelectorTerms")))
    gpu = gpu or reader.gpus.of_pod(model)
    name = str(at(model, "name") or "")
    reader.found.append(Running(name, command, count(at(model, "replicaCount"), 1), 1, gpus, gpu))


def _owner(item: Json) -> str:
    owners = mappings(at(item, "metadata", "ownerReferences"))
    return str(owners[0].get("name", "")) if owners else ""


def _owned(item: Json, owners: Collection[str]) -> bool:
    """Whether what owns an object is in the files too, and says how many there are.

    A ReplicaSet's pods name the ReplicaSet, whose Deployment may be in the files without it.
    """
    names = {str(own.get("name", "")) for own in mappings(at(item, "metadata", "ownerReferences"))}
    names |= {name.rpartition("-")[0] for name in names}
    return not names.isdisjoint(owners)


def _together(found: Iterable[Running]) -> Iterator[Running]:
    """Pods of one owner as replicas of it."""
    grouped: dict[tuple[object, ...], Running] = {}
    for one in found:
        settings = tuple(sorted((k, str(v)) for k, v in one.command.settings.items()))
        key = (
            one.name,
            one.command.engine,
            one.command.version,
            one.command.model,
            settings,
            one.gpu,
        )
        other = grouped.get(key)
        grouped[key] = (
            one if other is None else replace(other, replicas=other.replicas + one.replicas)
        )
    yield from grouped.values()


def _whole(value: object) -> bool:
    """Whether an option's value is a whole number above 0, or a flag."""
    return isinstance(value, bool) or (str(value).isdecimal() and 0 < int(str(value)) < 10_000)


def whole(settings: Mapping[str, Any], name: str) -> int | None:
    """A setting as a whole number; None where it is none."""
    text = str(settings.get(name, ""))
    return int(text) if text.isdecimal() and len(text) < 10 else None
