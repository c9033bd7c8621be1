"""``planner serve --export``: a plan and its sweeps as a site that opens from a file."""

import json
import re

import pytest

from planner.cli.main import main

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    scenario = folder / "small.yaml"
    scenario.write_text(
        "model: Qwen/Qwen3-8B\nrate: 5\nprompt_tokens: 500\noutput_tokens: 200\n"
        "slo: {ttft_p99: 2s, tpot_p99: 100ms}\n"
        "search: {gpus: [l40s, h100-sxm-80gb], tensor_parallel: [1]}\n"
        "description: </script><script>alert(1)</script>\n",
        encoding="utf-8",
    )
    assert main(["serve", str(scenario), "--export", str(folder / "site")]) == 0
    return folder / "site"


def test_the_site_is_whole(site):
    page = (site / "index.html").read_text(encoding="utf-8")
    data = re.search(r'<script type="application/json" id="exported">(.*?)</script>', page, re.S)
    exported = json.loads(data[1])
    assert exported["answer"]["status"] == "optimal"
    assert [s["axis"]["name"] for s in exported["sweeps"]] == ["rate", "ttft", "tpot"]
    assert exported["explain"]["derivations"]
    assert page.count("<script") == 2
    assert not re.search(r"(src|href)=\"(https?:)?//", page)


def test_it_opens_from_a_file(site, browser):
    page = browser.new_page()
    complaints = []
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto((site / "index.html").as_uri())
    page.wait_for_selector("#decision")
    assert page.inner_text("#decision").startswith("Rent ")
    assert page.get_by_role("slider").count() == 0
    page.get_by_role("tab", name="Sweep").click()
    page.locator(".plot canvas").nth(2).wait_for()
    assert page.locator(".plot canvas").count() == 3
    page.get_by_role("tab", name="Explain").click()
    assert page.get_by_text("Why they differ").count() == 1
    page.close()
    assert not complaints
