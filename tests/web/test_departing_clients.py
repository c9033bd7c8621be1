"""Clients over real connections: those that leave stop their work, those that send too much hear so."""

import http.client
import json
import socket
import threading
import time
from contextlib import closing

import pytest
import uvicorn
from web_handlers import scripted

from planner.web.app import create_app
from planner.web.limits import ServerLimits

LIMITS = ServerLimits(workers=1, waiting=8, body_bytes=20_000, stop_s=5)
LARGE = b'{"scenario": "' + b"x" * 9_000_000 + b'"}'


@pytest.fixture(scope="module")
def address():
    app = create_app(limits=LIMITS, handler=scripted)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    yield server.servers[0].sockets[0].getsockname()[:2]
    server.should_exit = True
    thread.join(timeout=30)


def head(length, *more):
    lines = ("POST /api/solve HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json")
    return "\r\n".join((*lines, *length, *more, "", "")).encode()


def left_behind(address, *headers):
    """Ask for ten minutes of work, and leave."""
    body = json.dumps({"scenario": "work 600"}).encode()
    with socket.create_connection(address) as client:
        client.sendall(head((f"Content-Length: {len(body)}",), *headers) + body)
        time.sleep(0.2)


def answered(address):
    """The status of a question that takes no time."""
    question = json.dumps({"scenario": "work 0"})
    with closing(http.client.HTTPConnection(*address, timeout=60)) as client:
        client.request("POST", "/api/solve", question, {"Content-Type": "application/json"})
        return client.getresponse().status


@pytest.mark.parametrize("headers", [(), ("Accept: text/event-stream",)])
def test_a_client_that_leaves_stops_its_work_and_gives_up_its_place(address, headers):
    assert answered(address) == 200
    for _ in range(5):  # one that is worked on, four that wait
        left_behind(address, *headers)
    assert answered(address) == 200


def received(client):
    client.settimeout(60)
    parts = []
    while part := client.recv(65_536):
        parts.append(part)
    return b"".join(parts)


def test_too_large_a_body_is_refused_after_it_was_sent_whole(address):
    with socket.create_connection(address) as client:
        client.sendall(head((f"Content-Length: {len(LARGE)}",), "Connection: close") + LARGE)
        answer = received(client)
    assert b" 413 " in answer
    assert b"20,000 bytes" in answer


def test_too_large_a_body_of_unknown_length_is_refused_after_it_was_sent_whole(address):
    chunked = f"{len(LARGE):x}\r\n".encode() + LARGE + b"\r\n0\r\n\r\n"
    with socket.create_connection(address) as client:
        client.sendall(head(("Transfer-Encoding: chunked",), "Connection: close") + chunked)
        answer = received(client)
    assert b" 413 " in answer


def test_a_client_that_asks_first_need_not_send_too_large_a_body(address):
    expecting = head((f"Content-Length: {len(LARGE)}",), "Expect: 100-continue")
    with socket.create_connection(address) as client:
        client.sendall(expecting)
        client.settimeout(60)
        assert b" 413 " in client.recv(65_536)
