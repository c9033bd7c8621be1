"""A point simulated the way it was measured.

Closed loops and offline runs of one replica are composed once and priced with any step model
(``planner.serving.simulation.closed_loop``); open loops, several replicas and disaggregated pools
are simulated.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from planner.accuracy.conditions import Setup
from planner.accuracy.measures import TPOT, TTFT
from planner.accuracy.outcome import (
    Floats,
    Outcome,
    closed_outcome,
    delayed,
    delivered_s,
    simulated_outcome,
)
from planner.accuracy.point import LoadKind, MeasuredPoint
from planner.accuracy.pools.recipes import PoolRecipe
from planner.accuracy.step_error import AS_PREDICTED, Off
from planner.deployment import Deployment
from planner.errors import InputError
from planner.performance.model import CalibratedStepModel
from planner.performance.paced import PacedSteps
from planner.performance.slowed import SlowedSteps
from planner.performance.steps import StepModel
from planner.scenario.schema import Arrivals, Routing
from planner.serving.limits import ReplicaLimits, replica_limits
from planner.serving.simulation.closed_loop import (
    ClosedLoopRun,
    Ints,
    benchmark_lengths,
    play_requests,
)
from planner.serving.simulation.replica_groups import DecodePool, SimulatedGroup
from planner.serving.simulation.requests import Requests, interarrival_times
from planner.serving.simulation.simulation_result import SimulationResult
from planner.serving.simulation.simulator import simulate
from planner.sizing.batch_limits import batch_limits
from planner.sizing.memory import memory_layout

CONDENSED_ROWS = 24
ROWS_FOR_FITS = 12
SENT_PER_SLOT = 10  # requests of a closed loop over its concurrency, where the run does not say
OPEN_LOOP_REQUESTS = 1000  # the default of load generators that send at a rate
UNLIMITED_BYTES = 1e18
_SEED = 0


@dataclass(slots=True)
class Playback:
    """Simulates points; runs whose scheduler sees the same are simulated once.

    A pool that holds every request in flight at full length never binds, whatever its size, and a
    measured run whose predicted pool is empty is simulated without a limit: the measurement exists.
    """

    rows: int = CONDENSED_ROWS
    runs: dict[Hashable, ClosedLoopRun] = field(default_factory=dict)

    def run(self, setup: Setup, point: MeasuredPoint, *, condensed: bool = True) -> ClosedLoopRun:
        """Return the run of a point that one replica serves from a fixed number in flight.

        condensed: equal steps are merged, which blurs the batches that alone run as captured graphs.
        Raises InputError for points that are not: open loops, several replicas, pools.
        """
        if not composable(point):
            raise InputError(
                "not a closed loop on one replica",
                found=f"{point.load} loop, {point.replicas} replicas",
                action="planner accuracy can simulate it; a fit needs closed loops or offline runs",
            )
        return self._composed(setup, point, condensed)

    def outcome(
        self,
        setup: Setup,
        point: MeasuredPoint,
        steps: CalibratedStepModel,
        prefill_steps: CalibratedStepModel | None = None,
        off: Off = AS_PREDICTED,
    ) -> Outcome:
        """Return what a client would have measured of every request of the run, its steps ``off``."""
        slowed = slowed_by(steps, off.steps)
        if composable(point):
            run = self._composed(setup, point, condensed=False)
            prompts, _ = lengths_of(setup, point)
            outcome = closed_outcome(
                run,
                slowed,
                steps.delivery_steps,
                int(prompts.sum()),
                point.gpus,
                setup.streamed_steps,
            )
        else:
            first = None if prefill_steps is None else slowed_by(prefill_steps, off.prefill_steps)
            result = _simulated(setup, point, slowed, first)
            outcome = simulated_outcome(result, steps.delivery_steps, point.gpus, point.decode_gpus)
        if point.load is LoadKind.CLOSED:
            burst_s = setup.first_burst_s * off.prefill_steps
            outcome = delayed(outcome, point.concurrency, burst_s)
        return replace(
            outcome.with_ttft(off.ttft, closed=point.load is LoadKind.CLOSED),
            streamed_steps=setup.streamed_steps,
            streams_by_tokens=setup.deployment.engine.name == "sglang",
            tokens_per_step=setup.deployment.settings.tokens_per_step,
        )

    def _composed(self, setup: Setup, point: MeasuredPoint, condensed: bool) -> ClosedLoopRun:
        limits = limits_of(setup.deployment, setup, point)
        free = limits.kv_pool_bytes >= UNLIMITED_BYTES
        key = (
            limits.scheduler,
            limits.max_num_seqs,
            limits.max_num_batched_tokens,
            limits.chunked,
            limits.tokens_per_step,
            limits.ranks,
            point.prompt_tokens,
            point.output_tokens,
            point.concurrency,
            point.requests,
            point.mean_lengths,
            None if point.lengths is None else id(point.lengths),
            setup.shortest_length,
            setup.intake,
            None if free else (limits.kv_pool_bytes, limits.kv_block_bytes),
            condensed,
        )
        if key not in self.runs:
            prompts, outputs = lengths_of(setup, point)
            run = play_requests(limits, prompts, outputs, point.concurrency, intake=setup.intake)
            self.runs[key] = run.condensed(self.rows) if condensed else run
        return self.runs[key]


def slowed_by(steps: StepModel, times: float) -> StepModel:
    """The step model with every step so many times as long."""
    return steps if times == 1 else SlowedSteps(steps, times)


def composable(point: MeasuredPoint) -> bool:
    """Whether the steps of the run do not depend on how long they take."""
    return point.load is not LoadKind.OPEN and point.replicas == 1 and point.prefill is None


def lengths_of(setup: Setup, point: MeasuredPoint) -> tuple[Ints, Ints]:
    """Prompt and output lengths of the requests in order: the run's own, or drawn as benchmarks do."""
    if point.lengths is not None:
        count = point.requests or len(point.lengths)
        at = np.arange(count) % len(point.lengths)
        return point.lengths.prompt_tokens[at], point.lengths.output_tokens[at]
    count = point.requests or SENT_PER_SLOT * point.concurrency or OPEN_LOOP_REQUESTS
    return benchmark_lengths(
        setup.nominal(point.prompt_tokens, point.mean_lengths),
        setup.nominal(point.output_tokens, point.mean_lengths),
        count,
        _SEED,
        setup.shortest_length,
    )


