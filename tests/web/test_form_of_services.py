"""The form's fields for kinds of work and ways to serve: each changes the text, and the text changes it."""

import importlib.util
from pathlib import Path

import pytest
import yaml
from browser import missing

pytestmark = pytest.mark.slow

AXE = importlib.util.find_spec("axe_playwright_python")
PLAIN = """\
model: meta-llama/Llama-3.1-8B-Instruct
rate: 60
prompt_tokens: 800
output_tokens: 200
slo: {ttft_p99: 2s, tpot_p99: 60ms}
search: {gpus: [l40s], tensor_parallel: [1], weights: [bf16], kv_cache: [bf16]}
"""


def scenario_of(page):
    return yaml.safe_load(page.text)


def field(page, label):
    return page.page.get_by_label(label, exact=True)


def in_text(page, part):
    page.page.wait_for_function("t => document.querySelector('#yaml').value.includes(t)", arg=part)


def test_a_reranker(form):
    page = form()
    field(page, "Task").select_option("rerank")
    in_text(page, "task: rerank")
    assert "output_tokens" not in scenario_of(page)
    assert "slo" not in scenario_of(page)
    assert field(page, "Output tokens").count() == 0
    field(page, "E2E p99").fill("700ms")
    in_text(page, "e2e_p99")
    page.answered()
    assert scenario_of(page)["slo"] == {"e2e_p99": "700ms"}
    assert page.sent[-1]["scenario"] == page.text
    field(page, "Task").select_option("generate")
    assert scenario_of(page) == yaml.safe_load(PLAIN)


def test_a_batch_with_a_deadline(form):
    page = form()
    field(page, "Work").select_option("batch")
    in_text(page, "job:")
    assert scenario_of(page)["job"] == {"requests": 60 * 86_400, "within": "24h"}
    assert not {"rate", "slo"} & set(scenario_of(page))
    field(page, "Requests a day").fill("2M")
    field(page, "Done within").fill("8h")
    field(page, "There from hour").fill("20")
    in_text(page, "start: 20")
    page.answered()
    assert scenario_of(page)["job"] == {"requests": 2_000_000, "within": "8h", "start": 20}
    field(page, "Requests a day").focus()
    assert field(page, "There from hour").input_value() == "20:00"
    field(page, "Done within").fill("90m")
    page.page.wait_for_selector("input[aria-invalid=true]")
    assert field(page, "Done within").get_attribute("aria-invalid") == "true"
    field(page, "Work").select_option("stream")
    assert scenario_of(page) == yaml.safe_load(PLAIN)


def test_adapters(form):
    page = form()
    field(page, "LoRA adapters").fill("60")
    field(page, "Largest LoRA rank").select_option("32")
    field(page, "Adapters a replica holds").fill("90")
    in_text(page, "max_loaded")
    page.page.wait_for_selector("input[aria-invalid=true]")
    assert field(page, "Adapters a replica holds").get_attribute("aria-invalid") == "true"
    field(page, "Adapters a replica holds").fill("20")
    page.answered()
    assert scenario_of(page)["lora"] == {"adapters": 60, "rank": 32, "max_loaded": 20}
    page.page.fill("#yaml", page.text.replace("adapters: 60", "adapters: 40"))
    page.page.wait_for_function(
        "() => [...document.querySelectorAll('form input')].some(i => i.value === '40')"
    )


def test_conversations(form):
    page = form()
    field(page, "Turns").fill("8")
    page.page.get_by_text("conversations need think_time").first.wait_for()
    field(page, "Think time").fill("20s")
    field(page, "Growth a turn, tokens").fill("1k")
    field(page, "Shared prompt, tokens").fill("500")
    field(page, "Router").select_option("prefix-aware")
    in_text(page, "prefix-aware")
    assert scenario_of(page)["conversations"] == {
        "turns": 8,
        "think_time": "20s",
        "growth": 1000,
        "shared_system_prompt": 500,
    }
    page.page.fill("#yaml", page.text.replace("turns: 8", "turns: {mean: 9, cv: 0.5}"))
    page.page.wait_for_function(
        "() => [...document.querySelectorAll('form input')].some(i => i.value === '9')"
    )
    field(page, "Turns").fill("7")
    in_text(page, "turns: {mean: 7, cv: 0.5}")
    page.page.fill("#yaml", page.text.replace("turns: {mean: 7, cv: 0.5}", "turns: 7"))
    for label in ("Turns", "Think time", "Growth a turn, tokens", "Shared prompt, tokens"):
        field(page, label).fill("")
    page.page.wait_for_function(
        "() => !document.querySelector('#yaml').value.includes('conversations')"
    )


