"""The step model of a replica with everything its settings add to the plain one."""

from __future__ import annotations

from planner.deployment import Deployment
from planner.performance.adapters import with_adapters
from planner.performance.decode_context import with_divided_context
from planner.performance.factors import Calibration
from planner.performance.model import CalibratedStepModel
from planner.performance.stage_handover import with_stage_handover


def replica_steps(deployment: Deployment, calibration: Calibration) -> CalibratedStepModel:
    """Steps with its adapters, with contexts divided over ranks, and stages that cross the network."""
    loaded = with_adapters(deployment, calibration)
    divided = with_divided_context(deployment, loaded, calibration)
    return with_stage_handover(deployment, divided)
