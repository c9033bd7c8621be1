"""Kernels of a GPU without tables, taken from its nearest relative that has them."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from planner.catalog.gpu import GpuSpec
from planner.catalog.store import Catalog
from planner.deployment import Deployment
from planner.performance.arithmetic import sixteen_bit
from planner.performance.kernels.components import Components
from planner.performance.kernels.grids import Floats
from planner.performance.kernels.summing import KernelSum, components
from planner.performance.kernels.table import FOLDER, kernel_table
from planner.performance.loads import link_of

LIKE_BALANCE = 0.5


@lru_cache(maxsize=2048)
def borrowed(deployment: Deployment, root: Path) -> Components | None:
    """Components of a GPU without tables, from the GPU of its compute capability that has them.

    Each curve is multiplied by how much longer its bytes and arithmetic take at peak, collectives by
    the ratio of the links' rates. None where no such GPU has tables.
    """
    like = _relative(deployment.gpu, deployment.engine.name, root)
    table = None if like is None else kernel_table(root, like.name, deployment.engine.name)
    if like is None or table is None:
        return None
    near = replace(deployment, gpu=like)
    own, known = KernelSum(deployment, table).components(), components(near, root)
    if own is None or known is None or own.least is None or known.least is None:
        return None
    bandwidth = like.bandwidth_bytes_s / deployment.gpu.bandwidth_bytes_s
    wide = (gpu.peak_flops(sixteen_bit(gpu)) for gpu in (like, deployment.gpu))
    peak = next(wide) / next(wide)
    sent = link_of(near).bytes_s / link_of(deployment).bytes_s
    local = known.local * _ratio(own.least.local, known.least.local)
    shared = known.shared * _ratio(own.least.shared, known.least.shared)
    local[5], shared[5] = own.local[5], own.shared[5]
    local[6], shared[6] = known.local[6] * sent, known.shared[6] * sent
    return replace(
        own,
        local=local,
        shared=shared,
        head=known.head * _ratio(own.least.head, known.least.head),
        decode=known.decode * bandwidth,
        prompt=known.prompt.times(peak),
    )


@lru_cache(maxsize=512)
def _relative(gpu: GpuSpec, engine: str, root: Path) -> GpuSpec | None:
    """The nearest GPU with tables of the same compute capability and a like balance.

    GPUs of one generation whose arithmetic is cut down (GeForce, export models) reach other shares of
    their peaks and are no relatives. A part of a GPU is nearest to the whole one.
    """
    if gpu.is_part:
        whole = next((other for other in _gpus(root) if other.name == gpu.name), None)
        held = whole and (root / FOLDER / f"{whole.name}.{engine}.npz").exists()
        return whole if held else None
    known = [
        other
        for other in _gpus(root)
        if other.compute_capability == gpu.compute_capability
        and (root / FOLDER / f"{other.name}.{engine}.npz").exists()
        and abs(np.subtract(*_apart(other, gpu))) < LIKE_BALANCE
    ]
    return min(known, key=lambda other: float(np.abs(_apart(other, gpu)).sum()), default=None)


@lru_cache(maxsize=4)
def _gpus(root: Path) -> tuple[GpuSpec, ...]:
    return Catalog(root).gpus()


def _apart(other: GpuSpec, gpu: GpuSpec) -> tuple[float, float]:
    """Logarithms of the ratios of two GPUs' bandwidths and 16-bit peaks."""
    bandwidth = np.log(other.bandwidth_bytes_s / gpu.bandwidth_bytes_s)
    peak = np.log(other.peak_flops(sixteen_bit(other)) / gpu.peak_flops(sixteen_bit(gpu)))
    return float(bandwidth), float(peak)


def _ratio(own: Floats, known: Floats) -> Floats:
    return np.divide(own, known, out=np.ones_like(own), where=known > 0)
