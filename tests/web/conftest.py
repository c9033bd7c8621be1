"""A server and a headless Chromium for the tests of the page."""

import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from browser import CHROMIUM, REQUIRED


@pytest.fixture(
    scope="module"
)  # its event loop runs until it closes, and other modules run their own
def browser():
    if not REQUIRED and CHROMIUM is None:
        pytest.skip("needs Chromium (apt install chromium)")
    if not REQUIRED:
        pytest.importorskip("playwright")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM or "chromium", args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def serving(request, tmp_path_factory):
    """A server of the shipped catalogs, which opens with the module's ``PLAIN``: its address and process."""
    opened = []
    if plain := getattr(request.module, "PLAIN", None):
        opened.append(str(tmp_path_factory.mktemp("opened") / "plain.yaml"))
        Path(opened[0]).write_text(plain, encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}/"
    process = subprocess.Popen(
        [sys.executable, "-m", "planner", "serve", *opened, "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(address, process)
        yield address, process
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="module")
def server(serving):
    """The address of a server of the shipped catalogs."""
    return serving[0]


@pytest.fixture(scope="module")
def server_process(serving):
    """Its process."""
    return serving[1]


def _wait_for(address, process):
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert process.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("the server does not answer")


class Watched:
    """A page in a context of its own, with everything it complains about and asks for."""

    def __init__(self, browser, address, **options):
        self.context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 900}, **options}
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.complaints, self.foreign, self.sent = [], [], []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self._request(request, address))
        self.page.goto(address)

    def _console(self, message):
        # a refused question is an answer with status 400, which the browser reports by itself
        if message.type in ("error", "warning") and "status of 400" not in message.text:
            self.complaints.append(message.text)

    def _request(self, request, address):
        if not request.url.startswith((address.partition("#")[0], "data:", "blob:")):
            self.foreign.append(request.url)
        if request.url.endswith("api/solve"):
            self.sent.append(request.post_data_json)

    def answered(self):
        """Wait until the shown answer is that of the shown question, without the simulator."""
        self.page.get_by_label("Check in the simulator").uncheck()
        self.settled()

    def settled(self):
        self.page.wait_for_selector("#decision")
        self.page.wait_for_function(
            "() => !document.querySelector('.stale') && !document.querySelector('.running')"
        )

    def rested(self):
        """Wait for the long work too, which begins once a question has rested."""
        self.settled()
        self.wait_for(lambda: self.long_work_begun)
        self.settled()

    @property
    def long_work_begun(self):
        """Whether more than the quick answer to the present text was asked for."""
        text = self.text
        return any(s["scenario"] == text and s.get("detail") != "quick" for s in self.sent)

    def wait_for(self, what):
        """Wait until this is so, while the page goes on."""
        until = time.monotonic() + 60
        while not what():
            assert time.monotonic() < until, "the page does not come to it"
            self.page.wait_for_timeout(50)

    def shows(self, text):
        """Wait until the question is this text."""
        self.page.wait_for_function("t => document.querySelector('#yaml').value === t", arg=text)

    def says(self, words):
        """Wait until these words are in the question, and it is answered."""
        self.page.wait_for_function(
            "t => document.querySelector('#yaml').value.includes(t)", arg=words
        )
        self.settled()

    def ask(self, text):
        """Write another question, and wait until it is answered."""
        self.page.fill("#yaml", text)
        self.shows(text)
        self.settled()

    @property
    def decision(self):
        return self.page.inner_text("#decision")

    @property
    def text(self):
        return self.page.input_value("#yaml")


@pytest.fixture
def watch(browser):
    """Opens a page of another server, by its address."""
    return lambda address, **options: Watched(browser, address, **options)


@pytest.fixture
def open_page(browser, server):
    """Opens a page; when the test ends nothing has complained and nothing left this host."""
    opened = []

    def open_one(fragment="", **options):
        watched = Watched(browser, server + fragment, **options)
        opened.append(watched)
        return watched

    yield open_one
    for watched in opened:
        watched.context.close()
        assert not watched.complaints
        assert not watched.foreign


@pytest.fixture
def form(open_page, request):
    """Opens the page at a question, by default the test file's ``PLAIN``; every part of the form unfolded."""

    def open_form(text=request.module.PLAIN, **options):
        page = open_page(**options)
        page.page.get_by_label("Example").wait_for()
        page.page.get_by_label("Check in the simulator").uncheck()
        page.page.wait_for_selector("#decision")
        page.page.set_default_timeout(20_000)
        if options.get("viewport", {}).get("width", 1280) < 1000:
            page.page.locator(".folded > summary").click()
        if page.text != text:
            page.page.fill("#yaml", text)
        for group in page.page.locator("form details.group").all():
            if group.get_attribute("open") is None:
                group.locator("> summary").click()
        return page

    return open_form
