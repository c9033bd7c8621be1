"""The files of each target, checked against the plan before anyone sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from planner.catalog.store import Catalog
from planner.deploy.check import check_files
from planner.deploy.choices import Choices
from planner.deploy.cluster.autoscaling import can_scale
from planner.deploy.cluster.kubernetes import kubernetes_files
from planner.deploy.cluster.llm_d import llm_d_files
from planner.deploy.cluster.routers import must_be_routable
from planner.deploy.compose import compose_files
from planner.deploy.gpu_parts import cluster_files, must_be_sharable
from planner.deploy.hosting import hosting_notices, with_notices
from planner.deploy.launch import PoolRole
from planner.deploy.notes import readme
from planner.deploy.resolve import Resolved, resolve
from planner.deploy.scripts import script_files
from planner.deploy.stacks import dynamo, kserve, production_stack
from planner.deploy.stacks.checking import STACKS
from planner.deploy.stacks.notes import checked_lines
from planner.errors import InputError
from planner.plan.schema import Plan

ENGINE_OF = {"vllm": "vllm", "sglang": "sglang", "trtllm": "tensorrt-llm"}
CLUSTER_TARGETS = ("kubernetes", "llm-d", *STACKS)
TARGETS = (*ENGINE_OF, "docker-compose", *CLUSTER_TARGETS)


@dataclass(frozen=True)
class LaunchFiles:
    """Text by file name, and what the reader must know."""

    target: str
    files: Mapping[str, str]
    warnings: tuple[str, ...]


def launch_files(plan: Plan, catalog: Catalog, target: str, choices: Choices) -> LaunchFiles:
    """Write ``plan`` for ``target``, parse what was written, and check it against the plan.

    Raises InputError when the plan has no fleet, serves with another engine than the target, or needs
    what the engine or the target cannot express.
    """
    if target not in TARGETS:
        raise InputError("unknown target", found=target, allowed=", ".join(TARGETS))
    resolved = resolve(plan, catalog, choices)
    notices = hosting_notices(plan, catalog, target) if target not in ENGINE_OF else ()
    files = with_notices(_render(plan, resolved, target, choices), notices)
    check_files(plan, catalog, target, files, choices)
    own = _target_warnings(plan, resolved, target, choices)
    warnings = (*resolved.warnings, *notices, *own)
    checked = checked_lines(target, files, catalog.root)
    if target in CLUSTER_TARGETS:
        files |= cluster_files(resolved.launches)
    files["README.md"] = readme(plan, resolved.launches, target, choices, warnings, checked)
    return LaunchFiles(target, files, warnings)


def _render(plan: Plan, resolved: Resolved, target: str, choices: Choices) -> dict[str, str]:
    launches = resolved.launches
    must_be_routable(target, launches)
    must_be_sharable(launches, by_cluster=target in CLUSTER_TARGETS)
    _must_mount_images(target, choices)
    if target in ENGINE_OF:
        _must_be_engine(plan, target)
        return script_files(launches)
    for launch in launches:
        if not launch.image:
            raise InputError(
                f"no image of {launch.dialect.engine} {launch.dialect.version} is recorded for "
                f"{launch.gpu.name}",
                where="catalogs/engine_options/runtimes.csv",
                action=f"name one: --image {launch.dialect.engine}=NAME:VERSION",
            )
    if target == "docker-compose":
        return compose_files(plan, launches)
    if target == dynamo.STACK:
        return dynamo.dynamo_files(plan, launches, choices)
    if target == production_stack.STACK:
        return production_stack.production_stack_files(plan, launches, choices)
    write = {"kubernetes": kubernetes_files, kserve.STACK: kserve.kserve_files}
    return write.get(target, llm_d_files)(launches, choices)


def _must_mount_images(target: str, choices: Choices) -> None:
    if choices.model_images and target not in CLUSTER_TARGETS:
        raise InputError(
            "only a cluster mounts a checkpoint from an image",
            found=f"--model-image with --target {target}",
            allowed=", ".join(CLUSTER_TARGETS),
            action="leave --model-image out, or name a folder with --checkpoint SERVICE=/PATH",
        )


def _must_be_engine(plan: Plan, target: str) -> None:
    for service in plan.services:
        for group in service.replica_groups:
            if group.engine != ENGINE_OF[target]:
                fitting = [t for t, engine in ENGINE_OF.items() if engine == group.engine]
                raise InputError(
                    f"the plan serves {service.name!r} with {group.engine}, not {ENGINE_OF[target]}",
                    found=f"--target {target}",
                    allowed=", ".join([*fitting, *TARGETS[len(ENGINE_OF) :]]),
                    action=f"search with engines: [{ENGINE_OF[target]}] in the scenario to plan for it",
                )


def _target_warnings(
    plan: Plan, resolved: Resolved, target: str, choices: Choices
) -> tuple[str, ...]:
    warnings = []
    in_cluster = target in CLUSTER_TARGETS and target != dynamo.STACK
    for launch in resolved.launches:
        if in_cluster and choices.autoscaler != "none" and not can_scale(launch, choices):
            warnings.append(
                f"{launch.name}: {launch.dialect.engine} {launch.dialect.version} reports no queue "
                f"that {choices.autoscaler} could read; it is left at {launch.replicas} replicas"
            )
        if launch.by_hour and not (in_cluster and choices.autoscaler == "keda"):
            warnings.append(
                f"{launch.name}: the plan runs {launch.least_replicas} to {launch.replicas} replicas by "
                f"the hour, and these files {launch.replicas} all day"
            )
        if launch.is_local and target != "docker-compose":
            warnings.append(f"{launch.name}: {launch.checkpoint} must exist on every node")
    warnings += [
        f"service {s.name!r} is split by length, and nothing here routes by it: send each length to its "
        "replicas in front of them"
        for s in plan.scenario.services
        if s.buckets is not None
    ]
    if target in CLUSTER_TARGETS:
        warnings += [
            f"{launch.name}: the plan keeps both pools of a unit on one node, and this stack pairs any "
            "prefill server with any decode server: KV caches may cross nodes"
            for launch in resolved.launches
            if launch.pool is PoolRole.DECODE and launch.within == "node"
        ]
    warnings += _stack_warnings(plan, resolved, target, choices)
    if target == "kubernetes":
        warnings += [
            f"service {s.name!r} has unlike replicas, and a Kubernetes Service gives each the same "
            "share; the plan does not: use --target llm-d"
            for s in plan.services
            if len(s.replica_groups) > 1
        ]
        warnings += [
            f"service {s.name!r} is planned for {s.routing.policy} routing, and a Kubernetes Service "
            "picks at random: put a router in front, or use --target llm-d"
            for s in plan.scenario.services
            if s.routing.policy != "random"
            and sum(launch.replicas for launch in resolved.launches if launch.service == s.name) > 1
        ]
    return tuple(warnings)


def _stack_warnings(plan: Plan, resolved: Resolved, target: str, choices: Choices) -> list[str]:
    if target == kserve.STACK:
        return kserve.kserve_warnings(resolved.launches, choices)
    if target == dynamo.STACK:
        return dynamo.dynamo_warnings(plan, resolved.launches, choices)
    if target == production_stack.STACK:
        return production_stack.production_stack_warnings(plan)
    return []
