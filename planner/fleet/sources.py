"""What a scenario is decided from: data, the folder of its files, and what earlier solves found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from planner.catalog.offer import Offer
from planner.catalog.store import Catalog
from planner.fleet.candidates.candidate import CandidateSet
from planner.fleet.candidates.enumerate import enumerate_candidates
from planner.fleet.candidates.known import Known
from planner.fleet.offers.admitted import offers_of
from planner.fleet.program.solutions import ProvedSolutions
from planner.performance.factors import Calibration
from planner.scenario.schema import Scenario, Service


@dataclass(frozen=True)
class Sources:
    """The same for a scenario and for everything that is asked beside it.

    ``base``: folder that relative paths in the scenario are resolved against. ``known``: of deployments,
    from earlier solves with this catalog and calibration. ``proved``: programs of the same question that
    were solved before.
    """

    catalog: Catalog
    calibration: Calibration
    base: Path | None = None
    known: Known = field(default_factory=Known)
    proved: ProvedSolutions | None = None

    def offers(self, scenario: Scenario) -> tuple[Offer, ...]:
        """What ``scenario`` may rent, and the nodes it has. Raises what ``offers_of`` raises."""
        return offers_of(scenario, self.catalog, self.base)

    def sizing(
        self, scenario: Scenario, offers: Iterable[Offer]
    ) -> Callable[[Service], CandidateSet]:
        """A function from each of the scenario's services to its candidates on these offers."""
        shares = scenario.sharing.gpu
        return lambda service: enumerate_candidates(
            service, self.catalog, offers, self.calibration, shares, self.known
        )
