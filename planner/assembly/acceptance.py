"""The load test that each replica group of a plan has to pass before it is signed for."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator

import numpy as np

from planner.fleet.candidates.candidate import Candidate
from planner.fleet.candidates.derating import derating
from planner.plan.acceptance import AcceptanceTest, Rung
from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import ServicePlan
from planner.scenario.schema import Service
from planner.scenario.task import GENERATE, Task
from planner.serving.placed import Placed
from planner.serving.split_arrivals import SplitArrivals, replica_cv
from planner.solving.operating import served_by
from planner.solving.stages import Decided
from planner.workload.lengths import JointLengths

LADDER = (0.5, 0.8, 1.0)  # of the planned rate of one replica
SECONDS = 300  # of arrivals in each run
FEWEST = 500  # requests of a run: a 99th percentile rests on five
IN_FLIGHT = 4  # times the expected requests in flight: a limit that does not shape the load
LEAST_IN_FLIGHT = 32
# docs.vllm.ai cli/bench/serve, 0.11.2 and later
CLIENTS: dict[Task, tuple[str, ...]] = {
    "generate": ("--backend", "openai"),
    "embed": ("--backend", "openai-embeddings", "--endpoint", "/v1/embeddings"),
    "rerank": ("--backend", "vllm-rerank", "--endpoint", "/v1/rerank"),
    "classify": ("--backend", "vllm-pooling", "--endpoint", "/pooling"),
}
PAIRS = "random-rerank"  # its data set of queries with documents


def acceptance_of(decided: Decided, services: tuple[ServicePlan, ...]) -> Iterator[AcceptanceTest]:
    """One test for each replica group that gets requests, in the order of the plan.

    None of a service with request classes: benchmark clients send one kind of request.
    """
    requested = {s.name: s for s in decided.scenario.services}
    for planned in services:
        if requested[planned.name].classes:
            continue
        for group in planned.replica_groups:
            if group.routed_qps > 0:
                candidate = decided.by_key[group.key(planned.name)]
                yield _test(requested[planned.name], planned.model, group, candidate, decided)


def _test(
    service: Service, model: str, group: ReplicaGroup, candidate: Candidate, decided: Decided
) -> AcceptanceTest:
    mixed = served_by(decided, service, candidate.key)
    pools, each = service.task != GENERATE, service.prompts_per_call
    prompt = round(mixed.mean_prompt)
    output = 1 if pools else max(2, round(mixed.mean_output))
    served = group.checkpoint or model
    rungs = []
    for number, share in enumerate(LADDER, start=1):
        rate = share * group.routed_qps / group.replicas / each
        expected = max(share * group.concurrency / each, 1.0)
        requests = max(FEWEST, math.ceil(rate * SECONDS))
        in_flight = max(LEAST_IN_FLIGHT, math.ceil(IN_FLIGHT * expected))
        rungs.append(
            Rung(
                share=share,
                rate_qps=rate,
                concurrency=in_flight,
                requests=requests,
                limits_s=_targets(service)
                if pools
                else _limits(service, candidate, rate, prompt, output),
                command=_command(
                    service, served, rate, in_flight, requests * each, prompt, output, number
                ),
            )
        )
    return AcceptanceTest(
        service=service.name,
        replica=group.name,
        model=served,
        prompt_tokens=prompt * each,
        output_tokens=output,
        rungs=tuple(rungs),
    )


def _targets(service: Service) -> dict[str, float]:
    """The scenario's targets [s].

    Targets that hold together for a share of requests (goodput) say nothing about one percentile.
    """
    return {} if service.slo.goodput else {t.key: t.seconds for t in service.slo.targets}


def _limits(
    service: Service, candidate: Candidate, rate_qps: float, prompt: int, output: int
) -> dict[str, float]:
    """The scenario's targets, and the mean TPOT of steps as slow as the plan allows for [s]."""
    limits = _targets(service)
    c = candidate
    worse = derating(c.steps, service.assurance, c.prefill.steps if c.prefill else None)
    placed = Placed(c.deployment, c.memory, c.steps, 1, rate_qps, c.prefill)
    lengths = JointLengths(np.array([prompt]), np.array([output]))
    cv, share = replica_cv(service, rate_qps), service.assumptions.prefix_hit_share
    slower = worse.slowed_replicas(placed)
    if slower.keeps_up(lengths, rate_qps, cv, share):
        point = slower.point(lengths, service.slo, rate_qps, cv, share)
        limits["tpot_mean"] = point.tpot_mean_s
    return limits


def _command(
    service: Service,
    model: str,
    rate_qps: float,
    in_flight: int,
    requests: int,
    prompt: int,
    output: int,
    number: int,
) -> str:
    """``vllm bench serve`` against the endpoint that every engine has for the task."""
    cached = round(service.assumptions.prefix_hit_share * prompt)
    percentiles = sorted({99.0, *(t.percentile for t in service.slo.targets)})
    cv = SplitArrivals.of(service).calls_cv(rate_qps)
    words = [
        *("vllm", "bench", "serve", *CLIENTS[service.task]),
        *("--base-url", "http://REPLICA:8000", "--model", model),
        *("--dataset-name", PAIRS if service.task == "rerank" else "random"),
        *("--random-input-len", str(prompt - cached)),
        *(("--random-prefix-len", str(cached)) if cached else ()),
        *(
            ("--random-output-len", str(output), "--ignore-eos")
            if service.task == GENERATE
            else ("--random-batch-size", str(service.prompts_per_call))
        ),
        *("--num-prompts", str(requests), "--request-rate", f"{rate_qps:.4g}"),
        *(("--burstiness", f"{1 / cv**2:.4g}") if cv not in (0.0, 1.0) else ()),
        *("--max-concurrency", str(in_flight), "--percentile-metrics"),
        "ttft,tpot,itl,e2el" if service.task == GENERATE else "e2el",
        *("--metric-percentiles", ",".join(f"{p:g}" for p in percentiles)),
        *("--save-result", "--result-filename", f"rung-{number}.json"),
    ]
    return shlex.join(words)
