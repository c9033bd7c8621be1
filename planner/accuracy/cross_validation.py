"""Errors on groups the fit has not seen: whole (model, GPU) pairs, engines, GPU generations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.accuracy.fitting import Fit
from planner.accuracy.samples import Floats, Sample

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LeftOutErrors:
    """Predictions of every sample by a fit that had not seen its group [s].

    sole: samples whose engine and format, or whose kernel family, only the left-out group carried.
    """

    ttft_s: Floats
    tpot_s: Floats
    sole_format: Bools
    sole_kernel: Bools


def cross_validate(
    fit: Fit,
    samples: Sequence[Sample],
    group_of: Callable[[Sample], object],
    balance: Floats | None = None,
) -> LeftOutErrors:
    """Leave each group out once, fit the rest from the priors, predict the group."""
    groups = np.array([repr(group_of(sample)) for sample in samples])
    formats = np.array([repr(_engine_format(sample)) for sample in samples])
    kernels = np.array([repr(kernel_family(sample)) for sample in samples])
    count = len(samples)
    ttft, tpot = np.zeros(count), np.zeros(count)
    sole_format, sole_kernel = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    for group in sorted(set(groups)):
        left = groups == group
        first, each = fit.predict(fit.run(~left, balance).shifts)
        ttft[left], tpot[left] = first[left], each[left]
        sole_format[left] = ~np.isin(formats[left], formats[~left])
        sole_kernel[left] = ~np.isin(kernels[left], kernels[~left])
    return LeftOutErrors(ttft, tpot, sole_format, sole_kernel)


def model_and_gpu(sample: Sample) -> tuple[str, str]:
    """The groups of the headline figure."""
    return sample.point.model, sample.point.gpu


def engine_and_generation(sample: Sample) -> tuple[str, str]:
    """Groups whose engine has no measurement on that GPU generation once left out."""
    return sample.traits.engine, sample.traits.generation


def kernel_family(sample: Sample) -> tuple[str, ...]:
    """Engine, stored format with its arithmetic, experts or not, and attention kind.

    The arithmetic differs with the GPU for one format: MXFP4 is widened to 16 bits on Hopper and
    multiplied as it is on Blackwell.
    """
    return (sample.traits.engine, *sample.traits.kernels)


def _engine_format(sample: Sample) -> tuple[str, str]:
    return sample.traits.engine, sample.point.weights
