"""The page in a real headless Chromium: nothing in the console, nothing loaded, nothing cut off."""

import json
import os
import re

import pytest
from browser import CHROMIUM, chromium

from planner.reporting.formats import html
from planner.reporting.plan.plan_document import plan_document

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None and os.environ.get("PLANNER_REQUIRE_BROWSER") != "1",
        reason="needs Chromium (apt install chromium)",
    ),
]
LIGHT, DARK = "--blink-settings=preferredColorScheme=1", "--blink-settings=preferredColorScheme=0"


@pytest.fixture
def page(findings, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(html.render(plan_document(findings)), encoding="utf-8")
    return path


@pytest.fixture
def hostile_page(hostile, tmp_path):
    path = tmp_path / "hostile.html"
    path.write_text(html.render(plan_document(hostile)), encoding="utf-8")
    return path


def console_of(path, folder):
    log = folder / "log"
    chromium(path, folder, "--enable-logging", "--v=0", f"--log-file={log}", "--dump-dom")
    return [line for line in log.read_text().splitlines() if "CONSOLE" in line]


def requested_from(path, folder):
    log = folder / "net.json"
    chromium(path, folder, f"--log-net-log={log}", "--dump-dom")
    return {u for u in re.findall(r'"url":"([^"]+)"', log.read_text()) if "example" in u}


@pytest.mark.parametrize("which", ["page", "hostile_page"])
def test_console_is_silent_and_nothing_is_requested(which, request, tmp_path):
    path = request.getfixturevalue(which)
    assert console_of(path, tmp_path) == []
    assert requested_from(path, tmp_path) == set()


def test_a_page_that_logs_and_loads_would_be_caught(tmp_path):
    path = tmp_path / "bad.html"
    path.write_text("<img src=http://evil.example/a.png><script>console.error(1)</script>")
    assert console_of(path, tmp_path)
    assert requested_from(path, tmp_path)


@pytest.mark.parametrize("scheme", [LIGHT, DARK])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_fits_its_window(page, tmp_path, width, scheme):
    """A probe script, added for the test alone, reports what sticks out and the body's colours."""
    probe = """<script>addEventListener("load", () => {
      const page = document.documentElement;
      const out = [...document.querySelectorAll("main > section > *, header > *")]
        .filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.tagName);
      const style = getComputedStyle(document.body);
      document.body.innerHTML = "<pre id=probe>" + JSON.stringify({
        wide: page.scrollWidth > innerWidth, out,
        paper: style.backgroundColor, ink: style.color }) + "</pre>"; });</script>"""
    text = page.read_text().replace("default-src 'none'", "script-src 'unsafe-inline'")
    framed = tmp_path / "framed.html"  # a window cannot be narrower than 500 px, a frame can
    inner = tmp_path / "inner.html"
    inner.write_text(text.replace("</head>", probe + "</head>"), encoding="utf-8")
    framed.write_text(
        f"<body style='margin:0'><iframe src='{inner.as_uri()}' width={width} height=900 "
        "style='border:0'></iframe><script>addEventListener('load', () => setTimeout(() => "
        "document.body.append(frames[0].document.getElementById('probe').textContent), 300))"
        "</script>",
        encoding="utf-8",
    )
    dom = chromium(
        framed,
        tmp_path,
        scheme,
        "--allow-file-access-from-files",
        "--virtual-time-budget=3000",
        "--window-size=1400,1000",
        "--dump-dom",
    ).stdout.decode()
    found = json.loads(re.search(r"\{.*\}", dom)[0].replace("&quot;", '"'))
    assert found["wide"] is False
    assert found["out"] == []
    assert contrast(found["paper"], found["ink"]) >= 7


def contrast(one, other):
    """WCAG contrast ratio of two CSS rgb colours."""

    def luminance(colour):
        parts = [int(n) / 255 for n in re.findall(r"\d+", colour)[:3]]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_it_prints_to_pages(page, tmp_path):
    chromium(page, tmp_path, f"--print-to-pdf={tmp_path}/report.pdf", "--no-pdf-header-footer")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
