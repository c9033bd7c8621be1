"""The page in a real headless Chromium, from a server of its own."""

import importlib.util
import json
import re
from pathlib import Path

import pytest
from browser import missing
from processes import HAS_PROC, processor_s

from planner.plan.schema import read_plan
from planner.reporting.plan.plan_document import headline

pytestmark = pytest.mark.slow

AXE = importlib.util.find_spec("axe_playwright_python")
MODEL = "meta-llama/Meta-Llama-3-70B-Instruct"


def test_the_walkthrough_typed_by_keyboard_gives_the_command_lines_answer(open_page, main_plan):
    page = open_page()
    page.answered()
    page.page.get_by_label("Example").select_option("")
    page.shows("")
    keys = page.page.keyboard
    page.page.get_by_label("Model", exact=True).first.focus()
    for typed in (MODEL, "50/s", "1k", "500"):
        keys.type(typed)
        keys.press("Tab")
    keys.press("Tab")  # over the heading of the targets
    for typed in ("2s", "100ms"):
        keys.type(typed)
        keys.press("Tab")
    page.page.get_by_text("Search", exact=True).focus()
    keys.press("Enter")
    page.page.get_by_label("Allow lower precision").focus()
    keys.press("Space")
    page.page.wait_for_selector("#decision")
    page.answered()
    assert page.decision == headline(read_plan(main_plan))


def test_what_is_sent_is_what_is_shown(open_page):
    page = open_page()
    page.answered()
    page.page.get_by_label("Output tokens").fill("700")
    page.says("output_tokens: 700")
    assert page.sent[-1]["scenario"] == page.text


def test_the_form_leaves_comments_and_layout_alone(open_page):
    page = open_page()
    page.answered()
    before = page.text
    page.page.get_by_label("Requests").fill("50/s")
    page.page.get_by_label("TTFT p99", exact=True).fill("1.5s")
    after = before.replace("ttft_p99: 2s", "ttft_p99: 1.5s")
    page.shows(after)
    page.page.get_by_label("Requests").fill("60/s")
    page.shows(after.replace("rate: 50 ", "rate: 60 "))


def test_the_text_changes_the_form(open_page):
    page = open_page()
    page.answered()
    page.page.fill("#yaml", page.text.replace("prompt_tokens: 1000", "prompt_tokens: 1234"))
    page.page.wait_for_function(
        "() => [...document.querySelectorAll('form input')].some(i => i.value === '1234')"
    )


def test_a_problem_is_beside_its_field_and_at_its_line(open_page):
    page = open_page()
    page.answered()
    page.page.get_by_label("Requests").fill("fast")
    field = page.page.get_by_label("Requests")
    page.page.wait_for_selector("input[aria-invalid=true]")
    assert field.get_attribute("aria-invalid") == "true"
    page.page.get_by_role("button", name="line 4").click()
    assert "rate: fast" in page.page.evaluate("() => getSelection().toString()")


@pytest.mark.skipif(not HAS_PROC, reason="reads processor time from /proc")
def test_sliders_answer_while_they_move(open_page, server_process):
    """In processor time of the server: what else the machine does takes no part."""
    page = open_page()
    page.answered()
    cost = page.decision
    page.page.get_by_role("slider", name="Request rate").focus()
    took_s = []
    for _ in range(5):
        before_s = processor_s(server_process.pid)
        with page.page.expect_response(lambda r: r.url.endswith("api/solve")) as answer:
            page.page.keyboard.press("ArrowRight")
        assert answer.value.ok
        took_s.append(processor_s(server_process.pid) - before_s)
    page.settled()
    assert page.decision != cost
    assert page.sent[-1]["scenario"] == page.text
    assert sorted(took_s)[2] < 0.5  # 0.1 s of one with nothing else to do


def test_a_target_slider_previews_then_searches_everything(open_page):
    page = open_page()
    page.answered()
    page.page.get_by_role("slider", name="TPOT p99 target").focus()
    for _ in range(8):
        page.page.keyboard.press("ArrowLeft")
    page.wait_for(lambda: any(s["among"] for s in page.sent))
    page.rested()  # what rests is not answered among few
    assert page.sent[-1].get("among", []) == []
    assert page.page.locator(".mark.preview").count() == 0


@pytest.mark.parametrize(
    ("stated", "after"),
    [
        ("", "assurance: 0.82\n"),
        ("assurance: 0.9\n", "assurance: 0.92\n"),
        ("assurance: {probability: 0.7, demand_cv: 0.1}\n", "probability: 0.72, demand_cv: 0.1}\n"),
    ],
)
def test_the_assurance_has_a_slider_however_it_is_stated(open_page, stated, after):
    page = open_page()
    page.answered()
    page.ask(page.text + stated)
    slider = page.page.get_by_role("slider", name="Assurance")
    before, sent = slider.get_attribute("aria-valuetext"), len(page.sent)
    slider.focus()
    for _ in range(2):
        page.page.keyboard.press("ArrowRight")
    page.says(after)
    page.rested()
    assert slider.get_attribute("aria-valuetext") != before
    assert any(s["among"] for s in page.sent[sent:])  # at once among few GPU types, then all
    assert page.sent[-1]["scenario"] == page.text


