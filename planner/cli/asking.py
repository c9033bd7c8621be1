"""What the commands that solve many times share: read the question once, load the catalogs once."""

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
    """A catalog and the way to solve with it."""

    catalog: Catalog
    settings: dict[str, Any]

    @classmethod
    def with_options(cls, catalogs: str | None, **settings: Any) -> Asking:
        """Load the catalogs; ``settings`` go to every solve."""
        from planner.catalog.store import load_catalog

        return cls(load_catalog(Path(catalogs) if catalogs else None), settings)

    def calibration(self) -> Calibration:
        """The factors in force: the shipped ones, or the user's file over them."""
        from planner.performance.factors import load_calibration

        file = self.settings.get("calibration")
        return load_calibration(self.catalog, Path(file) if file else None)

    def read(self, name: str) -> Scenario:
        """The scenario of that file or shipped name, its relative paths made absolute."""
        from planner.scenario_reader import find_scenario, read_scenario

        scenario = read_scenario(name, self.catalog)
        file = scenario.prices.file
        if file is None or Path(file).is_absolute():
            return scenario
        absolute = str((find_scenario(name).parent / file).resolve())
        prices = scenario.prices.model_copy(update={"file": absolute})
        return scenario.model_copy(update={"prices": prices})

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

    def plan_of(self, name: str) -> Plan:
        """The plan in a JSON file, or the plan of a scenario, solved now."""
        from planner.plan import read_plan

        return read_plan(name) if name.endswith(".json") else self.solve(self.read(name))


def counted(report: Callable[[str], None]) -> Callable[[int, int, str], None]:
    """Progress over many solves: ``3/20 rate 30``."""
    return lambda done, total, label: report(f"{done + 1}/{total} {label}")
