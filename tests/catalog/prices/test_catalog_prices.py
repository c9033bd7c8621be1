"""Prices: no slip between instance and device, hour and month; terms in their order; dated, sourced."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date
from itertools import groupby, pairwise

import pytest

from planner.catalog.offer import Offer, Term
from planner.catalog.store import load_catalog
from planner.fleet.offers.admitted import admitted_offers
from planner.scenario.schema import Prices

CATALOG = load_catalog()
OFFERS = CATALOG.offers()

# What one device-hour costs at least and at most on demand, by class: a month's price, or that of a
# whole node, would lie far outside.
RANGES_USD = {
    "t4": (0.2, 3),
    "l4": (0.3, 4),
    "a10": (0.5, 10),
    "a10g": (0.5, 5),
    "l40s": (0.5, 8),
    "rtx-pro-6000-blackwell-server": (1, 7),
    "a100-sxm-40gb": (0.8, 5),
    "a100-sxm-80gb": (1, 9),
    "a100-pcie-80gb": (1, 8),
    "h100-sxm-80gb": (1.5, 25),
    "h100-nvl-94gb": (2, 12),
    "h200-sxm-141gb": (2, 25),
    "b200-sxm-180gb": (3, 20),
    "b300-sxm-288gb": (4, 25),
    "gb200": (8, 60),
    "mi300x": (1.5, 15),
}


def test_there_are_enough_offers() -> None:
    assert len(OFFERS) >= 1200
    assert len({offer.provider for offer in OFFERS}) >= 30
    assert len({offer.gpu for offer in OFFERS}) >= 15
    terms = Counter(offer.term for offer in OFFERS)
    for term in (Term.ON_DEMAND, Term.SPOT, Term.ONE_YEAR, Term.THREE_YEAR, Term.CAPACITY_BLOCK):
        assert terms[term] >= 10


def test_keys_are_unique_across_files() -> None:
    assert len({offer.key for offer in OFFERS}) == len(OFFERS)


def test_every_gpu_exists_under_its_canonical_name() -> None:
    assert all(CATALOG.gpu(name).name == name for name in {offer.gpu for offer in OFFERS})


@pytest.mark.parametrize("gpu", RANGES_USD)
def test_a_device_hour_costs_what_its_class_does(gpu: str) -> None:
    low, high = RANGES_USD[gpu]
    prices = [
        o.usd_per_gpu_hour
        for o in OFFERS
        if o.gpu == gpu and o.term is Term.ON_DEMAND and o.tier != "marketplace"
    ]
    assert prices
    assert low <= min(prices)
    assert max(prices) <= high


def test_larger_machines_cost_more() -> None:
    def family(offer: Offer) -> tuple[str, str, str, Term]:
        return (offer.provider, offer.region, offer.gpu, offer.term)

    compared = 0
    for _, group in groupby(sorted(OFFERS, key=lambda o: (*family(o), o.gpu_count)), key=family):
        cheapest: dict[int, float] = {}
        for offer in group:
            price = cheapest.get(offer.gpu_count, offer.usd_per_hour)
            cheapest[offer.gpu_count] = min(price, offer.usd_per_hour)
        sizes = sorted(cheapest)
        for small, large in pairwise(sizes):
            compared += 1
            assert cheapest[small] < cheapest[large] <= 4.1 * cheapest[small] * large / small
    assert compared > 200


def test_spot_and_commitments_are_cheaper_than_on_demand() -> None:
    by_machine: dict[tuple[str, str, str], dict[Term, float]] = defaultdict(dict)
    for offer in OFFERS:
        machine = (offer.provider, offer.region, offer.instance_type)
        by_machine[machine][offer.term] = offer.usd_per_hour
    compared = 0
    for prices in by_machine.values():
        for term in (Term.SPOT, Term.ONE_YEAR, Term.THREE_YEAR):
            if term in prices and Term.ON_DEMAND in prices:
                compared += 1
                assert 0.12 <= prices[term] / prices[Term.ON_DEMAND] < 1
        if Term.ONE_YEAR in prices and Term.THREE_YEAR in prices:
            assert prices[Term.THREE_YEAR] < prices[Term.ONE_YEAR]
    assert compared > 500


def test_dates_and_sources() -> None:
    for offer in OFFERS:
        assert date(2025, 1, 1) <= date.fromisoformat(offer.as_of) <= date(2026, 12, 31)
        assert len(offer.source) > 10


def test_government_regions_are_marked() -> None:
    for offer in OFFERS:
        assert offer.government == ("gov" in offer.region), offer.key
    assert any(offer.government for offer in OFFERS)


def test_only_commitments_are_paid_up_front() -> None:
    for offer in OFFERS:
        assert not (offer.upfront_share and offer.term in (Term.ON_DEMAND, Term.SPOT))


@pytest.mark.parametrize(
    ("instance_type", "gpu", "count"),
    [
        ("p5.48xlarge", "h100-sxm-80gb", 8),
        ("p4d.24xlarge", "a100-sxm-40gb", 8),
        ("p4de.24xlarge", "a100-sxm-80gb", 8),
        ("a2-ultragpu-1g", "a100-sxm-80gb", 1),
        ("Standard_NC24ads_A100_v4", "a100-pcie-80gb", 1),
        ("Standard_ND96asr_A100_v4", "a100-sxm-40gb", 8),
        ("p3.16xlarge", "v100-sxm-16gb", 8),
    ],
)
def test_instance_types_tell_sxm_from_pcie(instance_type: str, gpu: str, count: int) -> None:
    found = {(o.gpu, o.gpu_count) for o in OFFERS if o.instance_type == instance_type}
    assert found == {(gpu, count)}


def test_api_prices_are_per_million_tokens() -> None:
    prices = CATALOG.api_prices()
    assert len(prices) >= 50
    assert len({(p.provider, p.model) for p in prices}) == len(prices)
    for price in prices:
        assert 0.01 <= price.input_usd_per_million <= price.output_usd_per_million <= 20
        if price.cached_input_usd_per_million is not None:
            assert price.cached_input_usd_per_million < price.input_usd_per_million
        assert "/" in price.model
        assert price.source


def test_servers_and_running_costs() -> None:
    for server in CATALOG.servers():
        gpu = CATALOG.gpu(server.gpu)
        assert gpu.name == server.gpu
        assert server.price_low_usd <= server.price_usd <= server.price_high_usd
        assert 20_000 <= server.price_usd / server.gpus <= 120_000
        assert server.idle_power_kw < server.max_power_kw
        assert 1 <= server.max_power_kw * 1000 / (server.gpus * gpu.tdp_w) <= 2.2
    items = {row.item for row in CATALOG.ownership()}
    assert {"pue", "tariff_usd_per_kwh", "colocation_usd_per_kw_month", "life_years"} <= items
    assert all(row.low <= row.value <= row.high for row in CATALOG.ownership())


def test_every_offer_says_its_tier_and_marketplaces_stand_apart() -> None:
    tiers = Counter(offer.tier for offer in OFFERS)
    assert set(tiers) == {"hyperscaler", "cloud", "marketplace"}
    admitted = admitted_offers(Prices(), CATALOG)
    assert {offer.tier for offer in admitted} == {"hyperscaler", "cloud"}
    everywhere = admitted_offers(
        Prices(tiers=("marketplace",), terms=("on-demand", "spot"), confidence="low"), CATALOG
    )
    assert {offer.tier for offer in everywhere} == {"marketplace"}
    assert len(everywhere) >= 50


def test_newer_prices_replaced_older_ones() -> None:
    """As of 2026-10-10; in March RunPod listed 1.99, in January Nebius 2.95 and Verda 2.29."""
    listed = {offer.key: offer for offer in OFFERS}
    for key, price in (
        ("runpod/any/MI300X/on-demand", 2.39),
        ("nebius/eu-north1/gpu-h100-sxm_1gpu-16vcpu-200gb/on-demand", 4.5),
        ("verda/fin-02/1H100.80S.32V/on-demand", 3.928),
    ):
        assert (listed[key].usd_per_hour, listed[key].as_of) == (price, "2026-10-10")
    assert not any(o.provider == "azure" and o.gpu.startswith("v100") for o in OFFERS)  # retired