@pytest.mark.parametrize(
    ("rate", "shown", "unit"),
    [
        ("20/s", "20 req/s", "/s"),
        ("1200/min", "20 req/s", "/min"),
        ("0.4 conversations/s", "0.4 conversations/s", " conversations/s"),
    ],
)
def test_a_rate_keeps_its_unit_when_it_slides(open_page, rate, shown, unit):
    page = open_page()
    page.answered()
    text = page.text.replace("rate: 50 ", f"rate: {rate} ").replace("gpus: all", "gpus: [h200]")
    if "conversations" in rate:
        text += "conversations: {turns: 4, think_time: 20s, growth: 200}\n"
    page.ask(text)
    slider = page.page.get_by_role("slider", name="Request rate")
    assert slider.get_attribute("aria-valuetext") == shown
    slider.focus()
    page.page.keyboard.press("ArrowRight")
    page.wait_for(lambda: page.text != text)
    page.settled()
    (now,) = (line for line in page.text.splitlines() if line.startswith("rate:"))
    assert unit in now
    assert rate not in now
    assert page.page.locator(".problems li").count() == 0


def test_a_link_reopened_gives_the_same_page(open_page):
    first = open_page()
    first.answered()
    first.page.wait_for_function("() => location.hash.length > 20")
    before = first.page.evaluate("() => location.hash")
    first.page.get_by_label("Requests").fill("75/s")
    first.says("rate: 75")
    first.page.wait_for_function("h => location.hash !== h", arg=before)
    first.rested()
    second = open_page("#" + first.page.url.partition("#")[2])
    second.answered()
    assert (second.text, second.decision) == (first.text, first.decision)
    assert second.page.locator(".notice").count() == 0


def test_a_link_of_another_version_says_so(open_page):
    page = open_page()
    page.answered()
    fragment = page.page.evaluate(
        """async (text) => {
            const data = JSON.stringify({scenario: text, files: {}, version: "0.0.1", catalog: "x"});
            const packed = new Blob([data]).stream().pipeThrough(new CompressionStream("deflate-raw"));
            const bytes = new Uint8Array(await new Response(packed).arrayBuffer());
            return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
        }""",
        page.text,
    )
    other = open_page("#q=" + fragment.rstrip("="))
    other.answered()
    assert "planner 0.0.1" in other.page.inner_text(".notice")
    assert "catalog" in other.page.inner_text(".notice")


def test_long_work_can_be_stopped_and_the_server_is_on(open_page):
    page = open_page()
    page.page.get_by_role("button", name="Stop").wait_for()
    page.page.wait_for_function("() => document.body.innerText.includes('simulating')")
    page.page.get_by_role("button", name="Stop").click()
    page.settled()
    assert page.page.locator(".mark.closed-form").count() == 1
    page.answered()
    page.page.get_by_role("tab", name="Memory").click()
    page.page.get_by_role("button", name="Size it").click()
    page.page.get_by_role("heading", name="What it holds").wait_for()


def test_what_changed_since_the_last_answer(open_page):
    page = open_page()
    page.answered()
    page.rested()
    page.page.get_by_label("Requests").fill("100/s")
    page.says("rate: 100")
    page.rested()
    assert re.search(r"\+\d+ %", page.page.inner_text(".changes summary"))


CONFIG = json.dumps(
    {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096,
        "intermediate_size": 14336, "num_attention_heads": 32, "num_hidden_layers": 32,
        "num_key_value_heads": 8, "vocab_size": 128256, "torch_dtype": "bfloat16",
    },
    indent=1,
)  # fmt: skip
TRACE = "prompt_tokens,output_tokens\n900,300\n1100,200\n1000,250\n"
PRICES = (
    "provider,region,instance_type,gpu,gpu_count,term,usd_per_hour,as_of,source,confidence\n"
    "acme,eu,box,h100-sxm-80gb,8,on-demand,9.0,2026-11-01,quote 7,high\n"
)
POINTS = (
    "model,gpu,engine,weights,tensor_parallel,prompt_tokens,output_tokens,concurrency,ttft_ms,tpot_ms\n"
    "meta-llama/Llama-3.1-8B-Instruct,h100-sxm-80gb,vllm,bf16,1,1000,500,16,80,12\n"
)
FILES = [
    ("mine.json", CONFIG, "model config", "model: mine.json"),
    ("mine.csv", TRACE, "trace", "prompt_tokens: {trace: mine.csv}"),
    ("prices.csv", PRICES, "price list", "file: prices.csv"),
    ("points.csv", POINTS, "measured points", ""),
]
DROP = """([name, text]) => {
    const data = new DataTransfer();
    data.items.add(new File([text], name));
    document.querySelector(".drop").dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true}));
}"""
PASTE = """(text) => {
    const data = new DataTransfer();
    data.setData("text", text);
    document.querySelector("#yaml").dispatchEvent(
        new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true}));
}"""


