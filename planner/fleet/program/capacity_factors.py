"""Capacities of replica kinds multiplied by what a simulation, or a plan, says of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from planner.fleet.program.problem import Problem


def scaled(problem: Problem, factors: Mapping[str, float]) -> Problem:
    """The problem with capacities of kinds multiplied, for every demand; at 0 a kind is gone."""
    return replace(
        problem,
        kinds=tuple(
            replace(k, capacity_qps={d: c * factors[k.key] for d, c in k.capacity_qps.items()})
            if k.key in factors
            else k
            for k in problem.kinds
            if factors.get(k.key, 1.0) > 0
        ),
    )
