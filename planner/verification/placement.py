"""A plan's replica groups, rebuilt so that they can be played."""

from __future__ import annotations

from planner.catalog.store import Catalog
from planner.performance.factors import Calibration
from planner.performance.model import step_model
from planner.plan import ServicePlan
from planner.pools_of_plan import prefill_of
from planner.scenario import Service
from planner.serving.placed import Placed
from planner.sizing.memory import memory_layout
from planner.verification.physics import rebuilt


def placements(
    planned: ServicePlan, service: Service, catalog: Catalog, calibration: Calibration
) -> tuple[Placed, ...]:
    """What serves ``service`` as ``planned``; raises PlannerError for names the catalog lacks."""
    placed = []
    for group in planned.replica_groups:
        deployment = rebuilt(service, group, catalog)
        prefill = prefill_of(deployment, group, calibration)
        placed.append(
            Placed(
                deployment,
                memory_layout(deployment),
                step_model(deployment, calibration),
                group.replicas,
                group.routed_qps,
                prefill,
            )
        )
    return tuple(placed)
