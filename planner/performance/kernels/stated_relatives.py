"""Kernels of a GPU whose vendor has no tables, from a GPU of another vendor that a table names.

How long a kernel takes over tokens, experts and context has much the same form on any GPU: a step of few
tokens that starts many small kernels, one that touches ever more experts, one that fills the units. What
differs is how near each kernel comes to peak: a stated share of bandwidth and of arithmetic, and a correction
of the vendor's own. Collectives are
not carried over: a mesh of links has another latency and another rate than a switch.

    all-reduces = reductions x hops x hop_s + bytes / (link x link_share)
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import lru_cache
from pathlib import Path

from pydantic import Field

from planner.catalog.gpu import GpuSpec
from planner.catalog.tables import TableRow, read_table
from planner.deployment import Deployment
from planner.performance.kernels.components import TOKENS, Components
from planner.performance.kernels.relatives import carried, gpus_of

FILE = "kernel_relatives.csv"
COLLECTIVES = 6  # their row of ``components.COMPONENTS``


class StatedRelative(TableRow):
    """Whose kernel tables speak for GPUs of one compute capability under one engine.

    memory_share, compute_share: of its bandwidth and arithmetic that a GPU reaches where kernels on the other
    reach all of theirs. hop_s: latency of one step of a collective [s]; link_share: of the links' rate in
    large ones.
    """

    compute_capability: str
    engine: str
    tables_gpu: str
    tables_engine: str
    memory_share: float = Field(gt=0, le=1)
    compute_share: float = Field(gt=0, le=1)
    hop_s: float = Field(gt=0)
    link_share: float = Field(gt=0, le=1)
    as_of: date
    source: str


@lru_cache(maxsize=4)
def read_relatives(folder: Path) -> tuple[StatedRelative, ...]:
    """The rows of a calibration folder, none where it has no such file; raises CatalogError."""
    path = folder / FILE
    return read_table(path, StatedRelative) if path.exists() else ()


@lru_cache(maxsize=2048)
def from_relative(deployment: Deployment, root: Path) -> Components | None:
    """Components of a deployment, from the kernels of the GPU that is stated for it.

    None where none is stated, or a kernel was not measured there.
    """
    if deployment.gpu.is_part:
        return None
    key = deployment.gpu.compute_capability, deployment.engine.name
    rows = read_relatives(root / "calibration")
    row = next((row for row in rows if (row.compute_capability, row.engine) == key), None)
    if row is None:
        return None
    gpu = next((gpu for gpu in gpus_of(root) if gpu.name == row.tables_gpu), None)
    if gpu is None:
        return None
    engine = replace(deployment.engine, name=row.tables_engine)
    near = replace(deployment, gpu=gpu, engine=engine)
    found = carried(deployment, near, root, _reached(deployment.gpu, row))
    return None if found is None else _with_collectives(found, row)


def _reached(gpu: GpuSpec, row: StatedRelative) -> GpuSpec:
    peaks = {name: peak * row.compute_share for name, peak in gpu.peak_tflops.items()}
    bandwidth = gpu.memory_bandwidth_gb_s * row.memory_share
    return replace(gpu, memory_bandwidth_gb_s=bandwidth, peak_tflops=peaks)


def _with_collectives(found: Components, row: StatedRelative) -> Components:
    w = found.loads
    rate = w.link_bytes_s * row.link_share
    local, shared = found.local.copy(), found.shared.copy()
    hops = w.link_hops * row.hop_s
    local[COLLECTIVES] = w.reductions * hops + TOKENS * w.reduction_bytes_per_token / rate
    if shared[COLLECTIVES].any():
        sent = TOKENS * w.exchange_bytes_per_token / rate
        shared[COLLECTIVES] = w.exchanges * hops + sent
    return replace(found, local=local, shared=shared)
