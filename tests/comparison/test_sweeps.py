import plan_builder
import pytest

from planner.comparison.sweeps import axis_named, read_values, sweep
from planner.errors import InputError


def by_rate(scenario):
    """Below 40 requests/s one cheap node, from there on the big ones; nothing above 150."""
    rate = sum(s.rate for s in scenario.services)
    if rate > 150:
        return plan_builder.infeasible_plan(scenario)
    if rate < 40:
        return plan_builder.plan(
            scenario,
            groups=(plan_builder.group(gpu="l40s", replicas=1, gpus=4),),
            nodes=(plan_builder.node(gpu="l40s", instance_type="l40sx8", count=1),),
        )
    return plan_builder.plan(scenario, nodes=(plan_builder.node(count=int(rate // 10)),))


def test_a_range_is_read_with_both_ends():
    assert read_values(axis_named("rate"), "10..200", 20)[::19] == (10, 200)
    assert read_values(axis_named("rate"), "10..50", 5) == (10, 20, 30, 40, 50)
    assert read_values(axis_named("ttft"), "500ms .. 2s", 4) == (0.5, 1.0, 1.5, 2.0)
    assert read_values(axis_named("growth"), "0..1", 3) == (0, 0.5, 1)


@pytest.mark.parametrize(
    "text", ["10", "200..10", "10..10", "0..5", "-1..5", "a..b", "1..inf", "1..nan", "..", ""]
)
def test_what_is_no_range_is_refused(text):
    with pytest.raises(InputError, match="not a range"):
        read_values(axis_named("rate"), text, 5)


@pytest.mark.parametrize("steps", [0, 1, 201])
def test_steps_are_bounded(steps):
    with pytest.raises(InputError, match="steps"):
        read_values(axis_named("rate"), "1..2", steps)


def test_unknown_axes_name_the_nearest():
    with pytest.raises(InputError, match="unknown axis") as error:
        axis_named("output_token")
    assert error.value.action == "did you mean 'output_tokens'?"


def test_price_of_needs_a_price_factor():
    with pytest.raises(InputError, match="price-factor"):
        axis_named("rate", "acme")
    axis = axis_named("price_factor", "acme")
    assert axis.move(plan_builder.scenario(), 2.0).prices.factors == {"acme": 2.0}


def test_flips_are_found_and_narrowed():
    axis = axis_named("rate")
    values = read_values(axis, "10..170", 5)
    coarse = sweep(plan_builder.scenario(), axis, values, by_rate)
    assert [(f.low, f.high) for f in coarse.flips] == [(10, 50), (130, 170)]
    fine = sweep(plan_builder.scenario(), axis, values, by_rate, refinements=3)
    assert [(f.low, f.high) for f in fine.flips] == [(35, 40), (150, 155)]
    assert fine.flips[0].before[0].startswith("4x l40s")
    assert fine.flips[1].after == ()
    assert [p.value for p in fine.points] == sorted(p.value for p in fine.points)