def test_drafts(form):
    page = form()
    page.page.get_by_role("checkbox", name="eagle3").check()
    page.page.get_by_role("checkbox", name="ngram").check()
    field(page, "eagle3: tokens a step").fill("2, 4")
    field(page, "ngram: share accepted").fill("0.2")
    in_text(page, "acceptance")
    field(page, "Draft model").fill("meta-llama/Llama-3.2-1B-Instruct")
    in_text(page, "Llama-3.2-1B-Instruct")
    assert scenario_of(page)["search"]["speculative"] == [
        "none",
        {"method": "eagle3", "tokens": [2, 4]},
        {"method": "ngram", "acceptance": 0.2},
        {"draft": "meta-llama/Llama-3.2-1B-Instruct"},
    ]
    field(page, "ngram: share accepted").fill("2")
    page.page.wait_for_selector("input[aria-invalid=true]")
    assert field(page, "ngram: share accepted").get_attribute("aria-invalid") == "true"
    field(page, "Draft model").fill("")
    page.page.get_by_role("checkbox", name="ngram").uncheck()
    page.page.get_by_role("checkbox", name="eagle3").uncheck()
    assert scenario_of(page)["search"]["speculative"] == ["none"]


def test_kv_cache_in_host_memory(form):
    page = form()
    field(page, "Host memory for KV").fill("256GiB")
    in_text(page, "host_memory")
    field(page, "Disk for KV").fill("2TiB")
    page.page.get_by_text("disk and disk_gb_s go together").first.wait_for()
    field(page, "Disk, GB/s a replica").fill("6")
    in_text(page, "disk_gb_s")
    assert scenario_of(page)["search"]["settings"] == {
        "kv_offload": {"host_memory": "256GiB", "disk": "2TiB", "disk_gb_s": 6}
    }


def test_prefill_and_decode_apart(form):
    page = form()
    field(page, "Prefill and decode").select_option("either")
    in_text(page, "disaggregation: true")
    page.page.get_by_role("checkbox", name="node").uncheck()
    in_text(page, "within: [zone]")
    field(page, "Prefill and decode").select_option("apart")
    for label, name in (
        ("Prefill to decode replicas", "2P1D"),
        ("Prefill on", "h100-sxm-80gb"),
        ("Decode on", "h200-sxm-141gb"),
    ):
        field(page, label).fill(name)
        page.page.keyboard.press("Enter")
    in_text(page, "decode_gpus")
    assert scenario_of(page)["search"]["disaggregation"] == {
        "within": ["zone"],
        "colocated": False,
        "ratios": ["2P1D"],
        "prefill_gpus": ["h100-sxm-80gb"],
        "decode_gpus": ["h200-sxm-141gb"],
    }
    field(page, "Prefill and decode").select_option("together")
    assert "disaggregation" not in scenario_of(page)["search"]


@pytest.mark.parametrize("width", [390, 1280])
def test_the_whole_form_fits_and_axe_finds_no_serious_violation(open_page, width):
    if AXE is None:
        missing("axe-playwright-python")
    page = open_page(viewport={"width": width, "height": 900})
    page.answered()
    if width < 1000:
        page.page.locator(".folded > summary").click()
    page.page.fill("#yaml", PLAIN + "lora: {adapters: 4}\n")
    field(page, "LoRA adapters").wait_for()
    for group in page.page.locator("form details.group").all():
        if group.get_attribute("open") is None:
            group.locator("> summary").click()
    field(page, "Prefill and decode").select_option("either")
    field(page, "Host memory for KV").fill("64GiB")
    assert page.page.evaluate("() => document.documentElement.scrollWidth") <= width
    source = Path(AXE.origin).with_name("axe.min.js").read_text(encoding="utf-8")
    page.page.evaluate(source + ";0")
    found = page.page.evaluate("async () => (await axe.run('form')).violations")
    assert not [v["id"] for v in found if v["impact"] in ("serious", "critical")]
