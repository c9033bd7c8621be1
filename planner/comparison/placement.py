"""A plan's replica groups brought back to life: deployments, memory and step times from catalogs."""

from __future__ import annotations

from planner.catalog.store import Catalog
from planner.fleet.candidates import deployments
from planner.performance.factors import Calibration
from planner.performance.model import step_model
from planner.plan import ReplicaGroup
from planner.pools_of_plan import prefill_of
from planner.scenario import Search, Service
from planner.serving.placed import Placed
from planner.sizing.memory import memory_layout


def placed(
    service: Service, group: ReplicaGroup, catalog: Catalog, calibration: Calibration
) -> Placed:
    """The group with everything that can be computed about it; its rate is what the plan routes to it.

    Raises InputError for a name this catalog does not know.
    """
    search = Search(
        gpus=(group.gpu,),
        engines=(group.engine,),
        tensor_parallel=(group.tensor_parallel,),
        pipeline_parallel=(group.pipeline_parallel,),
        data_parallel=(group.data_parallel,),
        expert_parallel=(group.expert_parallel,),
        weights=(group.weights,),
        kv_cache=(group.kv_cache,),
        settings=service.search.settings,
    )
    only = service.model_copy(update={"search": search})
    (deployment,) = deployments(only, catalog, (group.gpu,))
    return Placed(
        deployment,
        memory_layout(deployment),
        step_model(deployment, calibration),
        group.replicas,
        group.routed_qps,
        prefill_of(deployment, group, calibration),
    )
