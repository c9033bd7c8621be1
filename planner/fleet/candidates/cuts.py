"""A GPU as a replica sees that does not have it alone: a time slice, a MIG slice, memory others hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from planner.catalog.gpu import GpuSpec
from planner.catalog.gpus.slices import SliceRow, slices_of
from planner.catalog.store import Catalog
from planner.errors import InputError
from planner.scenario.fleet import MIG, GpuPart
from planner.units import GIB


@dataclass(frozen=True, slots=True)
class GpuCut:
    """A part of one GPU: ``share`` of it counted in packing; ``profile``: of MIG, "" for a time slice."""

    share: float = 1.0
    profile: str = ""


WHOLE = GpuCut()


def cuts_of(parts: tuple[GpuPart, ...], gpu: str, root: Path) -> Iterator[GpuCut]:
    """The parts of that GPU type that ``sharing.gpu`` names: numbers, MIG profiles, or all of these."""
    rows = slices_of(root, gpu)
    for part in parts:
        if isinstance(part, float):
            yield GpuCut(part)
        else:
            yield from (
                GpuCut(1 / row.per_gpu, row.profile) for row in rows if part in (MIG, row.profile)
            )


def cut_gpu(gpu: GpuSpec, cut: GpuCut, catalog: Catalog) -> GpuSpec:
    """The part of ``gpu`` as a GPU; raises InputError for a profile that it does not have."""
    if not cut.profile:
        return gpu if cut.share == 1 else share_of_gpu(gpu, cut.share)
    rows = slices_of(catalog.root, gpu.name)
    row = next((r for r in rows if r.profile == cut.profile), None)
    if row is None:
        raise InputError(
            f"{gpu.name} has no such MIG profile",
            found=cut.profile,
            allowed=", ".join(r.profile for r in rows) or "none is known",
        )
    return mig_slice(gpu, row)


def share_of_gpu(gpu: GpuSpec, share: float) -> GpuSpec:
    """The GPU as a replica on a time slice sees it: memory, bandwidth, arithmetic in proportion.

    Replicas take turns on all multiprocessors, so that with ``n`` busy ones each has ``1 / n`` of the
    time; memory is divided.
    """
    return replace(
        gpu,
        driver_memory_mib=gpu.driver_memory_mib * share,
        cuda_visible_gib=gpu.cuda_visible_gib * share,
        reserved_gib=gpu.reserved_gib * share,
        marketed_memory_gb=gpu.marketed_memory_gb * share,
        memory_bandwidth_gb_s=gpu.memory_bandwidth_gb_s * share,
        multiprocessors=_part_of(gpu.multiprocessors, share),
        peak_tflops={k: v * share for k, v in gpu.peak_tflops.items()},
        tdp_w=gpu.tdp_w * share,
        is_part=True,
    )


def mig_slice(gpu: GpuSpec, row: SliceRow) -> GpuSpec:
    """One MIG instance of ``gpu`` as a GPU: its own memory, memory slices' bandwidth and SMs."""
    memory = row.memory_gib / gpu.cuda_visible_gib
    return replace(
        gpu,
        driver_memory_mib=gpu.driver_memory_mib * memory,
        cuda_visible_gib=row.memory_gib,
        marketed_memory_gb=gpu.marketed_memory_gb * memory,
        memory_bandwidth_gb_s=gpu.memory_bandwidth_gb_s * row.bandwidth_share,
        multiprocessors=_part_of(gpu.multiprocessors, row.sm_share),
        peak_tflops={k: v * row.sm_share for k, v in gpu.peak_tflops.items()},
        tdp_w=gpu.tdp_w / row.per_gpu,
        is_part=True,
    )


def beside_others(gpu: GpuSpec, reserved_bytes: float) -> GpuSpec:
    """The GPU with ``reserved_bytes`` of its memory held by others [B]."""
    return replace(gpu, reserved_gib=reserved_bytes / GIB) if reserved_bytes else gpu


def _part_of(multiprocessors: int | None, share: float) -> int | None:
    return None if multiprocessors is None else max(1, round(multiprocessors * share))
