"""What the files of a target cannot hold of a plan, in words."""

from __future__ import annotations

from collections.abc import Iterator

from planner.deploy.choices import Choices
from planner.deploy.cluster.autoscaling import can_scale
from planner.deploy.launch import Launch, PoolRole
from planner.deploy.launch_target import LaunchTarget
from planner.deploy.stacks import dynamo, kserve, production_stack
from planner.plan.schema import Plan

Launches = tuple[Launch, ...]


def target_warnings(
    plan: Plan, launches: Launches, target: LaunchTarget, choices: Choices
) -> Iterator[str]:
    """One sentence each: of replicas, of services, of the stack, of a plain cluster."""
    for launch in launches:
        yield from _replicas(launch, target, choices)
    for service in plan.scenario.services:
        if service.buckets is not None:
            yield (
                f"service {service.name!r} is split by length, and nothing here routes by it: send each "
                "length to its replicas in front of them"
            )
    if target.in_cluster:
        yield from _pools(launches)
    if target.name == kserve.STACK:
        yield from kserve.kserve_warnings(launches, choices)
    if target.name == dynamo.STACK:
        yield from dynamo.dynamo_warnings(plan, launches, choices)
    if target.name == production_stack.STACK:
        yield from production_stack.production_stack_warnings(plan)
    if target.name == "kubernetes":
        yield from _random_routing(plan, launches)


def _replicas(launch: Launch, target: LaunchTarget, choices: Choices) -> Iterator[str]:
    """A number of replicas that is not followed, and a checkpoint that is not there."""
    if target.scales and choices.autoscaler != "none" and not can_scale(launch, choices):
        yield (
            f"{launch.name}: {launch.dialect.engine} {launch.dialect.version} reports no queue "
            f"that {choices.autoscaler} could read; it is left at {launch.replicas} replicas"
        )
    if launch.by_hour and not (target.scales and choices.autoscaler == "keda"):
        yield (
            f"{launch.name}: the plan runs {launch.least_replicas} to {launch.replicas} replicas by "
            f"the hour, and these files {launch.replicas} all day"
        )
    if launch.is_local and target.name != "docker-compose":
        yield f"{launch.name}: {launch.checkpoint} must exist on every node"


def _pools(launches: Launches) -> Iterator[str]:
    for launch in launches:
        if launch.pool is PoolRole.DECODE and launch.within == "node":
            yield (
                f"{launch.name}: the plan keeps both pools of a unit on one node, and this stack pairs any "
                "prefill server with any decode server: KV caches may cross nodes"
            )


def _random_routing(plan: Plan, launches: Launches) -> Iterator[str]:
    """A Kubernetes Service picks a replica at random, whatever its kind."""
    for planned in plan.services:
        if len(planned.replica_groups) > 1:
            yield (
                f"service {planned.name!r} has unlike replicas, and a Kubernetes Service gives each the "
                "same share; the plan does not: use --target llm-d"
            )
    for service in plan.scenario.services:
        replicas = sum(launch.replicas for launch in launches if launch.service == service.name)
        if service.routing.policy != "random" and replicas > 1:
            yield (
                f"service {service.name!r} is planned for {service.routing.policy} routing, and a "
                "Kubernetes Service picks at random: put a router in front, or use --target llm-d"
            )
