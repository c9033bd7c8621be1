import dataclasses
import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.fleet.infeasibility.conflict import smallest_conflict
from planner.fleet.infeasibility.explain import explain
from planner.fleet.infeasibility.oracle import FeasibilityOutcome, Requirement
from planner.fleet.infeasibility.problem_requirements import outcome_of, problem_requirements
from planner.fleet.program.problem import Cap, Demand, FleetLimits, NodeOffer, Problem, ReplicaKind
from planner.fleet.program.program import solve


def threshold(name, current, loosest, whole=False):
    return Requirement(
        name=name,
        current=current,
        loosest=loosest,
        edit=lambda q, v, name=name: {**q, name: v},
        write=lambda v: f"{v:g}",
        whole=whole,
    )


@given(
    size=st.integers(1, 6),
    conflicts=st.lists(st.frozensets(st.integers(0, 5), min_size=1), min_size=1, max_size=6),
)
def test_smallest_conflict_is_the_smallest_of_all_subsets(size, conflicts):
    conflicts = [c for c in (frozenset(i for i in c if i < size) for c in conflicts) if c]
    everything = frozenset(range(size))

    def may_hold(kept):
        return not any(c <= kept for c in conflicts)

    if not conflicts:
        with pytest.raises(ValueError, match="no conflict"):
            smallest_conflict(everything, may_hold)
        return
    found = smallest_conflict(everything, may_hold)
    fewest = min(
        len(s)
        for n in range(size + 1)
        for s in itertools.combinations(range(size), n)
        if not may_hold(frozenset(s))
    )
    assert not may_hold(found)
    assert len(found) == fewest
    assert all(may_hold(found - {i}) for i in found)


def test_no_member_of_an_empty_conflict():
    assert smallest_conflict(frozenset({0, 1}), lambda kept: False) == frozenset()


@given(rate=st.floats(1, 1000), per_gpu=st.floats(0.5, 20), stock=st.integers(0, 40))
def test_stock_against_demand_relaxes_to_the_least_that_suffices(rate, per_gpu, stock):
    needed = math.ceil(rate / per_gpu)

    def solve(q):
        gpus = math.ceil(q["share"] * rate / per_gpu)
        return (
            FeasibilityOutcome("optimal", 2.0 * gpus, {"h100": gpus})
            if gpus <= q["stock"]
            else FeasibilityOutcome("infeasible")
        )

    requirements = [
        threshold("share", 1.0, 1e-6),
        Requirement(
            name="stock",
            current=stock,
            loosest=10**6,
            edit=lambda q, v: {**q, "stock": v},
            write=lambda v: f"{v:.0f}",
            whole=True,
            enough=lambda outcome: outcome.gpus,
        ),
    ]
    question = {"share": 1.0, "stock": stock}
    if needed <= stock:
        with pytest.raises(ValueError, match="infeasible"):
            explain(question, requirements, solve)
        return
    explanation = explain(question, requirements, solve)
    stated = {r.requirement: r for r in explanation.relaxations}
    assert int(stated["stock"].relaxed) == needed
    assert stated["stock"].usd_per_hour == 2.0 * needed
    if stock == 0:
        assert explanation.conflict == ("stock: 0",)
        return
    assert len(explanation.conflict) == 2
    share = float(stated["share"].relaxed)
    assert solve({"share": share, "stock": stock}).has_fleet
    assert not solve({"share": share * 1.025, "stock": stock}).has_fleet


@given(least=st.floats(0.5, 50), more=st.floats(1.1, 90))
def test_a_limit_on_cost_relaxes_to_what_the_fleet_found_costs(least, more):
    """Where a looser limit buys more (who is served depends on it), the fleet of the loosest says little."""
    least = round(least, 2)

    def solve(q):
        if q["usd"] < least:
            return FeasibilityOutcome("infeasible")
        cost = least if q["usd"] < least * more else least * more
        return FeasibilityOutcome("optimal", cost)

    limit = Requirement(
        name="usd",
        current=0.05,
        loosest=1e6,
        edit=lambda q, v: {**q, "usd": v},
        write=lambda v: f"{v:.12g}",
        enough=lambda outcome: outcome.usd_per_hour,
    )
    (found,) = explain({"usd": 0.05}, [limit], solve).relaxations
    step = 10.0 ** (math.floor(math.log10(least)) - 2)  # printed with three digits, rounded up
    assert least <= float(found.relaxed) < least + step * (1 + 1e-6)
    assert found.usd_per_hour <= float(found.relaxed) * (1 + 1e-9)


