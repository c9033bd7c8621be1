"""From a measured point to the deployment it was measured on.

What a benchmark did not record is assumed, as data: ``catalogs/calibration/conditions.yaml``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from planner.accuracy.points import Point
from planner.catalog.engine import EngineSpec
from planner.catalog.model import ModelSpec, MoeMlp
from planner.catalog.store import Catalog
from planner.catalog.tables import read_yaml, validate_document
from planner.deployment import Deployment
from planner.performance.factors import Calibration
from planner.sizing.precision import format_family, weights_for


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Assumption(_Document):
    """``use`` this value where every key of ``when`` matches; the first match wins."""

    when: dict[str, str]
    use: str
    source: str


class Conditions(_Document):
    """``conditions.yaml``: weight formats and KV precision of runs that do not say."""

    schema_version: int
    as_of: date
    weights: tuple[Assumption, ...]
    kv_cache: tuple[Assumption, ...]
    shortest_length: tuple[Assumption, ...]


@dataclass(frozen=True, slots=True)
class Setup:
    """What a point was measured on, and how: lengths uniform in ``shortest_length`` to 1.0 of nominal.

    shortest_length 1.0 means that every request had the nominal lengths.
    """

    deployment: Deployment
    shortest_length: float


@lru_cache(maxsize=8)
def read_conditions(path: Path) -> Conditions:
    """Return the assumptions; raises CatalogError."""
    return validate_document(path, read_yaml(path), Conditions)


def deployment_of(point: Point, catalog: Catalog, calibration: Calibration) -> Deployment:
    """Return the deployment a point was measured on; raises InputError for unknown names."""
    return setup_of(point, catalog, calibration).deployment


def setup_of(point: Point, catalog: Catalog, calibration: Calibration) -> Setup:
    """Return deployment and lengths of a point; raises InputError for unknown names."""
    model = catalog.model(point.model)
    gpu = catalog.gpu(point.gpu)
    engine = _engine(point, catalog).on(gpu)
    conditions = read_conditions(catalog.root / "calibration" / "conditions.yaml")
    facts = {
        "engine": engine.name,
        "generation": calibration.generations.get(gpu.compute_capability, gpu.architecture),
        "vendor": gpu.vendor,
        "weights": point.weights.lower(),
        "experts": _experts(model),
        "native": format_family(model.native_weights),
        "maker": model.name.split("/", 1)[0],
        "lengths": f"{point.prompt_tokens}+{point.output_tokens}",
    }
    name = _assumed(conditions.weights, facts) or point.weights
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
    )
    shortest = _assumed(conditions.shortest_length, facts) or "0.8"
    return Setup(deployment, float(shortest))


def _engine(point: Point, catalog: Catalog) -> EngineSpec:
    """The version that was measured; the newest on the day of the measurement when it is not told."""
    if point.engine_version or not point.measured_on:
        return catalog.engine(point.engine, point.engine_version or None)
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
