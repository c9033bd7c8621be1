"""Solving again and again: catalogs and factors loaded once, candidates sized once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from planner.assembly.write import assemble
from planner.catalog.store import Catalog, load_catalog
from planner.fleet.sized_before import SizedBefore
from planner.performance.factors import Calibration, load_calibration
from planner.plan import Plan, read_plan
from planner.scenario import Scenario
from planner.scenario_names import check_names
from planner.scenario_reader import find_scenario, read_scenario
from planner.solve_options import DEFAULTS, SolveOptions
from planner.solving import solve_scenario

Progress = Callable[[str], None]


def _silent(_message: str) -> None:
    """No progress is shown."""


@dataclass(frozen=True)
class Session:
    """Catalogs, the file of one's own factors over the shipped ones, and how scenarios are solved."""

    catalog: Catalog
    calibration_file: Path | None = None
    options: SolveOptions = DEFAULTS

    @classmethod
    def open(
        cls,
        catalogs: str | Path | Catalog | None = None,
        calibration: str | Path | None = None,
        options: SolveOptions | None = None,
    ) -> Session:
        """Load the catalogs, unless they are given loaded; the shipped ones without a folder.

        Raises CatalogError when the folder does not exist.
        """
        if not isinstance(catalogs, Catalog):
            catalogs = load_catalog(Path(catalogs) if catalogs else None)
        file = Path(calibration) if calibration else None
        return cls(catalogs, file, options or DEFAULTS)

    @cached_property
    def factors(self) -> Calibration:
        """The step-time factors in force."""
        return load_calibration(self.catalog, self.calibration_file)

    def read(self, question: Scenario | str | Path) -> Scenario:
        """The scenario itself, or that of a file or shipped name with its price file made absolute."""
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
        check_names(scenario, self.catalog)

    def solve(
        self,
        question: Scenario | str | Path,
        *,
        base: Path | None = None,
        sized: SizedBefore | None = None,
        progress: Progress = _silent,
    ) -> Plan:
        """The cheapest fleet for a scenario, a file or a shipped name.

        ``base``: folder that a scenario's relative paths start from; a file's own folder for a file.
        ``sized``: candidates remembered between solves with this catalog and these factors. Raises
        InputError for bad input, CatalogError for bad data, SolverError when the solver fails.
        """
        started = time.monotonic()
        if isinstance(question, Scenario):
            self.check(question)
        else:
            base = find_scenario(question).parent
            question = read_scenario(question, self.catalog)
        solved = solve_scenario(
            question,
            self.catalog,
            self.factors,
            self.options,
            base=base,
            sized=sized,
            progress=progress,
        )
        duration_s = time.monotonic() - started
        return assemble(solved, self.catalog, self.factors, self.options, duration_s)

    def solver_of_variants(self, options: SolveOptions | None = None) -> Callable[[Scenario], Plan]:
        """A function that solves many similar scenarios: candidates are sized once for all of them.

        ``options`` replace the session's; other GPU types are not priced either way.
        """
        inner = replace(self, options=replace(options or self.options, rivals=0))
        sized = SizedBefore(self.catalog, self.factors)
        return lambda scenario: inner.solve(scenario, sized=sized)

    def plan_of(self, source: Plan | Scenario | str | Path) -> Plan:
        """The plan itself, the plan in a JSON file, or the plan of a scenario, solved now."""
        if isinstance(source, Plan):
            return source
        if not isinstance(source, Scenario) and str(source).endswith(".json"):
            return read_plan(source)
        return self.solve(self.read(source))
