"""Solving again and again: catalogs and factors loaded once, candidates sized once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from planner import cache_folder
from planner.assembly.write import assemble
from planner.catalog.store import Catalog, load_catalog
from planner.collection import collecting_seldom
from planner.errors import InputError
from planner.fleet.candidates.known import MOST_STATES, Known
from planner.fleet.program.solutions import SolutionStore
from planner.fleet.program.solver import solver_version
from planner.fleet.sized_before import SizedBefore
from planner.fleet.sources import Sources
from planner.performance.factors import Calibration, load_calibration
from planner.plan.schema import Plan, holds_plan, read_plan
from planner.scenario.changes import FieldChange
from planner.scenario.name_checks import check_names
from planner.scenario.reader import MAX_SCENARIO_BYTES, find_scenario, read_scenario
from planner.scenario.recognition import holds_scenario
from planner.scenario.schema import Scenario
from planner.solving.options import DEFAULTS, Progress, SolveOptions
from planner.solving.pipeline import solve_scenario
from planner.standard_input import is_stdin, stdin_bytes


def _silent(_message: str) -> None:
    """No progress is shown."""


@dataclass(frozen=True)
class Session:
    """Catalogs, the file of one's own factors over the shipped ones, and how scenarios are solved.

    ``changes``: made to every scenario that is read from a file.
    ``most_states``: replicas whose steady states are kept between solves, about 100 kB each.
    ``remembers``: candidates are kept in the user's cache folder for later runs too.
    """

    catalog: Catalog
    calibration_file: Path | None = None
    options: SolveOptions = DEFAULTS
    changes: tuple[FieldChange, ...] = ()
    most_states: int = MOST_STATES
    remembers: bool = True

    @classmethod
    def open(
        cls,
        catalogs: str | Path | Catalog | None = None,
        calibration: str | Path | None = None,
        options: SolveOptions | None = None,
        changes: tuple[FieldChange, ...] = (),
    ) -> Session:
        """Load the catalogs, unless they are given loaded; the shipped ones without a folder.

        Raises CatalogError when the folder does not exist.
        """
        if not isinstance(catalogs, Catalog):
            catalogs = load_catalog(catalogs)
        file = Path(calibration) if calibration else None
        return cls(catalogs, file, options or DEFAULTS, changes)

    @cached_property
    def factors(self) -> Calibration:
        """The step-time factors in force."""
        return load_calibration(self.catalog, self.calibration_file)

    @cached_property
    def known(self) -> Known:
        """Of deployments, whatever they are required to hold: shared by all solves of the session."""
        if not self.remembers:
            return Known(self.most_states)
        solutions = SolutionStore(cache_folder.program() + solver_version(self.options.solver))
        if cache_folder.cache_folder() is None:
            return Known(self.most_states, solutions=solutions)
        return Known(self.most_states, solutions, self._namespace())

    def _namespace(self) -> str:
        """Whatever decides how a deployment fares besides the question: data, factors, program."""
        own = self.calibration_file.read_bytes() if self.calibration_file else b""
        return cache_folder.key_of((cache_folder.program(), self.catalog.digest(), own))

    def with_options(self, options: SolveOptions) -> Session:
        """The same catalogs and factors under other options; what is loaded is not read again."""
        other = replace(self, options=options)
        vars(other).update(factors=self.factors, known=self.known)  # where cached_property looks
        return other

    def read(self, question: Scenario | str | Path) -> Scenario:
        """The scenario itself, or that of a file or shipped name with its price file made absolute."""
        if isinstance(question, Scenario):
            return question
        scenario = read_scenario(question, self.catalog, self.changes)
        return _with_whole_path(scenario, find_scenario(question).parent)

    def check(self, scenario: Scenario) -> None:
        """Raise InputError when the scenario names what the catalogs do not have."""
        check_names(scenario, self.catalog)

    @collecting_seldom()
    def solve(
        self,
        question: Scenario | str | Path,
        *,
        base: Path | None = None,
        sized: SizedBefore | None = None,
        progress: Progress = _silent,
        for_cost: bool = False,
    ) -> Plan:
        """The cheapest fleet for a scenario, a file or a shipped name.

        ``base``: folder that a scenario's relative paths start from; a file's own folder for a file.
        ``sized``: candidates remembered between solves with this catalog and these factors. ``for_cost``:
        only what the fleet is and costs is read of the plan: it has neither an acceptance test nor what
        losses do, and may not say why dearer deployments were rejected. Raises InputError for bad input,
        CatalogError for bad data, SolverError when the solver fails.
        """
        started = time.monotonic()
        if isinstance(question, Scenario):
            self.check(question)
        else:
            base = find_scenario(question).parent
            question = read_scenario(question, self.catalog, self.changes)
        try:
            solved = solve_scenario(
                question,
                Sources(self.catalog, self.factors, base, self.known),
                self.options,
                sized=sized,
                progress=progress,
                for_cost=for_cost,
            )
        finally:  # work that is stopped starts from there the next time
            self.known.save()
        duration_s = time.monotonic() - started
        return assemble(
            solved, self.catalog, self.factors, self.options, duration_s, for_cost=for_cost
        )

    def solver_of_variants(
        self, options: SolveOptions | None = None, *, for_cost: bool = False
    ) -> Callable[[Scenario], Plan]:
        """A function that solves many similar scenarios: candidates are sized once for all of them.

        ``options`` replace the session's; other GPU types are not priced either way. ``for_cost``: see
        ``solve``.
        """
        inner = self.with_options(replace(options or self.options, rivals=0))
        sized = SizedBefore(self.catalog, self.factors, self.known)
        return lambda scenario: inner.solve(scenario, sized=sized, for_cost=for_cost)

    def plan_of(self, source: Plan | Scenario | str | Path, progress: Progress = _silent) -> Plan:
        """The plan itself, the plan in a JSON file, or the plan of a scenario, solved now.

        ``-``: whichever of the two is piped in. A .json file may hold either. The scenario's own price file
        is looked for beside the plan, as it is beside a scenario. Raises InputError for what is neither.
        """
        if isinstance(source, Plan):
            return source
        if not isinstance(source, Scenario) and _names_a_plan(source):
            if self.changes:
                raise InputError(
                    "a plan is not changed: its scenario was solved before",
                    where=self.changes[0].option,
                    action="give the scenario instead of the plan",
                )
            plan, folder = read_plan(source), Path(source).parent
            file = plan.scenario.prices.file
            if is_stdin(source) or file is None or not (folder / file).is_file():
                return plan
            return plan.model_copy(update={"scenario": _with_whole_path(plan.scenario, folder)})
        return self.solve(self.read(source), progress=progress)


def _with_whole_path(scenario: Scenario, folder: Path) -> Scenario:
    """The scenario with its price file made absolute, from ``folder`` on."""
    file = scenario.prices.file
    if file is None or Path(file).is_absolute():
        return scenario
    prices = scenario.prices.model_copy(update={"file": str((folder / file).resolve())})
    return scenario.model_copy(update={"prices": prices})


def _names_a_plan(source: str | Path) -> bool:
    """Whether a plan is behind this name, and not a scenario."""
    if is_stdin(source):
        return holds_plan(stdin_bytes())
    path = Path(source)
    if path.suffix != ".json":
        return False
    return not (path.is_file() and holds_scenario(path.read_bytes()[:MAX_SCENARIO_BYTES]))
