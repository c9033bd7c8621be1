"""Which plans can be deployed at all: those with a fleet that agrees with itself."""

from __future__ import annotations

from planner.errors import InputError
from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import Plan

MAX_SETTING = 10**9
SLACK_GPUS = 1e-6  # of sums of parts
_KINDS = {
    "memory_fraction": float,
    "max_num_seqs": int,
    "max_num_batched_tokens": int,
    "max_model_len_tokens": int,
    "prefix_caching": bool,
    "eager": bool,
    "draft_tokens": int,
    "draft_acceptance": float,
    "lora_adapters": int,
    "lora_rank": int,
    "offload_host_gb": float,
    "offload_gb_s": float,
    "offload_disk_gb": float,
    "offload_disk_gb_s": float,
    "decode_context_parallel": int,
    "priority_scheduling": bool,
}


def must_be_deployable(plan: Plan) -> None:
    """Raise InputError, with the reason, for a plan that launch files cannot hold."""
    _must_have_fleet(plan)
    _must_agree(plan)


def _must_have_fleet(plan: Plan) -> None:
    if any(g.replicas for g in plan.groups):
        return
    reason = plan.infeasibility.summary if plan.infeasibility else f"its status is {plan.status}"
    raise InputError(
        "the plan has no fleet: there is nothing to deploy",
        found=reason,
        action="relax the scenario and solve again; planner report shows the ways out",
    )


def _must_agree(plan: Plan) -> None:
    requested = {s.name for s in plan.scenario.services}
    for service in plan.services:
        if service.name not in requested:
            raise _contradiction(f"services: {service.name!r}", "the scenario has no such service")
        for number, group in enumerate(service.replica_groups):
            where = f"services: {service.name!r}: replica group {number + 1}"
            if min(_degrees(group)) < 1 or group.replicas < 0:
                raise _contradiction(where, "a count below 1")
            each = group.gpus_each
            _must_be_settings(group, where)
            if group.gpus != group.replicas * each:
                raise _contradiction(
                    where, f"{group.replicas} replicas of {each} on {group.gpus} GPUs"
                )
    for node in plan.nodes:
        if node.gpus_per_node < 1 or node.count < 0:
            raise _contradiction(f"nodes: {node.instance_type!r}", "a count below 1")
    if plan.scenario.sharing.gpu:
        _must_fit(plan)
    for period in plan.periods:
        if min(period.replicas.values(), default=0) < 0:
            raise _contradiction(f"periods: {period.period!r}", "a count below 0")


def _must_fit(plan: Plan) -> None:
    """Parts of GPUs add up to what is rented; a part that is not stated is a whole GPU."""
    groups = plan.groups
    for gpu in dict.fromkeys(gpu for g in groups for gpu in g.gpus_by_type):
        used = sum(g.replicas * g.gpus_by_type.get(gpu, 0) * g.gpu_share for g in groups)
        rented = sum(n.count * n.gpus_per_node for n in plan.nodes if n.gpu == gpu)
        if used > rented + SLACK_GPUS:
            raise _contradiction("nodes", f"{used:g} GPUs used of {rented} x {gpu}")


def _must_be_settings(group: ReplicaGroup, where: str) -> None:
    given = {name: value for name, value in group.settings.items() if value is not None}
    for name, value in given.items():
        kind = _KINDS.get(name)
        if kind is None:
            raise _contradiction(f"{where}: settings", f"an unknown setting, {name!r}")
        whole_for_real = kind is float and type(value) is int
        if not (type(value) is kind or whole_for_real) or not 0 <= value <= MAX_SETTING:
            raise _contradiction(f"{where}: settings.{name}", str(value))


def _degrees(group: ReplicaGroup) -> tuple[int, ...]:
    return (
        group.tensor_parallel,
        group.pipeline_parallel,
        group.data_parallel,
        group.expert_parallel,
    )


def _contradiction(where: str, found: str) -> InputError:
    return InputError(
        "the plan contradicts itself", where=where, found=found, action="solve the scenario again"
    )
