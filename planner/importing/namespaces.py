"""Namespaces of a cluster in its metrics and manifests: which there are, and one alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from planner.errors import InputError, nearest
from planner.importing.documents import Json, at
from planner.importing.secrets import looks_secret, shown
from planner.importing.series import Series

LABELS = ("exported_namespace", "namespace", "kubernetes_namespace")
CLUSTER_KINDS = ("Node",)
CLUSTER_METRICS = ("DCGM_",)


def of_object(item: Json) -> str:
    """The namespace of a manifest; empty where it states none."""
    return str(at(item, "metadata", "namespace") or "")


def of_labels(labels: Mapping[str, str]) -> str:
    """The namespace that a series' labels name; what it was before Prometheus renamed it goes first."""
    return next((labels[name] for name in LABELS if labels.get(name)), "")


def namespaces(series: Iterable[Series], objects: Iterable[Json]) -> tuple[str, ...]:
    """Those that the files name, what belongs to the whole cluster left out."""
    named = {of_labels(one.labels) for one in series if not one.name.startswith(CLUSTER_METRICS)}
    named |= {of_object(item) for item in objects if item.get("kind") not in CLUSTER_KINDS}
    return tuple(sorted(name for name in named if name and not looks_secret(name)))


def within(
    wanted: Collection[str], series: Iterable[Series], objects: Iterable[Json]
) -> tuple[list[Series], list[Json]]:
    """What lies in ``wanted``, and what says no namespace or belongs to the whole cluster.

    Raises InputError for a namespace that the files do not name.
    """
    series, objects = list(series), list(objects)
    there = namespaces(series, objects)
    for name in wanted:
        if name not in there:
            raise InputError(
                "no such namespace in the files",
                where="--namespace",
                found=shown(name),
                allowed=", ".join(there) or "none is named",
                action=nearest(name, there),
            )
    kept = {"", *wanted}
    return (
        [
            one
            for one in series
            if one.name.startswith(CLUSTER_METRICS) or of_labels(one.labels) in kept
        ],
        [i for i in objects if i.get("kind") in CLUSTER_KINDS or of_object(i) in kept],
    )
