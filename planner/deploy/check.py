"""What was written, parsed back and held against the plan: engine options, sizes, counts, safety."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from planner.catalog.store import Catalog
from planner.deploy.choices import Choices
from planner.deploy.cluster.consistency import PlannedReplicas, check_cluster
from planner.deploy.engines.command_line import ENGINES, parse
from planner.deploy.engines.common import Degrees, by_priority
from planner.deploy.engines.dialect import Dialect
from planner.deploy.kv_offload import offload_option
from planner.deploy.launch import IMAGE_PATH, PoolRole
from planner.deploy.manifest import Stated
from planner.deploy.pieces import pieces
from planner.deploy.reading import Started, read_compose, read_manifests, read_scripts
from planner.deploy.resolve import (
    deployment_to_launch,
    fraction_to_state,
    largest_graph,
    tokens_a_step,
)
from planner.deploy.sharing_resources import shared_resource
from planner.deploy.stacks.checking import STACKS, check_stack, router_fields
from planner.deployment import Deployment
from planner.errors import OutputError
from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import Plan
from planner.scenario.schema import Service
from planner.sizing.batch_limits import limits_within
from planner.sizing.memory import memory_layout
from planner.workload.lengths import lengths_of

READERS: Mapping[str, Callable[[Mapping[str, str]], Iterator[Started]]] = {
    "docker-compose": read_compose,
    "kubernetes": read_manifests,
    "llm-d": read_manifests,
}


@dataclass(frozen=True)
class _Wanted:
    """What one replica group of the plan asks for."""

    service: Service
    group: ReplicaGroup
    deployment: Deployment
    by_hour: tuple[int, ...]
    pool: PoolRole

    @property
    def least(self) -> int:
        """Replicas that run at any time: at least one, but for a batch job."""
        lowest = min(self.by_hour, default=self.group.replicas)
        return max(0 if self.service.job is not None else 1, lowest)

    def setting(self, name: str, default: int) -> int:
        value = self.group.settings.get(name)
        return default if value is None else int(value)


def check_files(
    plan: Plan, catalog: Catalog, target: str, files: Mapping[str, str], choices: Choices
) -> None:
    """Hold written files against the plan.

    Raises InputError for an option that the engine's version does not have, OutputError for anything
    that is not what the plan says; both name the workload.
    """
    wanted = _wanted(plan, catalog)
    if target in STACKS:
        started = list(STACKS[target].read(files, catalog.root))
    else:
        started = list(READERS.get(target, read_scripts)(files))
    _same(target, "replica groups", sorted({s.name for s in started}), sorted(wanted))
    for one in started:
        _check_process(one, wanted[one.name], catalog, choices)
    counts = {n: PlannedReplicas(w.group.replicas, w.by_hour, w.least) for n, w in wanted.items()}
    if target in STACKS:
        check_stack(target, files, catalog.root, counts)
    elif target in ("kubernetes", "llm-d"):
        check_cluster(files, counts)
        router_fields(files, catalog.root)


def _wanted(plan: Plan, catalog: Catalog) -> dict[str, _Wanted]:
    requested = {s.name: s for s in plan.scenario.services}
    found = {}
    for piece in pieces(plan):
        service = requested[piece.service.name]
        deployment = deployment_to_launch(service, piece.group, catalog)
        found[piece.name] = _Wanted(service, piece.group, deployment, piece.by_hour, piece.pool)
    return found


def _check_process(one: Started, wanted: _Wanted, catalog: Catalog, choices: Choices) -> None:
    group, deployment = wanted.group, wanted.deployment
    engine, gpu = deployment.engine, deployment.gpu
    dialect = Dialect(engine.name, engine.version, catalog.root)
    stated = parse(dialect, one.words, one.config)
    module = ENGINES[engine.name]
    requested = Degrees(
        group.tensor_parallel,
        group.pipeline_parallel,
        group.data_parallel,
        group.expert_parallel,
    )
    _same(one.name, "parallel degrees", module.degrees(stated), requested)
    least = wanted.least
    if one.replicas != least:  # the least to begin with where the clock adds the rest
        _same(one.name, "replicas", one.replicas, group.replicas)
    if one.gpus is not None:
        _same(one.name, "GPUs of a replica", one.gpus * one.nodes, deployment.gpus)
    if one.resource and group.gpu_share < 1:
        _same(one.name, "part of a GPU", one.resource, shared_resource(group.profile))
    _same(one.name, "pool", module.pool(stated), module.pool_text(wanted.pool))
    task = wanted.service.task
    _same(one.name, "task", module.pooled(stated), module.pooled_text(task))
    _same(one.name, "drafted tokens", module.drafts(stated), wanted.setting("draft_tokens", 0))
    adapters = int(stated.get("lora_adapters", 0))
    _same(one.name, "LoRA adapters", adapters, wanted.setting("lora_adapters", 0))
    ordered = bool(wanted.setting("priority_scheduling", 0))
    _same(one.name, "queue by priority", by_priority(stated), ordered)
    divided = int(stated.get("decode_context_parallel", 1))
    planned = wanted.setting("decode_context_parallel", 1)
    _same(one.name, "decode context parallel", divided, planned)
    _same(
        one.name, "KV cache type", stated["kv_cache"], dialect.kv_cache(group.kv_cache, gpu.vendor)
    )
    sequences = limits_within(deployment, memory_layout(deployment)).max_num_seqs
    _same(one.name, "sequences at once", int(stated["max_num_seqs"]), sequences)
    tokens = tokens_a_step(deployment, int(stated["max_model_len_tokens"]))
    _same(one.name, "tokens a step", int(stated["max_num_batched_tokens"]), tokens)
    if "graphs_max_batch" in stated:
        captured = int(stated["graphs_max_batch"])
        _same(one.name, "largest captured batch", captured, largest_graph(deployment, catalog))
    offload = offload_option(deployment)
    memory = int(stated.get("kv_offload_host", 0))
    _same(one.name, "host memory for KV", memory, offload.size if offload else 0)
    fraction = fraction_to_state(deployment, group)
    _same(one.name, "memory fraction", float(stated["memory_fraction"]), fraction)
    _check_context(one, int(stated["max_model_len_tokens"]), wanted)
    _check_weights(one, stated, wanted, dialect, choices)
    _check_safety(one, stated, choices)


def _check_context(one: Started, context: int, wanted: _Wanted) -> None:
    """The engine accepts what was pinned, or at least every request the model can take."""
    pinned = wanted.deployment.settings.max_model_len_tokens
    if pinned is not None:
        _same(one.name, "longest request", context, pinned)
    needed = lengths_of(wanted.service).max_total
    limit = wanted.deployment.model.max_context_tokens or needed
    if context < min(needed, limit):
        _same(one.name, "longest request", context, needed)


def _check_weights(
    one: Started, stated: Stated, wanted: _Wanted, dialect: Dialect, choices: Choices
) -> None:
    given = choices.checkpoints.get(wanted.service.name) or wanted.group.checkpoint
    if wanted.service.name in choices.model_images:
        _same(one.name, "checkpoint", stated["model"], IMAGE_PATH)
        given = IMAGE_PATH if given is not None else None
    if given is not None:
        _same(one.name, "checkpoint", stated["model"], given)
        return
    weights = wanted.deployment.weights.name
    spelling = dialect.weights(weights, wanted.deployment.gpu.vendor)
    quantised = weights != wanted.deployment.model.native_weights and spelling is not None
    wanted_flag = spelling.value if quantised and spelling is not None else None
    _same(one.name, "quantisation", stated.get("quantization"), wanted_flag)
    _same(one.name, "weight type", stated.get("dtype"), dialect.dtype(weights))


def _check_safety(one: Started, stated: Stated, choices: Choices) -> None:
    _same(
        one.name,
        "trust in remote code",
        bool(stated["trust_remote_code"]),
        choices.trust_remote_code,
    )
    tag = one.image.rpartition("/")[2].partition(":")[2]
    if one.image and "@sha256:" not in one.image and tag in ("", "latest"):
        raise OutputError("the image is not pinned", where=one.name, found=one.image)


def _same(where: str, what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise OutputError(
            f"the launch files do not hold the plan's {what}",
            where=where,
            found=repr(found),
            allowed=repr(wanted),
            action="this is a bug: report it with the plan",
        )
