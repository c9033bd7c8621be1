"""Fleets that would be cheaper if their replicas carried a little more than predicted, found by simulation.

The closed form takes arrivals as split at random; a router that looks does better, by more on some GPUs
than on others. So a fleet that is confirmed is compared with those that need more than the closed form
promises, the least of it first: each is simulated briefly, and in full where that looks well. What fails
is not tried again with as much, for the service on that GPU type and as many GPUs a replica.
Where the closed form finds no fleet at all within the limits, the first fleet is found the same way.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from planner.fleet.program.dominance import without_dominated
from planner.fleet.program.problem import Problem
from planner.serving.simulation.service_simulation import (
    SimulatedService,
    check_service,
    window_for,
)
from planner.solving.assured_play import play_assured
from planner.solving.build_problem import decide
from planner.solving.options import SolveOptions
from planner.solving.request_streams import Stream, streams_of
from planner.solving.stages import Decided

LEVELS = (1.1, 1.2, 1.3, 1.4, 1.5)  # times the predicted capacity, tried in turn
HALVINGS = 3  # of the step between two levels, to find the least capacity that would do
MOST_SCREENED = 8  # streams simulated briefly in one solve
BRIEF_REQUESTS = 1_500  # measured in a brief simulation
BRIEF_STAYS = 2.0  # mean stays that its warm-up and its measured window span, the latter at least
SECONDS = 5.0  # for each program

Hardware = tuple[str, str, int]  # service, GPU type, GPUs of one replica


@dataclass(frozen=True)
class Trial:
    """A fleet that would do if its kinds carried ``level`` times their capacity, or what is left to them."""

    level: float
    raised: Mapping[str, float]
    decided: Decided


@dataclass
class NearWinners:
    """What was simulated so far.

    ``highest``: levels that may still be tried, where one failed; ``screened``: kinds, briefly;
    ``checks``: simulations in full, by ``stream_key``; ``left``: brief ones still allowed.
    """

    effort: SolveOptions
    highest: dict[Hardware, float] = field(default_factory=dict)
    screened: set[str] = field(default_factory=set)
    checks: dict[tuple[object, ...], SimulatedService] = field(default_factory=dict)
    left: int = MOST_SCREENED

    def next(self, held: Decided, problem: Problem, settled: AbstractSet[str]) -> Decided | None:
        """A fleet cheaper than ``held`` that simulation confirms; None when none is found.

        ``problem``: what is known by now; ``settled``: the kinds whose capacity was simulated. Fleets over
        time are left as they are.
        """
        return self._confirmed(held, problem, settled, held.solution.objective_usd_per_hour)

    def first(self, infeasible: Decided) -> Decided | None:
        """A fleet that simulation confirms where the closed form has none; None when none is found."""
        return self._confirmed(infeasible, infeasible.problem, frozenset(), math.inf)

    @property
    def _brief(self) -> SolveOptions:
        return replace(self.effort, time_limit_s=min(SECONDS, self.effort.time_limit_s))

    def _confirmed(
        self,
        known: Decided,
        problem: Problem,
        settled: AbstractSet[str],
        below_usd_per_hour: float | None,
    ) -> Decided | None:
        """A fleet that costs less, which needs the least more than predicted and is confirmed."""
        if len(problem.period_hours) > 1:
            return None
        few = _without_dominated(problem, settled)
        if self._cheaper(known, few, settled, LEVELS[-1], below_usd_per_hour) is None:
            return None
        low = 1.0
        for level in LEVELS:
            while self.left > 0:
                trial = self._cheaper(known, few, settled, level, below_usd_per_hour)
                if trial is None:
                    break
                least = low
                for _ in range(HALVINGS):
                    middle = (least + trial.level) / 2
                    less = self._cheaper(known, few, settled, middle, below_usd_per_hour)
                    if less is None:
                        least = middle
                    else:
                        trial = less
                new = [s for s in streams_of(trial.decided) if not settled >= s.placed.keys()]
                if not new:
                    break
                if all(self._holds(problem, s, trial.raised, least) for s in new):
                    needed = _needed(new, trial.raised)
                    return replace(trial.decided, problem=scaled(problem, needed))
            low = level
        return None

    def _cheaper(
        self,
        known: Decided,
        problem: Problem,
        settled: AbstractSet[str],
        level: float,
        below_usd_per_hour: float | None,
    ) -> Trial | None:
        """The cheapest fleet if every kind that was not simulated carried ``level`` times its capacity."""
        raised = self._raised(known, problem, settled, level)
        more = scaled(problem, raised)
        solution = decide(more, self._brief)
        if not is_cheaper(solution.objective_usd_per_hour, below_usd_per_hour):
            return None
        return Trial(level, raised, replace(known, problem=more, solution=solution))

    def _raised(
        self, known: Decided, problem: Problem, settled: AbstractSet[str], level: float
    ) -> dict[str, float]:
        """Factors on the capacity of each kind that was not simulated."""
        return {
            k.key: min(level, self.highest.get((known.by_key[k.key].service, k.gpu, k.gpus), level))
            for k in problem.kinds
            if k.key not in settled
        }

    def _holds(
        self, problem: Problem, stream: Stream, raised: Mapping[str, float], least: float
    ) -> bool:
        """Simulate a stream briefly, then in full; ``least``: what its kinds are raised to where it fails."""
        self.left -= 1
        self.screened |= stream.placed.keys()
        if looks_well(stream, self.effort) and self._is_confirmed(stream):
            return True
        for kind in (k for k in problem.kinds if k.key in stream.placed and k.key in raised):
            at = (stream.service.name, kind.gpu, kind.gpus)
            self.highest[at] = min(least, self.highest.get(at, least))
        return False

    def _is_confirmed(self, stream: Stream) -> bool:
        """Whether every target holds in full, and as much worse as the service is assured against."""
        placed, seed = tuple(stream.placed.values()), self.effort.seed
        check = check_service(stream.service, placed, lengths=stream.lengths, seed=seed)
        self.checks[stream_key(stream)] = check
        if not check.holds or stream.service.assurance is None:
            return check.holds
        return play_assured(stream.service, placed, seed=seed, lengths=stream.lengths).holds


def looks_well(stream: Stream, effort: SolveOptions, rate_scale: float = 1.0) -> bool:
    """Whether no target is missed in a brief simulation at ``rate_scale`` times the rate."""
    placed = tuple(stream.placed.values())
    whole = window_for(stream.service, placed, stream.lengths, BRIEF_REQUESTS)
    stay, rate = whole.tail_s, rate_scale * sum(p.rate_qps for p in placed)
    window = replace(
        whole,
        warm_up_s=BRIEF_STAYS * stay,
        measured_s=max(BRIEF_REQUESTS / rate, BRIEF_STAYS * stay),
    )
    check = check_service(
        stream.service,
        placed,
        window=window,
        rate_scale=rate_scale,
        seed=effort.seed,
        percentiles=(),
        lengths=stream.lengths,
    )
    return not check.study.overloaded and not any(o.missed for o in check.outcomes)


def stream_key(stream: Stream) -> tuple[object, ...]:
    """What a simulation of a stream depends on."""
    placed = ((k, p.replicas, p.rate_qps) for k, p in sorted(stream.placed.items()))
    return (stream.name, *placed)


def is_cheaper(usd_per_hour: float | None, below_usd_per_hour: float | None) -> bool:
    """Whether a fleet was found at all, and costs less than that."""
    return (
        usd_per_hour is not None
        and below_usd_per_hour is not None
        and usd_per_hour < below_usd_per_hour * (1 - 1e-9)
    )


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


def _without_dominated(problem: Problem, settled: AbstractSet[str]) -> Problem:
    """The problem without kinds that another one of the same hardware beats, both raised equally."""
    open_kinds = tuple(k for k in problem.kinds if k.key not in settled)
    kept = {k.key for k in without_dominated(replace(problem, kinds=open_kinds)).kinds} | settled
    return replace(problem, kinds=tuple(k for k in problem.kinds if k.key in kept))


def _needed(streams: list[Stream], raised: Mapping[str, float]) -> dict[str, float]:
    """Shares of the predicted capacity that the replicas of raised kinds have to carry, a hair more."""
    return {
        key: raised[key] * load / stream.placed[key].replicas * (1 + 1e-9)
        for stream in streams
        for key, load in stream.load.items()
        if key in raised
    }
