"""The small fitted correction over measured kernels: what each term of a step is multiplied by.

    step = sum over components of scale * seconds + host terms

A term's value is ``value * exp(sum of the shifts whose levels the deployment has)``: scales start at 1,
host terms at stated times, and every shift is held to its spread, so that a fit moves little that the
measurements do not speak about. ``catalogs/calibration/kernel_priors.yaml`` states the terms,
``kernel_fitted.json`` what a fit found.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from planner.catalog.tables import read_yaml, validate_document
from planner.performance.calibration_files import FactorProvenance, ResidualTable, ShiftRow
from planner.performance.kernels.components import COMPONENTS, Components
from planner.performance.kernels.grids import Floats
from planner.performance.steps import StepBatch
from planner.performance.traits import Traits

HOST_TERMS = (
    "step_s",
    "sequence_s",
    "layer_s",
    "expert_layer_s",
    "norm_layer_s",
    "recurrent_layer_s",
    "prompt_step_s",
    "prompt_layer_s",
    "prompt_token_s",
)
REQUEST_TERMS = ("admission_s", "delivery_steps")
TERMS = (*COMPONENTS, *HOST_TERMS, *REQUEST_TERMS)
FAMILY = {"quantised": "quantised", "plain": "plain", "experts": "expert"}
PRIORS, FITTED = "kernel_priors.yaml", "kernel_fitted.json"


class _CorrectionDocument(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class LevelRow(_CorrectionDocument):
    """Who may shift a term: the levels (none = all of them) and the shift's prior deviation [ln]."""

    by: tuple[str, ...] = ()
    spread: Annotated[float, Field(gt=0)]


class TermRow(_CorrectionDocument):
    """One term: its prior value and the levels that may shift it."""

    unit: str
    value: Annotated[float, Field(gt=0)]
    levels: tuple[LevelRow, ...]
    source: str


class KernelPriors(_CorrectionDocument):
    """``kernel_priors.yaml``."""

    schema_version: int
    source: str
    as_of: date
    terms: dict[str, TermRow]


class KernelFitted(_CorrectionDocument):
    """``kernel_fitted.json``: shifts, and quantiles of log(measured / predicted) on left-out models."""

    schema_version: int
    provenance: FactorProvenance
    shifts: tuple[ShiftRow, ...]
    residuals: ResidualTable


@dataclass(frozen=True, repr=False)
class Corrections:
    """Terms and shifts; ``terms_of`` gives a deployment's values in the order of TERMS."""

    terms: Mapping[str, TermRow]
    shifts: Mapping[str, Mapping[tuple[tuple[str, str], ...], float]]
    residuals: ResidualTable | None = None
    _known: dict[tuple[str, ...], Floats] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def terms_of(self, traits: Traits, release: str) -> Floats:
        """The value of every term for a deployment; ``release``: its engine's version."""
        key = (release, *traits.levels_key())  # traits that compare equal may differ in levels
        if key not in self._known:
            self._known[key] = np.array([self._value(name, traits, release) for name in TERMS])
        return self._known[key]

    def _value(self, name: str, traits: Traits, release: str) -> float:
        levels = levels_of(name, traits, release)
        total = 0.0
        for when, shift in self.shifts.get(name, {}).items():
            if all(levels.get(key) == wanted for key, wanted in when):
                total += shift
        return self.terms[name].value * math.exp(total)


def levels_of(name: str, traits: Traits, release: str) -> dict[str, str]:
    """The levels that may shift a term; products know the format of their weights."""
    family = FAMILY.get(name)
    more = {} if family is None else {"format": traits.format_levels(family)["format"]}
    return traits.levels() | more | {"version": f"{traits.engine} {release}"}


def features(components: Components, batch: StepBatch) -> Floats:
    """Seconds per unit of every term (rows: COMPONENTS, then HOST_TERMS) of each step of ``batch``."""
    return np.vstack([components.seconds(batch), host_features(components, batch)])


def host_features(components: Components, batch: StepBatch) -> Floats:
    """How often each of HOST_TERMS is paid in a step."""
    w = components.loads
    ranks = w.data_parallel * w.pipeline_parallel
    sequences = np.atleast_1d(np.asarray(batch.decode_sequences, dtype=float)) / ranks
    tokens = np.broadcast_to(np.asarray(batch.prefill_tokens, dtype=float) / ranks, sequences.shape)
    prompts = np.asarray(batch.prefill_sequences, dtype=float) / ranks
    found = np.empty((len(HOST_TERMS), len(sequences)))
    found[0] = 1.0
    found[1] = sequences + prompts
    found[2] = w.layers
    found[3] = w.expert_layers
    found[4] = components.norms
    found[5] = components.recurrent
    found[6] = np.minimum(tokens, 1.0)
    found[7] = found[6] * w.layers
    found[8] = tokens
    return found


@lru_cache(maxsize=8)
def load_corrections(folder: Path) -> Corrections | None:
    """The corrections of a calibration folder; None where it has none."""
    if not (folder / PRIORS).exists():
        return None
    priors = read_kernel_priors(folder)
    if not (folder / FITTED).exists():
        return Corrections(priors.terms, {})
    fitted = validate_document(folder / FITTED, read_yaml(folder / FITTED), KernelFitted)
    return corrections(priors, fitted.shifts, fitted.residuals)


def read_kernel_priors(folder: Path) -> KernelPriors:
    """The stated terms; raises CatalogError."""
    return validate_document(folder / PRIORS, read_yaml(folder / PRIORS), KernelPriors)


def corrections(
    priors: KernelPriors, rows: Iterable[ShiftRow], residuals: ResidualTable | None = None
) -> Corrections:
    """Lay fitted shifts over the priors."""
    shifts: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for row in rows:
        key = tuple(sorted(row.when.items()))
        shifts.setdefault(row.factor, {})[key] = row.shift
    return Corrections(priors.terms, shifts, residuals)
