"""Fleets that would be cheaper if their replicas carried a little more than predicted, found by simulation.

The closed form takes arrivals as split at random; a router that looks does better, by more on some GPUs
than on others. So a fleet that is confirmed is compared with those that need more than the closed form
promises, the least of it first: each is simulated briefly, and in full where that looks well. Others may
carry more beyond what the confirmed fleet does of its own promise. What fails is not tried again with as
much, for the service on that GPU type and as many GPUs a replica.
Where the closed form finds no fleet at all within the limits, the first fleet is found the same way.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from planner.fleet.program.capacity_factors import scaled
from planner.fleet.program.dominance import without_dominated
from planner.fleet.program.problem import Problem, Resilience
from planner.fleet.program.solutions import ProvedSolutions
from planner.fleet.program.too_dear import without_too_dear
from planner.serving.simulation.service_simulation import Simulate, SimulatedService, check_service
from planner.serving.simulation.window import window_for
from planner.solving.assured_simulation import keeps_up, simulate_assured
from planner.solving.build_problem import decide
from planner.solving.options import SolveOptions
from planner.solving.request_streams import Stream, streams_of
from planner.solving.stages import Decided

# times the predicted capacity, or what held of it, tried in turn
LEVELS = (1.1, 1.2, 1.3, 1.4, 1.5)
HALVINGS = 3  # of the step between two levels, to find the least capacity that would do
MOST_SCREENED = 8  # streams simulated briefly in one solve
BRIEF_REQUESTS = 1_500  # measured in a brief simulation
BRIEF_STAYS = 2.0  # mean stays that its warm-up and its measured window span, the latter at least
SECONDS = 5.0  # for each program

Hardware = tuple[str, str, int]  # service, GPU type, GPUs of one replica


@dataclass
class NearWinners:
    """What was simulated so far.

    ``highest``: levels that may still be tried, where one failed; ``screened``: kinds, briefly;
    ``checks``: simulations in full, by ``stream_key``; ``left``: brief ones still allowed;
    ``too_few``: the most replicas that missed a target, by the kinds of a stream;
    ``simulate``: what simulates; ``proved``: programs of the same question that were solved before.
    """

    effort: SolveOptions
    simulate: Simulate = check_service
    proved: ProvedSolutions | None = None
    highest: dict[Hardware, float] = field(default_factory=dict)
    screened: set[str] = field(default_factory=set)
    checks: dict[tuple[object, ...], SimulatedService] = field(default_factory=dict)
    left: int = MOST_SCREENED
    too_few: dict[tuple[str, ...], int] = field(default_factory=dict)

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
        levels = levels_beyond(known, problem)
        cheap = self._cheap(known, few, settled, levels[-1], below_usd_per_hour)
        if not self._is_cheaper(known, cheap, settled, levels[-1], below_usd_per_hour):
            return None
        low = 1.0
        for level in levels:
            while self.left > 0:
                if not self._is_cheaper(known, cheap, settled, level, below_usd_per_hour):
                    break
                least, most = low, level
                for _ in range(HALVINGS):
                    middle = (least + most) / 2
                    if self._is_cheaper(known, cheap, settled, middle, below_usd_per_hour):
                        most = middle
                    else:
                        least = middle
                raised = self._raised(known, few, settled, most)
                more = scaled(few, raised)
                solution = decide(more, self._brief, proved=self.proved)
                trial = replace(known, problem=more, solution=solution)
                new = [s for s in streams_of(trial) if not settled >= s.placed.keys()]
                if not new:
                    break
                worst = {s.name: after_a_loss(s, problem) for s in new}
                if all(self._holds(problem, s, raised, least, worst[s.name]) for s in new):
                    return replace(trial, problem=scaled(problem, _needed(new, raised, worst)))
            low = level
        return None

    def _cheap(
        self,
        known: Decided,
        problem: Problem,
        settled: AbstractSet[str],
        most: float,
        below_usd_per_hour: float | None,
    ) -> Problem:
        """The problem without kinds that are in no fleet that costs less, whatever is tried."""
        if below_usd_per_hour is None or below_usd_per_hour == math.inf:
            return problem
        raised = self._raised(known, problem, settled, most)
        few = without_too_dear(scaled(problem, raised), below_usd_per_hour)
        kept = {k.key for k in few.kinds}
        return problem.of_kinds(k for k in problem.kinds if k.key in kept)

    def _is_cheaper(
        self,
        known: Decided,
        problem: Problem,
        settled: AbstractSet[str],
        level: float,
        below_usd_per_hour: float | None,
    ) -> bool:
        """Whether a fleet costs less if every kind that was not simulated carried ``level`` times as much."""
        more = scaled(problem, self._raised(known, problem, settled, level))
        solution = decide(more, self._brief, cost_alone=True, proved=self.proved)
        return is_cheaper(solution.objective_usd_per_hour, below_usd_per_hour)

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
        self,
        problem: Problem,
        stream: Stream,
        raised: Mapping[str, float],
        least: float,
        worst: float,
    ) -> bool:
        """Simulate a stream briefly, then in full; ``least``: what its kinds are raised to where it fails.

        ``worst``: times the planned rate that its replicas have to carry after a loss.
        """
        self.left -= 1
        self.screened |= stream.placed.keys()
        if (
            _lasts(stream, worst)
            and looks_well(stream, self.effort, self.simulate, worst)
            and self._is_confirmed(stream, worst)
        ):
            return True
        for kind in (k for k in problem.kinds if k.key in stream.placed and k.key in raised):
            at = (stream.service.name, kind.gpu, kind.gpus)
            self.highest[at] = min(least, self.highest.get(at, least))
        return False

    def _is_confirmed(self, stream: Stream, worst: float) -> bool:
        """Whether every target holds in full, as much worse as is assured against, and after a loss."""
        placed, seed = tuple(stream.placed.values()), self.effort.seed
        check = self.simulate(stream.service, placed, lengths=stream.lengths, seed=seed)
        self.checks[stream_key(stream)] = check
        if not check.holds or (stream.service.assurance is None and worst == 1.0):
            return check.holds
        return simulate_assured(
            stream.service,
            placed,
            rate_scale=worst,
            seed=seed,
            lengths=stream.lengths,
            simulate=self.simulate,
        ).holds


def levels_beyond(known: Decided, problem: Problem) -> tuple[float, ...]:
    """Times their predicted capacity that other kinds are tried with, rising.

    Where the kinds of the confirmed fleet carry more than predicted, as ``problem`` has it, ``LEVELS`` of
    that are tried too: what the closed form knows too little of (a router that looks) helps others as well.
    """
    predicted = {k.key: k.capacity_qps for k in known.framed.problem.kinds}
    running = known.replicas()
    carried = (
        found / predicted[kind.key][demand]
        for kind in problem.kinds
        if kind.key in running
        for demand, found in kind.capacity_qps.items()
        if predicted[kind.key].get(demand)
    )
    beyond = max(carried, default=1.0)
    return (*LEVELS, *(beyond * level for level in LEVELS if beyond * level > LEVELS[-1]))


def _lasts(stream: Stream, worst: float) -> bool:
    """Whether replicas keep up with ``worst`` times the planned rate, which a simulation may not show.

    With hours to spare a queue that grows without end misses no target within it, nor do the classes that are
    served first see anything of it.
    """
    return keeps_up(stream.service, tuple(stream.placed.values()), worst, stream.lengths)


def looks_well(
    stream: Stream,
    effort: SolveOptions,
    simulate: Simulate = check_service,
    rate_scale: float = 1.0,
) -> bool:
    """Whether no target is missed in a brief simulation at ``rate_scale`` times the rate."""
    placed = tuple(stream.placed.values())
    whole = window_for(stream.service, placed, stream.lengths, BRIEF_REQUESTS)
    stay, rate = whole.tail_s, rate_scale * sum(p.rate_qps for p in placed)
    window = replace(
        whole,
        warm_up_s=BRIEF_STAYS * stay,
        measured_s=max(BRIEF_REQUESTS / rate, BRIEF_STAYS * stay),
    )
    check = simulate(
        stream.service,
        placed,
        window=window,
        rate_scale=rate_scale,
        seed=effort.seed,
        percentiles=(),
        lengths=stream.lengths,
    )
    return not check.overloaded and not any(o.missed for o in check.outcomes)


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


def _without_dominated(problem: Problem, settled: AbstractSet[str]) -> Problem:
    """The problem without kinds that another one of the same hardware beats, both raised equally."""
    open_kinds = tuple(k for k in problem.kinds if k.key not in settled)
    kept = {k.key for k in without_dominated(replace(problem, kinds=open_kinds)).kinds} | settled
    return replace(problem, kinds=tuple(k for k in problem.kinds if k.key in kept))


def after_a_loss(stream: Stream, problem: Problem) -> float:
    """Times its planned rate that a stream's replicas are counted on: all they hold where some may fail."""
    if problem.resilience == Resilience():
        return 1.0
    return max(1.0, *(stream.placed[key].replicas / load for key, load in stream.load.items()))


def _needed(
    streams: list[Stream], raised: Mapping[str, float], worst: Mapping[str, float]
) -> dict[str, float]:
    """Shares of the predicted capacity that the replicas of raised kinds have to carry, a hair more."""
    return {
        key: raised[key] * worst[stream.name] * load / stream.placed[key].replicas * (1 + 1e-9)
        for stream in streams
        for key, load in stream.load.items()
        if key in raised
    }
