import io

import openpyxl
import plan_builder as build
import pytest

from planner.findings.schema import Findings
from planner.reporting.formats import html, markdown
from planner.reporting.plan import spreadsheet as xlsx
from planner.reporting.plan.plan_document import plan_document

PERCENTILES = {"ttft_p50_s", "ttft_p99_s", "tpot_p50_s", "tpot_p99_s", "e2e_p99_s"}


def period(label, hours, mean, busiest, replicas):
    key = "chat: 4x h100-sxm-80gb vllm TP4 fp8/bf16"
    nodes = {"acme/us-east-1/h100x8/on-demand": replicas}
    return build.period(
        label, {key: replicas}, hours=hours, mean_qps=mean, busiest_qps=busiest, nodes=nodes
    )


@pytest.fixture
def varied():
    return build.plan(
        nodes=(build.node(count=2), build.node(count=3, hours_share=0.5)),
        periods=(period("day", 12.0, 50.0, 52.5, 5), period("night", 12.0, 10.0, 12.0, 2)),
    )


def test_the_timetable_is_reported(varied):
    table = plan_document(Findings(varied)).tables()["schedule"]
    rows = [[c.value for c in row] for row in table.cells()]
    assert rows == [["day", 12, 50, 52.5, 0, 5, 5], ["night", 12, 10, 12, 0, 2, 2]]
    assert "Unserved" not in markdown.table(table)


def test_demand_and_capacity_over_time_are_drawn(varied):
    page = html.render(plan_document(Findings(varied)))
    assert "capacity reaches 54.5 req/s" in page


def test_replicas_of_unknown_names_leave_capacity_out(varied):
    unknown = {"replicas": {"chat: something": 2}}
    periods = tuple(p.model_copy(update=unknown) for p in varied.periods)
    page = html.render(plan_document(Findings(varied.model_copy(update={"periods": periods}))))
    assert "needs 52.5 req/s in 2 periods" in page
    assert "capacity reaches" not in page


def test_the_order_joins_what_is_paid_part_of_the_time(varied):
    document = plan_document(Findings(varied))
    (row,) = document.tables()["order"].cells()
    values = {
        c.key: cell.value for c, cell in zip(document.tables()["order"].columns, row, strict=True)
    }
    assert values["count"] == 5
    assert values["hours_share"] == pytest.approx(0.7)
    assert values["usd_per_hour"] == pytest.approx(70.0)
    assert "70 % of the time" in document.headline


def test_a_plan_without_periods_has_no_timetable():
    assert "schedule" not in plan_document(Findings(build.plan())).tables()


def test_the_spreadsheet_counts_the_share_of_time(varied):
    book = openpyxl.load_workbook(io.BytesIO(xlsx.render(Findings(varied))))
    hours = [book["Summary"][f"K{line}"].value for line in (6, 7)]
    assert book["Summary"]["O6"].value == "=G6*H6*K6*IF(Need_ends=1,N6,J6)"
    assert hours == [730, 365]


def test_a_plan_without_percentiles_has_no_table_of_them():
    group = build.group()
    jobs = group.model_copy(
        update={
            "predicted": group.predicted.model_copy(
                update={
                    **dict.fromkeys(group.predicted.model_dump(include=PERCENTILES)),
                    "others_s": {},
                }
            )
        }
    )
    assert "latency" in plan_document(Findings(build.plan())).tables()
    assert "latency" not in plan_document(Findings(build.plan(groups=(jobs,)))).tables()
