"""How true the memory model is: what engines printed at start-up against what is planned for it.

The facts are ``catalogs/calibration/memory_facts.csv``; ``memory_accuracy`` computes the table that
``docs/reference/accuracy.md`` carries, with every miss by name.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import Field

from planner.catalog.store import Catalog
from planner.catalog.tables import IsoDate, TableRow, read_table
from planner.deployment import Deployment, EngineSettings
from planner.sizing.coefficients import GRAPH_COEFFICIENTS
from planner.sizing.memory import stage_memory
from planner.sizing.precision import weights_for
from planner.units import GIB

ANY_GPU = "h100-sxm-80gb"  # weights and KV per token do not depend on the GPU


class MemoryFact(TableRow):
    """One start-up: the layout, what was printed (GiB per GPU), and where it was seen.

    ``pool_known``: GPU, version and memory fraction are known (the version's default counts).
    ``attention``: whether the printed tokens are capacity ("full", "latent") or not.
    ``weights_apart``: why the weights are compared apart, if they are. ``explains``: the reason of a
    known miss.
    """

    model: str
    deployed_as: str = ""
    gpu: str = ""
    visible_gib: float | None = Field(default=None, gt=0)
    engine: str
    engine_version: str = ""
    tensor_parallel: int = Field(ge=1)
    pipeline_parallel: int = Field(ge=1)
    pipeline_stage: int = Field(default=0, ge=0)
    data_parallel: int = Field(ge=1)
    expert_parallel: int = Field(ge=1)
    weights: str
    kv_cache: str
    memory_fraction: float | None = Field(default=None, gt=0, le=1)
    pool_known: bool
    max_model_len: int | None = Field(default=None, gt=0)
    max_num_seqs: int | None = Field(default=None, gt=0)
    max_num_batched_tokens: int | None = Field(default=None, gt=0)
    eager: bool | None = None
    sampler: Literal["", "fused"] = ""
    attention: Literal["full", "latent", "windows", "hybrid"]
    weights_gib: float | None = Field(default=None, gt=0)
    kv_pool_gib: float | None = Field(default=None, gt=0)
    kv_tokens: int | None = Field(default=None, gt=0)
    activations_gib: float | None = None
    non_torch_gib: float | None = None
    graphs_gib: float | None = None
    weights_apart: str = ""
    source: str
    as_of: IsoDate
    explains: str = ""
    note: str = ""

    @property
    def label(self) -> str:
        """A short name: model, engine version, degree and format."""
        name = (self.deployed_as or self.model).rpartition("/")[2]
        version = f" {self.engine_version}" if self.engine_version else ""
        return f"{name}, {self.engine}{version}, TP{self.tensor_parallel} {self.weights}"


@dataclass(frozen=True, slots=True)
class MemoryComparison:
    """One fact and the planned-over-printed errors (minus one) of what it lets be compared."""

    fact: MemoryFact
    weights: float | None
    kv_per_token: float | None
    pool: float | None


@dataclass(frozen=True, slots=True)
class Group:
    """A class of facts: absolute errors at the median and the 90th percentile, against a target.

    ``within``: the share of rows inside ``tolerance``.
    """

    name: str
    rows: int
    median: float
    p90: float
    tolerance: float
    within: float
    target: str
    met: bool


@dataclass(frozen=True, slots=True)
class Miss:
    """A row outside its group's tolerance."""

    group: str
    label: str
    error: float
    reason: str
    source: str


@dataclass(frozen=True, slots=True)
class MemoryAccuracy:
    """Every group, and every miss by name."""

    groups: tuple[Group, ...]
    misses: tuple[Miss, ...]


@dataclass(frozen=True, slots=True)
class _Class:
    name: str
    error: Callable[[MemoryComparison], float | None]
    belongs: Callable[[MemoryFact], bool]
    median: float
    share: float
    tolerance: float


_CLASSES = (
    _Class(
        "KV bytes per token, full attention and MLA",
        lambda c: c.kv_per_token,
        lambda f: f.attention in ("full", "latent"),
        1.0,
        0.95,
        0.005,
    ),
    _Class(
        "BF16 weights per GPU",
        lambda c: c.weights,
        lambda f: f.weights == "bf16" and not f.weights_apart,
        0.01,
        0.9,
        0.02,
    ),
    _Class(
        "quantised weights per GPU",
        lambda c: c.weights,
        lambda f: f.weights != "bf16" and not f.weights_apart,
        1.0,
        0.9,
        0.05,
    ),
    _Class(
        "KV pool, GPU and fraction known",
        lambda c: c.pool,
        lambda f: f.pool_known,
        0.05,
        0.9,
        0.12,
    ),
    _Class(
        "weights with a vision tower",
        lambda c: c.weights,
        lambda f: f.weights_apart == "vision tower",
        1.0,
        0.0,
        0.05,
    ),
    _Class(
        "weights on Ascend NPUs (another engine's fork)",
        lambda c: c.weights,
        lambda f: f.weights_apart == "NPU",
        1.0,
        0.0,
        0.05,
    ),
)


def memory_facts(catalog: Catalog) -> tuple[MemoryFact, ...]:
    """Read the facts; raises CatalogError when the table is wrong."""
    rows = read_table(catalog.root / "calibration" / "memory_facts.csv", MemoryFact)
    return tuple(row for row in rows)


def compare(catalog: Catalog, fact: MemoryFact) -> MemoryComparison:
    """Plan the start-up a fact describes, and compare what it printed."""
    plan = stage_memory(_deployment(catalog, fact), fact.pipeline_stage)
    per_token = plan.kv.growing_bytes_per_token + sum(size for _, size in plan.kv.windows)
    printed_per_token = None
    if fact.kv_pool_gib and fact.kv_tokens:
        printed_per_token = fact.kv_pool_gib * GIB / fact.kv_tokens
    return MemoryComparison(
        fact,
        weights=_error((plan.weights_bytes + plan.adapters_bytes) / GIB, fact.weights_gib),
        kv_per_token=_error(per_token, printed_per_token),
        pool=_error(plan.kv_pool_bytes / GIB, fact.kv_pool_gib),
    )


def memory_accuracy(catalog: Catalog) -> MemoryAccuracy:
    """Compare every fact and sum up by class; misses carry their reasons."""
    comparisons = [compare(catalog, fact) for fact in memory_facts(catalog)]
    groups, misses = [], []
    for kind in _CLASSES:
        errors = [
            (error, c.fact)
            for c in comparisons
            if kind.belongs(c.fact) and (error := kind.error(c)) is not None
        ]
        if not errors:
            continue
        groups.append(_group(kind, [abs(error) for error, _ in errors]))
        misses += [
            Miss(kind.name, fact.label, error, fact.explains or fact.note, fact.source)
            for error, fact in errors
            if abs(error) > kind.tolerance
        ]
    return MemoryAccuracy(tuple(groups), tuple(misses))


def memory_accuracy_markdown(accuracy: MemoryAccuracy) -> str:
    """The tables of ``docs/reference/accuracy.md``: accuracy by class, then the misses by name."""
    lines = [
        "| Quantity | rows | median error | 90 % of rows within | within tolerance | target | met |",
        "|---|---:|---:|---:|---:|---|---|",
    ]
    for g in accuracy.groups:
        lines.append(
            f"| {g.name} | {g.rows} | {_percent(g.median)} | {_percent(g.p90)} | "
            f"{100 * g.within:.0f} % within {_percent(g.tolerance)} | {g.target} | "
            f"{'yes' if g.met else 'no'} |"
        )
    lines += [
        "",
        "| Miss | quantity | planned against printed | reason |",
        "|---|---|---:|---|",
    ]
    lines += [
        f"| {m.label} | {m.group} | {100 * m.error:+.1f} % | {m.reason or 'not explained'} |"
        for m in accuracy.misses
    ]
    return "\n".join(lines) + "\n"


def _deployment(catalog: Catalog, fact: MemoryFact) -> Deployment:
    model = catalog.model(fact.model)
    gpu = catalog.gpu(fact.gpu or ANY_GPU)
    if fact.visible_gib is not None:
        gpu = replace(gpu, cuda_visible_gib=fact.visible_gib)
    engine = catalog.engine(fact.engine, fact.engine_version or None, oldest_instead=True)
    changes = dict(engine.memory)
    if fact.sampler == "fused":
        changes["sampler_bytes_per_logit"] = changes["fused_sampler_bytes_per_logit"]
    if fact.eager:
        changes |= dict.fromkeys(GRAPH_COEFFICIENTS, 0.0)
    return Deployment(
        model=model,
        gpu=gpu,
        engine=replace(engine, memory=tuple(changes.items())),
        tensor_parallel=fact.tensor_parallel,
        weights=weights_for(model, fact.weights, catalog.weight_format),
        kv_cache=catalog.kv_format(fact.kv_cache),
        pipeline_parallel=fact.pipeline_parallel,
        data_parallel=fact.data_parallel,
        expert_parallel=fact.expert_parallel,
        settings=EngineSettings(
            memory_fraction=fact.memory_fraction,
            max_num_seqs=fact.max_num_seqs,
            max_num_batched_tokens=fact.max_num_batched_tokens,
            max_model_len_tokens=fact.max_model_len,
        ),
    )


def _group(kind: _Class, errors: Sequence[float]) -> Group:
    within = sum(error <= kind.tolerance for error in errors) / len(errors)
    median = statistics.median(errors)
    wanted = []
    if kind.median < 1:
        wanted.append(f"median {_percent(kind.median)}")
    if kind.share:
        wanted.append(f"{100 * kind.share:.0f} % of rows within {_percent(kind.tolerance)}")
    return Group(
        kind.name,
        len(errors),
        median,
        _p90(errors),
        kind.tolerance,
        within,
        ", ".join(wanted) or "none, shown apart",
        median <= kind.median and within >= kind.share,
    )


def _p90(errors: Sequence[float]) -> float:
    """The smallest error that at least 90 % of the rows do not exceed."""
    ordered = sorted(errors)
    return ordered[-(-9 * len(ordered) // 10) - 1]


def _error(planned: float, printed: float | None) -> float | None:
    return None if printed is None else planned / printed - 1


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %" if share < 0.01 else f"{100 * share:.1f} %"