@settings(max_examples=200)
@given(data=st.data())
def test_relaxations_are_feasible_and_tight_with_several_conflicts(data):
    """Each conflict is a sum of thresholds that must reach a bound."""
    names = [f"r{i}" for i in range(data.draw(st.integers(2, 4)))]
    current = {n: data.draw(st.integers(0, 9), label=n) for n in names}
    rules = data.draw(
        st.lists(
            st.tuples(st.sets(st.sampled_from(names), min_size=1), st.integers(1, 60)),
            min_size=1,
            max_size=3,
        )
    )

    def solve(q):
        holds = all(sum(q[n] for n in members) >= bound for members, bound in rules)
        return (
            FeasibilityOutcome("optimal", float(sum(q.values())))
            if holds
            else FeasibilityOutcome("infeasible")
        )

    requirements = [threshold(n, current[n], 1000, whole=True) for n in names]
    if solve(current).has_fleet:
        return
    explanation = explain(current, requirements, solve)
    assert explanation.conflict
    for relaxation in explanation.relaxations:
        changed = relaxation.requirement.split(" and ")
        values = [int(v) for v in relaxation.relaxed.split(" and ")]
        relaxed = {**current, **dict(zip(changed, values, strict=True))}
        assert solve(relaxed).has_fleet
        for name, value in zip(changed, values, strict=True):
            assert value == current[name] or not solve({**relaxed, name: value - 1}).has_fleet


@given(floor=st.floats(0.05, 50), target=st.floats(0.01, 40))
def test_a_target_below_the_floor_is_the_conflict_by_itself(floor, target):
    def solve(q):
        ok = q["ttft"] >= floor
        return FeasibilityOutcome("optimal", 1.0) if ok else FeasibilityOutcome("infeasible")

    question = {"ttft": target, "share": 1.0}
    if target >= floor:
        return
    requirements = [threshold("share", 1.0, 1e-6), threshold("ttft", target, 3600.0)]
    explanation = explain(question, requirements, solve)
    assert explanation.conflict == (f"ttft: {target:g}",)
    assert "cannot be met" in explanation.summary
    (relaxation,) = explanation.relaxations
    relaxed = float(relaxation.relaxed)
    assert floor <= relaxed * (1 + 1e-9)
    assert relaxed <= floor * 1.021


def test_what_no_requirement_can_cure_is_reported_from_the_rejections():
    explanation = explain(
        {"share": 1.0},
        [threshold("share", 1.0, 1e-6)],
        lambda q: FeasibilityOutcome("infeasible"),
        nearest_misses=["weights need 1342 GB, the largest replica holds 640 GB"],
    )
    assert explanation.conflict == ()
    assert explanation.relaxations == ()
    assert "1342 GB" in explanation.summary


def test_a_solver_that_ran_out_of_time_proves_no_conflict():
    def solve(q):
        if q["a"] == 0 and q["b"] == 0:
            return FeasibilityOutcome("infeasible")
        return FeasibilityOutcome("unknown") if q["b"] == 0 else FeasibilityOutcome("optimal", 1.0)

    requirements = [threshold("a", 0, 9, whole=True), threshold("b", 0, 9, whole=True)]
    explanation = explain({"a": 0, "b": 0}, requirements, solve)
    assert len(explanation.conflict) == 2
    assert [r.requirement for r in explanation.relaxations] == ["b"]


