"""Which GPU of the catalog a cluster means, and the nodes that hold them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from planner.catalog.store import Catalog
from planner.deploy.engines.dialect import device_rows, node_label_rows
from planner.importing.documents import Json, at, count, mappings
from planner.importing.observed import SeenGpus

INSTANCE_TYPE = "node.kubernetes.io/instance-type"
USUAL_NODE = 8


@dataclass(frozen=True, slots=True)
class RunningNodes:
    """Nodes that run: ``nodes`` of ``gpus_per_node`` GPUs; ``assumed``: that number was not stated."""

    gpu: str
    nodes: int
    gpus_per_node: int
    assumed: bool = False


@dataclass
class GpuNames:
    """Labels, resources and instance types as the catalog knows them."""

    catalog: Catalog
    by_label: dict[tuple[str, str], str] = field(init=False)
    resources: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        rows = node_label_rows(self.catalog.root)
        self.by_label = {(row.label, row.value): row.gpu for row in rows}
        self.resources = frozenset(row.resource for row in device_rows(self.catalog.root))

    def count(self, resources: object) -> int:
        """GPUs that a container requests."""
        for part in ("limits", "requests"):
            requested = at(resources, part)
            if isinstance(requested, Mapping):
                for name, value in requested.items():
                    if name in self.resources and str(value).isdecimal():
                        return int(str(value))
        return 0

    def of_labels(self, labels: object) -> str:
        """The GPU that node labels name, or the instance type's; empty where neither is known."""
        if not isinstance(labels, Mapping):
            return ""
        for label, value in labels.items():
            gpu = self.by_label.get((str(label), str(value)))
            if gpu is not None:
                return gpu
        instance = str(labels.get(INSTANCE_TYPE, ""))
        offers = (o.gpu for o in self.catalog.offers() if instance and o.instance_type == instance)
        return next(offers, "")

    def of_pod(self, spec: object) -> str:
        """The GPU that a pod's node selector or affinity names."""
        required = ("affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
        terms = mappings(at(spec, *required, "nodeSelectorTerms"))
        return self.of_labels(at(spec, "nodeSelector")) or self.of_terms(terms)

    def of_terms(self, terms: Iterable[Json]) -> str:
        """The GPU that node selector terms name."""
        for term in terms:
            for rule in mappings(at(term, "matchExpressions")):
                values = at(rule, "values")
                for value in values if isinstance(values, list) else ():
                    gpu = self.of_labels({str(rule.get("key")): value})
                    if gpu:
                        return gpu
        return ""

    def of_product(self, product: str) -> str:
        """The GPU that a driver calls so; labels have its name with dashes for spaces."""
        wanted = product.replace(" ", "-").lower()
        return next(
            (gpu for (_, value), gpu in self.by_label.items() if value.lower() == wanted), ""
        )


def nodes_of_manifests(objects: Iterable[Json], names: GpuNames) -> tuple[RunningNodes, ...]:
    """The nodes that ``kubectl get nodes`` lists, by GPU and size."""
    found: dict[tuple[str, int], int] = defaultdict(int)
    for item in objects:
        if item.get("kind") != "Node":
            continue
        capacity = at(item, "status", "capacity")
        gpus = names.count({"limits": capacity})
        gpu = names.of_labels(at(item, "metadata", "labels"))
        if gpus and gpu:
            found[gpu, gpus] += 1
    return tuple(RunningNodes(gpu, n, gpus) for (gpu, gpus), n in sorted(found.items()))


def nodes_of_dcgm(gpus: Iterable[SeenGpus], names: GpuNames) -> tuple[RunningNodes, ...]:
    """The hosts that DCGM's metrics name, by GPU and size."""
    found: dict[tuple[str, int], int] = defaultdict(int)
    for one in gpus:
        gpu = names.of_product(one.name)
        if gpu:
            found[gpu, one.gpus] += 1
    return tuple(RunningNodes(gpu, n, each) for (gpu, each), n in sorted(found.items()))


def nodes_of_replicas(gpus: Mapping[str, int], most_per_node: int) -> tuple[RunningNodes, ...]:
    """As many nodes of the usual size as the replicas' GPUs fill; a size nobody stated."""
    size = max(USUAL_NODE, count(most_per_node, USUAL_NODE))
    return tuple(
        RunningNodes(gpu, math.ceil(number / size), size, assumed=True)
        for gpu, number in sorted(gpus.items())
        if gpu and number
    )
