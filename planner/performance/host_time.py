"""Host time of an engine that kernels hide in large models and that nothing hides in very small ones.

``catalogs/calibration/host_time.yaml``: a step is never shorter than the engine's own loop,

    step = max(device time + serial_s + sequence_s sequences, loop_s)

with the serial terms of engines that schedule between steps (vLLM before its V1 engine). They are stated, not
fitted: every run behind the fits takes longer than the loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from planner.catalog.engine import EngineSpec, version_key
from planner.catalog.tables import read_yaml, validate_document
from planner.performance.steps import Number, StepBatch

FILE = "host_time.yaml"


class _HostDocument(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class HostTimeRow(_HostDocument):
    """One engine's host time [s]; ``before``: its releases before this one alone."""

    engine: str
    before: str = ""
    loop_s: float = Field(ge=0)
    serial_s: float = Field(default=0.0, ge=0)
    sequence_s: float = Field(default=0.0, ge=0)
    source: str


class GraphRow(_HostDocument):
    """Decode batches one engine captures as graphs by default [sequences of one rank].

    in_tokens: whether its sizes count the tokens of a step instead, of which a sequence that verifies drafts
    has one more than it has drafts. padded: whether a batch between two captured ones runs as the larger.
    Without padding every batch up to ``every_size_to`` is captured, and beyond it the powers of two. largest:
    None where it is that of the release and the GPU.
    """

    engine: str
    padded: bool
    in_tokens: bool = False
    every_size_to: int = Field(default=0, ge=0)
    largest: int | None = Field(default=None, gt=0)
    source: str


class HostFile(_HostDocument):
    """``host_time.yaml``."""

    schema_version: int
    as_of: date
    rows: tuple[HostTimeRow, ...]
    graphs: tuple[GraphRow, ...] = ()


@dataclass(frozen=True, slots=True)
class HostTime:
    """What a step takes at least, and beside its kernels, on the host [s]."""

    loop_s: float = 0.0
    serial_s: float = 0.0
    sequence_s: float = 0.0

    def serial(self, batch: StepBatch) -> Number:
        """Host time between steps that nothing hides [s]."""
        return self.serial_s + self.sequence_s * batch.decode_sequences

    def at_least(self, seconds: Number) -> Number:
        """A step's time, or the loop's where that is longer [s]."""
        if isinstance(seconds, float):
            return seconds if seconds > self.loop_s else self.loop_s
        return np.maximum(seconds, self.loop_s)


NONE = HostTime()


@lru_cache(maxsize=8)
def read_host_time(folder: Path) -> HostFile:
    """The rows of a calibration folder, none where it has no such file; raises CatalogError."""
    path = folder / FILE
    if not path.exists():
        return HostFile(schema_version=1, as_of=date.min, rows=())
    return validate_document(path, read_yaml(path), HostFile)


def host_time(rows: tuple[HostTimeRow, ...], engine: EngineSpec) -> HostTime:
    """The host time of one release of an engine; none where no row names it."""
    release = version_key(engine.version)
    for row in rows:
        if row.engine == engine.name and not (row.before and release >= version_key(row.before)):
            return HostTime(row.loop_s, row.serial_s, row.sequence_s)
    return NONE