def limits_of(deployment: Deployment, setup: Setup, point: MeasuredPoint) -> ReplicaLimits:
    """The scheduler's limits, without a pool's where it cannot bind or is predicted to be empty."""
    limits = replica_limits(deployment, memory_layout(deployment))
    if setup.step_tokens is not None:
        ranks = 1 if deployment.engine.options_cover_ranks else limits.ranks
        limits = replace(limits, max_num_batched_tokens=setup.step_tokens * ranks)
    prompts, outputs = point.prompt_tokens, point.output_tokens
    if point.lengths is None:
        longest = setup.nominal(prompts, point.mean_lengths) + setup.nominal(
            outputs, point.mean_lengths
        )
    else:
        longest = int((point.lengths.prompt_tokens + point.lengths.output_tokens).max())
    in_flight = (point.concurrency or math.inf) * limits.sequence_bytes(longest)
    pool = limits.kv_pool_bytes
    return limits if 0 < pool < in_flight else replace(limits, kv_pool_bytes=UNLIMITED_BYTES)


def launched_limits(
    limits: ReplicaLimits,
    deployment: Deployment,
    max_num_seqs: int | None,
    max_num_batched_tokens: int | None = None,
) -> ReplicaLimits:
    """The scheduler's limits under a recipe's options; memory was made to suffice with what else it sets."""
    settings = replace(
        deployment.settings,
        max_num_seqs=max_num_seqs or deployment.settings.max_num_seqs,
        max_num_batched_tokens=max_num_batched_tokens or deployment.settings.max_num_batched_tokens,
    )
    found = batch_limits(replace(deployment, settings=settings))
    if max_num_seqs:
        limits = replace(limits, max_num_seqs=found.rank_sequences * limits.ranks)
    if max_num_batched_tokens:
        limits = replace(limits, max_num_batched_tokens=found.rank_tokens * limits.ranks)
    return limits


