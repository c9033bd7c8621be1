"""Every number in every format is the plan's."""

import csv
import io
import json
import re
from html.parser import HTMLParser

import openpyxl
import plan_builder as build
import pytest
from findings_builder import findings_for

from planner.plan.schema import Plan
from planner.reporting.document import Quantity, written
from planner.reporting.formats import csv_table, html, markdown
from planner.reporting.output import Output
from planner.reporting.plan import deliver_plan
from planner.reporting.plan import spreadsheet as xlsx
from planner.reporting.plan.decision_text import decision_lines
from planner.reporting.plan.plan_document import plan_document


@pytest.fixture
def document(findings):
    return plan_document(findings)


class Page(HTMLParser):
    """The exact values a page carries, and the texts of its tables' cells by table."""

    def __init__(self, text):
        super().__init__()
        self.values = []
        self.tables = {}
        self._table = self._cell = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "data":
            self.values.append(float(attrs["value"]))
        elif tag == "table":
            self._table = self.tables[attrs["id"].removeprefix("table-")] = []
        elif tag == "td":
            self._cell = ""

    def handle_data(self, data):
        if self._cell is not None:
            self._cell += data

    def handle_endtag(self, tag):
        if tag == "td":
            self._table.append(self._cell.strip())
            self._cell = None


def cells(document):
    return [c for t in document.tables().values() for row in t.shown().cells() for c in row]


def plan_numbers(plan):
    """Figures a reader must find, straight from the plan."""
    t, g = plan.totals, plan.services[0].replica_groups[0]
    return [
        t.usd_per_hour,
        t.usd_per_month,
        t.usd_per_year,
        t.usd_per_million_output_tokens,
        t.usd_per_million_tokens,
        t.gpus_rented,
        *(n.usd_per_hour_each for n in plan.nodes),
        g.capacity_qps,
        g.concurrency,
        g.predicted.ttft_p99_s,
        g.predicted.tpot_p99_s,
        g.predicted.e2e_p99_s,
        *g.predicted.intervals["ttft_p99_s"],
        g.step.collectives_s,
        *g.memory.values(),
        *(a.usd_per_hour for a in plan.alternatives),
    ]


def test_html_carries_every_number_exactly(document, findings):
    page = Page(html.render(document))
    assert set(map(float, plan_numbers(findings.plan))) <= set(page.values)


def test_html_tables_say_what_the_document_says(document):
    page = Page(html.render(document))
    for_machines = {table.key for table in document.data}
    for key, table in document.tables().items():
        if key in for_machines:
            continue
        assert page.tables[key] == [c.text() for row in table.shown().cells() for c in row]


def test_markdown_tables_say_what_the_document_says(document):
    text = markdown.render(document)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    found = [
        cell.replace("\\", "")
        for row in rows
        for cell in re.split(r"(?<!\\) \| ", row.removeprefix("| ").removesuffix(" |"))
    ]
    expected = [c.text() for c in cells(document)]
    assert [e for e in expected if e not in found] == []


def test_csv_carries_every_table_exactly(document):
    for key, table in document.tables().items():
        text = csv_table.render(csv_table.pick(document, key))
        rows = list(csv.reader(io.StringIO(text, newline="")))
        assert rows[0] == [c.key for c in table.columns]
        for row, source in zip(rows[1:], table.cells(), strict=True):
            for entry, cell in zip(row, source, strict=True):
                if isinstance(cell.value, (int, float)):
                    assert float(entry) == cell.value
                elif cell.value is None:
                    assert entry == ""


def test_json_is_the_plan(findings, tmp_path):
    deliver_plan.write_findings(findings, Output("json", str(tmp_path / "plan.json")))
    assert Plan.model_validate_json((tmp_path / "plan.json").read_text()) == findings.plan


def test_the_spreadsheet_carries_every_number_exactly(findings):
    book = openpyxl.load_workbook(io.BytesIO(xlsx.render(findings)), data_only=True)
    found = {
        float(c.value)
        for sheet in book
        for row in sheet.iter_rows()
        for c in row
        if isinstance(c.value, (int, float))
    }
    plan = findings.plan
    wanted = [
        *(getattr(plan.totals, k) for k in ("usd_per_hour", "usd_per_month", "usd_per_year")),
        plan.totals.usd_per_million_output_tokens,
        *(n.usd_per_hour_each for n in plan.nodes),
        *(a.usd_per_hour for a in plan.alternatives),
        *(p.cost_usd for p in findings.purchases if p.cost_usd is not None),
        *(p.present_value_usd for p in findings.purchases if p.present_value_usd is not None),
    ]
    assert set(wanted) <= found


def test_unknown_is_a_dash_and_never_zero(document):
    ways = document.tables()["ways_to_pay"]
    row = next(row for row in ways.cells() if row[0].value == "3-year")
    assert {written(c.value, c.quantity) for c in row[1:7]} == {"-"}
    assert Quantity.USD in {c.quantity for c in row}


def test_all_formats_tell_an_infeasible_plan():
    infeasible = findings_for(build.infeasible_plan())
    document = plan_document(infeasible)
    for text in (html.render(document), markdown.render(document)):
        assert "no deployment holds TTFT p99 2 s" in text
        assert "Relaxed to" in text
    book = openpyxl.load_workbook(io.BytesIO(xlsx.render(infeasible)))
    assert book["Summary"]["A1"].value.startswith(
        "chat: no fleet can meet this scenario: no deployment holds"
    )


def test_records_are_plain_json(document):
    rows = document.tables()["order"].records()
    assert json.loads(json.dumps(rows))[0]["usd_per_hour_each"] == 20.0


def test_what_is_not_served_is_said_first():
    services = build.plan().services
    short = build.plan(services=(services[0].model_copy(update={"served_qps": 25.0}),))
    text = markdown.render(plan_document(findings_for(short)))
    assert "> **Warning:** Only 25 req/s of 50 req/s are served." in text


def test_what_runs_today_is_kept_and_not_rented():
    mixed = build.plan(nodes=(build.node(), build.node(term="owned", provider="own", count=2)))
    document = plan_document(findings_for(mixed))
    assert document.headline.startswith(
        "Keep 2 x h100x8 (own, us-east-1), rent 3 x h100x8 at acme (us-east-1, on-demand)"
    )
    (line,) = (text for text in decision_lines(mixed) if "Rent:" in text)
    assert line.startswith(
        "Keep: 2 x h100x8 (own). Rent: 3 x h100x8 (acme us-east-1, on-demand). Offers considered"
    )


def test_a_free_fleet_divides_nothing_by_zero():
    free = build.plan(nodes=(build.node(term="owned", usd_per_hour_each=0.0),))
    book = openpyxl.load_workbook(io.BytesIO(xlsx.render(findings_for(free))), data_only=True)
    assert "Cost_per_month" in book.defined_names
    assert "Cost_per_million_tokens" not in book.defined_names
    assert html.render(plan_document(findings_for(free)))


def test_many_services_are_summed_up():
    (one,) = build.plan().services
    names = [f"s{i}" for i in range(9)]
    shared = {k: v for k, v in build.SCENARIO.items() if k != "name"}
    question = build.scenario(services=[{**shared, "name": n} for n in names])
    many = build.plan(question, services=[one.model_copy(update={"name": n}) for n in names])
    text = markdown.render(plan_document(findings_for(many)))
    assert "- Targets met: **18** (of 18 targets)" in text
    assert "and 5 more: $43,800 per month" in text
