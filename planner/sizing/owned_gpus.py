"""A person's own GPUs: read from one line, and what they hold, each kind alone and all together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from planner.catalog.gpu import GpuSpec
from planner.catalog.model import ModelSpec
from planner.catalog.store import Catalog
from planner.errors import InputError
from planner.sizing.fits import PRECISIONS, FitQuestion, GpuFit, gpus_that_fit

ENTRY = re.compile(r"(?:(\d{1,4})\s*[xX*]\s*)?([A-Za-z0-9][A-Za-z0-9 ._-]*)")
MOST_CARDS = 64


@dataclass(frozen=True, slots=True)
class OwnedGpus:
    """``count`` GPUs of one kind."""

    gpu: GpuSpec
    count: int


def read_owned_gpus(text: str, catalog: Catalog) -> tuple[OwnedGpus, ...]:
    """Read "2x rtx-3090, 1x rtx-4090"; raises InputError for what is no GPU or no count."""
    owned: dict[str, OwnedGpus] = {}
    for part in filter(None, (piece.strip() for piece in re.split(r"[,;+]", text))):
        match = ENTRY.fullmatch(part)
        if match is None:
            raise InputError("not a list of GPUs", found=part, allowed='"2x rtx-3090, 1x rtx-4090"')
        count = int(match.group(1) or 1)
        gpu = catalog.gpu(re.sub(r"[ _]+", "-", match.group(2).strip()))
        total = count + (owned[gpu.name].count if gpu.name in owned else 0)
        if not 1 <= total <= MOST_CARDS:
            raise InputError("the count is out of range", found=total, allowed=f"1 to {MOST_CARDS}")
        owned[gpu.name] = OwnedGpus(gpu, total)
    if not owned:
        raise InputError("no GPUs", found=text, allowed='"2x rtx-3090, 1x rtx-4090"')
    return tuple(owned.values())


def owned_that_fit(
    catalog: Catalog,
    model: ModelSpec,
    ask: FitQuestion,
    owned: Sequence[OwnedGpus],
    *,
    precisions: Sequence[str] = PRECISIONS,
) -> list[GpuFit]:
    """Try a model on every number of each kind, and on all GPUs at once where there are several kinds.

    Tensor parallelism gives every GPU the same share, so that unlike GPUs count as so many of the
    one with the least memory.
    """
    found: list[GpuFit] = []
    for own in owned:
        counts = range(1, own.count + 1)
        found += gpus_that_fit(
            catalog, model, ask, precisions=precisions, gpus=(own.gpu,), counts=tuple(counts)
        )
    if len(owned) > 1:
        least = min((own.gpu for own in owned), key=lambda gpu: gpu.cuda_visible_gib)
        together = sum(own.count for own in owned)
        mixed = gpus_that_fit(
            catalog, model, ask, precisions=precisions, gpus=(least,), counts=(together,)
        )
        found += [replace(fit, gpu=f"all {together} as {least.name}") for fit in mixed]
    return found


def models_on_owned(
    catalog: Catalog,
    ask: FitQuestion,
    owned: Sequence[OwnedGpus],
    *,
    precisions: Sequence[str] = PRECISIONS,
) -> list[GpuFit]:
    """Try every model of the catalog on all GPUs at once."""
    least = min((own.gpu for own in owned), key=lambda gpu: gpu.cuda_visible_gib)
    together = sum(own.count for own in owned)
    return [
        fit
        for name in catalog.model_names()
        for fit in gpus_that_fit(
            catalog,
            catalog.model(name),
            ask,
            precisions=precisions,
            gpus=(least,),
            counts=(together,),
        )
    ]
