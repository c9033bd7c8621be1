"""Fleets that would be cheaper if their replicas carried a little more than predicted, found by simulation.

The closed form takes arrivals as split at random; a router that looks does better, by more on some GPUs
than on others. So a fleet that is confirmed is compared with those that need more than the closed form
promises, the least of it first: each is simulated briefly, and in full where that looks well. What fails at
a share above the prediction is taken to fail there for the service on that GPU type.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

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

LEVELS = (1.1, 1.25, 1.5)  # times the predicted capacity, tried in turn
MOST_SCREENED = 4  # streams simulated briefly in one solve
BRIEF_REQUESTS = 1_500  # measured in a brief simulation
BRIEF_STAYS = 2.0  # mean stays that its warm-up and its measured window span, the latter at least
SECONDS = 5.0  # for each program
LESS = 1e-6  # relative: below a rate that failed


@dataclass
class NearWinners:
    """What was simulated so far.

    ``failed``: shares of the predicted capacity by service and GPU type; ``screened``: kinds, briefly;
    ``checks``: simulations in full, by ``stream_key``; ``left``: brief ones still allowed.
    """

    effort: SolveOptions
    failed: dict[tuple[str, str], float] = field(default_factory=dict)
    screened: set[str] = field(default_factory=set)
    checks: dict[tuple[object, ...], SimulatedService] = field(default_factory=dict)
    left: int = MOST_SCREENED

    def next(self, held: Decided, problem: Problem, settled: AbstractSet[str]) -> Decided | None:
        """A fleet cheaper than ``held`` that simulation confirms; None when none is found.

        ``problem``: what is known by now; ``settled``: the kinds whose capacity was simulated. Fleets over
        time are left as they are.
        """
        if len(problem.period_hours) > 1:
            return None
        brief = replace(self.effort, time_limit_s=min(SECONDS, self.effort.time_limit_s))
        for level in LEVELS:
            while self.left > 0:
                raised = self._raised(held, problem, settled, level)
                solution = decide(scaled(problem, raised), brief)
                if not is_cheaper(solution.objective_usd_per_hour, held):
                    break
                trial = replace(held, problem=scaled(problem, raised), solution=solution)
                new = [s for s in streams_of(trial) if not settled >= s.placed.keys()]
                if not new:
                    break
                if all(self._holds(s, raised) for s in new):
                    return replace(trial, problem=scaled(problem, _needed(new, raised)))
        return None

    def _raised(
        self, held: Decided, problem: Problem, settled: AbstractSet[str], level: float
    ) -> dict[str, float]:
        """Factors on the capacity of each kind that was not simulated."""
        return {
            k.key: min(level, self.failed.get((held.by_key[k.key].service, k.gpu), level))
            for k in problem.kinds
            if k.key not in settled
        }

    def _holds(self, stream: Stream, raised: Mapping[str, float]) -> bool:
        """Simulate a stream briefly, then in full; remember at which share of the prediction it fails."""
        self.left -= 1
        self.screened |= stream.placed.keys()
        if looks_well(stream, self.effort) and self._is_confirmed(stream):
            return True
        for key, share in _needed([stream], raised).items():
            at = (stream.service.name, stream.placed[key].deployment.gpu.name)
            self.failed[at] = min(self.failed.get(at, share), share * (1 - LESS))
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


def is_cheaper(usd_per_hour: float | None, held: Decided) -> bool:
    """Whether a fleet at that cost [USD/h] is cheaper than the one that is confirmed."""
    known = held.solution.objective_usd_per_hour
    return usd_per_hour is not None and known is not None and usd_per_hour < known * (1 - 1e-9)


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


def _needed(streams: list[Stream], raised: Mapping[str, float]) -> dict[str, float]:
    """Shares of the predicted capacity that the replicas of raised kinds have to carry, a hair more."""
    return {
        key: raised[key] * load / stream.placed[key].replicas * (1 + 1e-9)
        for stream in streams
        for key, load in stream.load.items()
        if key in raised
    }
