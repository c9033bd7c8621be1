import pytest
from plan_builder import node

from planner.assembly.prices import price_warnings
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


def text(own, *, nodes=NODES, listed=(NEW,)):
    return list(price_warnings(nodes, [own], listed))


def test_a_fresh_price_of_a_list_says_nothing():
    assert text(NEW) == []


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (offer("2026-01-01"), "its price is of 2026-01-01, 282 days older than the newest known"),
        (offer(confidence="low"), "its price is of low confidence"),
        (offer(obtainability="out of stock on 2026-10-10"), "out of stock"),
    ],
)
def test_a_price_that_carries_the_bill_is_doubted_in_words(own, words):
    (warning,) = text(own)
    assert "h100x8 of acme carries 100 % of the cost" in warning
    assert words in warning


def test_a_price_that_carries_little_is_not_worth_a_line():
    large = node(instance_type="other", count=100)
    assert text(offer(confidence="low"), nodes=(node(count=1), large)) == []
