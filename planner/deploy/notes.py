"""The README beside the launch files: what runs where, how to start it, what to know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from planner.deploy.choices import Choices
from planner.deploy.cluster.autoscaling import adapted_metric, can_scale
from planner.deploy.cluster.kubernetes import service_labels
from planner.deploy.cluster.model_cache import needs_claim
from planner.deploy.cluster.routers import router_name
from planner.deploy.engines.dialect import llm_d_components
from planner.deploy.gpu_parts import part_needs
from planner.deploy.launch import Launch, PoolRole
from planner.deploy.launch_target import LaunchTarget
from planner.deploy.scripts import script_name, script_roles
from planner.deploy.stacks import dynamo
from planner.deploy.stacks.checking import STACKS
from planner.deploy.stacks.notes import stack_commands, stack_needs
from planner.plan.schema import Plan
from planner.version import package_version


def readme(
    plan: Plan,
    launches: tuple[Launch, ...],
    target: LaunchTarget,
    choices: Choices,
    warnings: tuple[str, ...],
    checked: Sequence[str] = (),
) -> str:
    """Markdown for one folder of launch files; ``checked``: the section on how far they could be checked."""
    lines = [
        f"# {_plain(plan.scenario.name)}: launch files for {target.name}",
        "",
        f"Written by planner {package_version()} from a plan with status {plan.status} "
        f"(scenario digest {plan.provenance.scenario_digest[:12]}).",
        "",
        "| replicas | service | each | engine | planned up to | accepted up to | rate each | capacity each |",
        "|---:|---|---|---|---:|---:|---:|---:|",
        *(_row(launch) for launch in launches),
        "",
        "The plan is sized for requests of the scenario's lengths, prompt and output together, up to the "
        "first length; the engine accepts requests up to the second and refuses longer ones. It is the "
        "model's context where that costs no capacity; pin `search.settings.max_model_len_tokens` in the "
        "scenario and solve again for another.",
        "",
        *_nodes(plan),
        *part_needs(launches, by_cluster=target.in_cluster),
        *_start(launches, target.name, choices),
    ]
    if warnings:
        lines += ["", "## Before you start", "", *(f"- {_plain(w)}" for w in warnings)]
    lines += checked
    return "\n".join(lines) + "\n"


def _row(launch: Launch) -> str:
    nodes = f" on {launch.nodes} nodes" if launch.nodes > 1 else ""
    pool = "" if launch.pool is PoolRole.BOTH else f" ({launch.pool.value})"
    by_hour = f"{launch.least_replicas} to {launch.most_replicas} by the hour"
    cells = (
        by_hour if launch.by_hour else str(launch.replicas),
        _plain(launch.service) + pool,
        f"{launch.gpus}x {launch.gpu.name}{nodes}"
        if launch.is_whole
        else f"{launch.part} of a {launch.gpu.name}",
        f"{launch.dialect.engine} {launch.dialect.version}",
        f"{launch.planned_tokens} tokens",
        f"{launch.max_model_len_tokens} tokens",
        f"{launch.rate_qps:.2f}/s",
        f"{launch.capacity_qps:.2f}/s",
    )
    return "| " + " | ".join(cells) + " |"


def _nodes(plan: Plan) -> list[str]:
    lines = [
        f"- {n.count}x {_plain(n.instance_type)} ({n.gpus_per_node}x {n.gpu}), "
        f"{_plain(n.provider)} {_plain(n.region)}, {n.term}"
        + (f", {n.hours_share:.0%} of the time" if n.hours_share < 1 else "")
        for n in plan.nodes
    ]
    return ["The plan rents:", "", *lines, ""] if lines else []


def _start(launches: tuple[Launch, ...], target: str, choices: Choices) -> list[str]:
    title = ["## Start", ""]
    if target == "docker-compose":
        return [
            *title,
            "Each `machine-N.compose.yaml` is one kind of machine; `x-planner.machines` in it says on "
            "how many to run it.",
            "",
            *_block("HF_TOKEN=... docker compose -f machine-1.compose.yaml up -d"),
        ]
    if target == "kubernetes":
        return [*title, *_cluster_needs(launches, choices), *_block("kubectl apply -k .")]
    if target in STACKS:
        fixed = replace(choices, autoscaler="none") if target == dynamo.STACK else choices
        needs = _cluster_needs(launches, fixed, stack_needs(target, launches))
        return [*title, *needs, *_block(*stack_commands(target, launches, choices))]
    if target == "llm-d":
        return [*title, *_cluster_needs(launches, choices), *_llm_d(launches)]
    return [
        *title,
        *_pools(launches),
        "`fleet.yaml` lists how many replicas of each script the plan runs.",
        "",
        *_block(*(line for launch in launches for line in _script_lines(launch))),
    ]


def _pools(launches: tuple[Launch, ...]) -> list[str]:
    """How the two pools of a unit find each other."""
    apart = [launch for launch in launches if launch.pool is PoolRole.DECODE]
    if not apart:
        return []
    lines = [
        "Prefill and decode run on servers of their own. Start both pools, then the router of "
        + ", ".join(f"`{router_name(launch)}`" for launch in apart)
        + " with their addresses; clients talk to it alone. KV caches travel over NIXL (UCX): the "
        "image or environment needs the `nixl` library and the RDMA devices.",
        "",
    ]
    if any(launch.within == "node" for launch in apart):
        lines += ["Units of one node keep to it: give each unit a router of its own.", ""]
    return lines


def _script_lines(launch: Launch) -> list[str]:
    roles = script_roles(launch)
    if len(roles) == 1:
        return [f"PORT=8000 ./{script_name(launch.name, roles[0])}"]
    leader, worker = (script_name(launch.name, role) for role in roles)
    return [
        f"LEADER_ADDRESS=10.0.0.1 PORT=8000 ./{leader}",
        f"LEADER_ADDRESS=10.0.0.1 NODE_RANK=1 ./{worker}",
    ]


def _cluster_needs(
    launches: tuple[Launch, ...], choices: Choices, stack: Sequence[str] = ()
) -> list[str]:
    dialect = launches[0].dialect
    components = llm_d_components(dialect.root)
    resources = sorted({launch.resource for launch in launches})
    labels = sorted({"=".join(launch.node_label) for launch in launches})
    needs = [
        f"- a device plugin that offers {', '.join(f'`{r}`' for r in resources)}",
        f"- nodes labelled {', '.join(f'`{label}`' for label in labels)}",
        *stack,
        *_storage_needs(launches, choices),
        *_autoscaler_needs(launches, choices),
        "- for gated models: `kubectl create secret generic hf-token --from-literal=token=...`",
    ]
    if any(launch.nodes > 1 for launch in launches):
        chart = components["leader_worker_set_chart"]
        needs.append(f"- LeaderWorkerSet: `{chart.reference}` {chart.version}")
    return ["The cluster needs:", "", *needs, ""]


def _storage_needs(launches: tuple[Launch, ...], choices: Choices) -> list[str]:
    """What keeps the checkpoints, by how the pods get them."""
    needs = []
    if any(needs_claim(launch, choices) for launch in launches):
        named = f"`{choices.storage_class}`" if choices.storage_class else "the default one"
        needs.append(
            f"- a storage class ({named}) whose volumes several nodes can mount (ReadWriteMany): the "
            "first pod downloads the checkpoint, the others read it; `--storage-class` names another, "
            "`--model-cache ephemeral` keeps a copy on each node's disk instead"
        )
    if any(launch.model_image for launch in launches):
        needs.append("- Kubernetes 1.33 or later with image volumes enabled")
    return needs


def _autoscaler_needs(launches: tuple[Launch, ...], choices: Choices) -> list[str]:
    scaled = [launch for launch in launches if can_scale(launch, choices)]
    if choices.autoscaler == "none" or not scaled:
        return []
    if choices.autoscaler == "keda":
        return [
            f"- KEDA, and a Prometheus at {_plain(choices.prometheus_url)} that scrapes annotated pods "
            "(or write again with `--autoscaler none`)"
        ]
    metrics = sorted({adapted_metric(launch) for launch in scaled})
    listed = ", ".join(f"`{metric}`" for metric in metrics)
    return [f"- a metrics adapter that offers {listed} of each pod"]


def _llm_d(launches: tuple[Launch, ...]) -> list[str]:
    components = llm_d_components(launches[0].dialect.root)
    crds, chart = components["inference_extension_crds"], components["router_chart"]
    commands = [
        f"kubectl apply -f {crds.reference.format(version=crds.version)}",
        "kubectl apply -k .",
        *(
            f"helm install {label} {chart.reference} --version {chart.version} "
            f"-f {label}.router.values.yaml"
            for label in service_labels(launches).values()
        ),
    ]
    return _block(*commands)


def _block(*commands: str) -> list[str]:
    return ["```sh", *commands, "```"]


def _plain(text: str) -> str:
    """Text that stays within its table cell or list item."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return shown.replace("|", "\\|").replace("`", "'").replace("<", "&lt;")
