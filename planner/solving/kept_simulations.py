"""Simulations that decide fleets, made once: within a session, and in the user's cache folder between runs.

What a simulation says depends on the requests (lengths, arrivals, conversations), on the replicas (their
deployments, limits, step times, number, rate), on the targets it is judged by, the window and the seed; and
on data, factors and program. All of these name its row; prices, stock and budget do not.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from planner import cache_folder
from planner.deployment import Deployment
from planner.fleet.candidates.cuts import WHOLE
from planner.fleet.candidates.known import Known, digest
from planner.fleet.candidates.outcomes import layout_text
from planner.kept_rows import KeptRows, Row
from planner.performance.model import CalibratedStepModel
from planner.performance.slowed import SlowedSteps
from planner.performance.steps import StepModel
from planner.scenario.schema import Service
from planner.scenario.slo import TargetKey
from planner.serving.limits import replica_limits
from planner.serving.placed import Placed
from planner.serving.simulation.service_simulation import MEDIANS, SimulatedService, check_service
from planner.serving.simulation.simulation_result import Estimate, TargetOutcome
from planner.serving.simulation.window import Window
from planner.sizing.layout import MemoryLayout
from planner.workload.lengths import JointLengths, lengths_of
from planner.workload.trace import Trace
from planner.workload.turns import recorded

LONG_S = 1.0  # a simulation that took longer is on disk at once, whatever becomes of the run
UNSEEN = {  # by the simulator, or part of a row's own name
    "search",
    "priority",
    "max_deployments",
    "assurance",
    "allow_lower_precision",
    "slo",
}


class KeptSimulations:
    """``check_service`` with what is known already; ``known``: of deployments, in one session."""

    def __init__(self, known: Known) -> None:
        self._known = known

    def __call__(
        self,
        service: Service,
        placed: Sequence[Placed],
        *,
        window: Window | None = None,
        rate_scale: float = 1.0,
        seed: int = 0,
        percentiles: Sequence[tuple[str, float]] = MEDIANS,
        lengths: JointLengths | None = None,
    ) -> SimulatedService:
        """See ``check_service``; raises what it raises."""
        lengths = lengths or lengths_of(service)

        def simulate() -> SimulatedService:
            return check_service(
                service,
                placed,
                window=window,
                rate_scale=rate_scale,
                seed=seed,
                percentiles=percentiles,
                lengths=lengths,
            )

        replicas = [self._replicas_text(p) for p in placed]
        if None in replicas:
            return simulate()
        how = (window, rate_scale, seed, tuple(percentiles), service.slo.model_dump_json())
        name = cache_folder.key_of((repr(how), *map(str, replicas)))
        rows = self._rows(service, lengths)
        row = rows.find(name)
        kept = restored(row) if row is not None else None
        if kept is not None:
            return kept
        started = time.monotonic()
        found = simulate()
        rows.keep(name, plain(found))
        if time.monotonic() - started > LONG_S:
            rows.save()
        return found

    def _rows(self, service: Service, lengths: JointLengths) -> KeptRows:
        talk = service.conversations
        recording = b"" if talk is None or talk.trace is None else _recording(recorded(talk))
        question = service.model_dump_json(exclude=UNSEEN)
        return self._known.simulations.of(question, digest(lengths), recording)

    def _replicas_text(self, placed: Placed) -> str | None:
        """All of some replicas that a simulation reads; None where their step times are not the session's."""
        own = self._pool_text(placed.deployment, placed.memory, placed.steps)
        if own is None:
            return None
        text = f"{own} {placed.replicas!r} {placed.rate_qps!r}"
        pool = placed.prefill
        if pool is None:
            return text
        other = self._pool_text(pool.deployment, pool.memory, pool.steps)
        if other is None:
            return None
        return f"{text} {other} {pool.replicas} {pool.decode_replicas} {pool.link!r} {pool.within}"

    def _pool_text(
        self, deployment: Deployment, memory: MemoryLayout, steps: StepModel
    ) -> str | None:
        slowed, factors = steps, []
        while isinstance(slowed, SlowedSteps):
            factors.append(slowed.factor)
            slowed = slowed.steps
        if not isinstance(slowed, CalibratedStepModel):
            return None
        layout = f"{layout_text(deployment, WHOLE)} {deployment.gpu!r}"
        limits = replica_limits(deployment, memory)
        return f"{self._known.model_text(deployment.model)} {layout} {limits!r} {factors!r}"


def _recording(trace: Trace) -> bytes:
    """What distinguishes one recording of conversations from another."""
    parts = (trace.prompt_tokens, trace.output_tokens, trace.arrival_s, trace.conversation)
    arrays = (b"" if part is None else part.tobytes() for part in parts)
    return cache_folder.key_of((*arrays, repr((trace.prefix, trace.block_tokens)))).encode()


def plain(check: SimulatedService) -> Row:
    """A simulation's findings in JSON values."""
    window = check.window
    shares = [float(check.hit_share), float(check.shed_share)]
    return [
        [bool(check.holds), bool(check.overloaded), *shares, float(check.rate_qps)],
        [window.warm_up_s, window.measured_s, window.tail_s, window.slice_share],
        [
            [o.key, float(o.required), float(o.met), float(o.met_low), float(o.met_high)]
            for o in check.outcomes
        ],
        {
            key: [
                float(e.value_s),
                float(e.low_s),
                float(e.high_s),
                int(e.requests),
                bool(e.enough),
            ]
            for key, e in check.percentiles.items()
        },
        [int(check.prompts_per_call), [dict(own) for own in check.by_kind]],
    ]


def restored(row: Row) -> SimulatedService | None:
    """The findings of such values; None for others."""
    try:
        whole, window, outcomes, percentiles, calls = row
        per_call, kinds = _list(calls)
        holds, overloaded, hit_share, shed_share, rate_qps = _list(whole)
        return SimulatedService(
            holds=_flag(holds),
            outcomes=tuple(
                TargetOutcome(TargetKey(str(key)), *map(_number, shares))
                for key, *shares in map(_list, _list(outcomes))
            ),
            percentiles={
                str(key): _estimate(*_list(estimate))
                for key, estimate in _named(percentiles).items()
            },
            rate_qps=_number(rate_qps),
            window=Window(*map(_number, _list(window))),
            overloaded=_flag(overloaded),
            hit_share=_number(hit_share),
            shed_share=_number(shed_share),
            prompts_per_call=int(_number(per_call)),
            by_kind=tuple(
                {name: _number(seconds) for name, seconds in _named(own).items()}
                for own in _list(kinds)
            ),
        )
    except (TypeError, ValueError):
        return None


def _estimate(
    value_s: object, low_s: object, high_s: object, requests: object, enough: object
) -> Estimate:
    if not isinstance(requests, int):
        raise ValueError(f"not a count: {requests!r}")
    return Estimate(_number(value_s), _number(low_s), _number(high_s), requests, _flag(enough))


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError(f"not a list: {value!r}")
    return value


def _named(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"not values by name: {value!r}")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"not a number: {value!r}")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"neither true nor false: {value!r}")
    return value
