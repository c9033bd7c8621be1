"""Options side by side: the same question under different restrictions, and which answer wins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from planner.comparison.restriction import grid, restrict
from planner.errors import InputError
from planner.one_by_one import one_by_one
from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import Plan, Totals
from planner.scenario.schema import Scenario
from planner.solving.lookahead import Solve, expect

Progress = Callable[[int, int, str], None]
DECIMALS = 6  # of rates [requests/s]: what differs by less is served alike


@dataclass(frozen=True, slots=True)
class Option:
    """One restriction, ``{"tensor_parallel": "4"}``, and the plan found under it.

    ``plan`` is None when the restricted question cannot even be stated; ``refusal`` says why.
    """

    choice: Mapping[str, str]
    plan: Plan | None
    refusal: str = ""

    @property
    def label(self) -> str:
        """Readable name: ``tensor_parallel 4, gpu l40s``."""
        return ", ".join(f"{axis} {value}" for axis, value in self.choice.items())

    @property
    def groups(self) -> tuple[ReplicaGroup, ...]:
        return self.plan.groups if self.plan is not None else ()

    @property
    def totals(self) -> Totals | None:
        return self.plan.totals if self.plan is not None else None

    @property
    def served_qps(self) -> float | None:
        """What it serves of all services [requests/s]; None where all must be served."""
        if self.plan is None or self.totals is None or self.plan.scenario.serve == "all":
            return None
        return self.plan.served_qps

    @property
    def why_not(self) -> str:
        """Why there is no plan; empty when there is one."""
        if self.totals is not None:
            return ""
        if self.plan is None:
            return self.refusal
        if self.plan.infeasibility is not None:
            return self.plan.infeasibility.summary
        return "the solver stopped before it found a plan"


@dataclass(frozen=True, slots=True)
class Comparison:
    """All options of one scenario in the order requested, and the cheapest of them.

    ``stopped``: not all, after Ctrl-C.
    """

    scenario: Scenario
    axes: tuple[str, ...]
    options: tuple[Option, ...]
    stopped: bool = False

    @property
    def ranked(self) -> tuple[Option, ...]:
        """The feasible options, cheapest first; ties by fewer GPUs, then lower TPOT p99.

        Where stock is short (``serve: by-priority``), what serves more comes first, the highest priority
        before all others: an option that costs less for serving less does not win.
        """
        return tuple(sorted((o for o in self.options if o.totals is not None), key=_rank))

    @property
    def winner(self) -> Option | None:
        return next(iter(self.ranked), None)

    @property
    def runner_up(self) -> Option | None:
        return next(iter(self.ranked[1:]), None)


def compare(
    scenario: Scenario,
    axes: Mapping[str, Sequence[str]],
    solve: Solve,
    progress: Progress | None = None,
    check: Callable[[Scenario], None] | None = None,
    *,
    keeps: bool = False,
) -> Comparison:
    """Solve the scenario once under each combination of the axes' values.

    ``check`` raises InputError for a name that does not exist, before anything is solved;
    ``progress(done, total, label)`` is called before each solve. An option that cannot be stated
    (a provider without such an offer) carries its refusal; when none can, the first InputError is
    raised. ``keeps``: Ctrl-C ends it with the options that are there. Raises what else ``solve`` raises.
    """
    choices = grid(axes)
    if check is not None:
        for choice in choices:
            with _blamed_on(choice):
                check(restrict(scenario, choice))
    expect(solve, _questions(scenario, choices))
    refusals: list[InputError] = []

    def answer(choice: Mapping[str, str]) -> Option:
        try:
            return Option(choice, solve(restrict(scenario, choice)))
        except InputError as error:
            refusals.append(error)
            return Option(choice, None, error.what)

    def label(choice: Mapping[str, str]) -> str:
        return " ".join(f"{k}={v}" for k, v in choice.items())

    options = one_by_one(choices, answer, label, progress, keeps=keeps)
    if len(refusals) == len(options):
        raise refusals[0]
    return Comparison(scenario, tuple(axes), tuple(options), len(options) < len(choices))


@contextmanager
def _blamed_on(choice: Mapping[str, str]) -> Iterator[None]:
    """What is wrong with a restricted scenario is where the restriction was given."""
    try:
        yield
    except InputError as error:
        error.where = "--vary " + ", ".join(f"{axis}={value}" for axis, value in choice.items())
        raise


def _questions(scenario: Scenario, choices: Sequence[Mapping[str, str]]) -> Iterator[Scenario]:
    for choice in choices:
        with suppress(InputError):
            yield restrict(scenario, choice)


def _rank(option: Option) -> tuple[tuple[float, ...], float, int, float]:
    totals = option.totals
    assert totals is not None
    tpot = max((g.predicted.tpot_p99_s or 0.0 for g in option.groups), default=0.0)
    return _unserved(option), totals.usd_per_hour, totals.gpus_rented, tpot


def _unserved(option: Option) -> tuple[float, ...]:
    """What is left of each priority, the highest first [requests/s]; nothing where all must be served."""
    if option.plan is None or option.plan.scenario.serve == "all":
        return ()
    left: dict[int, float] = {}
    for service, planned in zip(option.plan.scenario.services, option.plan.services, strict=True):
        short = max(0.0, planned.rate_qps - planned.served_qps)
        left[service.priority] = left.get(service.priority, 0.0) + short
    return tuple(round(left[priority], DECIMALS) for priority in sorted(left, reverse=True))
