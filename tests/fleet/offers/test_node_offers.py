"""What may be rented or is owned, as the program sees it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from planner.catalog.offer import Offer, Term
from planner.catalog.store import load_catalog
from planner.fleet.offers.node_offers import caps, existing_offers, node_offers, offer_key
from planner.fleet.offers.power import power_note, server_power
from planner.fleet.periods import calendar_of
from planner.fleet.program.problem import NodeOffer
from planner.scenario.schema import Scenario

CATALOG = load_catalog()
L4, H100 = "l4", "h100-sxm-80gb"


def scenario(**more: object) -> Scenario:
    return Scenario.model_validate(
        {
            "model": "m",
            "rate": 1,
            "prompt_tokens": 10,
            "output_tokens": 10,
            "slo": {"ttft_p99": 1},
            **more,
        }
    )


def offer(
    usd: float,
    region: str = "r1",
    term: Term = Term.ON_DEMAND,
    provider: str = "aws",
    gpu: str = L4,
    count: int = 1,
) -> Offer:
    return Offer(provider, region, f"{count}x{gpu}", gpu, count, term, usd, "2026-01-01", "list")


def nodes(requested: Scenario, offers: Sequence[Offer]) -> tuple[NodeOffer, ...]:
    return node_offers(
        requested, offers, CATALOG, calendar_of(requested.services, requested.horizon)
    )


def test_only_the_cheapest_of_equal_offers_matters() -> None:
    found = nodes(scenario(), [offer(2.0), offer(1.0, region="r2"), offer(0.5, count=8)])
    assert sorted(n.usd_per_hour for n in found) == [0.5, 1.0]


def test_zones_that_may_fail_are_reported_apart() -> None:
    offers = [offer(1.0 + i, region=f"r{i}") for i in range(6)]
    found = nodes(scenario(failures={"zones": 1}), offers)
    assert [n.zone for n in found] == [f"r{i}" for i in range(6)]
    assert [n.zone for n in nodes(scenario(), offers)] == ["r0"]


def test_spot_pools_are_reported_apart_and_keep_their_reserve() -> None:
    offers = [offer(1.0 + i, region=f"r{i}", term=Term.SPOT) for i in range(6)]
    found = nodes(scenario(spot={"reserve_share": 0.2}), offers)
    assert [n.zone for n in found] == [f"r{i}" for i in range(6)]
    assert all(n.spot and n.reserve_share == 0.2 for n in found)
    together = nodes(scenario(spot={"pools_lost": 0}), offers)
    assert [n.zone for n in together] == ["r0"]


def test_commitments_begin_at_stages_after_their_lead_time_and_end_with_their_term() -> None:
    requested = scenario(horizon={"months": 24, "stages": 4, "lead_time_months": {"1-year": 6}})
    found = {n.key: n for n in nodes(requested, [offer(1.0, term=Term.ONE_YEAR), offer(2.0)])}
    alive = {key.rpartition(" ")[2]: n.periods for key, n in found.items() if n.committed}
    assert alive == {"7": (1, 2), "13": (2, 3), "19": (3,)}
    (on_demand,) = (n for n in found.values() if not n.committed)
    assert on_demand.periods == (0, 1, 2, 3)
    assert {offer_key(key) for key in found} == {
        o.key for o in (offer(1.0, term=Term.ONE_YEAR), offer(2.0))
    }


def test_what_runs_today_is_owned_and_limited() -> None:
    requested = scenario(
        existing=[{"gpu": "L4", "nodes": 3, "gpus_per_node": 4, "usd_per_hour": 0.3}]
    )
    own = existing_offers(requested, CATALOG)
    (node,) = nodes(requested, own)
    assert (node.gpu, node.gpus_per_node, node.max_nodes, node.existing) == (L4, 4, 3, 3)
    assert node.usd_per_hour == 0.3
    assert not node.committed


def test_racks_span_nodes_and_boards_do_not() -> None:
    found = {
        n.gpu: n for n in nodes(scenario(), [offer(1, gpu="gb200", count=4), offer(1, gpu=H100)])
    }
    assert found["gb200"].link_gpus == 72
    assert found[H100].link_gpus == 0


def test_a_quota_counts_the_gpus_that_match_it() -> None:
    requested = scenario(limits={"quotas": [{"max_gpus": 8, "gpu": "L4", "provider": "aws"}]})
    offers = [offer(1.0, count=4), offer(0.9, provider="gcp"), offer(5.0, gpu=H100)]
    found = nodes(requested, offers)
    (cap,) = caps(requested, found, {o.key: o for o in offers}, CATALOG)
    assert (cap.key, cap.limit) == ("limits.quotas gpu L4, provider aws", 8.0)
    assert cap.per_node == {offers[0].key: 4.0}


def test_carbon_counts_power_pue_and_the_grid() -> None:
    requested = scenario(
        limits={"carbon": {"max_kg_per_hour": 2, "g_per_kwh": {"r1": 100}, "pue": 1.5}}
    )
    offers = [offer(1.0, gpu=H100, count=8), offer(1.0, region="r2", gpu=H100, count=8)]
    found = nodes(requested, offers)
    (cap,) = caps(requested, found, {o.key: o for o in offers}, CATALOG)
    kw = 10.2  # of the whole server
    assert cap.per_node[offers[0].key] == pytest.approx(kw * 1.5 * 0.1)
    assert cap.per_node[offers[1].key] == pytest.approx(kw * 1.5 * 0.475)


@pytest.mark.parametrize(
    ("limits", "gpu", "kw"),
    [
        ({"max_power_kw": 50.0}, H100, 10.2),  # the DGX around them, not 8 x 0.7
        ({"carbon": {"max_kg_per_hour": 3.0}}, H100, 10.2),
        ({"max_power_kw": 50.0}, "a100-sxm-80gb", 6.5),  # no price of one is known, its power is
    ],
)
def test_limits_on_power_count_whole_servers_where_they_are_known(
    limits: dict[str, object], gpu: str, kw: float
) -> None:
    (node,) = nodes(scenario(limits=limits), [offer(8.0, gpu=gpu, count=8)])
    assert node.power_kw == pytest.approx(kw)


def test_a_plan_says_whose_power_its_limits_count() -> None:
    assert power_note([H100, L4, L4], CATALOG) == (
        "limits on power and emissions count the full power of whole servers of h100-sxm-80gb and 1.8 times "
        "the GPU's limit of l4, whose servers' power is not known (assumed: the median of the servers that "
        "are)"
    )


def test_a_gpu_is_not_preferred_for_what_is_not_known_of_its_server() -> None:
    power = server_power(CATALOG)
    known = [power.full_kw(CATALOG.gpu(name)) / CATALOG.gpu(name).tdp_w for name in power.stated]
    assert min(known) <= power.full_kw(CATALOG.gpu(L4)) / CATALOG.gpu(L4).tdp_w <= max(known)
    priced = {CATALOG.gpu(row.gpu).name for row in CATALOG.servers()}
    assert not priced & {CATALOG.gpu(row.gpu).name for row in CATALOG.server_power()}
