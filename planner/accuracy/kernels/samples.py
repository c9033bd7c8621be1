"""Measured points priced kernel by kernel: how often each term of a step enters their TPOT and TTFT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from planner.accuracy.conditions import setup_of
from planner.accuracy.playback import ROWS_FOR_FITS, Playback, composable
from planner.accuracy.point import MeasuredPoint
from planner.accuracy.samples import Floats, Sample
from planner.catalog.store import Catalog
from planner.deployment import Deployment
from planner.errors import PlannerError
from planner.performance.factors import Calibration
from planner.performance.kernels.components import Components
from planner.performance.kernels.correction import features
from planner.performance.kernels.summing import components
from planner.performance.traits import Traits


@dataclass(frozen=True, slots=True)
class KernelSample:
    """One measured run on measured kernels.

    tpot_parts, ttft_parts: seconds (or counts) of every term but those of a request, so that a time is
    ``parts @ terms``. tpot_s, ttft_s: what was measured, see ``samples.Sample``; nan where it was not.
    burst_s: what the start of the run adds to the TTFT, whatever a step takes [s].
    """

    point: MeasuredPoint
    model_name: str
    traits: Traits
    release: str
    tpot_parts: Floats
    ttft_parts: Floats
    tpot_s: float
    ttft_s: float
    burst_s: float = 0.0


def kernel_samples(
    points: Sequence[MeasuredPoint], catalog: Catalog, calibration: Calibration
) -> list[KernelSample]:
    """Return a sample of each point whose kernels were measured; others are left out.

    So are runs with speculative decoding, of two pools and without a time per output token.
    """
    playback = Playback(ROWS_FOR_FITS)
    known: dict[Deployment, Components | None] = {}
    samples = []
    for point in points:
        if point.typical("tpot") is None or point.speculative or not composable(point):
            continue
        try:
            setup = setup_of(point, catalog, calibration)
            deployment = setup.deployment
            if deployment not in known:
                known[deployment] = components(deployment, catalog.root)
            priced = known[deployment]
            run = None if priced is None else playback.run(setup, point)
        except PlannerError:
            continue
        if priced is None or run is None:
            continue
        name, traits = deployment.model.name, calibration.traits(deployment)
        sample = Sample(point, name, traits, priced.loads, run, setup.first_burst_s)
        samples.append(kernel_sample(sample, deployment, priced))
    return samples


def kernel_sample(sample: Sample, deployment: Deployment, kernels: Components) -> KernelSample:
    """A measured run whose steps consist of these kernels."""
    each = features(kernels, sample.run.batch) * deployment.pipeline_parallel
    return KernelSample(
        point=sample.point,
        model_name=sample.model_name,
        traits=sample.traits,
        release=deployment.engine.version,
        tpot_parts=each @ sample.weights,
        ttft_parts=each @ sample.ttft_weight,
        tpot_s=sample.tpot_s,
        ttft_s=sample.ttft_s,
        burst_s=sample.burst_s,
    )


def measured(samples: Sequence[KernelSample]) -> tuple[Floats, Floats]:
    """Measured TPOT and TTFT of the samples [s]."""
    return np.array([s.tpot_s for s in samples]), np.array([s.ttft_s for s in samples])
