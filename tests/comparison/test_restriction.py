import plan_builder
import pytest

from planner.comparison import restriction as r
from planner.errors import InputError


def test_an_axis_and_its_values_are_read():
    assert r.parse_vary("tensor_parallel=2,4") == ("tensor_parallel", ("2", "4"))
    assert r.parse_vary(" gpu = h100 , l40s ") == ("gpu", ("h100", "l40s"))


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("tensor_paralel=2", "unknown axis", "did you mean 'tensor_parallel'?"),
        ("gpu", "no values", None),
        ("gpu=", "no values", None),
        ("gpu=a,a", "twice", None),
        ("tensor_parallel=two", "not a degree", None),
        ("tensor_parallel=0", "not a degree", None),
        ("term=on-demnd", "unknown value", "did you mean 'on-demand'?"),
    ],
)
def test_what_cannot_be_varied_is_refused(text, what, hint):
    with pytest.raises(InputError, match=what) as error:
        r.parse_vary(text)
    if hint:
        assert error.value.action == hint


def test_the_same_axis_twice_is_refused():
    with pytest.raises(InputError, match="same axis"):
        r.axes_of(["gpu=a", "gpu=b"])


def test_a_grid_holds_every_combination_in_order():
    assert r.grid({"gpu": ("a", "b"), "weights": ("fp8", "bf16")}) == (
        {"gpu": "a", "weights": "fp8"},
        {"gpu": "a", "weights": "bf16"},
        {"gpu": "b", "weights": "fp8"},
        {"gpu": "b", "weights": "bf16"},
    )


@pytest.mark.parametrize("axes", [{}, {"gpu": tuple(map(str, range(101)))}])
def test_a_grid_is_bounded(axes):
    with pytest.raises(InputError, match="compare"):
        r.grid(axes)


def test_restrictions_reach_search_and_prices_of_every_service():
    fleet = plan_builder.scenario()
    held = r.restrict(fleet, {"tensor_parallel": "4", "gpu": "l40s", "term": "1-year"})
    assert held.services[0].search.tensor_parallel == (4,)
    assert held.services[0].search.gpus == ("l40s",)
    assert held.prices.terms == ("1-year",)
    assert fleet == plan_builder.scenario()


def two_gpu_types():
    search = {
        "gpus": ["h100-sxm-80gb", "h200-sxm-141gb", "l40s"],
        "disaggregation": {
            "prefill_gpus": ["h100"],
            "decode_gpus": ["h200-sxm-141gb"],
            "prefill_tensor_parallel": [1],
        },
    }
    return plan_builder.scenario(search=search)


def test_restrictions_reach_the_pools_of_a_search():
    held = r.restrict(two_gpu_types(), {"gpu": "l40s", "tensor_parallel": "2"}).services[0].search
    pools = held.disaggregation
    assert (held.gpus, pools.prefill_gpus, pools.decode_gpus) == (("l40s",), None, None)
    assert (pools.prefill_tensor_parallel, pools.decode_tensor_parallel) == (None, None)
    assert pools.ratios == two_gpu_types().services[0].search.disaggregation.ratios
    engine = r.restrict(two_gpu_types(), {"engine": "sglang"}).services[0].search
    assert engine.disaggregation == two_gpu_types().services[0].search.disaggregation


def test_a_search_among_gpus_narrows_its_pools(catalog):
    mixed = two_gpu_types()
    names = ("h100-sxm-80gb", "h200-sxm-141gb")
    both = r.among(mixed, names, catalog).services[0].search
    assert both.gpus == names
    assert (both.disaggregation.prefill_gpus, both.disaggregation.decode_gpus) == (
        ("h100",),
        ("h200-sxm-141gb",),
    )
    one = r.among(mixed, ("h100-sxm-80gb",), catalog).services[0].search.disaggregation
    assert (one.prefill_gpus, one.decode_gpus) == (("h100",), ("h200-sxm-141gb",))
    assert r.among(mixed, (), catalog) == mixed
    plain = r.among(plan_builder.scenario(), ("l40s",), catalog).services[0].search
    assert (plain.gpus, plain.disaggregation) == (("l40s",), None)


def test_rates_keep_their_proportions():
    shared = {k: v for k, v in plan_builder.SCENARIO.items() if k not in ("name", "rate")}
    fleet = plan_builder.scenario(services=[{**shared, "rate": 10}, {**shared, "rate": 30}])
    assert [s.rate for s in r.with_rate(fleet, 80).services] == [20, 60]
    assert [s.rate for s in r.with_growth(fleet, 0.5).services] == [15, 45]


def test_lengths_keep_their_shape():
    constant = r.with_output_tokens(plan_builder.scenario(), 100)
    assert constant.services[0].output_tokens.mean == 100
    spread = plan_builder.scenario(output_tokens={"mean": 500, "cv": 0.7})
    moved = r.with_output_tokens(spread, 250).services[0].output_tokens
    assert (moved.mean, moved.cv) == (250, 0.7)
    quantiles = plan_builder.scenario(prompt_tokens={"quantiles": {0.0: 100, 1.0: 300}})
    moved = r.with_prompt_tokens(quantiles, 400).services[0].prompt_tokens
    assert moved.quantiles == {0.0: 200, 1.0: 600}


def test_lengths_of_a_trace_cannot_be_moved():
    traced = plan_builder.scenario(output_tokens={"trace": "requests.csv"})
    with pytest.raises(InputError, match="trace"):
        r.with_output_tokens(traced, 100)


def test_a_target_moves_alone():
    moved = r.with_target(plan_builder.scenario(), "ttft", 0.5).services[0].slo
    assert {t.key: t.seconds for t in moved.targets} == {"ttft_p99": 0.5, "tpot_p99": 0.1}


def test_a_target_nobody_set_cannot_be_moved():
    with pytest.raises(InputError, match="no service has a target on e2e"):
        r.with_target(plan_builder.scenario(), "e2e", 10)


def test_price_factors_add_to_those_the_scenario_has():
    dear = r.with_price_factor(plan_builder.scenario(prices={"factors": {"acme": 0.8}}), 2.0, "all")
    assert dear.prices.factors == {"acme": 0.8, "all": 2.0}
