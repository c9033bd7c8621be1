"""Every row of a plan's derivation, in order, and the sentence that says why the columns differ.

Nothing is solved again: the honest side reads the plan and the rooms it came from.
"""

from __future__ import annotations

from planner.catalog.store import Catalog
from planner.deployment import Deployment
from planner.derivation import memory_rows
from planner.derivation.question import REFERENCE_GPUS, Question, question
from planner.derivation.rows import Beside, Derivation, Row, Step
from planner.performance.guard import floors
from planner.plan import Plan
from planner.units import GB, TERA


def derive(plan: Plan, catalog: Catalog) -> tuple[Derivation, ...]:
    """Derive every service of ``plan``."""
    return tuple(_derive(question(s, plan, catalog)) for s in plan.scenario.services)


def beside(plan: Plan) -> Beside:
    """One line about another scenario's plan."""
    groups = [g for s in plan.services for g in s.replica_groups]
    why = plan.infeasibility.summary if plan.infeasibility else plan.status
    return Beside(
        scenario=plan.scenario.name,
        answer="; ".join(g.label for g in groups) if groups else why,
        capacity_qps=min((g.capacity_qps for g in groups), default=None),
        gpus=plan.totals.gpus_rented if plan.totals else None,
        usd_per_hour=plan.totals.usd_per_hour if plan.totals else None,
    )


def _derive(q: Question) -> Derivation:
    rows = (
        memory_rows.weights(q),
        memory_rows.kv_per_token(q),
        memory_rows.kv_per_request(q),
        memory_rows.concurrency(q),
        memory_rows.kv_pool(q),
        memory_rows.total(q),
        *memory_rows.cards(q),
        _arithmetic(q),
        _chosen(q),
    )
    asked = q.service.model
    name = q.model.asked_as(asked) if isinstance(asked, str) else q.model.name
    return Derivation(q.service.name, name, rows, _verdict(q))


def _arithmetic(q: Question) -> Row:
    """What the demand computes, whatever the memory: simple count, then the physical floor."""
    reference = Deployment(
        model=q.model,
        gpu=q.catalog.gpu(REFERENCE_GPUS[0]),
        engine=q.catalog.engine(q.service.search.engines[0]),
        tensor_parallel=1,
        weights=q.catalog.weight_format("bf16"),
        kv_cache=q.catalog.kv_format("bf16"),
    )
    ceiling = floors(reference).requests_per_s(q.lengths.mean_prompt, q.lengths.mean_output)
    active = f"{q.parameters.active / 1e9:.2f} B"
    honest = Step(
        "rate x tokens x 2 x active parameters",
        f"{q.service.rate:g}/s x {q.tokens:,.0f} x 2 x {active}",
        f"{q.arithmetic_flops_s / 1e3 / TERA:.1f} PFLOP/s",
        f"{q.reference_cards:.1f} H100s at 100 % of BF16 peak; {q.service.rate / ceiling:.1f} when "
        "the embedding and unsampled heads are left out",
    )
    return Row("Arithmetic the demand needs", None, honest)


def _chosen(q: Question) -> Row:
    """The plan in a line, or why there is none."""
    if not q.groups or q.plan.totals is None:
        why = q.plan.infeasibility.summary if q.plan.infeasibility else q.plan.status
        return Row("What really holds", None, Step("integer program", "", "no fleet", why))
    rate = f"{q.service.rate:g}/s"
    numbers = "; ".join(
        f"{rate} over {g.capacity_qps:.2f}/s each -> {g.replicas}" for g in q.groups
    )
    honest = Step(
        "cheapest replicas whose capacity covers the rate",
        numbers,
        "; ".join(g.label for g in q.groups),
        f"{q.plan.totals.usd_per_hour:,.2f} USD/h",
    )
    return Row("What really holds", None, honest)


def _verdict(q: Question) -> str:
    """Why the columns differ, or that they agree, in a sentence."""
    if q.cards and not q.groups:
        memory = q.cards * q.card_bytes(q.card) / GB
        weights = min(q.textbook.weights_bytes(n) for n in q.formats) / GB
        if weights > memory:
            return (
                f"Both columns agree: the weights alone are {weights:,.0f} GB and {q.cards} cards "
                f"have {memory:,.0f} GB. More cards or fewer bits a weight are the way out."
            )
    if q.copies > 1:
        return (
            "The textbook divides the KV cache over the cards, but MLA keeps one latent per token "
            f"that every TP rank holds whole: {q.copies} cards store the same tokens, so the pool is "
            "that many times smaller than it looks."
        )
    counts = sorted({q.textbook.cards(n, q.card_bytes(REFERENCE_GPUS[0])) for n in q.formats})
    if q.reference_cards > counts[-1]:
        asked = " to ".join(str(n) for n in dict.fromkeys((counts[0], counts[-1])))
        return (
            f"Memory alone asks for {asked} cards, but the demand needs the arithmetic of "
            f"{q.reference_cards:.1f} H100s at 100 % of BF16 peak, so {counts[-1]} cards cannot carry "
            "it whatever their memory; the guess of "
            f"{q.service.assumptions.response_time:g} s a request hides it, because it assumes a "
            "speed that nobody asked for and no load disturbs."
        )
    return (
        "Memory alone says what fits; the targets decide how many requests one replica may carry, "
        "and the rate decides how many replicas that makes."
    )
