"""The bill: prices against the catalog, node costs, totals, cost per million tokens."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from planner.catalog.offer import Offer, Term
from planner.errors import PlannerError
from planner.money.rates import token_cost, usd_per_month, usd_per_year
from planner.plan.labels import leaves
from planner.plan.schema import NodeCount, Plan
from planner.verification.billed_nodes import billed_nodes
from planner.verification.check import (
    Check,
    Verdict,
    at_least,
    at_most,
    equal,
    number_text,
    one_of,
    skipped,
)
from planner.workload.lengths import lengths_of


def bill_checks(plan: Plan) -> Iterator[Check]:
    """Every sum of money and of GPUs in the plan, recomputed from its parts."""
    totals = plan.totals
    if totals is None:
        return
    for node in plan.nodes:
        yield equal(
            "money",
            f"{node.count}x {_name(node)} at their price",
            node.usd_per_hour,
            node.count * node.usd_per_hour_each * node.hours_share * node.charged,
        )
        yield at_least("money", f"{_name(node)} price [USD/h]", node.usd_per_hour_each, 0.0)
    cost = sum(n.usd_per_hour for n in plan.nodes)
    yield equal("money", "the total is the sum over nodes [USD/h]", totals.usd_per_hour, cost)
    yield equal("money", "the objective is what the nodes cost", plan.objective_usd_per_hour, cost)
    yield equal("money", "a month is 730 h", totals.usd_per_month, usd_per_month(cost))
    yield equal("money", "a year is 8,760 h", totals.usd_per_year, usd_per_year(cost))
    for service in plan.services:
        yield equal(
            "money",
            f"{service.name} bears the cost of its replica groups",
            service.usd_per_hour,
            sum(g.usd_per_hour for g in service.replica_groups),
        )
    yield equal(
        "money",
        "services bear all of the cost",
        sum(s.usd_per_hour for s in plan.services),
        cost,
    )
    yield from _counts(plan)
    yield from _tokens(plan, cost)


def price_checks(plan: Plan, offers: Sequence[Offer]) -> Iterator[Check]:
    """Every node against the price list it was taken from, and the scenario's choice of prices."""
    prices = plan.scenario.prices
    listed: dict[tuple[str, str, str, str], list[Offer]] = {}
    for offer in offers:
        key = (offer.provider, offer.region, offer.instance_type, offer.term.value)
        listed.setdefault(key, []).append(offer)
    for node in plan.nodes:
        name = _name(node)
        found = listed.get((node.provider, node.region, node.instance_type, node.term), [])
        rows = [o for o in found if (o.gpu, o.gpu_count) == (node.gpu, node.gpus_per_node)]
        if not rows:
            yield Check("prices", f"{name} is on the price list", Verdict.FAILS, "no such offer")
            continue
        nearest = min(rows, key=lambda o: abs(o.usd_per_hour - node.usd_per_hour_each))
        yield equal(
            "prices",
            f"price of {name} in the list of {nearest.as_of} [USD/h]",
            node.usd_per_hour_each,
            nearest.usd_per_hour,
        )
        yield equal(
            "prices", f"share of {name} paid upfront", node.upfront_share, nearest.upfront_share
        )
        yield from _quoted(node.count, nearest, name)
        if nearest.term is Term.OWNED:
            continue
        yield one_of("prices", f"term of {name}", node.term, prices.terms)
        for field, word in (("providers", node.provider), ("regions", node.region)):
            allowed = getattr(prices, field)
            if allowed != "all":
                yield one_of("prices", f"{field} of {name}", word, allowed)


def _quoted(count: int, offer: Offer, name: str) -> Iterator[Check]:
    """A quote is for so many nodes."""
    if offer.min_nodes > 1:
        yield at_least("prices", f"nodes of {name} its quote is for", count, offer.min_nodes)
    if offer.max_nodes is not None:
        yield at_most("prices", f"nodes of {name} its quote is for", count, offer.max_nodes)


def _counts(plan: Plan) -> Iterator[Check]:
    totals = plan.totals
    assert totals is not None
    groups = plan.groups
    yield equal("sums", "GPUs used", totals.gpus, sum(g.gpus for g in groups))
    yield equal(
        "sums",
        "GPUs rented at once",
        totals.gpus_rented,
        max(at.gpus() for at in billed_nodes(plan)),
    )
    most = max(sum(n for _, n in at.nodes) for at in billed_nodes(plan))
    yield equal("sums", "nodes at once", totals.nodes, most)
    types = {gpu for g in groups for gpu in g.gpus_by_type}
    for gpu in sorted({n.gpu for n in plan.nodes} | types):
        standing = [n for n in plan.nodes if n.gpu == gpu and not leaves(n, plan)]
        rented = sum(n.count * n.gpus_per_node for n in standing)
        used = math.ceil(sum(g.gpus_on(gpu) for g in groups) - 1e-9)
        idle = sum(n.idle_gpus for n in plan.nodes if n.gpu == gpu)
        statement = f"{gpu}: rented GPUs are used or idle"
        if plan.varies:
            continue
        yield equal("sums", statement, used + idle, rented)
    for group in groups:
        yield equal("sums", f"GPUs of {group.label}", group.gpus, group.replicas * group.gpus_each)


def _tokens(plan: Plan, cost: float) -> Iterator[Check]:
    totals = plan.totals
    assert totals is not None
    statement = "cost per million tokens at the demand served"
    served = {s.name: s.served_qps for s in plan.services}
    try:
        lengths = {s.name: lengths_of(s) for s in plan.scenario.services}
    except PlannerError as error:
        yield skipped("money", statement, str(error))
        return
    rate = sum(served.values())
    prompt = sum(served.get(n, 0.0) * x.mean_prompt for n, x in lengths.items())
    output = sum(served.get(n, 0.0) * x.mean_written for n, x in lengths.items())
    tokens = token_cost(cost, rate, prompt / rate if rate else 0, output / rate if rate else 0)
    for word, found, required in (
        ("output", totals.usd_per_million_output_tokens, tokens.output),
        ("input", totals.usd_per_million_input_tokens, tokens.input),
        ("all", totals.usd_per_million_tokens, tokens.blended),
    ):
        if found is not None or word == "output":
            yield equal("money", f"{statement}, {word}", found, required)
    if not plan.nodes:
        yield Check("money", "a plan rents something", Verdict.FAILS, number_text(0))


def _name(node: NodeCount) -> str:
    return f"{node.provider} {node.region} {node.instance_type} ({node.term})"
