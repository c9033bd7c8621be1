"""Every row of a plan's derivation, in order, and the sentence that says why the columns differ.

Nothing is solved again: the honest side reads the plan and the rooms it came from.
"""

from __future__ import annotations

from planner.catalog.store import Catalog
from planner.derivation import class_rows, load_rows, memory_rows
from planner.derivation.question import DerivationInputs, question
from planner.derivation.rows import Beside, Derivation
from planner.plan.schema import Plan
from planner.units import GB, counted


def derive(plan: Plan, catalog: Catalog) -> tuple[Derivation, ...]:
    """Derive every service of ``plan``."""
    return tuple(_derive(question(s, plan, catalog)) for s in plan.scenario.services)


def beside(plan: Plan) -> Beside:
    """One line about another scenario's plan."""
    groups = plan.groups
    why = plan.infeasibility.summary if plan.infeasibility else plan.status
    return Beside(
        scenario=plan.scenario.name,
        answer="; ".join(g.label for g in groups) if groups else why,
        capacity_qps=min((g.capacity_qps for g in groups), default=None),
        gpus=plan.totals.gpus_rented if plan.totals else None,
        usd_per_hour=plan.totals.usd_per_hour if plan.totals else None,
    )


def _derive(q: DerivationInputs) -> Derivation:
    rows = (
        memory_rows.weights(q),
        memory_rows.kv_per_token(q),
        memory_rows.kv_per_request(q),
        load_rows.concurrency(q),
        memory_rows.kv_pool(q),
        memory_rows.total(q),
        *memory_rows.gpus(q),
        load_rows.arithmetic(q),
        *load_rows.speeds(q),
        *class_rows.classes(q),
        load_rows.chosen(q),
    )
    requested = q.service.model
    name = q.model.requested_as(requested) if isinstance(requested, str) else q.model.name
    return Derivation(q.service.name, name, rows, _verdict(q))


def _verdict(q: DerivationInputs) -> str:
    """Why the columns differ, or that they agree, in a sentence."""
    if q.gpus and not q.groups:
        memory = q.gpus * q.gpu_bytes(q.gpu) / GB
        weights = min(q.textbook.weights_bytes(n) for n in q.formats) / GB
        if weights > memory:
            return (
                f"Both columns agree: the weights alone are {weights:,.0f} GB and {q.gpus} GPUs "
                f"have {memory:,.0f} GB. Use more GPUs or fewer bits per weight."
            )
    if q.copies > 1:
        return (
            "The textbook divides the KV cache over the GPUs, but MLA keeps one latent per token "
            f"that every TP rank stores in full: {q.copies} GPUs store the same tokens, so the pool "
            f"is {q.copies} times smaller than the sum of their memory suggests."
        )
    counts = sorted({q.textbook.gpus(n, q.gpu_bytes(q.reference[0].gpu)) for n in q.formats})
    if q.reference_count > counts[-1]:
        fewest = f"{counts[0]} to " if counts[0] < counts[-1] else ""
        most = counted(counts[-1], "GPU")
        return (
            f"By memory alone {fewest}{most} would do, but the demand needs the arithmetic of "
            f"{q.reference_count:.1f} {q.reference[0].name}s at 100 % of BF16 peak, so "
            f"{most} cannot serve it whatever their memory. The textbook hides this by assuming "
            f"{q.service.assumptions.response_time:g} s per request: no target requires that speed, and "
            "load does not slow it down."
        )
    return (
        "Memory alone decides what fits; the targets decide how many requests one replica can serve, "
        "and the rate decides how many replicas are needed."
    )