@pytest.mark.parametrize(("name", "text", "kind", "stated"), FILES)
def test_a_dropped_file_goes_where_its_kind_belongs(open_page, name, text, kind, stated):
    page = open_page()
    page.answered()
    before = len(page.sent)
    page.page.evaluate(DROP, [name, text])
    page.page.wait_for_function(
        "t => document.querySelector('#yaml').value.includes(t)"
        " && document.querySelector('.files li') !== null",
        arg=stated,
    )
    page.wait_for(lambda: len(page.sent) > before)
    page.settled()
    assert kind in page.page.inner_text(".files")
    assert page.page.locator(".problems li").count() == 0
    assert page.sent[-1]["scenario"] == page.text
    if stated:
        assert page.sent[-1]["files"] == {name: text}
    else:
        page.page.get_by_role("tab", name="Accuracy").click()
        assert name in page.page.inner_text("[role=tabpanel]")


def test_a_pasted_config_becomes_the_model_and_pasted_text_stays_text(open_page):
    page = open_page()
    page.answered()
    page.page.evaluate(PASTE, CONFIG)
    page.page.wait_for_function(
        "() => document.querySelector('#yaml').value.includes('model: config.json')"
    )
    before = page.text
    page.page.evaluate(PASTE, "# prompts, tokens\nrate: 3\n")
    page.page.wait_for_timeout(300)
    assert page.text == before  # the browser pastes it itself
    assert page.page.locator(".files li").count() == 1


def test_every_tool_answers(open_page):
    page = open_page()
    page.answered()
    for tool, button, expected in (
        ("Sweep", "Sweep", "the choice"),
        ("Compare", "Compare", "wins at"),
        ("Explain", "Explain step by step", "Why they differ"),
    ):
        page.page.get_by_role("tab", name=tool).click()
        page.page.get_by_role("tabpanel").get_by_role("button", name=button, exact=True).click()
        page.page.get_by_role("tabpanel").get_by_text(expected).first.wait_for()
    page.page.get_by_role("tab", name="Export").click()
    with page.page.expect_download() as saved:
        page.page.get_by_role("button", name="Plan, JSON").click()
    plan = json.loads(Path(saved.value.path()).read_text(encoding="utf-8"))
    assert plan["status"] == "optimal"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off(open_page, scheme):
    page = open_page(viewport={"width": 390, "height": 900}, color_scheme=scheme)
    page.answered()
    page.rested()
    for width in (390, 768, 1280, 1920):
        page.page.set_viewport_size({"width": width, "height": 900})
        page.page.wait_for_function("w => innerWidth === w", arg=width)
        assert page.page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_no_table_of_texts_scrolls_sideways_on_a_phone(open_page):
    page = open_page(viewport={"width": 390, "height": 844})
    page.answered()
    page.rested()
    page.page.evaluate(
        "() => document.querySelectorAll('details.section').forEach(d => { d.open = true; })"
    )
    wide = page.page.evaluate(
        "() => [...document.querySelectorAll('.section .scroll')]"
        ".filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.getAttribute('aria-label'))"
    )
    assert not wide
    rejected = page.page.get_by_role("table").filter(has_text="Nearest miss")
    titles = rejected.locator("td").evaluate_all(
        "cells => cells.slice(0, 3).map(c => c.dataset.title)"
    )
    assert titles == ["Reason", "Deployments", "Nearest miss"]


def test_it_prints(open_page):
    page = open_page()
    page.answered()
    page.rested()
    page.page.emulate_media(media="print")
    assert not page.page.get_by_role("slider").first.is_visible()
    assert page.page.locator("#decision").is_visible()
    assert page.page.locator(".on-paper pre").inner_text().rstrip() == page.text.rstrip()
    assert not page.page.get_by_role("button").first.is_visible()
    assert len(page.page.pdf()) > 10_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_violation(open_page, scheme):
    if AXE is None:
        missing("axe-playwright-python")
    page = open_page(color_scheme=scheme, viewport={"width": 390, "height": 844})
    page.answered()
    page.rested()
    source = Path(AXE.origin).with_name("axe.min.js").read_text(encoding="utf-8")
    page.page.evaluate(source + ";0")
    for width in (390, 1280):
        page.page.set_viewport_size({"width": width, "height": 844})
        page.page.wait_for_function("w => innerWidth === w", arg=width)
        for tool in ("Answer", "Sweep", "Compare", "Explain", "Memory", "Accuracy", "Export"):
            page.page.get_by_role("tab", name=tool).click()
            found = page.page.evaluate("async () => (await axe.run()).violations")
            serious = [v for v in found if v["impact"] in ("serious", "critical")]
            assert not [(v["id"], [n["html"] for n in v["nodes"]][:3]) for v in serious], width


def test_hostile_text_stays_text(open_page):
    page = open_page()
    page.answered()
    hostile = "'<img src=x onerror=alert(1)>'"
    page.page.fill("#yaml", page.text + f"name: {hostile}\nwat: {hostile}\n")
    page.page.wait_for_selector(".problems li")
    assert page.page.locator("img").count() == 0
