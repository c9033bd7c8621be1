import plan_builder as build
import pytest

from planner.comparison.differences import diff
from planner.plan.money import Cash


def of(difference, subject, name):
    return [
        (c.mark, c.old, c.new)
        for c in difference.changes
        if c.subject.startswith(subject) and c.name == name
    ]


def test_the_same_plan_has_no_differences_whatever_its_run():
    again = build.plan(provenance={"run": {"created_at": "later", "duration_s": 9, "host": "b"}})
    found = diff(build.plan(), again)
    assert found.changes == ()
    assert found.causes == ()
    assert found.increase == 0
    assert found.increased(0) == ()


def test_more_demand_shows_as_cost_replicas_and_cause():
    more = build.plan(
        build.scenario(rate=60),
        groups=(build.group(replicas=6, gpus=24),),
        nodes=(build.node(count=4),),
    )
    found = diff(build.plan(), more)
    assert of(found, "total", "cost per hour") == [("~", 60.0, 80.0)]
    assert of(found, "service chat", "rate") == [("~", 50.0, 60.0)]
    assert of(found, "service chat, 4x h100", "replicas") == [("~", 5, 6)]
    assert of(found, "acme us-east-1 h100x8 on-demand", "nodes") == [("~", 3, 4)]
    assert [(c.kind, c.detail) for c in found.causes] == [("rate", "chat: rate 50 -> 60")]
    assert found.increase == pytest.approx(1 / 3)
    assert found.increased(0.05) == ("the cost per hour",)
    assert found.increased(0.34) == ()


def test_another_gpu_shows_as_removed_and_added():
    other = build.plan(
        groups=(build.group(gpu="b200"),), nodes=(build.node(gpu="b200", term="spot"),)
    )
    found = diff(build.plan(), other)
    assert of(found, "service chat, 4x h100", "replicas") == [("-", 5, None)]
    assert of(found, "service chat, 4x b200", "replicas") == [("+", None, 5)]
    assert of(found, "acme us-east-1 h100x8 spot", "nodes") == [("+", None, 3)]


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"model": "other"}, "model"),
        ({"output_tokens": 600}, "lengths"),
        ({"slo": {"ttft_p99": "1s"}}, "SLO"),
        ({"search": {"tensor_parallel": [8]}}, "search"),
        ({"prices": {"terms": ["spot"]}}, "price"),
        ({"limits": {"max_gpus": 8}}, "limits"),
        ({"assumptions": {"prefix_hit_share": 0.5}}, "assumptions"),
    ],
)
def test_every_kind_of_question_is_a_cause(changed, kind):
    found = diff(build.plan(), build.plan(build.scenario(**changed)))
    assert kind in {c.kind for c in found.causes}


def test_prices_catalog_date_calibration_and_version_are_causes():
    new = build.plan(
        nodes=(build.node(usd_per_hour_each=25.0),),
        provenance={
            "price_dates": ("2026-11-01", "2026-11-02"),
            "catalog_digest": "d" * 64,
            "calibration_digest": "e" * 64,
            "planner_version": "0.2.0",
        },
    )
    found = diff(build.plan(), new)
    text = {c.kind: c.detail for c in found.causes}
    assert text["price"] == "acme us-east-1 h100x8 on-demand: 20 -> 25 USD per node-hour"
    assert text["catalog date"] == "prices of 2026-10-01 -> 2026-11-01 to 2026-11-02"
    assert {"catalog", "calibration", "planner"} < set(text)


def test_other_offers_of_the_same_prices_are_no_other_prices():
    """A plan names the dates of what it rents: those of another GPU's offers are no cause."""
    moved = build.plan(provenance={"price_dates": ("2026-01-01", "2026-01-01")})
    assert not list(diff(build.plan(), moved).causes)


def test_a_lost_plan_exceeds_any_limit():
    found = diff(build.plan(), build.infeasible_plan())
    assert of(found, "plan", "status") == [("~", "optimal", "infeasible")]
    assert found.increase is None
    assert found.increased(1000)
    assert not diff(build.infeasible_plan(), build.infeasible_plan()).increased(0)


def test_assumptions_and_warnings_are_listed():
    found = diff(build.plan(), build.plan(assumptions=("another",), warnings=()))
    marks = {(c.mark, c.subject, c.old or c.new) for c in found.changes}
    assert ("-", "warning", "prices are 50 days old") in marks
    assert ("+", "assumption", "another") in marks


def test_a_service_added_is_demand():
    shared = {k: v for k, v in build.SCENARIO.items() if k != "name"}
    two = build.scenario(services=[{**shared, "name": "chat"}, {**shared, "name": "code"}])
    found = diff(build.plan(), build.plan(two))
    assert ("demand", "service code added") in {(c.kind, c.detail) for c in found.causes}


def test_nodes_paid_part_of_the_time_are_one_offer():
    levels = (build.node(count=2), build.node(count=4, hours_share=0.5))
    found = diff(build.plan(), build.plan(nodes=levels))
    assert of(found, "acme us-east-1 h100x8 on-demand", "nodes") == [("~", 3, 6)]
    assert of(found, "total", "cost per hour") == [("~", 60.0, 80.0)]


def signed(upfront_usd, **changes):
    cash = Cash(
        by_month=(upfront_usd, 0.0),
        due_at_signature_usd=upfront_usd,
        upfront_usd=upfront_usd,
        horizon_usd=upfront_usd,
        accrued_usd=upfront_usd,
        owed_after_usd=0.0,
        paid_ahead_usd=0.0,
    )
    return build.plan(cash=cash, **changes)


def test_a_prepayment_is_an_increase_where_the_cost_per_hour_is_not():
    found = diff(signed(0.0), signed(625_446.0))
    assert found.increase == 0
    assert found.increased(0.05) == ("what is paid upfront",)
    assert diff(signed(100.0), signed(104.0)).increased(0.05) == ()
    lines = {(c.subject, c.name): (c.old, c.new) for c in found.changes}
    assert lines["cash", "paid upfront"] == (0, 625_446)


def test_headroom_that_is_left_by_rounding_is_none():
    old, new = build.plan(), build.plan()
    (service,) = new.services
    full = new.model_copy(update={"services": (service.model_copy(update={"headroom_qps": 3e-9}),)})
    assert of(diff(old, full), "service chat", "headroom") == [("~", 4.5, 0.0)]
    assert of(diff(full, full), "service chat", "headroom") == []


def test_what_changed_is_written_as_a_scenario_file_would():
    own = ({"gpu": "l40s", "nodes": 2, "gpus_per_node": 8, "usd_per_hour": 1.5},)
    old = build.plan(build.scenario())
    new = build.plan(build.scenario(existing=own, allow_lower_precision=True))
    texts = {c.kind: c.detail for c in diff(old, new).causes}
    assert texts["existing"] == (
        "existing [] -> [{gpu: l40s, nodes: 2, gpus_per_node: 8, usd_per_hour: 1.5, region: own}]"
    )
    assert any("allow_lower_precision false -> true" in text for text in texts.values())
