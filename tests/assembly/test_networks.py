"""What plans say of the networks between machines, and from users to them."""

from __future__ import annotations

import csv

import plan_builder as build

from planner.assembly.networks import distance_warnings, network_warnings
from planner.catalog.store import Catalog
from planner.package_data import shipped_folder
from planner.plan.schema import NodeCount
from planner.scenario.job import Job


def rented(catalog: Catalog, *countries: str) -> tuple[NodeCount, ...]:
    """A node in some region of each country."""
    offers = [next(o for o in catalog.offers() if o.country == c) for c in countries]
    return tuple(
        build.node(provider=o.provider, region=o.region, instance_type=o.instance_type)
        for o in offers
    )


def test_stages_apart_on_nodes_that_are_all_too_small_say_what_is_left_out(
    catalog: Catalog,
) -> None:
    staged = build.group(tensor_parallel=4, pipeline_parallel=2)
    services = build.plan(groups=(staged,)).services

    def said(gpus: int) -> list[str]:
        nodes = (build.node(gpus_per_node=gpus),)
        return list(network_warnings(services, nodes, catalog.offers(), catalog))

    (line,) = said(4)
    assert "its stages stand on 2 nodes" in line
    assert not said(8)


def test_a_plan_on_two_continents_says_what_is_not_in_its_ttft(catalog: Catalog) -> None:
    services = build.scenario().services
    nodes = rented(catalog, "FI", "US", "SE")
    (line,) = distance_warnings(services, nodes, catalog.offers(), catalog.continents())
    assert "2 continents (Europe: FI, SE; North America: US)" in line
    assert "prices.regions" in line


def test_a_plan_on_one_continent_and_a_job_say_nothing(catalog: Catalog) -> None:
    services = build.scenario().services
    offers, continents = catalog.offers(), catalog.continents()
    near = rented(catalog, "FI", "DE")
    assert not list(distance_warnings(services, near, offers, continents))
    job = Job(requests=1000, within="8h")
    waits = [s.model_copy(update={"job": job}) for s in services]
    far = rented(catalog, "FI", "US")
    assert not list(distance_warnings(waits, far, offers, continents))
    assert list(distance_warnings(services, far, offers, continents))


def test_every_country_of_an_offer_lies_somewhere(catalog: Catalog) -> None:
    known = catalog.continents().keys()
    for path in sorted((shipped_folder("catalogs") / "prices").glob("offers_*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            assert {r["country"] for r in csv.DictReader(file)} <= known | {""}
