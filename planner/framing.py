"""A scenario framed as the program's plain numbers, and decided."""

from __future__ import annotations

from collections.abc import Mapping

from planner.catalog.offer import Offer
from planner.catalog.store import Catalog
from planner.fleet.candidates import CandidateSet, group_gpus
from planner.fleet.market import node_offers
from planner.fleet.problem import Demand, FleetLimits, Problem, ReplicaKind, Solution
from planner.fleet.program import solve as solve_program
from planner.scenario import Scenario
from planner.solved import Effort


def problem_of(
    scenario: Scenario,
    sets: Mapping[str, CandidateSet],
    offers: tuple[Offer, ...],
    catalog: Catalog,
) -> Problem:
    """Translate candidates and offers into the program's plain numbers."""
    kinds = tuple(
        ReplicaKind(
            key=c.key,
            gpu=c.deployment.gpu.name,
            gpus=c.deployment.gpus,
            capacity_qps={c.service: c.capacity.qps},
            group_gpus=group_gpus(c.deployment),
            tpot_s=c.capacity.tpot_mean_s,
        )
        for candidates in sets.values()
        for c in candidates.candidates
    )
    used = {k.gpu for k in kinds}
    return Problem(
        demands=tuple(
            Demand(
                key=s.name,
                service=s.name,
                rates_qps=(s.rate,),
                max_kinds=s.max_deployments,
                weight=float(1 + s.priority),
            )
            for s in scenario.services
        ),
        kinds=kinds,
        offers=node_offers((o for o in offers if o.gpu in used), catalog),
        limits=FleetLimits(
            max_gpus=scenario.limits.max_gpus,
            max_usd_per_hour=scenario.limits.max_cost_usd_per_hour,
            stock={catalog.gpu(g).name: n for g, n in scenario.limits.stock.items()},
        ),
    )


def decide(problem: Problem, effort: Effort) -> Solution:
    """Solve ``problem``; without any replica kind it is infeasible before a solver is asked."""
    if not problem.kinds and problem.serve_all:
        return Solution("infeasible", None, None, None, solver=effort.solver)
    return solve_program(
        problem,
        time_limit_s=effort.time_limit_s,
        gap=effort.gap,
        solver=effort.solver,
        seed=effort.seed,
    )
