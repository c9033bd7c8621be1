"""What OpenAPI says of answers: their media types, and the one shape of every problem."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from planner.web.events import MEDIA
from planner.web.exports import MEDIA as FILE_MEDIA

Described = dict[int | str, dict[str, object]]


class RequestProblem(BaseModel):
    """What is wrong, where, what was found, what is allowed and what to do next."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    what: str
    field: str | None
    line: int | None
    found: str | None
    allowed: str | None
    next: str | None
    exit_code: int = Field(description="The command line's exit code for the same problem.")


class RequestProblems(BaseModel):
    """Every problem of a request at once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    problems: tuple[RequestProblem, ...]


PROBLEMS: Described = {
    400: {"model": RequestProblems, "description": "The request, or the scenario in it, is wrong"},
    403: {"model": RequestProblems, "description": "Sent for a page of another site"},
    413: {"model": RequestProblems, "description": "Larger than the server accepts"},
    429: {"model": RequestProblems, "description": "As many requests wait as may wait"},
    500: {"model": RequestProblems, "description": "A bug, or a catalog that cannot be read"},
    503: {"model": RequestProblems, "description": "Stopped, or the solver failed"},
    504: {"model": RequestProblems, "description": "Took longer than the server grants"},
    "4XX": {"model": RequestProblems, "description": "Refused"},
}
"""Answers that every question may get; the range keeps the framework's own 422 out."""

_OBJECT: dict[str, object] = {"schema": {"type": "object"}}
_TEXT: dict[str, object] = {"schema": {"type": "string"}}
_FILE: dict[str, object] = {"schema": {"type": "string", "format": "binary"}}
EVENTS: Described = {
    200: {"content": {"application/json": _OBJECT, MEDIA: _TEXT}},
    **PROBLEMS,
}
FILES: Described = {
    200: {"content": {media.partition(";")[0]: _FILE for media in FILE_MEDIA.values()}},
    **PROBLEMS,
}
PLAIN: Described = {200: {"content": {"application/json": _OBJECT}}, **PROBLEMS}