@st.composite
def tight_problems(draw):
    """One or two services, two GPU types, and limits that are often too small."""
    services = [f"s{i}" for i in range(draw(st.integers(1, 2)))]
    demands = tuple(
        Demand(s, s, (float(draw(st.integers(1, 20))),), max_kinds=draw(st.sampled_from([1, None])))
        for s in services
    )
    kinds = tuple(
        ReplicaKind(f"{gpu}-{s}", gpu, n, {s: float(draw(st.integers(1, 4)) * n)})
        for gpu in ("a10g", "h100")
        for s in services
        for n in [draw(st.sampled_from([1, 2]))]
    )
    offers = tuple(
        NodeOffer(
            f"{gpu}-o", gpu, 2, float(draw(st.integers(2, 9))),
            max_nodes=draw(st.sampled_from([None, 1, 4])), power_kw=1.0,
        )
        for gpu in ("a10g", "h100")
    )  # fmt: skip
    limits = FleetLimits(
        max_gpus=draw(st.one_of(st.none(), st.integers(1, 20))),
        max_usd_per_hour=draw(st.one_of(st.none(), st.integers(1, 60).map(float))),
        max_power_kw=draw(st.one_of(st.none(), st.integers(1, 9).map(float))),
        stock=draw(
            st.dictionaries(st.sampled_from(["a10g", "h100"]), st.integers(0, 12), max_size=2)
        ),
        caps=draw(
            st.sampled_from([(), (Cap("region quota", 3.0, {"a10g-o": 1.0, "h100-o": 1.0}),)])
        ),
    )
    return Problem(demands, kinds, offers, limits)


@given(problem=tight_problems())
@settings(max_examples=15, deadline=None)
def test_conflicts_of_random_fleets_are_smallest_and_relaxations_tight(problem):
    check_explanation(problem)


@pytest.mark.long
@given(problem=tight_problems())
@settings(max_examples=300, deadline=None)
def test_conflicts_of_many_random_fleets_are_smallest_and_relaxations_tight(problem):
    check_explanation(problem)


def check_explanation(problem):
    def attempt(requested):
        return outcome_of(requested, solve(requested))

    if attempt(problem).has_fleet:
        return
    requirements = problem_requirements(problem)
    explanation = explain(problem, requirements, attempt)
    named = {r.name: r for r in requirements}
    members = [text.split(":")[0] for text in explanation.conflict]

    def keeping(kept):
        requested = problem
        for name, requirement in named.items():
            if name not in kept:
                requested = requirement.edit(requested, requirement.loosest)
        return attempt(requested)

    assert keeping(members).proved_infeasible
    for smaller in itertools.combinations(named, max(len(members) - 1, 0)):
        assert keeping(smaller).has_fleet
    for relaxation in explanation.relaxations:
        assert relaxation.usd_per_hour is not None
        changed = [named[n] for n in relaxation.requirement.split(" and ")]
        written = relaxation.relaxed.split(" and ")
        values = [float(v.split()[0].strip("$").removesuffix("/h")) for v in written]
        percent = [r.name.startswith("rate of") for r in changed]
        values = [v / 100 if p else v for v, p in zip(values, percent, strict=True)]

        def at(stated, changed=changed):
            requested = problem
            for requirement, value in zip(changed, stated, strict=True):
                requested = requirement.edit(requested, value)
            return attempt(requested)

        assert at(values).usd_per_hour == pytest.approx(relaxation.usd_per_hour)
        for i, (requirement, value) in enumerate(zip(changed, values, strict=True)):
            stricter = value + math.copysign(
                1 if requirement.whole else 0.025 * value, requirement.current - value
            )
            if (stricter - requirement.current) * (value - requirement.current) > 0:
                assert at([*values[:i], stricter, *values[i + 1 :]]).proved_infeasible


@given(floor=st.floats(0.05, 2), knee=st.floats(1.5, 50))
@settings(max_examples=60, deadline=None)
def test_a_dear_target_is_reported_with_the_strictest_that_is_not(floor, knee):
    """Cost falls from very dear at the floor to 10 beyond ``knee`` times the floor."""

    def cost(seconds):
        return 10.0 * max(1.0, (knee * floor / seconds) ** 3)

    def solve_at(q):
        holds = q["ttft"] >= floor
        return (
            FeasibilityOutcome("optimal", cost(q["ttft"]))
            if holds
            else FeasibilityOutcome("infeasible")
        )

    target = dataclasses.replace(threshold("ttft", 0.01, 3600.0), trades_off=True)
    explanation = explain({"ttft": 0.01}, [target], solve_at)
    stated = sorted(explanation.relaxations, key=lambda r: float(r.relaxed))
    assert float(stated[0].relaxed) <= floor * 1.021
    if cost(floor * 1.021) > 12.5:
        least, affordable = stated
        value = float(affordable.relaxed)
        assert affordable.usd_per_hour == pytest.approx(cost(value))
        assert cost(value) <= 12.5 * (1 + 1e-9)
        assert cost(value / 1.4) > 12.5 or value / 1.4 < float(least.relaxed)
    else:
        assert len(stated) <= 2
