"""What a finished simulation comes to: arrays by request, and sums over replicas."""

from __future__ import annotations

from array import array
from collections.abc import Sequence as Many
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from planner.serving.simulation.requests import Requests
from planner.serving.simulation.simulation_result import SimulationResult, TimeSeries
from planner.serving.simulation.timed_replica import Journal, TimedReplica

Ints = NDArray[np.int64]
Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """The state of a simulation at its end.

    arrivals: when each request reached the fleet [s]; sent: those that did, in order; shed: 1 for each
    that was refused. samples: (time [s], running, waiting, share of the pools in use). area: requests in
    the system, integrated over time [s]; knows_prefixes: what caches held of each prompt is a result.
    """

    requests: Requests
    arrivals: array[float]
    sent: slice | list[int]
    journal: Journal
    shed: bytearray
    replicas: Many[TimedReplica]
    samples: Many[tuple[float, float, float, float]]
    area: float
    clock_s: float
    overloaded: bool
    knows_prefixes: bool


class Calls:
    """Values by request as values by call: what a client waits for is the last answer of its call.

    ``calls``: the first request of each one's call; None leaves every request to itself.
    """

    def __init__(self, calls: Ints | None, sent: slice | list[int]) -> None:
        found = None if calls is None else calls[sent]
        self._at = None if found is None else np.flatnonzero(np.diff(found, prepend=-1))

    def first(self, values: NDArray[Number]) -> NDArray[Number]:
        """That of the first request."""
        return values if self._at is None else values[self._at]

    def last(self, values: NDArray[Number]) -> NDArray[Number]:
        """The highest; not a number where one of them is none."""
        return values if self._at is None else np.asarray(np.maximum.reduceat(values, self._at))

    def sum(self, values: NDArray[Number]) -> NDArray[Number]:
        """All together."""
        return values if self._at is None else np.asarray(np.add.reduceat(values, self._at))


def outcome_of(ended: FinishedRun, warm_up_s: float, measured_until_s: float) -> SimulationResult:
    """The result over requests that arrive in [``warm_up_s``, ``measured_until_s``)."""
    journal, replicas, sent = ended.journal, ended.replicas, ended.sent
    whole = Calls(ended.requests.calls, sent)
    gaps: dict[int, int] = {}
    for replica in replicas:
        for key, tokens in replica.gaps.items():
            gaps[key] = gaps.get(key, 0) + tokens
    samples = np.array(ended.samples, dtype=float).reshape(-1, 4)
    prompts, outputs = ended.requests.prompt_tokens, ended.requests.output_tokens

    def times(values: array[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        taken = np.array(values)[sent]
        return np.where(taken < 0, np.nan, taken)

    shed = np.frombuffer(bytes(ended.shed), dtype=np.uint8)[sent].astype(bool)
    return SimulationResult(
        arrival_s=whole.first(np.array(ended.arrivals)[sent]),
        prompt_tokens=whole.sum(np.array(prompts)[sent]),
        output_tokens=whole.first(np.array(outputs)[sent]),
        start_s=whole.first(times(journal.start_s)),
        first_token_s=whole.last(times(journal.first_s)),
        end_s=whole.last(times(journal.end_s)),
        longest_gap_s=whole.last(np.array(journal.longest_gap_s)[sent]),
        preemptions=whole.sum(np.array(journal.preemptions)[sent]),
        replica=whole.first(np.array(journal.replica)[sent]),
        shed=whole.last(shed),
        warm_up_s=warm_up_s,
        measured_until_s=measured_until_s,
        end_of_run_s=ended.clock_s,
        overloaded=ended.overloaded,
        replicas=len(replicas),
        steps=sum(r.steps for r in replicas),
        prefill_busy_s=sum(r.prefill_busy_s for r in replicas),
        decode_busy_s=sum(r.decode_busy_s for r in replicas),
        prefilled_tokens=sum(r.prefilled_tokens for r in replicas),
        prompt_tokens_started=int(prompts[sent][np.array(journal.start_s)[sent] >= 0].sum()),
        requests_area_s=ended.area,
        kv_share_mean=sum(r.kv_area / r.core.pool_blocks for r in replicas)
        / max(ended.clock_s * len(replicas), 1e-12),
        batch_mean=sum(r.batch_area for r in replicas) / max(ended.clock_s, 1e-12),
        gap_counts=gaps,
        series=TimeSeries(*samples.T.copy()),
        cached_tokens=np.array(journal.cached)[sent] if ended.knows_prefixes else None,
        classes=None if ended.requests.classes is None else ended.requests.classes[sent],
    )
