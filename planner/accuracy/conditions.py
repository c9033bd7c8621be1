"""From a measured point to the deployment it was measured on.

What a benchmark did not record is assumed, as data: ``catalogs/calibration/conditions.yaml``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from planner.accuracy.draft_acceptance import (
    acceptance_of,
    published_tokens_per_step,
    read_acceptance,
)
from planner.accuracy.launches import LaunchRow, intake_of, launched_tokens
from planner.accuracy.measures import MS
from planner.accuracy.point import MeasuredPoint, PoolLayout
from planner.accuracy.pools.recipes import PoolRecipe, pool_recipe, read_pool_recipes
from planner.catalog.engine import EngineSpec, version_key
from planner.catalog.model import ModelSpec, MoeMlp
from planner.catalog.store import Catalog
from planner.catalog.tables import read_yaml, validate_document
from planner.deployment import Deployment, EngineSettings
from planner.performance.factors import Calibration
from planner.performance.guard import floors
from planner.performance.prefill_pace import prefill_pace
from planner.serving.simulation.inbox import EVERY_STEP, Intake
from planner.sizing.precision import format_family, weights_for


class _ConditionDocument(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Assumption(_ConditionDocument):
    """``use`` this value where every key of ``when`` matches; the first match wins."""

    when: dict[str, str]
    use: str
    source: str


class SpeculationRow(_ConditionDocument):
    """A recipe's drafted tokens and what a step of it yields, where every key of ``when`` matches."""

    when: dict[str, str]
    draft_tokens: int
    tokens_per_step: float
    source: str


class RunConditions(_ConditionDocument):
    """``conditions.yaml``: weight formats, KV precision and speculation of runs that do not say.

    graphs: "all" where every batch in flight was captured. tokens_spread: standard deviation of ln(tokens of
    a speculative step) where acceptance was not recorded.
    """

    schema_version: int
    as_of: date
    suites: dict[str, tuple[str, ...]]
    launches: tuple[LaunchRow, ...]
    graphs: tuple[Assumption, ...]
    weights: tuple[Assumption, ...]
    kv_cache: tuple[Assumption, ...]
    shortest_length: tuple[Assumption, ...]
    speculation: tuple[SpeculationRow, ...]
    tokens_spread: Annotated[float, Field(gt=0)]
    streamed_steps: tuple[Assumption, ...]
    first_burst_s: tuple[Assumption, ...]
    handover_s: tuple[Assumption, ...]


@dataclass(frozen=True, slots=True)
class Setup:
    """What a point was measured on, and how: lengths uniform in ``shortest_length`` to 1.0 of nominal.

    shortest_length 1.0 means that every request had the nominal lengths. prefill: one replica of the
    pool that prefills, where the answers are written by another. assumed: what the run did not record.
    streamed_steps: decode steps whose tokens the server sends in one piece. first_burst_s: how much
    longer the requests sent at the start of a closed loop wait for a server that has just begun [s].
    handover_s: from a prompt's end on its prefill worker until a decode worker may schedule it, beside the
    time its cache is on the link [s]. intake: when the engine takes in requests while it decodes.
    step_tokens: tokens of a step that the recipe of the run launches with; None where the engine's default or
    the run's own setting holds. recipe: what the two pools of the run were launched with. prefill_pace: how
    many times as long as predicted a step of a prefill pool takes. captured: whether every batch in flight
    ran as a graph, whatever the engine's default. tokens_spread: standard deviation of the
    logarithm of a speculative step's tokens, 0 where they were recorded.
    """

    deployment: Deployment
    shortest_length: float
    prefill: Deployment | None = None
    assumed: tuple[str, ...] = ()
    streamed_steps: float = 1.0
    first_burst_s: float = 0.0
    handover_s: float = 0.0
    intake: Intake = EVERY_STEP
    step_tokens: int | None = None
    recipe: PoolRecipe | None = None
    prefill_pace: float = 1.0
    captured: bool = False
    tokens_spread: float = 0.0

    def yielding(self, times: float) -> Setup:
        """The setup with a speculative step of ``times`` as many tokens, one at least and all at most."""
        deployment = self.deployment
        drafted = deployment.settings.draft_tokens
        tokens = min(max(times * deployment.settings.tokens_per_step, 1.0), drafted + 1.0)
        settings = replace(deployment.settings, draft_acceptance=acceptance_of(tokens, drafted))
        return replace(self, deployment=replace(deployment, settings=settings))

    def nominal(self, tokens: int, is_mean: bool) -> int:
        """The nominal length of lengths with that mean; ``tokens`` itself where it is nominal."""
        return max(1, round(tokens * 2 / (1 + self.shortest_length))) if is_mean else tokens


