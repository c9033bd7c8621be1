"""The load test that each replica group of a plan has to pass before it is signed for."""

from __future__ import annotations

import math
from collections.abc import Iterator

from planner.assembly.class_acceptance import class_rungs, mix_of_means
from planner.assembly.load_client import ClientRun
from planner.fleet.candidates.candidate import Candidate
from planner.fleet.candidates.derating import derating
from planner.plan.acceptance import AcceptanceTest, Rung
from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import ServicePlan
from planner.scenario.schema import Service
from planner.scenario.task import GENERATE
from planner.serving.placed import Placed
from planner.serving.split_arrivals import SplitArrivals, replica_cv
from planner.solving.operating import served_by
from planner.solving.stages import Decided
from planner.workload.lengths import JointLengths, constant

LADDER = (0.5, 0.8, 1.0)  # of the planned rate of one replica
SECONDS = 300  # of arrivals in each run
FEWEST = 500  # requests of a run: a 99th percentile rests on five
IN_FLIGHT = 4  # times the expected requests in flight: a limit that does not shape the load
LEAST_IN_FLIGHT = 32


def acceptance_of(decided: Decided, services: tuple[ServicePlan, ...]) -> Iterator[AcceptanceTest]:
    """One test for each replica group that gets requests, in the order of the plan."""
    requested = {s.name: s for s in decided.scenario.services}
    for planned in services:
        for group in planned.replica_groups:
            if group.routed_qps > 0:
                candidate = decided.by_key[group.key(planned.name)]
                yield _test(requested[planned.name], planned.model, group, candidate, decided)


def _test(
    service: Service, model: str, group: ReplicaGroup, candidate: Candidate, decided: Decided
) -> AcceptanceTest:
    mixed = served_by(decided, service, candidate.key)
    prompt = round(mixed.mean_prompt)
    output = max(2, round(mixed.mean_output)) if service.task == GENERATE else 1
    served = group.checkpoint or model
    rungs: list[Rung] = []
    for number, share in enumerate(LADDER, start=1):
        rate = share * group.routed_qps / group.replicas / service.prompts_per_call
        expected = max(share * group.concurrency / service.prompts_per_call, 1.0)
        if service.classes:
            rungs += class_rungs(
                service,
                served,
                share=share,
                rate_qps=rate,
                in_flight=expected,
                seconds=SECONDS,
                limits_s=_mean_tpot(service, candidate, rate, mix_of_means(service)),
                number=number,
                sends_priorities=candidate.deployment.settings.priority_scheduling,
            )
            continue
        run = ClientRun(
            model=served,
            rate_qps=rate,
            in_flight=max(LEAST_IN_FLIGHT, math.ceil(IN_FLIGHT * expected)),
            requests=max(FEWEST, math.ceil(rate * SECONDS)) * service.prompts_per_call,
            prompt=prompt,
            output=output,
            arrival_cv=SplitArrivals.of(service).calls_cv(rate),
            result=f"rung-{number}.json",
            percentiles=tuple(sorted({99.0, *(t.percentile for t in service.slo.targets)})),
            seed=number,
        )
        rungs.append(_one_kind(service, candidate, share, run))
    return AcceptanceTest(
        service=service.name,
        replica=group.name,
        model=served,
        prompt_tokens=prompt * service.prompts_per_call,
        output_tokens=output,
        rungs=tuple(rungs),
    )


def _one_kind(service: Service, candidate: Candidate, share: float, run: ClientRun) -> Rung:
    """A run of requests that are all of one kind."""
    limits = _targets(service)
    if service.task == GENERATE:
        lengths = constant(run.prompt, run.output)
        limits |= _mean_tpot(service, candidate, run.rate_qps, lengths)
    return Rung(
        share=share,
        rate_qps=run.rate_qps,
        concurrency=run.in_flight,
        requests=run.requests // service.prompts_per_call,
        limits_s=limits,
        command=run.command(service),
    )


def _targets(service: Service) -> dict[str, float]:
    """The scenario's targets [s].

    Targets that hold together for a share of requests (goodput) say nothing about one percentile.
    """
    return {} if service.slo.goodput else {t.key: t.seconds for t in service.slo.targets}


def _mean_tpot(
    service: Service, candidate: Candidate, rate_qps: float, lengths: JointLengths
) -> dict[str, float]:
    """The mean TPOT of steps as slow as the plan allows for [s]; none where they do not keep up."""
    c = candidate
    worse = derating(c.steps, service.assurance, c.prefill.steps if c.prefill else None)
    placed = Placed(c.deployment, c.memory, c.steps, 1, rate_qps, c.prefill)
    cv, share = replica_cv(service, rate_qps), service.assumptions.prefix_hit_share
    slower = worse.slowed_replicas(placed)
    if not slower.keeps_up(lengths, rate_qps, cv, share):
        return {}
    return {"tpot_mean": slower.point(lengths, service.slo, rate_qps, cv, share).tpot_mean_s}
