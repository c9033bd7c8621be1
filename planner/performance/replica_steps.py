"""The step model of a replica with everything its settings add to the plain one."""

from __future__ import annotations

from planner.deployment import Deployment
from planner.performance.adapters import with_adapters
from planner.performance.decode_context import with_divided_context
from planner.performance.factors import Calibration
from planner.performance.model import CalibratedStepModel


def replica_steps(deployment: Deployment, calibration: Calibration) -> CalibratedStepModel:
    """Steps with the adapters it holds, and with contexts divided over ranks."""
    loaded = with_adapters(deployment, calibration)
    return with_divided_context(deployment, loaded, calibration)
