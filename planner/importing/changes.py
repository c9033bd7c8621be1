"""What to change so that the running fleet becomes the plan's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from planner.catalog.store import Catalog
from planner.deploy.engines.dialect import Dialect
from planner.deploy.pieces import Piece, pieces
from planner.importing.running import Running, layout_label, running_label
from planner.importing.services import ImportedService
from planner.importing.sources import Fleet
from planner.plan.schema import Plan

Mark = Literal["+", "-", "~", "="]
SIZES = ("max_model_len_tokens", "max_num_seqs", "max_num_batched_tokens", "memory_fraction")
_Layout = tuple[str, str, tuple[int, int, int, int]]


@dataclass(frozen=True, slots=True)
class FleetChange:
    """One difference: + to start, - to stop, ~ to change, = stays."""

    mark: Mark
    service: str
    what: str
    running: str
    planned: str


def fleet_changes(
    fleet: Fleet, services: Iterable[ImportedService], plan: Plan, catalog: Catalog
) -> tuple[FleetChange, ...]:
    """Every difference between what runs and ``plan``, services matched by model."""
    known = {n.lower(): entry.name for entry in catalog.model_index() for n in entry.names}
    wanted: dict[str, list[Piece]] = defaultdict(list)
    for piece in pieces(plan):
        wanted[known.get(piece.service.model.lower(), piece.service.model)].append(piece)
    found: list[FleetChange] = []
    left = dict(wanted)
    for service in services:
        found += _of_service(service, left.pop(service.model, []), catalog)
    for model, rest in left.items():
        found += _of_service(ImportedService(rest[0].service.name, model, None, ()), rest, catalog)
    return (*found, *_gpus(fleet, plan))


def _of_service(
    service: ImportedService, planned: list[Piece], catalog: Catalog
) -> Iterator[FleetChange]:
    runs: dict[_Layout, list[Running]] = defaultdict(list)
    for one in service.running:
        runs[one.gpu, one.command.engine, one.degrees].append(one)
    plans: dict[_Layout, list[Piece]] = defaultdict(list)
    for piece in planned:
        plans[piece.group.gpu, piece.group.engine, piece.group.degrees].append(piece)
    name = planned[0].service.name if planned else service.name
    for layout in dict.fromkeys((*plans, *runs)):
        now = sum(one.replicas for one in runs[layout])
        then = sum(piece.group.replicas for piece in plans[layout])
        mark: Mark = "=" if now == then else "+" if not now else "-" if not then else "~"
        label = running_label(runs[layout][0]) if runs[layout] else _planned_label(plans[layout][0])
        yield FleetChange(mark, name, f"replicas of {label}", str(now), str(then))
        if now and then:
            yield from _settings(name, runs[layout][0], plans[layout][0], catalog)


def _planned_label(piece: Piece) -> str:
    group = piece.group
    gpus = group.gpus // group.replicas
    label = layout_label(gpus, group.gpu, group.engine, group.engine_version, group.degrees)
    return label if piece.pool.value == "both" else f"{label} ({piece.pool.value})"


def _settings(name: str, one: Running, piece: Piece, catalog: Catalog) -> Iterator[FleetChange]:
    """The version, the formats and what the plan pins, where both say it."""
    group, stated = piece.group, one.command.settings
    if one.command.version != group.engine_version:
        yield FleetChange(
            "~", name, f"{group.engine} version", one.command.version, group.engine_version
        )
    dialect = Dialect(group.engine, group.engine_version, catalog.root)
    planned_kv = dialect.kv_cache(group.kv_cache, catalog.gpu(group.gpu).vendor)
    running_kv = str(stated.get("kv_cache", "auto"))
    wide = running_kv == "auto" and catalog.kv_format(group.kv_cache).bits >= 16
    if running_kv.isalnum() and running_kv != planned_kv and not wide:
        yield FleetChange("~", name, "KV cache type", running_kv, planned_kv)
    weights = _running_weights(one, piece, catalog)
    if weights is not None and weights not in group.weights:
        yield FleetChange("~", name, "weights", weights, group.weights)
    for setting in SIZES:
        pinned, given = group.settings.get(setting), _as_number(stated.get(setting))
        if pinned is not None and given is not None and float(pinned) != given:
            yield FleetChange("~", name, setting, f"{given:g}", f"{float(pinned):g}")


def _running_weights(one: Running, piece: Piece, catalog: Catalog) -> str | None:
    """The format that an option states, else that of the plan's own checkpoint; None for another one."""
    stated = str(one.command.settings.get("quantization", ""))
    if stated:
        return stated if stated.replace("_", "").replace("-", "").isalnum() else None
    known = {n.lower() for entry in catalog.model_index() for n in entry.names}
    model = one.command.model.lower()
    if model not in known or piece.group.checkpoint:
        return None
    found = catalog.model(model)
    return found.native_weights if found.name == catalog.model(piece.service.model).name else None


def _as_number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None


def _gpus(fleet: Fleet, plan: Plan) -> Iterator[FleetChange]:
    now: dict[str, int] = defaultdict(int)
    for nodes in fleet.nodes:
        now[nodes.gpu] += nodes.nodes * nodes.gpus_per_node
    then: dict[str, int] = defaultdict(int)
    for rented in plan.nodes:
        then[rented.gpu] += rented.count * rented.gpus_per_node
    for gpu in sorted({*now, *then}):
        before, after = now[gpu], then[gpu]
        mark: Mark = "=" if before == after else "+" if after > before else "-"
        yield FleetChange(mark, "all", f"GPUs on nodes of {gpu}", str(before), str(after))
