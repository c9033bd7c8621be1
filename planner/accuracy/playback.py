"""A point played the way it was measured: closed loop, everything sent at the start."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace

from planner.accuracy.conditions import Setup
from planner.accuracy.points import Point
from planner.performance.model import CalibratedStepModel
from planner.serving.closed_loop import ClosedLoopRun, play_closed_loop
from planner.serving.limits import ReplicaLimits, replica_limits
from planner.sizing.memory import memory_layout

CONDENSED_ROWS = 24
ROWS_FOR_FITS = 12


@dataclass(slots=True)
class Playback:
    """Plays points; runs whose scheduler sees the same are played once.

    A pool that holds every request in flight at full length never binds, whatever its size, and a
    measured run whose predicted pool is empty is played without a limit: the measurement exists.
    """

    rows: int = CONDENSED_ROWS
    runs: dict[Hashable, ClosedLoopRun] = field(default_factory=dict)

    def run(self, setup: Setup, point: Point) -> ClosedLoopRun:
        """Return the condensed run of a point."""
        deployment, shortest = setup.deployment, setup.shortest_length
        limits = replica_limits(deployment, memory_layout(deployment))
        longest = point.prompt_tokens + point.output_tokens
        in_flight = point.concurrency * limits.sequence_bytes(longest)
        pool = limits.kv_pool_bytes
        free = pool <= 0 or in_flight <= pool
        key = (
            limits.scheduler,
            limits.max_num_seqs,
            limits.max_num_batched_tokens,
            limits.chunked,
            point.prompt_tokens,
            point.output_tokens,
            point.concurrency,
            shortest,
            None if free else (pool, limits.kv_block_bytes),
        )
        if key not in self.runs:
            limits = replace(limits, kv_pool_bytes=1e18) if free else limits
            self.runs[key] = _play(limits, point, shortest).condensed(self.rows)
        return self.runs[key]


def _play(limits: ReplicaLimits, point: Point, shortest: float) -> ClosedLoopRun:
    return play_closed_loop(
        limits, point.prompt_tokens, point.output_tokens, point.concurrency, spread=shortest
    )


def measured_times(run: ClosedLoopRun, steps: CalibratedStepModel) -> tuple[float, float]:
    """Return mean TTFT and TPOT [s] as a client measures them.

    TTFT starts before the engine sees a request and ends when its first token is delivered,
    ``delivery_steps`` decode steps after it was computed.
    """
    result = run.evaluate(steps)
    delivery = float(steps.factors.delivery_steps) * result.tpot_mean_s
    return result.ttft_mean_s + steps.admission_s + delivery, result.tpot_mean_s
