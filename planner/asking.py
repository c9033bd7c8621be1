"""Asking again and again: the catalogs are loaded once, questions read once, candidates sized once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from planner.catalog.store import Catalog
    from planner.performance.factors import Calibration
    from planner.plan import Plan
    from planner.scenario import Scenario


@dataclass(frozen=True)
class Asking:
    """A catalog, and the ``planner.api.solve`` settings every question is solved with."""

    catalog: Catalog
    settings: dict[str, Any]

    @classmethod
    def with_options(cls, catalogs: str | Path | Catalog | None = None, **settings: Any) -> Asking:
        """Load the catalogs unless they are given loaded; ``settings`` go to every solve."""
        from planner.catalog.store import Catalog, load_catalog

        if isinstance(catalogs, Catalog):
            return cls(catalogs, settings)
        return cls(load_catalog(Path(catalogs) if catalogs else None), settings)

    def calibration(self) -> Calibration:
        """The factors in force: the shipped ones, or the user's file over them."""
        from planner.performance.factors import load_calibration

        file = self.settings.get("calibration")
        return load_calibration(self.catalog, Path(file) if file else None)

    def read(self, question: Scenario | str | Path) -> Scenario:
        """The scenario itself, or that of a file or shipped name with its price file made absolute."""
        from planner.scenario import Scenario
        from planner.scenario_reader import find_scenario, read_scenario

        if isinstance(question, Scenario):
            return question
        scenario = read_scenario(question, self.catalog)
        file = scenario.prices.file
        if file is None or Path(file).is_absolute():
            return scenario
        absolute = str((find_scenario(question).parent / file).resolve())
        prices = scenario.prices.model_copy(update={"file": absolute})
        return scenario.model_copy(update={"prices": prices})

    def check(self, scenario: Scenario) -> None:
        """Raise InputError when the scenario names what the catalogs do not have."""
        from planner.scenario_names import check_names

        check_names(scenario, self.catalog)

    def solve(self, scenario: Scenario) -> Plan:
        """The cheapest fleet for ``scenario``, with everything a plan tells."""
        from planner.api import solve

        return solve(scenario, catalogs=self.catalog, **self.settings)

    def solve_again(self, **settings: Any) -> Callable[[Scenario], Plan]:
        """Solves for many similar scenarios: alternatives left out, candidates sized once.

        ``settings`` replace those given before.
        """
        from planner.api import solve
        from planner.fleet.sized_before import SizedBefore

        fixed = {**self.settings, "rivals": 0, **settings}
        sized = SizedBefore(self.catalog, self.calibration())
        return lambda scenario: solve(scenario, catalogs=self.catalog, sized=sized, **fixed)

    def plan_of(self, source: Plan | Scenario | str | Path) -> Plan:
        """The plan itself, the plan in a JSON file, or the plan of a scenario, solved now."""
        from planner.plan import Plan, read_plan
        from planner.scenario import Scenario

        if isinstance(source, Plan):
            return source
        if not isinstance(source, Scenario) and str(source).endswith(".json"):
            return read_plan(source)
        return self.solve(self.read(source))
