"""What one server grants: sizes, times and how much it takes on at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Limits of one server.

    ``workers``: processes that solve; ``waiting``: requests that may wait for one of them, beyond which
    a request is refused with 429; ``request_s``: what one request may take [s]; ``stop_s``: how long a
    stopped request may take to end by itself before its process is replaced [s]; ``body_bytes``:
    largest request [bytes]; ``file_bytes``: largest single upload [bytes]; ``files``: uploads of one
    request; ``points``: values of one sweep; ``questions``: solves after which a worker forgets the
    candidates it sized, which bounds its memory.
    """

    workers: int = 2
    waiting: int = 16
    request_s: float = 120.0
    stop_s: float = 5.0
    body_bytes: int = 8_000_000
    file_bytes: int = 5_000_000
    files: int = 16
    points: int = 50
    questions: int = 200
