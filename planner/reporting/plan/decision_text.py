"""The decision in plain sentences: all one needs to run the fleet, and what is doubtful about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from planner.catalog.offer import Term
from planner.fleet.program.problem import Status
from planner.plan.alternatives import LeftOut
from planner.plan.decision import GroupMargin, LossOfOne
from planner.plan.labels import MISSES, comes_and_goes, leaves, rented, simulated
from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import Plan, ServicePlan
from planner.plan.spanning import spanned_nodes
from planner.plan.speculation import SpeculationPlan
from planner.reporting import rounding
from planner.reporting.names import metric_title
from planner.reporting.served import serves
from planner.serving.pools import gpus_named
from planner.units import counted

MOST_GROUPS = 4
FULL = 1.0
SAME = 1e-6  # relative: costs that differ by less are the same
MIX = "max_deployments"
ACCEPT = "Before signing: planner accept --plan PLAN.json prints a load test of one replica."


def decision_lines(plan: Plan) -> Iterator[str]:
    """Sentences in the order of their weight; none for a plan without a fleet."""
    if plan.totals is None:
        return
    groups = _costliest(plan)
    yield from (_run(plan, service, group) for service, group in groups)
    yield f"{_taken(plan)} {_admitted(plan)}"
    yield from _margins([group for _, group in groups], simulated(plan) != MISSES)
    if line := as_predicted_line(plan):
        yield line
    jobs = {s.name for s in plan.services if s.job is not None}
    for loss in plan.losses[:MOST_GROUPS]:
        yield _loss(loss, len(plan.losses) > 1, loss.service in jobs)
    yield from _mixed(plan)
    if line := cheapest_line(plan):
        yield line
    if plan.acceptance:
        yield ACCEPT


def unserved(plan: Plan) -> Iterator[str]:
    """What a plan that serves by priority leaves out: in all, then by service."""
    requested = sum(s.rate_qps for s in plan.services)
    served = plan.served_qps
    if plan.totals is not None and served < requested * (1 - 1e-6):
        yield f"Only {rounding.qps(served)} of {rounding.qps(requested)} are served."
    for service in plan.services if len(plan.services) > 1 else ():
        if service.served_qps < service.rate_qps * (1 - 1e-6):
            yield (
                f"{service.name}: only {rounding.qps(service.served_qps)} of "
                f"{rounding.qps(service.rate_qps)} is served."
            )


def _costliest(plan: Plan) -> list[tuple[ServicePlan, ReplicaGroup]]:
    """The groups that cost most, in the plan's order."""
    groups = [(s, g) for s in plan.services for g in s.replica_groups]
    kept = sorted(groups, key=lambda one: -one[1].usd_per_hour)[:MOST_GROUPS]
    return [one for one in groups if one in kept]


def _run(plan: Plan, service: ServicePlan, group: ReplicaGroup) -> str:
    """How one replica is started: engine, degrees, checkpoint and formats."""
    name = f"{service.name}: " if len(plan.services) > 1 else ""
    nodes, each = spanned_nodes(group, plan.nodes)
    spans = f"; each replica spans {nodes} nodes of {counted(each, 'GPU')}" if nodes > 1 else ""
    if group.network_gb_s is not None:
        spans += f" over a network of {group.network_gb_s:.3g} GB/s a GPU"
    checkpoint = group.checkpoint or service.model
    own = " (quantise it yourself)" if group.quantise_yourself else ""
    gpus = gpus_named(group.prefill.gpu if group.prefill else "", group.gpu)
    share = "" if group.gpu_share == 1 else f"{rounding.share(group.gpu_share)} of one"
    part = f" ({group.profile or share})" if group.profile or share else ""
    often = "up to " if comes_and_goes(plan, service, group) else ""
    drafts = f", drafting {_drafts(group.speculation)}" if group.speculation else ""
    return (
        f"Run: {name}{often}{counted(group.replicas, 'replica')} of {group.gpus_each} {gpus}{part}, "
        f"{group.engine} {group.engine_version}, {group.parallel}, "
        f"{checkpoint} with {group.weights} weights{own} and {group.kv_cache} KV cache{drafts}{spans}."
    )


def _drafts(speculation: SpeculationPlan) -> str:
    """What drafts, and the share of drafted tokens that is counted on."""
    accepted = f"{rounding.share(speculation.acceptance)} accepted, {speculation.evidence.value}"
    return f"{speculation.label} ({accepted})"


