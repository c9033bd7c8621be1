"""Slices that a GPU can be cut into in hardware: MIG profiles, ``catalogs/gpu_slices.csv``."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from planner.catalog.tables import IsoDate, TableRow, read_table

FILE = "gpu_slices.csv"


class SliceRow(TableRow):
    """One MIG profile of some GPU types: what an instance has of the GPU's memory, bandwidth and SMs.

    ``memory_gib``: what a process sees [GiB]; ``per_gpu``: instances that fit one GPU alone; ``grade``:
    whether its memory and SMs were published or seen, or follow from another GPU's.
    """

    source: str = Field(min_length=1)
    as_of: IsoDate
    grade: Literal["published", "assumed"]
    gpu: str
    profile: str
    memory_gib: float = Field(gt=0)
    bandwidth_share: float = Field(gt=0, le=1)
    sm_share: float = Field(gt=0, le=1)
    per_gpu: int = Field(ge=2, le=16)


def slices_of(root: Path, gpu: str) -> tuple[SliceRow, ...]:
    """The profiles of a GPU type, smallest first; empty where it has none."""
    return tuple(row for row in _rows(root) if gpu in row.gpu.split(";"))


def slice_profiles(root: Path) -> tuple[str, ...]:
    """Every profile's name, once."""
    return tuple(dict.fromkeys(row.profile for row in _rows(root)))


@lru_cache(maxsize=4)
def _rows(root: Path) -> tuple[SliceRow, ...]:
    return read_table(root / FILE, SliceRow)
