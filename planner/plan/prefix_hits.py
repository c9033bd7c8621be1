"""What the prefix cache of a service with conversations spares, and how that changes with its load."""

from __future__ import annotations

from planner.plan.part import PlanPart
from planner.plan.replica_group import Method


class PrefixCase(PlanPart):
    """The same fleet with one thing changed: the hit share, and whether every target still holds.

    ``holds``: None where nothing was simulated.
    """

    changed: str
    share: float
    holds: bool | None = None


class PrefixHits(PlanPart):
    """Share of the prompt tokens found in the prefix caches of a service's replicas at the planned load.

    ``possible``: with caches that forget nothing and a router that always finds them; ``method``: whether
    the shares are the simulator's or the closed form's.
    """

    share: float
    possible: float
    method: Method
    cases: tuple[PrefixCase, ...] = ()
