"""From a plan to launches: every value an engine must be given, in the engine's own spelling."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from planner.catalog.checkpoints import remote_code_warning
from planner.catalog.pooling import is_encoder
from planner.catalog.store import Catalog
from planner.deploy.choices import Choices, must_be_known
from planner.deploy.engines.checkpoint import LoadedWeights, weights_to_load
from planner.deploy.engines.command_line import ENGINES
from planner.deploy.engines.dialect import Dialect
from planner.deploy.launch import Launch
from planner.deploy.one_replica import one_replica
from planner.deploy.pieces import Piece, pieces
from planner.deploy.soundness import must_be_deployable
from planner.deployment import Deployment
from planner.errors import InputError
from planner.performance.graphs import captured_batches
from planner.performance.host_time import read_host_time
from planner.plan.rebuild import deployment_of
from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import Plan, ServicePlan
from planner.scenario.request_classes import levels_of
from planner.scenario.schema import Service
from planner.scenario.task import GENERATE, Task
from planner.sizing.batch_limits import batch_limits, limits_within
from planner.sizing.context import default_context, runs_prompts_whole
from planner.sizing.memory import memory_fraction, memory_layout
from planner.sizing.precision import weight_bytes, weights_for
from planner.workload.lengths import lengths_of

MIN_DRAIN_S = 30
DAY_S = 86_400.0  # what waits longer is reported as a day


@dataclass(frozen=True)
class Resolved:
    """The launches of a plan, in its order, and what its reader must know."""

    launches: tuple[Launch, ...]
    warnings: tuple[str, ...]


def resolve(plan: Plan, catalog: Catalog, choices: Choices) -> Resolved:
    """Resolve every replica group of ``plan``.

    Raises InputError when there is nothing to deploy, when a choice names an unknown service or
    engine, or when an engine has no way to say what the plan needs.
    """
    must_be_deployable(plan)
    must_be_known(plan, choices)
    requested = {s.name: s for s in plan.scenario.services}
    warnings: list[str] = []
    launches = tuple(
        _launch(piece, requested[piece.service.name], _Context(plan, catalog, choices, warnings))
        for piece in pieces(plan)
    )
    running = [(s, g) for s in plan.services for g in s.replica_groups if g.replicas > 0]
    warnings += _left_out(plan, {g.key(s.name) for s, g in running})
    return Resolved(launches, tuple(dict.fromkeys(warnings)))


def _left_out(plan: Plan, keys: set[str]) -> Iterator[str]:
    """Deployments of quieter hours, which the plan lists in its schedule alone."""
    for key in dict.fromkeys(k for p in plan.periods for k in p.replicas):
        if key not in keys and any(p.replicas.get(key) for p in plan.periods):
            yield f"{key} runs outside the busiest hour alone, and no files are written for it"


@dataclass(frozen=True)
class _Context:
    plan: Plan
    catalog: Catalog
    choices: Choices
    warnings: list[str]


def _launch(piece: Piece, service: Service, context: _Context) -> Launch:
    planned, group = piece.service, piece.group
    deployment = deployment_to_launch(service, group, context.catalog)
    engine, gpu, choices = deployment.engine, deployment.gpu, context.choices
    dialect = Dialect(engine.name, engine.version, context.catalog.root)
    given = choices.checkpoints.get(service.name) or group.checkpoint
    loaded = weights_to_load(service, deployment, dialect, context.catalog, given)
    if loaded.warning:
        context.warnings.append(loaded.warning)
    code = remote_code_warning(context.catalog.root, loaded.checkpoint)
    if code and not choices.trust_remote_code:
        context.warnings.append(f"service {service.name!r}: {code}")
    if deployment.settings.priority_scheduling:
        context.warnings.append(_priorities(service, engine.name))
    longest = _longest(service, deployment, context)
    runtime = dialect.runtime(gpu)
    per_replica = group.routed_qps / group.replicas
    launch = one_replica(
        piece.name,
        deployment,
        dialect,
        loaded,
        longest_tokens=longest,
        planned_tokens=lengths_of(service).max_total,
        max_num_seqs=limits_within(deployment, memory_layout(deployment)).max_num_seqs,
        max_num_batched_tokens=tokens_a_step(deployment, longest),
        draft_model=_draft_model(service, deployment, choices),
    )
    return replace(
        launch,
        service=service.name,
        served_name=planned.model,
        quantise_yourself=bool(loaded.warning),
        memory_fraction=fraction_to_state(deployment, group),
        replicas=group.replicas,
        nodes=_nodes(group, context.plan),
        image=choices.images.get(engine.name)
        or (runtime.image.format(version=engine.version) if runtime else ""),
        node_label=choices.node_labels.get(gpu.name) or dialect.node_label(gpu.name),
        keep_entrypoint=dialect.any_runtime().entrypoint == "keep",
        start_up_s=min(service.routing.start_up or engine.start_up_s, DAY_S),
        queue_threshold=_queue_threshold(planned, group, per_replica, service.task),
        rate_qps=per_replica,
        capacity_qps=group.capacity_qps,
        drain_s=math.ceil(min(max(MIN_DRAIN_S, group.predicted.e2e_p99_s or 0.0), DAY_S)),
        by_hour=piece.by_hour,
        trust_remote_code=choices.trust_remote_code,
        pool=piece.pool,
        units=piece.units,
        within=piece.within,
        checkpoint_bytes=_checkpoint_bytes(deployment, loaded, context.catalog),
        model_image=choices.model_images.get(service.name, ""),
        image_named=engine.name in choices.images,
        survives_zones=context.plan.scenario.failures.zones,
        task=service.task,
        encoder=is_encoder(deployment.model),
        batch=service.job is not None,
        lora_cached=service.lora.adapters if service.lora else 0,
        gpu_share=group.gpu_share,
        profile=group.profile,
        graphs_max_batch=largest_graph(deployment, context.catalog),
    )


def _priorities(service: Service, engine: str) -> str:
    """What clients send, so that the queue is in the order that was planned."""
    sent = ", ".join(f"{name} {level}" for name, level in levels_of(service.classes).items())
    without = "; without it a request counts as 0" if engine == "vllm" else ""
    return (
        f"service {service.name!r}: every request's body holds `priority`, the lower is served first: {sent} "
        f"(with OpenAI's client in extra_body){without}"
    )


def _checkpoint_bytes(deployment: Deployment, loaded: LoadedWeights, catalog: Catalog) -> float:
    """The files of the checkpoint [B]: in its own format where the engine makes another at load."""
    native = weights_for(deployment.model, "native", catalog.weight_format)
    as_planned = loaded.quantization is None and loaded.dtype is None
    return weight_bytes(deployment.model, deployment.weights if as_planned else native)


def deployment_to_launch(service: Service, group: ReplicaGroup, catalog: Catalog) -> Deployment:
    """The layout of a replica group whose engine can be launched; raises InputError for another."""
    if group.engine not in ENGINES:
        raise InputError(
            "no launch files for this engine", found=group.engine, allowed=", ".join(ENGINES)
        )
    return deployment_of(service, group, catalog)


def fraction_to_state(deployment: Deployment, group: ReplicaGroup) -> float:
    """The memory fraction as the engine counts it: of the whole GPU where it has a time slice of one.

    Rounded down to thousandths there, so that all parts together stay within the GPU.
    """
    fraction = memory_fraction(deployment)
    if group.gpu_share >= 1 or group.profile:
        return fraction
    return math.floor(1000 * fraction * group.gpu_share + 1e-6) / 1000


def largest_graph(deployment: Deployment, catalog: Catalog) -> int:
    """The largest decode batch of a rank that is predicted to run as a captured graph; 0 where unknown.

    No more than a rank ever runs at once.
    """
    rows = read_host_time(catalog.root / "calibration").graphs
    captured = captured_batches(rows, deployment)
    if captured is None:
        return 0
    return min(
        int(max((captured.every_to, *captured.sizes))), batch_limits(deployment).rank_sequences
    )


def _draft_model(service: Service, deployment: Deployment, choices: Choices) -> str | None:
    given = choices.draft_models.get(service.name)
    draft = deployment.draft
    if draft is not None:
        return (given or draft.checkpoint) if draft.model is not None else None
    if given is None and deployment.settings.draft_tokens and not deployment.model.mtp:
        raise InputError(
            "the plan drafts tokens, and the model has no layers of its own for that",
            where=f"service {service.name!r}",
            found=f"{deployment.settings.draft_tokens} draft tokens",
            action=f"name a draft model: --draft-model {service.name}=REPOSITORY",
        )
    return given


def _longest(service: Service, deployment: Deployment, context: _Context) -> int:
    """The longest request the engine is started for [tokens]: pinned, or ``default_context``.

    Raises InputError where the pinned one is shorter than the service's requests.
    """
    needed = lengths_of(service).max_total
    pinned = deployment.settings.max_model_len_tokens
    if pinned is not None:
        if pinned < needed:
            raise InputError(
                "the plan pins a context that its requests exceed",
                where=f"service {service.name!r}: settings.max_model_len_tokens",
                found=f"{pinned} tokens, requests of up to {needed}",
                action="pin a longer one, or give prompt_tokens.max and output_tokens.max, and solve again",
            )
        return pinned
    limit = deployment.model.max_context_tokens
    if limit and needed > limit:
        context.warnings.append(
            f"service {service.name!r}: requests beyond the model's {limit} tokens will be refused"
        )
    return default_context(deployment, memory_layout(deployment), needed)


def tokens_a_step(deployment: Deployment, longest_tokens: int) -> int:
    """The token budget of one step: the setting, or the engine's on this GPU.

    An engine that does not split prompts refuses one above its budget, which then grows to the longest.
    """
    budget = batch_limits(deployment).max_num_batched_tokens
    return max(budget, longest_tokens) if runs_prompts_whole(deployment) else budget


def _nodes(group: ReplicaGroup, plan: Plan) -> int:
    """How many nodes one replica spans: one where a rented node holds it."""
    gpus = group.gpus // group.replicas
    sizes = [n.gpus_per_node for n in plan.nodes if n.gpu == group.gpu] or [gpus]
    nodes = math.ceil(gpus / max(sizes))
    if gpus % nodes:
        raise InputError(
            "the replica does not divide over its nodes",
            found=f"{gpus} GPUs, nodes of {max(sizes)}",
            action="solve again with parallel degrees that fill whole nodes",
        )
    return nodes


def _queue_threshold(planned: ServicePlan, group: ReplicaGroup, rate_qps: float, task: Task) -> int:
    """Requests that may wait at one replica and still start within the TTFT target.

    Little's law over the slack between the target and the predicted median: ``rate x slack``. Without
    a TTFT target a tenth of the requests in flight; pooled prompts are done within their e2e target.
    """
    metric = "ttft" if task == GENERATE else "e2e"
    targets = [seconds for key, seconds in planned.targets.items() if key.startswith(metric)]
    if not targets:
        return max(1, round(group.concurrency / 10))
    predicted = group.predicted
    median_s = predicted.ttft_p50_s if task == GENERATE else predicted.others_s.get("e2e_p50_s")
    slack_s = min(*targets, DAY_S) - (median_s or 0.0)
    return max(1, math.floor(rate_qps * max(slack_s, 0.0)))
