"""What a plan leaves open to who deploys it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from zoneinfo import available_timezones

from planner.deploy.engines.command_line import ENGINES
from planner.errors import InputError, nearest
from planner.plan.schema import Plan

SHOWN = 5
_NAME = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_LABEL = re.compile(rf"^([a-z0-9]([-a-z0-9.]{{0,251}}[a-z0-9])?/)?{_NAME}\Z")
_STORAGE_CLASS = re.compile(r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\Z")
_LABEL_VALUE = re.compile(rf"^({_NAME})\Z")


@dataclass(frozen=True)
class Choices:
    """What a plan leaves open.

    ``checkpoints`` and ``draft_models``: by service, instead of the scenario's model. ``images``: by
    engine. ``node_labels``: (label, value) of nodes by GPU. ``burst``: how far autoscaling may go
    beyond the plan's replicas, as a factor. ``timezone``: of the hours in a scenario's load.
    ``model_cache``: pods of a service share one claim, of ``storage_class`` (None: the cluster's default),
    or each keeps the checkpoint on its node's disk. ``model_images``: by service, an image whose files
    are the checkpoint.
    """

    checkpoints: Mapping[str, str] = field(default_factory=dict)
    draft_models: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    node_labels: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    trust_remote_code: bool = False
    autoscaler: Literal["keda", "hpa", "none"] = "keda"
    prometheus_url: str = "http://prometheus-operated.monitoring.svc:9090"
    burst: float = 1.5
    timezone: str = "UTC"
    model_cache: Literal["pvc", "ephemeral"] = "pvc"
    storage_class: str | None = None
    model_images: Mapping[str, str] = field(default_factory=dict)


def must_be_known(plan: Plan, choices: Choices) -> None:
    """Refuse choices for services or engines there are none of, and images that may change."""
    services = [s.name for s in plan.services]
    for given in (choices.checkpoints, choices.draft_models, choices.model_images):
        for name in given:
            if name not in services:
                raise InputError(
                    "the plan has no such service",
                    found=name,
                    allowed=", ".join(services[:SHOWN]),
                    action=nearest(name, services),
                )
    _must_be_places(choices)
    gpus = sorted({gpu for g in plan.groups for gpu in g.gpus_by_type})
    for gpu in choices.node_labels:
        if gpu not in gpus:
            raise InputError("the plan has no such GPU", found=gpu, allowed=", ".join(gpus))
    for engine, image in choices.images.items():
        if engine not in ENGINES:
            raise InputError("unknown engine", found=engine, allowed=", ".join(ENGINES))
        _pinned(image)
    for image in choices.model_images.values():
        _pinned(image)
    _must_be_storage_class(choices.storage_class)


def _must_be_places(choices: Choices) -> None:
    if not choices.prometheus_url.startswith(("http://", "https://")):
        raise InputError(
            "not the address of a Prometheus",
            found=choices.prometheus_url,
            allowed="http://HOST:PORT",
        )
    zone = choices.timezone
    known = {"UTC"} if zone == "UTC" else available_timezones()
    if known and zone not in known:
        raise InputError(
            "unknown time zone",
            found=zone,
            allowed="a name of the tz database such as UTC or Europe/Paris",
            action=nearest(zone, known),
        )


def _must_be_storage_class(name: str | None) -> None:
    if name is not None and not _STORAGE_CLASS.match(name):
        raise InputError(
            "not the name of a storage class",
            found=name,
            allowed="lower-case letters, digits, - and .",
            action="kubectl get storageclass lists those of the cluster",
        )


def read_node_label(text: str) -> tuple[str, str]:
    """Read ``LABEL=VALUE`` as Kubernetes takes it; InputError otherwise."""
    label, separator, value = text.partition("=")
    if not (separator and _LABEL.match(label) and _LABEL_VALUE.match(value)):
        raise InputError(
            "not a node label", found=text, allowed="LABEL=VALUE as Kubernetes takes it"
        )
    return label, value


def _pinned(image: str) -> str:
    tag = image.rpartition("/")[2].partition(":")[2]
    if "@sha256:" not in image and tag in ("", "latest"):
        raise InputError(
            "the image is not pinned", found=image, allowed="NAME:VERSION or NAME@sha256:..."
        )
    return image
