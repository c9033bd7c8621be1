"""The server: one page, a JSON API behind it, described by OpenAPI at ``/openapi.json``."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Header
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest

from planner.session import Session
from planner.version import package_version
from planner.web import requests as requested
from planner.web.bodies import NEED_A_BODY, body_problems
from planner.web.described import EVENTS, FILES, PLAIN
from planner.web.events import MEDIA, event_stream, reported, too_long
from planner.web.exports import MEDIA as FILE_MEDIA
from planner.web.guards import Guards
from planner.web.handlers import handle
from planner.web.limits import ServerLimits
from planner.web.listeners import NobodyListens, while_listening
from planner.web.names import about, names, presets
from planner.web.pool import TooBusy, TooLong, WorkerPool
from planner.web.problems import Json, problem
from planner.web.worker import Handler, Message

STATIC = Path(__file__).parent / "static"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "testserver")
_STATUS = {2: 400, 4: 500, 5: 503, 70: 500, 130: 503}
_REFUSED = {
    400: (
        "the body cannot be read: it is not UTF-8, nested too deeply or has a number of too many digits",
        NEED_A_BODY,
    ),
    404: ("there is no such address here", "GET /openapi.json lists the routes"),
    405: ("the address does not answer this method", "see /openapi.json for the method it takes"),
}
_log = logging.getLogger("planner.web")


def create_app(
    *,
    limits: ServerLimits | None = None,
    catalogs: Path | None = None,
    scenario: str | None = None,
    hosts: tuple[str, ...] = LOOPBACK,
    handler: Handler = handle,
) -> FastAPI:
    """The application.

    ``scenario``: text the page opens with, unless its link carries another. ``hosts``: names the server
    answers to ("*" for any); others are refused, so that no foreign page can reach a loopback server.
    """
    granted = limits or ServerLimits()
    pool: list[WorkerPool] = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        pool.append(WorkerPool(handler, granted, catalogs))
        try:
            yield
        finally:
            await pool.pop().close()

    app = FastAPI(
        title="planner",
        description="From a business requirement to the provably cheapest GPU fleet.",
        version=package_version(),
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.add_middleware(Guards, limits=granted, hosts=hosts)
    _add_errors(app, granted)
    _add_facts(app, Session.open(catalogs), granted, scenario)
    _add_questions(app, lambda: pool[0], granted)
    _add_page(app)
    return app


def _add_page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    app.mount("/static", StaticFiles(directory=STATIC), name="static")


def _add_facts(app: FastAPI, session: Session, limits: ServerLimits, scenario: str | None) -> None:
    """What does not depend on a question; worked out once."""
    versions = {**about(session, limits), "scenario": scenario}
    completions, shipped = names(session.catalog), presets()

    @app.get("/api/about", summary="Versions, catalog digest and limits")
    async def get_about() -> Json:
        return versions

    @app.get("/api/names", summary="Every name a scenario may use")
    async def get_names() -> Json:
        return completions

    @app.get("/api/presets", summary="The scenarios that ship with the package")
    async def get_presets() -> list[Json]:
        return shipped


def _add_questions(app: FastAPI, pool: Callable[[], WorkerPool], limits: ServerLimits) -> None:
    """The routes that a worker answers; with ``Accept: text/event-stream`` as events with progress."""

    async def answer(
        http: HttpRequest, request: requested.Request, accept: str = "", *, short: bool = False
    ) -> Response:
        if MEDIA in accept:
            return await _as_events(http, pool(), request, limits, short)
        return _as_json(await while_listening(http, pool().answer(request, short=short)))

    @app.post("/api/check", summary="Every problem of a scenario at once", responses=PLAIN)
    async def check(http: HttpRequest, request: requested.CheckRequest) -> Response:
        return await answer(http, request, short=True)

    @app.post("/api/solve", summary="The cheapest fleet that meets the targets", responses=EVENTS)
    async def solve(
        http: HttpRequest, request: requested.SolveRequest, accept: str = Header("")
    ) -> Response:
        return await answer(http, request, accept, short=request.detail == "quick")

    @app.post("/api/compare", summary="The scenario under several restrictions", responses=EVENTS)
    async def compare(
        http: HttpRequest, request: requested.CompareRequest, accept: str = Header("")
    ) -> Response:
        return await answer(http, request, accept)

    @app.post("/api/diff", summary="What changed between two plans, and why", responses=PLAIN)
    async def diff(http: HttpRequest, request: requested.DifferenceRequest) -> Response:
        return await answer(http, request, short=True)

    @app.post("/api/sweep", summary="One input over a range", responses=EVENTS)
    async def sweep(
        http: HttpRequest, request: requested.SweepRequest, accept: str = Header("")
    ) -> Response:
        return await answer(http, request, accept)

    @app.post(
        "/api/explain", summary="The derivation, compared with textbook sizing", responses=EVENTS
    )
    async def explain(
        http: HttpRequest, request: requested.ExplainRequest, accept: str = Header("")
    ) -> Response:
        return await answer(http, request, accept)

    @app.post(
        "/api/memory",
        summary="Parameters, weights and KV cache of a model on a GPU",
        responses=PLAIN,
    )
    async def memory(http: HttpRequest, request: requested.MemoryRequest) -> Response:
        return await answer(http, request, short=True)

    @app.post("/api/accuracy", summary="Predictions against measured points", responses=EVENTS)
    async def accuracy(
        http: HttpRequest, request: requested.AccuracyRequest, accept: str = Header("")
    ) -> Response:
        return await answer(http, request, accept)

    @app.post("/api/export", summary="A plan as a report, a table or launch files", responses=FILES)
    async def export(http: HttpRequest, request: requested.ExportRequest) -> Response:
        message = await while_listening(http, pool().answer(request))
        content = message.body.get("content")
        if not isinstance(content, bytes):
            return _as_json(message)
        suffix = "zip" if request.style == "launch" else request.style
        disposition = {"Content-Disposition": f'attachment; filename="plan.{suffix}"'}
        return Response(content, media_type=FILE_MEDIA[request.style], headers=disposition)


async def _as_events(
    http: HttpRequest,
    pool: WorkerPool,
    request: requested.Request,
    limits: ServerLimits,
    short: bool,
) -> Response:
    messages = pool.ask(request, short=short)

    async def said() -> Message:
        return await anext(messages)

    first = await while_listening(http, said())  # a full queue is an HTTP status, not an event

    async def all_messages() -> AsyncIterator[Message]:
        try:
            yield first
            async for message in messages:
                yield message
        finally:
            await messages.aclose()

    return StreamingResponse(
        event_stream(all_messages(), limits),
        media_type=MEDIA,
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _as_json(message: Message) -> Response:
    if message.kind == "answer":
        return JSONResponse(message.body)
    if message.kind in ("bug", "died"):
        _log.error("a request failed: %s", message.body["what"])
    found = reported(message)
    exit_code = found[0]["exit_code"]
    status = _STATUS.get(exit_code, 500) if isinstance(exit_code, int) else 500
    return JSONResponse({"problems": found}, status)


def _fields(request: HttpRequest) -> tuple[str, ...]:
    """The fields that the body of a request's route takes."""
    # FastAPI does not publish the type of a route's body: no fields where a version names it otherwise
    body = getattr(request.scope.get("route"), "body_field", None)
    model = getattr(getattr(body, "field_info", None), "annotation", None)
    return tuple(getattr(model, "model_fields", ()))


