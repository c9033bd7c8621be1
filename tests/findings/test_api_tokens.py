"""What hosted APIs charge for several services at once, cached prompts, and the nearest model."""

import plan_builder as build
import pytest

from planner.catalog.money_rows import ApiBatchRow, ApiPriceRow
from planner.catalog.store import load_catalog
from planner.findings.api_tokens import ApiQuote, api_price, api_quotes, rows_for
from planner.money.ways_to_pay import Traffic


@pytest.fixture(scope="module")
def catalog():
    return load_catalog()


def row(provider, cheap, dear, cached=None):
    return ApiPriceRow(
        provider=provider, model="m", input_usd_per_million=cheap, output_usd_per_million=dear,
        cached_input_usd_per_million=cached, as_of="2026-10-01", source="s", confidence="high",
    )  # fmt: skip


def test_cached_prompt_tokens_are_charged_at_their_own_price():
    quote = ApiQuote("chat", "m", 1e6, 1e6, 0.25, (row("a", 1.0, 2.0, 0.2), row("b", 0.9, 2.0)))
    assert quote.input_price(quote.rows[0]) == pytest.approx(0.75 * 1.0 + 0.25 * 0.2)
    assert quote.best.provider == "a"
    assert quote.dearest.provider == "b"
    assert quote.usd_per_second(quote.best) == pytest.approx(0.8 + 2.0)


def test_two_services_cost_together_what_each_costs_by_itself():
    """4 requests/s of 100 + 50 tokens at 1 and 2 USD, 1 of 1000 + 10 at 3 and 9."""
    quotes = (
        ApiQuote("a", "m", 400.0, 200.0, 0.0, (row("a", 1.0, 2.0),)),
        ApiQuote("b", "n", 1000.0, 10.0, 0.0, (row("b", 3.0, 9.0), row("c", 4.0, 9.0))),
    )
    apart = (400 * 1 + 200 * 2 + 1000 * 3 + 10 * 9) / 1e6
    traffic = Traffic(5.0, 1400 / 5, 210 / 5)
    per_request = api_price(quotes, cheapest=True).usd_per_request(traffic)
    assert 5 * per_request == pytest.approx(apart)
    dearest = api_price(quotes, cheapest=False).usd_per_request(traffic)
    assert 5 * (dearest - per_request) == pytest.approx(1000 / 1e6)


def test_the_models_own_price_comes_first(catalog):
    rows, instead = rows_for("meta-llama/Llama-3.3-70B-Instruct", catalog)
    assert rows
    assert not instead
    assert {r.model for r in rows} == {"meta-llama/Llama-3.3-70B-Instruct"}


def test_a_model_without_a_price_is_compared_with_the_nearest_that_has_one(catalog):
    priced = {r.model.lower() for r in catalog.api_prices()}
    found = [
        (entry.name, rows_for(entry.name, catalog))
        for entry in catalog.model_index()[::20]
        if not any(n.lower() in priced for n in entry.names)
    ]
    named = [(name, rows, instead) for name, (rows, instead) in found if rows]
    assert named
    for name, rows, instead in named:
        assert rows[0].model in instead, name
        assert "nearest" in instead or "relative" in instead


def test_a_model_that_is_near_to_none_has_no_price(catalog):
    assert rows_for("openai-community/gpt2", catalog) == ((), "")


def test_each_service_has_a_quote(catalog):
    (quote,) = api_quotes(build.plan(), catalog)
    assert quote.service == "chat"
    assert quote.prompt_qps == pytest.approx(50 * 1000)
    assert quote.output_qps == pytest.approx(50 * 500)


def test_requests_that_may_wait_are_priced_in_a_batch():
    """1 M prompt and output tokens a second: 1 + 2 at once, 0.8 x (1.2 + 2.2) = 2.72 in a batch."""
    terms = ApiBatchRow(
        provider="b",
        discount=0.2,
        within_hours=24,
        as_of="2026-06-19",
        source="s",
        confidence="high",
    )
    rows = (row("a", 1.0, 2.0), row("b", 1.2, 2.2))
    quote = ApiQuote("chat", "m", 1e6, 1e6, 0.0, rows, batches=(terms,))
    assert quote.best.provider == "a"
    assert quote.best_batch == (rows[1], terms)
    assert "in a batch, answered within 24 h, b takes $0.96 and $1.76" in quote.described(
        named=False
    )
    dear = ApiQuote("chat", "m", 1e6, 1e6, 0.0, (rows[0], row("b", 2.0, 4.0)), batches=(terms,))
    assert "batch" not in dear.described(named=False)
    assert ApiQuote("chat", "m", 1e6, 1e6, 0.0, rows).best_batch is None


def test_hosts_that_take_batches_are_hosts_with_prices(catalog):
    hosts = {r.provider for r in catalog.api_prices()}
    assert {b.provider for b in catalog.api_batches()} <= hosts