def _simulated(
    setup: Setup,
    point: MeasuredPoint,
    steps: StepModel,
    prefill_steps: StepModel | None,
) -> SimulationResult:
    """Simulate the point event by event.

    An open loop that a client also limits to ``concurrency`` in flight is a closed loop once its
    arrivals outrun the limit: whichever of the two keeps fewer requests in flight was measured.
    """
    limits = limits_of(setup.deployment, setup, point)
    recipe = setup.recipe
    if recipe is not None:
        limits = launched_limits(limits, setup.deployment, recipe.decode_max_num_seqs)
    decode = SimulatedGroup(steps, limits, point.replicas)
    group = decode
    if setup.prefill is not None and point.prefill is not None and prefill_steps is not None:
        gpu = setup.deployment.gpu
        sent = limits_of(setup.prefill, setup, point)
        if recipe is not None:
            sequences, tokens = recipe.prefill_max_num_seqs, recipe.prefill_max_num_batched_tokens
            sent = launched_limits(sent, setup.prefill, sequences, tokens)
        pool = DecodePool(decode, gpu.nic_gb_s or gpu.pcie_gb_s, setup.handover_s)
        paced = PacedSteps(prefill_steps, setup.prefill_pace, prefill_steps.evidence)
        group = SimulatedGroup(paced, sent, point.prefill.workers, decode=pool)
    requests = _requests(setup, point)
    endless = len(requests) + 1
    closed = point.load is not LoadKind.OPEN
    routing = None if setup.prefill is None else Routing(policy=_router(recipe))
    result = simulate(
        [group],
        requests,
        routing,
        seed=_SEED,
        concurrency=point.concurrency if closed else None,
        max_backlog=endless,
    )
    in_flight = result.requests_area_s / max(result.end_of_run_s, 1e-9)
    if not closed and point.concurrency and in_flight > point.concurrency:
        result = simulate(
            [group],
            requests,
            routing,
            seed=_SEED,
            concurrency=point.concurrency,
            max_backlog=endless,
        )
    return result


def _router(recipe: PoolRecipe | None) -> Literal["round-robin", "random"]:
    """How the router of two pools spreads requests over the workers of each."""
    return "round-robin" if recipe is None else recipe.router or "round-robin"


def _requests(setup: Setup, point: MeasuredPoint) -> Requests:
    prompts, outputs = lengths_of(setup, point)
    return Requests(_arrivals(point, len(prompts)), prompts, outputs)


def _arrivals(point: MeasuredPoint, count: int) -> Floats:
    """Arrival times [s]: the run's own where it recorded them, else a Poisson process at its rate."""
    if point.load is not LoadKind.OPEN:
        return np.zeros(count)
    own = None if point.lengths is None else point.lengths.arrival_s
    if own is not None and not point.rate_qps:
        return own[:count]
    gaps = interarrival_times(Arrivals(), point.rate_qps, count, np.random.default_rng(_SEED))
    times = np.cumsum(gaps)
    return np.asarray(times - times[0])


def measured_times(
    run: ClosedLoopRun,
    steps: CalibratedStepModel,
    first_burst_s: float = 0.0,
    off: Off = AS_PREDICTED,
) -> tuple[float, float]:
    """Return mean TTFT and TPOT [s] as a client measures them; TPOT nan for answers of one token.

    TTFT starts before the engine sees a request and ends when its first token is delivered,
    ``delivery_steps`` decode steps after it was computed; requests of the first burst wait longer.
    """
    slowed = slowed_by(steps, off.steps)
    result = run.evaluate(slowed)
    tpot_s = result.tpot_mean_s if result.tpot_mean_s > 0 else math.nan
    answer = run.output_tokens / run.requests
    late = slowed.admission_s + delivered_s(steps.delivery_steps, tpot_s, answer)
    late += run.first_share * first_burst_s * off.prefill_steps
    return (result.ttft_mean_s + late) * off.ttft, tpot_s


def needs_requests(point: MeasuredPoint) -> bool:
    """Whether something was measured that means of TTFT and TPOT do not give."""
    return not composable(point) or not set(point.measures) <= {TTFT, TPOT}
