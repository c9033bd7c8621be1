"""Long work that runs out of time or meets a full server: the answer stays, the page says so and goes on."""

import contextlib
import socket
import threading
import time

import pytest
import uvicorn
from web_handlers import busy_at_first

from planner.web.app import create_app
from planner.web.limits import ServerLimits

pytestmark = pytest.mark.slow

SCENARIO = """\
model: meta-llama/Llama-3.1-8B-Instruct
rate: 20
prompt_tokens: 500
output_tokens: 100
slo: {ttft_p99: 2s, tpot_p99: 80ms}
search: {gpus: [l40s], tensor_parallel: [1]}
"""
CUT_SHORT = (
    "The check in the simulator did not finish: the request took longer than this server grants"
)


@contextlib.contextmanager
def served(limits):
    """The address of a server whose simulations are slow at first."""
    app = create_app(limits=limits, scenario=SCENARIO, handler=busy_at_first)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        thread.join(30)


@pytest.fixture
def short_of_time():
    """A server that grants a request 8 s."""
    with served(ServerLimits(workers=1, request_s=8.0)) as address:
        yield address


@pytest.fixture
def page(watch, short_of_time):
    watched = watch(short_of_time)
    yield watched
    watched.context.close()
    assert not watched.complaints


def test_a_simulation_out_of_time_leaves_the_closed_form_and_can_be_continued(page):
    note = page.page.get_by_role("alert")
    note.wait_for()
    assert note.inner_text().startswith(f"{CUT_SHORT} (8 s). What is shown is by the closed form.")
    assert page.page.locator(".mark.closed-form").count() == 1
    assert page.decision.startswith("Rent ")
    assert page.page.locator(".problems li").count() == 0  # the question is as good as it was
    assert page.page.locator(".stale").count() == 0
    page.page.get_by_role("button", name="Continue").click()
    page.page.locator(".mark.simulated").wait_for()
    assert note.count() == 0


def test_a_new_question_takes_the_note_away(page):
    page.page.get_by_role("alert").wait_for()
    page.page.get_by_role("button", name="Continue").click()
    page.page.locator(".mark.simulated").wait_for()
    page.page.get_by_label("Requests").fill("25/s")
    page.page.get_by_role("alert").wait_for()
    page.page.get_by_label("Check in the simulator").uncheck()
    page.page.get_by_label("Requests").fill("26/s")
    page.page.get_by_role("alert").wait_for(state="detached")
    page.answered()
    assert page.page.get_by_role("alert").count() == 0


def test_a_full_server_is_no_problem_of_the_question(page):
    page.answered()
    refusal = (
        '{"problems": [{"what": "the server is at capacity", "field": null, "line": null, '
        '"found": null, "allowed": null, "next": "try again in a few seconds", "exit_code": 5}]}'
    )
    page.page.route("**/api/solve", lambda route: route.fulfill(status=429, body=refusal))
    page.page.get_by_label("Requests").fill("30/s")
    note = page.page.get_by_role("alert")
    note.wait_for()
    assert "There is no answer to this question yet: the server is at capacity." in (
        note.inner_text()
    )
    assert "What is shown is for an earlier question. Try again in a few seconds." in (
        note.inner_text()
    )
    assert page.page.locator(".problems li").count() == 0
    page.page.unroute("**/api/solve")
    page.page.get_by_role("button", name="Try again").click()
    page.answered()
    assert note.count() == 0
    page.complaints = [c for c in page.complaints if "status of 429" not in c]
