"""The rows about load: requests in flight, arithmetic, the speed of a replica, how many hold the rate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from planner.deployment import Deployment
from planner.derivation.question import DerivationInputs
from planner.derivation.rows import DerivationRow, DerivationStep
from planner.performance.guard import floors
from planner.plan.replica_group import ReplicaGroup
from planner.scenario.schema import Service
from planner.units import TERA

NOTED = 1.1  # times the matrix products: attention that adds less is not mentioned
SLACK = 1e-6  # of a replica: sums of floats


def concurrency(q: DerivationInputs) -> DerivationRow:
    """A guessed response time, against Little's law at the predicted latency."""
    rate, response = q.service.rate, q.service.assumptions.response_time
    output = q.lengths.mean_output
    book = DerivationStep(
        "rate x assumed response time",
        f"{rate:g}/s x {response:g} s",
        f"{q.textbook.in_flight:,.0f} requests",
        f"{response:g} s for {output:,.0f} tokens is {1e3 * response / output:.0f} ms a token"
        if q.lengths.generates
        else "",
    )
    planned = q.planned_qps or rate
    slowest = _slowest_s(q.service, output)
    note = (
        "no target bounds the time of a request"
        if slowest is None
        else f"the targets allow up to {_seconds(slowest)} and {planned * slowest:,.0f} in flight"
    )
    if not q.groups:
        return DerivationRow(
            "Requests in flight", book, DerivationStep("Little's law", "", "-", note)
        )
    flight = sum(g.concurrency * g.replicas for g in q.groups)
    honest = DerivationStep(
        "Little's law at the predicted latency",
        f"{planned:.4g}/s{_at_its_busiest(q)} x {flight / planned:,.1f} s",
        f"{flight:,.0f} requests",
        note,
    )
    return DerivationRow("Requests in flight", book, honest)


def _slowest_s(service: Service, output_tokens: float) -> float | None:
    """The longest a request may take by its targets [s]: TTFT and TPOT, else E2E; None without any."""
    ttft, tpot = service.slo.target("ttft"), service.slo.target("tpot")
    if ttft is None and tpot is None:
        return max((t.seconds for t in service.slo.targets if t.metric == "e2e"), default=None)
    decoding = (output_tokens - 1) * tpot.seconds if tpot else 0.0
    return (ttft.seconds if ttft else 0.0) + decoding


def _seconds(value: float) -> str:
    return f"{value:,.0f} s" if value >= 1 or value == 0 else f"{1e3 * value:,.0f} ms"


def _at_its_busiest(q: DerivationInputs) -> str:
    answer = q.answer
    return " at its busiest" if answer is not None and answer.busiest_qps is not None else ""


def arithmetic(q: DerivationInputs) -> DerivationRow:
    """What the demand computes, whatever the memory: simple count, then the physical floor."""
    unit = q.reference[0]
    reference = Deployment(
        model=q.model,
        gpu=q.catalog.gpu(unit.gpu),
        engine=q.catalog.engine(q.service.search.engines[0]),
        tensor_parallel=1,
        weights=q.catalog.weight_format("bf16"),
        kv_cache=q.catalog.kv_format("bf16"),
    )
    least = floors(reference)
    products, whole = (
        q.service.rate / f.requests_per_s(q.lengths.mean_prompt, q.lengths.mean_output)
        for f in (replace(least, pair_s=0.0), least)
    )
    attention = f", {_short(whole)} with attention" if whole > NOTED * products else ""
    active = f"{q.parameters.active / 1e9:.2f} billion"
    honest = DerivationStep(
        "rate x tokens x 2 x active parameters",
        f"{q.service.rate:g}/s x {q.tokens:,.0f} x 2 x {active}",
        f"{_short(q.arithmetic_flops_s / 1e3 / TERA)} PFLOP/s",
        f"{_short(q.reference_count)} {unit.name}s at 100 % of BF16 peak; "
        f"{_short(products)} when the embedding and unsampled heads are left out{attention}",
    )
    return DerivationRow("Arithmetic the demand needs", None, honest)


def _short(value: float) -> str:
    """One decimal, or two digits of what is below one."""
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def speeds(q: DerivationInputs) -> Iterator[DerivationRow]:
    """Where a decode step of each replica spends its time, and which target that brings close."""
    for group in q.groups:
        step = group.step
        if step is None:
            continue
        parts = {
            "weights": step.weights_s,
            "KV cache": step.kv_s,
            "arithmetic": step.compute_s,
            "collectives": step.collectives_s,
            "overhead": step.overhead_s,
        }
        text = ", ".join(f"{name} {1e3 * s:.1f}" for name, s in parts.items() if s > 0)
        honest = DerivationStep(
            "a decode step: memory traffic overlapped with arithmetic, then the rest",
            f"{group.concurrency:,.0f} in flight; {text} ms",
            f"{1e3 * step.total_s:.1f} ms a step{_yield(group)}",
            _reach(group),
        )
        yield DerivationRow(_named(q, "Speed of one replica", group), None, honest)


def _yield(group: ReplicaGroup) -> str:
    """Tokens a step yields where some are drafted."""
    drafts = group.speculation
    if drafts is None:
        return ""
    return (
        f" of {drafts.tokens_per_step:.2f} tokens ({drafts.label}, "
        f"{100 * drafts.acceptance:.0f} % accepted, {drafts.evidence.value})"
    )


def _reach(group: ReplicaGroup) -> str:
    """What the user feels when prompts interleave with decoding, and what ends the growth."""
    between = "" if group.prefill else "with prompts in between "
    typical, slow = group.predicted.tpot_p50_s, group.predicted.tpot_p99_s
    felt = (
        f"{between}{1e3 * typical:.1f} ms a token (p50), {1e3 * slow:.1f} (p99); "
        if typical is not None and slow is not None
        else ""
    )
    return f"{felt}capacity {group.capacity_qps:.2f}/s, limited by {group.limited_by}"


def _named(q: DerivationInputs, topic: str, group: ReplicaGroup) -> str:
    return topic if len(q.groups) == 1 else f"{topic}, {group.gpu} {group.parallel}"


def chosen(q: DerivationInputs) -> DerivationRow:
    """The plan in a line, or why there is none."""
    if not q.groups or q.plan.totals is None:
        why = q.plan.infeasibility.summary if q.plan.infeasibility else q.plan.status
        return DerivationRow(
            "Replicas needed", None, DerivationStep("integer program", "", "no fleet", why)
        )
    honest = DerivationStep(
        "cheapest replicas whose capacity covers the rate",
        "; ".join(_count(q, g) for g in q.groups),
        "; ".join(g.label for g in q.groups),
        f"${q.plan.totals.usd_per_hour:,.2f}/h"
        + (" for all services" if len(q.plan.services) > 1 else ""),
    )
    return DerivationRow("Replicas needed", None, honest)


def _count(q: DerivationInputs, group: ReplicaGroup) -> str:
    """Rate over capacity, rounded up, and what is kept beyond it."""
    needed = math.ceil(group.routed_qps / group.capacity_qps - SLACK)
    spare = group.replicas - needed
    kept = f" and {spare} to spare" if spare > 0 else ""
    return (
        f"{group.routed_qps:.4g}/s{_at_its_busiest(q)} over {group.capacity_qps:.2f}/s each "
        f"-> {needed}{kept}"
    )
