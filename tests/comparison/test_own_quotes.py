"""A quote of one's own is paid as it says; nothing is looked up in the catalog in its place."""

import csv
from pathlib import Path

import pytest
import yaml

from planner.findings.gather import gather
from planner.scenario.reader import find_scenario
from planner.session import Session
from planner.solving.options import SolveOptions

PRICES = Path(find_scenario("rent_or_buy_70b")).parents[1] / "catalogs" / "prices"
RENAMED = {"p5.4xlarge": "quote-a", "p5.48xlarge": "quote-b"}


@pytest.fixture(scope="module")
def quoted(tmp_path_factory):
    """The two 3-year rows of AWS under names that the catalog does not know."""
    folder = tmp_path_factory.mktemp("quotes")
    with (PRICES / "offers_aws.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row["term"] == "3-year" and row["instance_type"] in RENAMED
        ]
    for row in rows:
        row["instance_type"], row["provider"] = RENAMED[row["instance_type"]], "acme"
    with (folder / "quotes.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    question = yaml.safe_load(find_scenario("rent_or_buy_70b").read_text(encoding="utf-8"))
    question["prices"] = {"terms": ["3-year"], "file": "quotes.csv"}
    (folder / "scenario.yaml").write_text(yaml.safe_dump(question))
    return folder, {row["instance_type"]: row for row in rows}


def test_a_quote_with_an_upfront_share_is_reported_with_its_upfront(quoted):
    folder, rows = quoted
    session = Session.open(options=SolveOptions(verify="none", rivals=0))
    plan = session.plan_of(folder / "scenario.yaml")
    signed = sum(
        n.count * float(rows[n.instance_type]["usd_per_hour"]) * 730 * 36 for n in plan.nodes
    )
    assert {float(r["upfront_share"]) for r in rows.values()} == {1.0}
    (planned, *_) = gather(plan, session.catalog, session.factors).purchases
    assert plan.cash.due_at_signature_usd == pytest.approx(signed)
    assert planned.due_at_signature_usd == planned.upfront_usd == pytest.approx(signed)
    assert planned.cost_usd == pytest.approx(signed)  # three years of need, three years signed
    assert signed == pytest.approx(1_087_734.46)  # two nodes at 20.6951 USD/h, as of 2026-06


def test_a_plan_finds_its_prices_beside_it_from_any_directory(quoted, tmp_path, monkeypatch):
    folder, _ = quoted
    monkeypatch.chdir(folder)
    session = Session.open(options=SolveOptions("none", rivals=0))
    plan = session.solve("scenario.yaml")
    assert plan.scenario.prices.file == "quotes.csv"
    (folder / "plan.json").write_text(plan.to_json())
    monkeypatch.chdir(tmp_path)
    found = gather(session.plan_of(folder / "plan.json"), session.catalog, session.factors)
    assert {o.provider for o in found.quotes} == {"acme"}
    (tmp_path / "plan.json").write_text(plan.to_json())  # away from its prices, it stays as it is
    assert session.plan_of(tmp_path / "plan.json") == plan
