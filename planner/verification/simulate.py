"""A plan's fleet run in the simulator: its own load or another's, a trace, a load test."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from planner.catalog.store import Catalog
from planner.errors import InputError, ScenarioWarning
from planner.performance.factors import Calibration
from planner.plan.rebuild import placed
from planner.plan.schema import Plan, ServicePlan
from planner.scenario.schema import Scenario, Service
from planner.serving.placed import Placed
from planner.serving.simulation.requests import from_trace
from planner.serving.simulation.service_simulation import (
    Scaling,
    StudiedService,
    check_service,
    closed_loop_service,
    replay_service,
)
from planner.serving.simulation.window import Window, excess_rate, window_for
from planner.workload.lengths import lengths_of
from planner.workload.trace import read_trace

MOST_SENT = 5_000_000  # requests of one simulation: about 2 GB


class Overload(Exception):
    """The rate is so far beyond the fleet that a simulation would only grow a queue."""


@dataclass(frozen=True)
class SimulationSettings:
    """What to send and for how long.

    trace: a trace's requests at their own times, with ``kv_pool_tokens`` in a replica's pool instead
    of the predicted ones; concurrency: a closed loop of so many requests in flight; duration_s:
    measured time [s], by need when None; rate_scale: times the planned rate; scaling: replicas added
    or taken away on the way.
    """

    trace: str | None = None
    kv_pool_tokens: float | None = None
    concurrency: int | None = None
    duration_s: float | None = None
    rate_scale: float = 1.0
    replications: int = 1
    seed: int = 0
    scaling: tuple[Scaling, ...] = ()


def simulate_plan(
    plan: Plan,
    how: SimulationSettings,
    catalog: Catalog,
    calibration: Calibration,
    progress: Callable[[int], None] | None = None,
) -> dict[str, StudiedService]:
    """Simulate every service of ``plan`` and judge its targets.

    A service that got no replicas, where stock is short, is left out with a warning. Raises InputError for
    a plan without a fleet and for what cannot be simulated together, Overload when the replicas could never
    finish what arrives.
    """
    for planned in plan.services:
        if not planned.replica_groups:
            text = f"{planned.name} gets no replicas in this plan, and is not simulated"
            warnings.warn(text, ScenarioWarning, stacklevel=2)
    if not any(planned.replica_groups for planned in plan.services):
        raise InputError(
            "the plan has no fleet to simulate",
            found=plan.status,
            action="solve a scenario that has a plan first",
        )
    services = {s.name: s for s in plan.scenario.services}
    talks = any(s.conversations is not None for s in services.values())
    _check_together(how, len(services), talks)
    return {
        planned.name: _simulated_stream(
            services[planned.name],
            [
                placed(services[planned.name], g, catalog, calibration)
                for g in planned.replica_groups
            ],
            how,
            progress,
        )
        for planned in plan.services
        if planned.replica_groups
    }


def under(plan: Plan, scenario: Scenario) -> Plan:
    """The fleet of ``plan`` under the load and the targets of ``scenario``.

    Every replica group's rate grows with its service's. Services are paired by name, or the one with
    the one. Raises InputError unless both serve the same models.
    """
    had = {s.name: s for s in plan.scenario.services}
    requested = {s.name: s for s in scenario.services}
    if len(had) == len(requested) == 1:
        requested = dict(zip(had, requested.values(), strict=True))
    if {n: s.model for n, s in had.items()} != {n: s.model for n, s in requested.items()}:
        raise InputError(
            "the plan serves other models than the scenario does",
            where="--plan",
            found=_models(had.values()),
            allowed=_models(requested.values()),
            action="solve the scenario and give the plan that comes out",
        )
    services = tuple(s.model_copy(update={"name": name}) for name, s in requested.items())
    return plan.model_copy(
        update={
            "scenario": scenario.model_copy(update={"services": services}),
            "services": tuple(
                _scaled(p, requested[p.name].rate / had[p.name].rate) for p in plan.services
            ),
        }
    )


def _models(services: Iterable[Service]) -> str:
    names = (s.model if isinstance(s.model, str) else "a model of its own" for s in services)
    return ", ".join(sorted(names))


def _scaled(planned: ServicePlan, factor: float) -> ServicePlan:
    groups = tuple(
        g.model_copy(update={"routed_qps": g.routed_qps * factor}) for g in planned.replica_groups
    )
    return planned.model_copy(update={"replica_groups": groups})


def _check_together(how: SimulationSettings, services: int, conversations: bool) -> None:
    if how.scaling and (how.trace is not None or services > 1):
        raise InputError("--scale works for one service with its own arrivals")
    if how.concurrency is not None and (how.trace is not None or how.scaling):
        raise InputError("--concurrency sends its own requests: leave out --trace and --scale")
    if how.concurrency is not None and conversations:
        raise InputError(
            "--concurrency sends requests of their own, the service has conversations",
            action="leave out --concurrency: turns follow each other as the scenario says",
        )
    if how.trace is not None and services > 1:
        raise InputError("--trace is for one service, the scenario has several", found=services)


def _check_work(how: SimulationSettings, window: Window, rate_qps: float) -> None:
    """Refuse a duration whose requests would not fit in memory."""
    rate_qps *= how.rate_scale * window.slice_share
    requests = rate_qps * window.total_s * how.replications
    if requests > MOST_SENT:
        raise InputError(
            "so long a simulation sends too many requests",
            where="--duration",
            found=f"about {requests:.2g} requests",
            allowed=f"at most {MOST_SENT:,}",
            action=f"simulate {window.measured_s * MOST_SENT / requests / 3600:.3g}h or less",
        )


def _simulated_stream(
    service: Service,
    placed: Sequence[Placed],
    how: SimulationSettings,
    progress: Callable[[int], None] | None,
) -> StudiedService:
    if how.trace is not None:
        recorded = read_trace(how.trace)
        model = placed[0].deployment.model
        if model.max_context_tokens:
            recorded.check_context(model.max_context_tokens, model.name)
        return replay_service(
            service,
            placed,
            from_trace(recorded, how.rate_scale, how.duration_s, lengths_of(service).mix),
            seed=how.seed,
            kv_pool_tokens=how.kv_pool_tokens,
            progress=progress,
        )
    if how.concurrency is not None:
        return closed_loop_service(
            service, placed, how.concurrency, seed=how.seed, progress=progress
        )
    too_much = excess_rate(service, placed, how.rate_scale * sum(p.rate_qps for p in placed))
    if too_much is not None:
        raise Overload(too_much)
    window = window_for(service, placed, lengths_of(service))
    if how.duration_s is not None:
        window = replace(window, measured_s=how.duration_s)
        _check_work(how, window, sum(p.rate_qps for p in placed))
    return check_service(
        service,
        placed,
        window=window,
        rate_scale=how.rate_scale,
        replications=how.replications,
        seed=how.seed,
        scaling=how.scaling,
        progress=progress,
    )
