"""The files of each target, checked against the plan before anyone sees them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from planner.catalog.store import Catalog
from planner.deploy.check import check_files
from planner.deploy.choices import Choices
from planner.deploy.cluster.kubernetes import kubernetes_files
from planner.deploy.cluster.llm_d import llm_d_files
from planner.deploy.cluster.routers import must_be_routable
from planner.deploy.compose import compose_files
from planner.deploy.gpu_parts import cluster_files, must_be_sharable
from planner.deploy.hosting import hosting_notices, with_notices
from planner.deploy.launch import Launch
from planner.deploy.launch_target import TARGETS, LaunchTarget
from planner.deploy.notes import readme
from planner.deploy.resolve import Resolved, resolve
from planner.deploy.scripts import script_files
from planner.deploy.stacks import dynamo, kserve, production_stack
from planner.deploy.stacks.notes import checked_lines
from planner.deploy.target_warnings import target_warnings
from planner.errors import InputError
from planner.plan.schema import Plan

Launches = tuple[Launch, ...]
WRITERS: Mapping[str, Callable[[Plan, Launches, Choices], dict[str, str]]] = {
    "docker-compose": lambda plan, launches, _: compose_files(plan, launches),
    "kubernetes": lambda _, launches, choices: kubernetes_files(launches, choices),
    "llm-d": lambda _, launches, choices: llm_d_files(launches, choices),
    kserve.STACK: lambda _, launches, choices: kserve.kserve_files(launches, choices),
    dynamo.STACK: dynamo.dynamo_files,
    production_stack.STACK: production_stack.production_stack_files,
}


@dataclass(frozen=True)
class LaunchFiles:
    """Text by file name, and what the reader must know."""

    target: str
    files: Mapping[str, str]
    warnings: tuple[str, ...]


def launch_files(plan: Plan, catalog: Catalog, name: str, choices: Choices) -> LaunchFiles:
    """Write ``plan`` for the target ``name``, parse what was written, and check it against the plan.

    Raises InputError when the plan has no fleet, serves with another engine than the target, or needs
    what the engine or the target cannot express.
    """
    if name not in TARGETS:
        raise InputError("unknown target", found=name, allowed=", ".join(TARGETS))
    target = TARGETS[name]
    resolved = resolve(plan, catalog, choices)
    notices = () if target.engine else hosting_notices(plan, catalog, target)
    files = with_notices(_render(plan, resolved, target, choices), notices)
    check_files(plan, catalog, name, files, choices)
    own = target_warnings(plan, resolved.launches, target, choices)
    warnings = (*resolved.warnings, *notices, *own)
    checked = checked_lines(name, files, catalog.root)
    if target.in_cluster:
        files |= cluster_files(resolved.launches)
    files["README.md"] = readme(plan, resolved.launches, target, choices, warnings, checked)
    return LaunchFiles(name, files, warnings)


def _render(
    plan: Plan, resolved: Resolved, target: LaunchTarget, choices: Choices
) -> dict[str, str]:
    launches = resolved.launches
    must_be_routable(target.name, launches)
    must_be_sharable(launches, by_cluster=target.in_cluster)
    _must_mount_images(target, choices)
    if target.engine:
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
    return WRITERS[target.name](plan, launches, choices)


def _must_mount_images(target: LaunchTarget, choices: Choices) -> None:
    if choices.model_images and not target.in_cluster:
        raise InputError(
            "only a cluster mounts a checkpoint from an image",
            found=f"--model-image with --target {target.name}",
            allowed=", ".join(t.name for t in TARGETS.values() if t.in_cluster),
            action="leave --model-image out, or name a folder with --checkpoint SERVICE=/PATH",
        )


def _must_be_engine(plan: Plan, target: LaunchTarget) -> None:
    for service in plan.services:
        for group in service.replica_groups:
            if group.engine != target.engine:
                fitting = (t.name for t in TARGETS.values() if t.engine in ("", group.engine))
                raise InputError(
                    f"the plan serves {service.name!r} with {group.engine}, not {target.engine}",
                    found=f"--target {target.name}",
                    allowed=", ".join(fitting),
                    action=f"search with engines: [{target.engine}] in the scenario to plan for it",
                )