def _add_errors(app: FastAPI, limits: ServerLimits) -> None:
    """Every error in one shape: ``{"problems": [{what, field, line, found, allowed, next}]}``."""

    @app.exception_handler(RequestValidationError)
    async def invalid(request: HttpRequest, error: RequestValidationError) -> Response:
        found = body_problems(error.errors(), error.body, _fields(request))
        return JSONResponse({"problems": found}, 400)

    @app.exception_handler(HTTPException)
    async def refused(_request: HttpRequest, error: HTTPException) -> Response:
        what, action = _REFUSED.get(error.status_code, (str(error.detail), None))
        found = [problem(what, action=action)]
        return JSONResponse({"problems": found}, error.status_code, error.headers)

    @app.exception_handler(TooBusy)
    async def busy(_request: HttpRequest, _error: TooBusy) -> Response:
        text = problem(
            "the server is at capacity: as many requests wait as may wait",
            action="try again in a few seconds",
            exit_code=5,
        )
        return JSONResponse({"problems": [text]}, 429, {"Retry-After": "5"})

    @app.exception_handler(NobodyListens)
    async def gone(_request: HttpRequest, _error: NobodyListens) -> Response:
        return _as_json(Message("stopped", {}))

    @app.exception_handler(TooLong)
    async def slow(_request: HttpRequest, _error: TooLong) -> Response:
        return JSONResponse({"problems": [too_long(limits)]}, 504)