def _taken(plan: Plan) -> str:
    """What is kept of what runs today, what is rented, and what stays until that runs."""
    taken: dict[str, list[str]] = {"Keep": [], "Rent": [], "Leave": []}
    for n in rented(plan):
        if n.term != Term.OWNED:
            place = f"{n.provider} {n.region}, {n.term}"
            taken["Rent"].append(f"{n.count} x {n.instance_type} ({place})")
        elif leaves(n, plan):
            place = f"own, {plan.scenario.migration.overlap_hours:g} h beside what replaces it"
            taken["Leave"].append(f"{n.count} x {n.instance_type} ({place})")
        else:
            taken["Keep"].append(f"{n.count} x {n.instance_type} (own)")
    parts = [f"{verb}: {'; '.join(_first(names))}." for verb, names in taken.items() if names]
    return " ".join(parts or ["Rent: nothing."])


def _first(names: list[str]) -> Iterator[str]:
    yield from names[:MOST_GROUPS]
    if len(names) > MOST_GROUPS:
        yield f"{len(names) - MOST_GROUPS} more"


def _admitted(plan: Plan) -> str:
    """Which offers the plan may take; a price list of one's own speaks for itself."""
    prices = plan.scenario.prices
    if prices.file is not None:
        return f"Prices of {prices.file}."
    least = "any" if prices.confidence == "low" else f"{prices.confidence} or better"
    return f"Offers considered: {', '.join(prices.tiers)}; price confidence {least}."


def _margins(groups: Iterable[ReplicaGroup], confirmed: bool) -> Iterator[str]:
    """The margin of each group, of all at once where it is the same."""
    by_line: dict[str, list[str]] = {}
    for group in groups:
        by_line.setdefault(margin_line(group, confirmed), []).append(group.gpu)
    for line, gpus in by_line.items():
        named = f"Margin of {' and '.join(dict.fromkeys(gpus))}:"
        yield line.replace("Margin:", named, 1) if len(by_line) > 1 else line


def margin_line(group: ReplicaGroup, confirmed: bool = True) -> str:
    """What the size allows for: a probability, a margin that is assumed, or nothing.

    ``confirmed``: no simulation of the fleet missed a target.
    """
    grade = f"evidence: {group.evidence.value}"
    if group.margin is not None and group.margin.behind != group.evidence.value:
        grade += f", margin of {group.margin.behind} runs"
    if group.margin is None:
        return (
            f"Margin: none, sized for the prediction itself ({grade}), for the traffic as stated."
        )
    held = "every target holds" if confirmed else "by the closed form alone, every target holds"
    return (
        f"Margin: {held} with steps {slower(group.margin)} slower than predicted, "
        f"{called(group.margin)} ({grade}), for the traffic as stated."
    )


def slower(margin: GroupMargin) -> str:
    """How much longer steps may take, as a share."""
    return rounding.share(margin.slowdown - FULL)


def called(margin: GroupMargin) -> str:
    """What the margin is worth: a probability where its quantiles passed, else an assumption."""
    if margin.passed:
        return f"a probability of {rounding.share(margin.probability)}"
    return "margin assumed"


def as_predicted_line(plan: Plan) -> str:
    """The point estimate beside the plan, and what closes the gap; empty without one."""
    base, totals = plan.as_predicted, plan.totals
    if base is None or totals is None:
        return ""
    more = totals.gpus_rented - base.gpus
    dearer = totals.usd_per_hour - base.usd_per_hour
    text = f"{_for_the_margin(more, dearer, totals.gpus_rented)} (as predicted: "
    text += f"{_size(base.gpus, base.usd_per_hour)}{_serving(base.served_qps)})"
    if base.cheapest_usd_per_hour < base.usd_per_hour * (1 - SAME):
        size = _size(base.cheapest_gpus, base.cheapest_usd_per_hour)
        text += f"; without a margin the plan would be {base.cheapest_label}, {size}"
        text += _serving(base.cheapest_served_qps)
    if totals.usd_per_hour > base.cheapest_usd_per_hour * (1 + SAME):
        text += f"; one benchmark of {base.settled_by} would decide it"
    return f"{text}."


def _for_the_margin(gpus: int, usd_per_hour: float, of_gpus: int) -> str:
    """What the margin takes with the plan's own kinds of replica."""
    if gpus > 0:
        return f"{gpus} of {of_gpus} GPUs cover{'s' if gpus == 1 else ''} prediction error"
    if usd_per_hour > SAME:
        return f"The margin costs {rounding.usd_per_hour(usd_per_hour)}"
    return "The margin takes no more GPUs of this kind"


def _size(gpus: int, usd_per_hour: float) -> str:
    return f"{counted(gpus, 'GPU')}, {rounding.usd_per_hour(usd_per_hour)}"