@lru_cache(maxsize=8)
def read_conditions(path: Path) -> RunConditions:
    """How measured runs were made where their tables do not say. Raises CatalogError for a wrong file."""
    return validate_document(path, read_yaml(path), RunConditions)


def deployment_of(point: MeasuredPoint, catalog: Catalog, calibration: Calibration) -> Deployment:
    """Return the deployment a point was measured on; raises InputError for unknown names."""
    return setup_of(point, catalog, calibration).deployment


def setup_of(point: MeasuredPoint, catalog: Catalog, calibration: Calibration) -> Setup:
    """Return deployment and lengths of a point; raises InputError for unknown names."""
    model = catalog.model(point.model)
    gpu = catalog.gpu(point.gpu)
    engine = _engine(point, catalog)
    conditions = read_conditions(catalog.root / "calibration" / "conditions.yaml")
    lengths = f"{point.prompt_tokens}+{point.output_tokens}"
    facts = {
        "engine": engine.name,
        "generation": calibration.generations.get(gpu.compute_capability, gpu.architecture),
        "vendor": gpu.vendor,
        "gpu": gpu.name,
        "weights": point.weights.lower(),
        "experts": _experts(model),
        "native": format_family(model.native_weights),
        "maker": model.name.split("/", 1)[0],
        "lengths": lengths,
        "suite": next((name for name, kept in conditions.suites.items() if lengths in kept), ""),
        "ranks": "several" if point.data_parallel > 1 else "one",
        "load": str(point.load),
        "speculative": point.speculative,
        "pools": "two" if point.prefill else "one",
        "prefill_ranks": "several" if point.prefill and point.prefill.data_parallel > 1 else "one",
        "prefill_gpus": str(point.prefill.gpus // point.prefill.workers) if point.prefill else "",
        "prompt": str(point.prompt_tokens),
        "benchmark": point.source.partition(" (")[0],
        "model": model.name,
        "release": ".".join(str(part) for part in version_key(engine.version)),
    }
    launch = next((row for row in conditions.launches if row.covers(point, facts)), None)
    recipe = pool_recipe(
        read_pool_recipes(catalog.root / "calibration" / "pool_recipes.csv"), point, facts
    )
    speculation = _speculation(point, conditions, facts, catalog, recipe)
    name = _assumed(conditions.weights, facts) or point.weights
    captured = _assumed(conditions.graphs, facts) == "all"
    kv = point.kv_cache or _assumed(conditions.kv_cache, facts) or "bf16"
    deployment = Deployment(
        model=model,
        gpu=gpu,
        engine=engine,
        tensor_parallel=point.tensor_parallel,
        weights=weights_for(model, name, catalog.weight_format),
        kv_cache=catalog.kv_format(kv),
        pipeline_parallel=point.pipeline_parallel,
        data_parallel=point.data_parallel,
        expert_parallel=point.expert_parallel,
        settings=_settings(point, speculation, captured),
    )
    shortest = _assumed(conditions.shortest_length, facts) or "0.8"
    return Setup(
        deployment=deployment,
        shortest_length=point.length_spread or float(shortest),
        prefill=None if point.prefill is None else _prefill(deployment, point.prefill),
        assumed=speculation.assumed,
        streamed_steps=_streamed_steps(conditions, facts, recipe),
        first_burst_s=float(_assumed(conditions.first_burst_s, facts) or 0),
        handover_s=float(_assumed(conditions.handover_s, facts) or 0),
        intake=intake_of(launch, point),
        step_tokens=launched_tokens(launch, point),
        recipe=recipe,
        prefill_pace=_pace(deployment, point, catalog, calibration),
        captured=captured,
        tokens_spread=conditions.tokens_spread if "acceptance" in speculation.assumed else 0.0,
    )


@dataclass(frozen=True, slots=True)
class _Speculation:
    """Drafted tokens, the share of them that is accepted, and which of the two is assumed."""

    draft_tokens: int = 0
    acceptance: float = 0.0
    assumed: tuple[str, ...] = ()


def _streamed_steps(
    conditions: RunConditions, facts: dict[str, str], recipe: PoolRecipe | None
) -> float:
    """Decode steps between two sends: the pools' recipe, else what is assumed of the engine."""
    if recipe is not None and recipe.stream_interval is not None:
        return float(recipe.stream_interval)
    return float(_assumed(conditions.streamed_steps, facts) or 1)


def _speculation(
    point: MeasuredPoint,
    conditions: RunConditions,
    facts: dict[str, str],
    catalog: Catalog,
    pools: PoolRecipe | None,
) -> _Speculation:
    """What the run says, else what is published for its model, else the recipe of its engine."""
    if not point.speculative:
        return _Speculation()
    recipe = next(
        row
        for row in conditions.speculation
        if all(facts.get(key) == value for key, value in row.when.items())
    )
    launched = pools.draft_tokens if pools is not None else None
    drafted = point.draft_tokens or launched or recipe.draft_tokens
    assumed = () if point.draft_tokens else ("drafted tokens",)
    if point.acceptance is not None:
        text = point.acceptance
        rate = text if text <= 1 else acceptance_of(min(text, drafted + 1.0), drafted)
        return _Speculation(drafted, rate, assumed)
    table = read_acceptance(catalog.root / "calibration" / "acceptance.csv")
    known = None
    if point.draft_tokens:
        known = published_tokens_per_step(table, facts["model"], point.speculative, drafted)
    share = acceptance_of(recipe.tokens_per_step, recipe.draft_tokens)
    rate = share if known is None else acceptance_of(known, drafted)
    return _Speculation(drafted, rate, (*assumed, "acceptance"))


def _settings(point: MeasuredPoint, speculation: _Speculation, captured: bool) -> EngineSettings:
    """What the run was launched with; captured: with graphs of every batch it may reach."""
    text = point.settings
    return EngineSettings(
        memory_fraction=text.memory_fraction,
        max_num_seqs=text.max_num_seqs,
        max_num_batched_tokens=text.max_num_batched_tokens,
        max_model_len_tokens=text.max_model_len,
        eager=text.eager,
        graphs_max_batch=text.graphs_max_batch,
        graph_padding=captured if text.graph_padding is None else text.graph_padding,
        draft_tokens=speculation.draft_tokens,
        draft_acceptance=speculation.acceptance,
    )


def _pace(
    decode: Deployment, point: MeasuredPoint, catalog: Catalog, calibration: Calibration
) -> float:
    """How many times as long as predicted the run's prefill pool takes over a step."""
    if point.prefill is None:
        return 1.0
    pool = _prefill(decode, point.prefill)
    found = prefill_pace(catalog.root, pool, calibration.traits(pool), point.prompt_tokens)
    return 1.0 if found is None else found.times


def _prefill(decode: Deployment, pool: PoolLayout) -> Deployment:
    return replace(
        decode,
        tensor_parallel=pool.tensor_parallel,
        data_parallel=pool.data_parallel,
        expert_parallel=pool.expert_parallel,
        pipeline_parallel=1,
        settings=replace(decode.settings, draft_tokens=0, draft_acceptance=0.0),
    )


def _engine(point: MeasuredPoint, catalog: Catalog) -> EngineSpec:
    """The version that was measured; the newest on the day of the measurement when it is not known.

    It keeps the measured release's own name: candidates and post-releases of one version differ.
    """
    if point.engine_version:
        found = catalog.engine(point.engine, point.engine_version, oldest_instead=True)
        return replace(found, version=point.engine_version)
    if not point.measured_on:
        return catalog.engine(point.engine, None)
    name = catalog.engine(point.engine).name
    versions = [spec for spec in catalog.engines() if spec.name == name]
    released = [spec for spec in versions if spec.as_of <= point.measured_on]
    return released[-1] if released else versions[0]


def _experts(model: ModelSpec) -> str:
    return "moe" if any(isinstance(layer.mlp, MoeMlp) for layer in model.layers) else "dense"


def _assumed(rows: tuple[Assumption, ...], facts: dict[str, str]) -> str | None:
    for row in rows:
        if all(facts.get(key) == value for key, value in row.when.items()):
            return row.use
    return None


def faster_than_possible(point: MeasuredPoint, deployment: Deployment) -> str:
    """Why a run was not as its row says: tokens came sooner than the GPUs read the weights; "" if not."""
    typical = point.typical("tpot")
    floor_s = floors(deployment).tpot_s(0.0)
    if typical is None or point.measures[typical] >= floor_s:
        return ""
    return (
        f"TPOT below {floor_s * MS:.3g} ms, in which the GPUs read the weights that a token needs: "
        "were tokens drafted, were there more GPUs, or is the unit another one?"
    )
