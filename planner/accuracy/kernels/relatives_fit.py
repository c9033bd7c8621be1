"""The correction over kernels of another vendor's GPU, fitted to the runs on a vendor's own devices.

A deployment that none of them measured is priced by kernels carried over from the GPU that
``kernel_relatives.csv`` names. Errors on groups left out are therefore those of this correction, wherever all
kernels were measured there, and those of the layer over the roofline elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from planner.accuracy.conditions import setup_of
from planner.accuracy.cross_validation import LeftOutErrors
from planner.accuracy.kernels.fit import (
    Ints,
    KernelFit,
    KernelFitSettings,
    leave_groups_out,
)
from planner.accuracy.kernels.samples import KernelSample, kernel_sample
from planner.accuracy.kernels.shipped import digest_of
from planner.accuracy.samples import Floats, Sample
from planner.catalog.store import Catalog
from planner.performance.calibration_files import FactorProvenance
from planner.performance.factors import Calibration
from planner.performance.kernels.correction import (
    PRIORS,
    KernelFitted,
    named,
    read_kernel_priors,
)
from planner.performance.kernels.stated_relatives import FILE, from_relative

SETTINGS = KernelFitSettings(group_weight=1.0)


@dataclass(frozen=True)
class RelativesFit:
    """A fit over those of a layer's samples whose kernels were measured on the GPU stated for theirs.

    at: their places among the samples of the layer.
    """

    fit: KernelFit
    at: Ints
    shifts: Floats

    def left_out(
        self, base: LeftOutErrors, samples: Sequence[Sample], group_of: Callable[[Sample], object]
    ) -> LeftOutErrors:
        """``base`` with what this fit predicts of groups that it had not seen, where it prices them."""
        groups = [repr(group_of(samples[i])) for i in self.at]
        found = leave_groups_out(self.fit, groups)
        tpot, ttft = base.tpot_s.copy(), base.ttft_s.copy()
        tpot[self.at], ttft[self.at] = found.tpot_s, found.ttft_s
        return replace(base, tpot_s=tpot, ttft_s=ttft)


def fit_relatives(
    samples: Sequence[Sample], vendor: str, catalog: Catalog, calibration: Calibration
) -> RelativesFit | None:
    """Fit the vendor's correction; None where the vendor has none, or none of its runs can be priced so."""
    folder = catalog.root / "calibration"
    if not (folder / named(PRIORS, vendor)).exists():
        return None
    priced: list[KernelSample] = []
    at: list[int] = []
    for index, sample in enumerate(samples):
        found = _priced(sample, catalog, calibration)
        if found is not None:
            priced.append(found)
            at.append(index)
    if not priced:
        return None
    fit = KernelFit(priced, read_kernel_priors(folder, vendor), SETTINGS)
    return RelativesFit(fit, np.array(at), fit.run())


def _priced(sample: Sample, catalog: Catalog, calibration: Calibration) -> KernelSample | None:
    deployment = setup_of(sample.point, catalog, calibration).deployment
    kernels = from_relative(deployment, catalog.root)
    return None if kernels is None else kernel_sample(sample, deployment, kernels)


def relatives_file(
    done: RelativesFit, vendor: str, tables: Sequence[str], catalog: Catalog, fitted_on: str
) -> KernelFitted:
    """The document to ship; errors and residuals stand in the vendor's layer."""
    folder = catalog.root / "calibration"
    provenance = {
        "source": f"least squares on runs on {vendor} devices, over {named(PRIORS, vendor)} and {FILE}",
        "fitted_on": fitted_on,
        "points": len(done.at),
        "data_sha256": digest_of(folder, tables),
    }
    return KernelFitted(
        schema_version=1,
        provenance=FactorProvenance.model_validate(provenance),
        shifts=done.fit.rows(done.shifts),
    )
