"""A price ladder: the same demand from marketplaces, from clouds, from hyperscalers, and in one region."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from planner.catalog.store import Catalog
from planner.comparison.options import Progress
from planner.errors import InputError
from planner.findings.same_work import serves_less
from planner.findings.schema import PriceRung
from planner.fleet.offers.admitted import admitted_offers
from planner.plan.labels import rented
from planner.plan.schema import Plan
from planner.scenario.schema import Scenario
from planner.solving.lookahead import Solve, expect

TIERS = ("marketplace", "cloud", "hyperscaler")
ANYWHERE = "any"  # the region of offers that state none


def ladder(
    plan: Plan, catalog: Catalog, solve: Solve, progress: Progress | None = None
) -> tuple[PriceRung, ...]:
    """Every rung under the plan's terms, at the catalog's list prices, without discounts and factors."""
    questions = dict(_questions(plan, catalog))
    expect(solve, questions.values())
    rungs = []
    for done, (name, question) in enumerate(questions.items()):
        if progress is not None:
            progress(done, len(questions), f"prices of {name}")
        rungs.append(_rung(name, question, solve, plan))
    return tuple(rungs)


def _questions(plan: Plan, catalog: Catalog) -> Iterator[tuple[str, Scenario]]:
    prices: dict[str, object] = {
        "file": None,
        "providers": "all",
        "regions": "all",
        "factors": {},
        "discounts": {},
        "max_vendors": None,
    }
    for tier in TIERS:
        yield tier, _with(plan.scenario, {**prices, "tiers": (tier,)})
    everywhere = _with(plan.scenario, {**prices, "tiers": TIERS[1:]})
    region = _cheapest_region(plan, everywhere, catalog)
    if region is not None:
        provider, name = region
        there = {**prices, "tiers": TIERS[1:], "providers": (provider,), "regions": (name,)}
        yield f"one region ({provider} {name})", _with(plan.scenario, there)


def _with(question: Scenario, prices: Mapping[str, object]) -> Scenario:
    return question.model_copy(update={"prices": question.prices.model_copy(update=dict(prices))})


def _cheapest_region(plan: Plan, question: Scenario, catalog: Catalog) -> tuple[str, str] | None:
    """The provider and region of the cheapest GPU of the planned types that states its region."""
    gpus = {n.gpu for n in plan.nodes}
    try:
        offers = admitted_offers(question.prices, catalog)
    except InputError:
        return None
    stated = [o for o in offers if o.gpu in gpus and o.region != ANYWHERE]
    best = min(stated, key=lambda o: (o.usd_per_gpu_hour, o.key), default=None)
    return None if best is None else (best.provider, best.region)


def _rung(name: str, question: Scenario, solve: Solve, plan: Plan) -> PriceRung:
    try:
        answer = solve(question)
    except InputError as error:
        return PriceRung(name, None, None, error.what)
    if answer.totals is None:
        return PriceRung(name, None, None, "no fleet is feasible with what is on offer")
    if less := serves_less(answer, plan):
        return PriceRung(name, None, None, less)
    nodes = rented(answer)
    gpu_hours = sum(n.count * n.gpus_per_node * n.hours_share for n in nodes)
    return PriceRung(
        name,
        sum(n.usd_per_hour for n in nodes) / gpu_hours if gpu_hours else None,
        answer.totals.usd_per_month,
        " and ".join(
            f"{n.count} x {n.instance_type} ({n.provider} {n.region}, {n.gpus_per_node} x {n.gpu})"
            for n in nodes
        ),
        min((n.price_as_of for n in nodes if n.price_as_of), default=""),
    )
