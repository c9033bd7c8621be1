"""What the prefix cache of a service with conversations spares, and how that changes with its load."""

from __future__ import annotations

from planner.plan.part import PlanPart
from planner.plan.replica_group import Method

MORE_REQUESTS = "20 % more requests"
LOST = 0.75  # of the planned hit share: below it a little more load has cost the caches


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

    @property
    def lost(self) -> PrefixCase | None:
        """The case of a little more load, where that loses the caches."""
        busier = next((c for c in self.cases if c.changed == MORE_REQUESTS), None)
        if busier is None or busier.holds or busier.share >= LOST * self.share:
            return None
        return busier
