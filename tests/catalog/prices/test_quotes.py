"""A price file of quotes: terms by months, validity, numbers, prepayment; discounts on list prices."""

import copy
import pickle

import pytest

from planner.catalog.offer import Term
from planner.catalog.store import load_catalog
from planner.errors import InputError
from planner.fleet.offers.admitted import admitted_offers
from planner.scenario.schema import Prices

HEAD = (
    "provider,region,instance_type,gpu,gpu_count,term,usd_per_hour,as_of,source,upfront_share,"
    "valid_until,min_nodes,max_nodes"
)
QUOTE = "acme,any,quote-7,h100,8,6-month,14.4,2026-11-01,mail of 2026-11-01,0.25,2026-12-15,2,6"


@pytest.fixture(scope="module")
def catalog():
    return load_catalog()


def written(tmp_path, *rows):
    path = tmp_path / "quotes.csv"
    path.write_text("\n".join((HEAD, *rows)) + "\n", encoding="utf-8")
    return path


def test_a_quote_keeps_its_term_its_validity_and_its_numbers(tmp_path, catalog):
    (quote,) = catalog.read_prices(written(tmp_path, QUOTE))
    assert (quote.term.value, quote.term.months, quote.upfront_share) == ("6-month", 6, 0.25)
    assert (quote.valid_until, quote.min_nodes, quote.max_nodes) == ("2026-12-15", 2, 6)
    assert quote.is_limited


@pytest.mark.parametrize("months", range(1, 37))
def test_a_term_has_any_number_of_months(months):
    term = Term(f"{months}-month")
    assert term.months == months
    assert term is Term(f"{months}-month")
    assert pickle.loads(pickle.dumps(term)) is term
    assert copy.deepcopy(term) is term


def test_twelve_and_36_months_are_the_years_that_have_names():
    assert Term("12-month") is Term.ONE_YEAR
    assert Term("36-month") is Term.THREE_YEAR


@pytest.mark.parametrize("name", ["0-month", "37-month", "6-months", "06-month", "month", "6"])
def test_what_is_no_term_is_none(name):
    assert Term.named(name) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [("6-month", "48-month"), ("2026-12-15", "15.12.2026"), (",2,6", ",7,6"), (",2,6", ",0,6")],
)
def test_a_quote_that_cannot_be_is_refused(tmp_path, catalog, old, new):
    with pytest.raises(InputError):
        catalog.read_prices(written(tmp_path, QUOTE.replace(old, new)))


def test_a_discount_lowers_the_prices_of_what_it_names(catalog):
    requested = {"terms": ("on-demand",), "providers": ("aws", "lambda")}
    listed = {o.key: o for o in admitted_offers(Prices(**requested), catalog)}
    found = admitted_offers(Prices(**requested, discounts={"aws": 0.18}), catalog)
    assert {o.provider for o in found} == {"aws", "lambda"}
    for o in found:
        factor = 0.82 if o.provider == "aws" else 1.0
        assert o.usd_per_hour == pytest.approx(factor * listed[o.key].usd_per_hour)


def test_a_discount_multiplies_what_a_factor_left(catalog):
    requested = {"terms": ("on-demand",), "providers": ("aws",)}
    listed = {o.key: o for o in admitted_offers(Prices(**requested), catalog)}
    both = Prices(**requested, factors={"all": 2.0}, discounts={"on-demand": 0.25})
    for o in admitted_offers(both, catalog):
        assert o.usd_per_hour == pytest.approx(1.5 * listed[o.key].usd_per_hour)


def test_a_discount_for_nobody_is_an_error(catalog):
    with pytest.raises(InputError, match="discount"):
        admitted_offers(Prices(discounts={"nobody": 0.1}), catalog)
