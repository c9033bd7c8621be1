"""What was written, parsed back and held against the plan: engine options, sizes, counts, safety."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from planner.catalog.store import Catalog
from planner.deploy.cluster_check import check_cluster
from planner.deploy.commands import ENGINES, parse
from planner.deploy.dialect import Dialect
from planner.deploy.names import unique_labels
from planner.deploy.reading import Started, read_compose, read_manifests, read_scripts
from planner.deploy.resolve import Choices, group_name
from planner.deploy.terms import Degrees
from planner.errors import OutputError
from planner.plan import Plan, ReplicaGroup, ServicePlan

READERS: Mapping[str, Callable[[Mapping[str, str]], Iterator[Started]]] = {
    "docker-compose": read_compose,
    "kubernetes": read_manifests,
    "llm-d": read_manifests,
}


def check_files(
    plan: Plan, catalog: Catalog, target: str, files: Mapping[str, str], choices: Choices
) -> None:
    """Hold written files against the plan.

    Raises InputError for an option that the engine's version does not have, OutputError for anything
    that is not what the plan says; both name the workload.
    """
    wanted = [(s, g) for s in plan.services for g in s.replica_groups if g.replicas]
    names = unique_labels(group_name(s, g) for s, g in wanted)
    started = list(READERS.get(target, read_scripts)(files))
    by_name = dict(zip(names, wanted, strict=True))
    _same(target, "replica groups", sorted({s.name for s in started}), sorted(by_name))
    for one in started:
        service, group = by_name[one.name]
        _check_process(one, service, group, catalog, choices)
    if target in ("kubernetes", "llm-d"):
        check_cluster(files, {name: group.replicas for name, (_, group) in by_name.items()})


def _check_process(
    one: Started,
    service: ServicePlan,
    group: ReplicaGroup,
    catalog: Catalog,
    choices: Choices,
) -> None:
    engine = catalog.engine(group.engine, group.engine_version)
    dialect = Dialect(engine.name, engine.version, catalog.root)
    told = parse(dialect, one.words, one.config)
    module = ENGINES[engine.name]
    asked = Degrees(
        group.tensor_parallel,
        group.pipeline_parallel,
        group.data_parallel,
        group.expert_parallel,
    )
    _same(one.name, "parallel degrees", module.degrees(told), asked)
    _same(one.name, "replicas", one.replicas, group.replicas)
    if one.gpus is not None:
        per_replica = group.tensor_parallel * group.pipeline_parallel * group.data_parallel
        _same(one.name, "GPUs of a replica", one.gpus * one.nodes, per_replica)
    _same(one.name, "drafted tokens", module.drafts(told), _setting(group, "draft_tokens", 0))
    gpu = catalog.gpu(group.gpu)
    limits = engine.on(gpu)
    _same(one.name, "KV cache type", told["kv_cache"], dialect.kv_cache(group.kv_cache, gpu.vendor))
    for name in ("max_num_seqs", "max_num_batched_tokens"):
        _same(one.name, name, int(told[name]), _setting(group, name, getattr(limits, name)))
    fraction = group.settings.get("memory_fraction")
    if fraction is not None:
        _same(one.name, "memory fraction", float(told["memory_fraction"]), float(fraction))
    pinned = group.settings.get("max_model_len_tokens")
    if pinned is not None:
        _same(one.name, "longest request", int(told["max_model_len_tokens"]), int(pinned))
    _check_weights(one, told, service, group, catalog, dialect, choices)
    _check_safety(one, told, choices)


def _check_weights(
    one: Started,
    told: Mapping[str, Any],
    service: ServicePlan,
    group: ReplicaGroup,
    catalog: Catalog,
    dialect: Dialect,
    choices: Choices,
) -> None:
    given = choices.checkpoints.get(service.name)
    if given is not None:
        _same(one.name, "checkpoint", told["model"], given)
        return
    native = catalog.model(service.model).native_weights
    spelling = dialect.weights(group.weights, catalog.gpu(group.gpu).vendor)
    if group.weights != native and spelling is not None:
        _same(one.name, "quantisation", told.get("quantization"), spelling.value)
    elif dialect.dtype(group.weights) is not None:
        _same(one.name, "weight type", told.get("dtype"), dialect.dtype(group.weights))


def _check_safety(one: Started, told: Mapping[str, Any], choices: Choices) -> None:
    _same(
        one.name, "trust in remote code", bool(told["trust_remote_code"]), choices.trust_remote_code
    )
    tag = one.image.rpartition("/")[2].partition(":")[2]
    if one.image and "@sha256:" not in one.image and tag in ("", "latest"):
        raise OutputError("the image is not pinned", where=one.name, found=one.image)


def _setting(group: ReplicaGroup, name: str, default: int) -> int:
    value = group.settings.get(name)
    return default if value is None else int(value)


def _same(where: str, what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise OutputError(
            f"the launch files do not hold the plan's {what}",
            where=where,
            found=repr(found),
            allowed=repr(wanted),
            action="this is a bug: report it with the plan",
        )
