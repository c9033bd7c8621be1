"""What the page shows of an answer and lets one save: charts with their numbers, and every file it offers."""

import json
import zipfile
from typing import get_args

import pytest

from planner.catalog.store import load_catalog
from planner.web.names import names
from planner.web.requests import Style, Target

pytestmark = pytest.mark.slow

PAINTED = """(figure) => {
    const canvas = figure.querySelector("canvas");
    const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    let seen = 0;
    for (let i = 3; i < data.length; i += 4) if (data[i] > 0) seen += 1;
    return seen / (data.length / 4);
}"""


@pytest.fixture(scope="module")
def answered(browser, server):
    """One page whose answer is complete but for the simulation; everything here only reads it."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(60_000)
    page.goto(server)
    page.get_by_label("Check in the simulator").uncheck()
    page.get_by_role("figure").filter(has_text="Cost against request rate").wait_for()
    page.wait_for_function("() => !document.querySelector('.running')")
    yield page
    page.close()


def figure(page, caption):
    return page.get_by_role("figure").filter(has_text=caption)


def plan_of(page):
    page.get_by_role("tab", name="Export").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Plan, JSON").click()
    page.get_by_role("tab", name="Answer").click()
    return json.loads(saved.value.path().read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "caption", ["Cost against request rate", "Latency against load", "Paid by month"]
)
def test_each_chart_is_painted_and_says_in_words_what_it_shows(answered, caption):
    found = figure(answered, caption)
    assert found.evaluate(PAINTED) > 0.01
    words = found.get_by_role("img").get_attribute("aria-label")
    assert words.startswith(caption)
    assert any(letter.isdigit() for letter in words)


def test_latency_has_the_operating_point_of_the_plan_and_an_error_band(answered):
    (group,) = plan_of(answered)["services"][0]["replica_groups"]
    found = figure(answered, "Latency against load")
    operating = group["routed_qps"] / group["replicas"]
    words = found.get_by_role("img").get_attribute("aria-label")
    assert f"runs at {operating:.3g} req/s of the {group['capacity_qps']:.3g} req/s" in words
    assert "Band: 80 % error interval of the model, queue included" in found.inner_text()


def test_cash_by_month_ends_at_what_the_plan_pays(answered):
    cash = plan_of(answered)["cash"]
    found = figure(answered, "Paid by month")
    found.locator("details > summary").click()
    rows = [row.split("\t") for row in found.locator("table").inner_text().splitlines()]
    assert rows[-1][0] == str(len(cash["by_month"]) - 1)
    thousands = round(cash["horizon_usd"] / 1e6, 2)
    assert rows[-1][1] == f"${thousands:g}M"


def test_memory_of_a_gpu_sums_to_the_whole(answered):
    rows = figure(answered, "Memory of one GPU").locator("tbody tr").all_inner_texts()
    *parts, whole = (float(row.split("\t")[1].removesuffix(" GiB")) for row in rows)
    assert sum(parts) == pytest.approx(whole, abs=0.06 * len(parts))


def test_what_is_offered_is_what_the_server_writes():
    offered = names(load_catalog())["launch_targets"]
    assert isinstance(offered, (list, tuple))
    assert set(offered) == set(get_args(Target))


OTHER_PLANS = ("sglang", "trtllm", "dynamo")  # of another engine or vendor than this plan's


@pytest.mark.parametrize("target", [t for t in get_args(Target) if t not in OTHER_PLANS])
def test_launch_files_for_a_target_that_fits_the_plan(answered, target):
    answered.get_by_role("tab", name="Export").click()
    answered.get_by_label("Launch files for").select_option(target)
    with answered.expect_download() as saved:
        answered.get_by_role("button", name="Save ZIP").click()
    with zipfile.ZipFile(saved.value.path()) as archive:
        assert archive.testzip() is None
        assert all(entry.file_size for entry in archive.infolist())
    assert saved.value.suggested_filename == f"{target}.zip"


@pytest.mark.parametrize("target", OTHER_PLANS)
def test_a_target_of_another_plan_is_refused_in_words(answered, target):
    answered.get_by_role("tab", name="Export").click()
    answered.get_by_label("Launch files for").select_option(target)
    with answered.expect_response(lambda r: r.url.endswith("api/export")) as answer:
        answered.get_by_role("button", name="Save ZIP").click()
    assert answer.value.status == 400
    (problem,) = answer.value.json()["problems"]
    answered.get_by_role("tabpanel").get_by_text(problem["what"]).wait_for()


@pytest.mark.parametrize("style", [s for s in get_args(Style) if s != "launch"])
def test_every_file_of_a_report(answered, style):
    answered.get_by_role("tab", name="Export").click()
    title = {"csv": "Order, CSV", "json": "Plan, JSON", "md": "Report, Markdown"}
    with answered.expect_download() as saved:
        answered.get_by_role("button", name=title.get(style, f"Report, {style.upper()}")).click()
    assert saved.value.path().stat().st_size > 150
    assert saved.value.suggested_filename == f"plan.{style}"