def _loss(loss: LossOfOne, several: bool, job: bool) -> str:
    name = f" of {loss.service} ({loss.replica})" if several else ""
    return f"Losing one replica{name}: {_outcome(loss, job)}. {_spare(loss)}"


def _outcome(loss: LossOfOne, job: bool) -> str:
    if loss.load is None:
        return "no replica is left to serve"
    if job:
        return f"the rest take {rounding.share(loss.load - FULL)} longer for the same work"
    load = f"the rest run at {rounding.share(loss.load)} of their capacity"
    if loss.outcome == "overloaded":
        return f"{load} and their queue grows without bound"
    if loss.outcome == "misses":
        missed = ", ".join(
            f"{metric_title(k)} {rounding.seconds(s)}" for k, s in loss.missed.items()
        )
        return f"{load} and miss {f'targets ({missed})' if missed else 'a target'}"
    within = ", within the margin" if loss.load > FULL else ""
    return f"{load} and still meet every target{within}"


def _spare(loss: LossOfOne) -> str:
    if loss.spare_usd_per_hour is None:
        return "No offer that the plan rents from has room for a spare of the same kind."
    if loss.spare_usd_per_hour == 0:
        return "A spare fits on idle GPUs."
    return f"One spare of the same kind costs {rounding.usd_per_hour(loss.spare_usd_per_hour)}."


def _mixed(plan: Plan) -> Iterator[str]:
    """What one kind of replica more than the default would save, where it would."""
    for other in plan.left_out:
        if MIX not in other.name or other.usd_per_hour is None or plan.totals is None:
            continue
        if other.usd_per_hour < plan.totals.usd_per_hour or other.status == "optimal":
            less = rounding.relative(plan.totals.usd_per_hour, other.usd_per_hour)
            cost = rounding.usd_per_hour(other.usd_per_hour)
            serving = _serving(other.served_qps)
            yield f"More kinds of replica ({other.name}): {cost} ({less}){serving}, by the closed form."


def cheapest_line(plan: Plan) -> str:
    """The cheapest fleet of all offers beside the plan; empty where that is the plan."""
    other, totals = plan.cheapest, plan.totals
    if other is None or totals is None:
        return ""
    against = rounding.relative(totals.usd_per_hour, other.usd_per_hour)
    size = _size(other.gpus, other.usd_per_hour)
    doubts = _doubted(other.offers, other.doubts)
    stands = f"{_serving(other.served_qps)}{_proof(other.status)}"
    return f"Cheapest of all offers: {other.label}, {size} ({against}){stands}: {doubts}."


def _proof(status: Status) -> str:
    return "" if status == "optimal" else ", the best found in its time"


def _doubted(offers: Iterable[str], doubts: Iterable[str]) -> str:
    return "; ".join(f"{o}: {d}" for o, d in zip(offers, doubts, strict=True))


def searched_line(plan: Plan) -> str:
    """What was searched and what was not, with the cost of each; empty for a plan that says neither."""
    return " ".join(_searched(plan))


def _searched(plan: Plan) -> Iterator[str]:
    if plan.searched:
        yield f"Searched: {plan.searched}."
    yield from _not_searched(plan)
    run = plan.provenance.run
    if run.not_priced:
        why = "as it was stopped" if run.stopped else "for lack of time"
        yield f"Not priced {why}: {'; '.join(run.not_priced)}."


def _not_searched(plan: Plan) -> Iterator[str]:
    if plan.totals is None or not plan.left_out:
        return
    own = plan.totals.usd_per_hour
    bases = (o.against_usd_per_hour for o in plan.left_out)
    base = next((usd for usd in bases if usd is not None), None)
    text = (f"{o.name}: {_against(o, o.against_usd_per_hour or own)}" for o in plan.left_out)
    itself = f" ({rounding.usd_per_hour(base)} for what was searched)" if base is not None else ""
    yield f"Not searched, priced by the closed form{itself}: {'; '.join(text)}."


def _against(other: LeftOut, base: float) -> str:
    """Its cost beside the plan's, and what it serves; a fleet that is not proved is no price."""
    usd_per_hour = other.usd_per_hour
    if usd_per_hour is None:
        return "no fleet" if other.status == "optimal" else "none found in its time"
    serving = _serving(other.served_qps)
    if other.status != "optimal":
        return f"at most {rounding.usd_per_hour(usd_per_hour)} (not proven in its time){serving}"
    against = f" ({rounding.signed_share(usd_per_hour / base - 1)})" if base else ""
    return f"{rounding.usd_per_hour(usd_per_hour)}{against}{serving}"


def _serving(served_qps: Mapping[str, float]) -> str:
    """What a fleet serves, as the end of a sentence."""
    return f", {serves(served_qps)}" if served_qps else ""
