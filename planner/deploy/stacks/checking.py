"""Written documents of a stack held against its field list and the plan's replicas."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from planner.deploy.cluster.consistency import PlannedReplicas, check_scaling, hold_bounds
from planner.deploy.cluster.labels import INSTANCE
from planner.deploy.manifest import Stated
from planner.deploy.reading import Started
from planner.deploy.stacks import dynamo, kserve, production_stack
from planner.deploy.stacks.fields import field_list
from planner.deploy.stacks.reading import (
    documents,
    read_dynamo,
    read_kserve,
    read_production_stack,
)
from planner.errors import OutputError

Replicas = Mapping[str, PlannedReplicas]
ROUTER, ROUTER_VALUES = "llm-d-router", ".router.values.yaml"


@dataclass(frozen=True)
class StackReader:
    """How one stack's files are read back, and how its documents are recognised."""

    name: str
    suffix: str
    read: Callable[[Mapping[str, str], Path], Iterator[Started]]


STACKS: Mapping[str, StackReader] = {
    stack.name: stack
    for stack in (
        StackReader(kserve.STACK, kserve.SUFFIX, read_kserve),
        StackReader(dynamo.STACK, dynamo.SUFFIX, read_dynamo),
        StackReader(production_stack.STACK, production_stack.VALUES, read_production_stack),
    )
}


def check_stack(target: str, files: Mapping[str, str], root: Path, replicas: Replicas) -> None:
    """Hold the documents of ``target`` against its field list and ``replicas`` (at the peak, by hour).

    Raises OutputError for a field the stack's version does not have, and for scaling that does not
    hold the plan.
    """
    unvalidated_fields(target, files, root)
    for _, item in documents(files, kserve.SUFFIX):
        if item["kind"] == "LLMInferenceService":
            for pool in (item["spec"], item["spec"].get("prefill", {})):
                _hold_scaling(pool, replicas)
    for _, item in documents(files, production_stack.SCALING):
        check_scaling(item, replicas)


def unvalidated_fields(target: str, files: Mapping[str, str], root: Path) -> tuple[str, ...]:
    """Check every document's fields; return the paths below which the stack's list says nothing."""
    listed, stack = field_list(root, target), STACKS[target]
    found: set[str] = set()
    for name, text in files.items():
        if not name.endswith(stack.suffix):
            continue
        if target == production_stack.STACK:
            found.update(listed.unvalidated(yaml.safe_load(text), name))
            continue
        for _, item in documents({name: text}, stack.suffix):
            if item["kind"] != listed.first.kind:
                continue
            if item["apiVersion"] != listed.first.api_version:
                raise OutputError(
                    "another version than the field list", where=name, found=item["apiVersion"]
                )
            found.update(listed.unvalidated({"spec": item["spec"]}, name))
    return tuple(sorted(found))


def router_fields(files: Mapping[str, str], root: Path) -> tuple[str, ...]:
    """Check the values of llm-d's routers; return the paths below which the chart's own say nothing."""
    listed = field_list(root, ROUTER)
    found: set[str] = set()
    for name, text in files.items():
        if name.endswith(ROUTER_VALUES):
            found.update(listed.unvalidated(yaml.safe_load(text), name))
    return tuple(sorted(found))


def _hold_scaling(pool: Stated, replicas: Replicas) -> None:
    scaling = pool.get("scaling")
    if scaling is not None:
        name, triggers = pool["labels"][INSTANCE], scaling["keda"]["triggers"]
        least, most = scaling["minReplicas"], scaling["maxReplicas"]
        hold_bounds(name, least, most, triggers, replicas[name])
