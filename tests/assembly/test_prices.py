from dataclasses import replace

import pytest
from plan_builder import node

from planner.assembly.prices import judged_from, price_warnings
from planner.catalog.offer import Offer, Term


def offer(as_of="2026-10-10", **more):
    return Offer(
        "acme",
        "us-east-1",
        "h100x8",
        "h100-sxm-80gb",
        8,
        Term.ON_DEMAND,
        20.0,
        as_of,
        "list",
        **more,
    )


NEW = offer()


NODES = (node(),)


def text(own, *, nodes=NODES, as_of="2026-10-10"):
    return list(price_warnings(nodes, [own], as_of))


def test_a_fresh_price_of_a_list_says_nothing():
    assert text(NEW) == []


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (offer("2026-01-01"), "its price is of 2026-01-01, 282 days before 2026-10-10"),
        (offer(confidence="low"), "its price is of low confidence"),
        (offer(obtainability="out of stock on 2026-10-10"), "out of stock"),
    ],
)
def test_a_price_that_carries_the_bill_is_doubted_in_words(own, words):
    (warning,) = text(own)
    assert "h100x8 of acme makes up 100 % of the cost" in warning
    assert words in warning


def test_a_price_that_carries_little_is_not_worth_a_line():
    large = node(instance_type="other", count=100)
    assert text(offer(confidence="low"), nodes=(node(count=1), large)) == []


def test_a_price_is_old_more_than_90_days_before_the_day_it_is_judged_from():
    assert text(offer("2026-07-12")) == []
    (warning,) = text(offer("2026-07-11"))
    assert "its price is of 2026-07-11, 91 days before 2026-10-10" in warning


def test_a_price_of_a_later_day_may_not_have_been_known():
    (warning,) = text(NEW, as_of="2026-10-09")
    assert "its price is of 2026-10-10, after 2026-10-09" in warning


def test_prices_are_judged_from_the_newest_of_the_catalog_unless_a_day_is_given():
    listed = (offer("2026-07-01"), NEW, offer(""))
    assert judged_from(None, listed) == "2026-10-10"
    assert judged_from("2026-12-01", listed) == "2026-12-01"


def test_many_gpus_at_the_price_of_one_need_a_quote():
    one = replace(NEW, gpu_count=1)
    (warning,) = text(one, nodes=(node(count=14, gpus_per_node=1),))
    assert "quote needed: the price of a single GPU is used for 14" in warning
    assert text(one, nodes=(node(count=1, gpus_per_node=1),)) == []
    assert text(replace(one, tier="hyperscaler"), nodes=(node(count=14, gpus_per_node=1),)) == []
