"""Rows of plain JSON values by name, kept for a session and, where that is permitted, between runs.

A document holds the rows of one question; its name in the user's cache folder (``planner.cache_folder``) is
a hash of all that decides them besides their own names: data, factors, program, question. Processes
that write the same document at once each keep whole documents; what one of them misses is worked out again.
"""

from __future__ import annotations

import sys
from collections import OrderedDict

from planner import cache_folder

MOST_DOCUMENTS = 64  # held at once in a session
MOST_ROWS = 1024  # of one document, the latest
ALL = sys.maxsize  # of documents or rows: as many as there are

Row = list[object]


class RowStore:
    """The documents of one kind; ``namespace``: what decides every row of them.

    ``lasts``: documents are kept between runs too.
    """

    def __init__(
        self,
        kind: str,
        namespace: str,
        *,
        lasts: bool,
        most_documents: int = MOST_DOCUMENTS,
        most_rows: int = MOST_ROWS,
    ) -> None:
        self._kind, self._namespace, self._lasts = kind, namespace, lasts
        self._most_documents, self._most_rows = most_documents, most_rows
        self._documents: OrderedDict[str, KeptRows] = OrderedDict()

    def of(self, *question: str | bytes) -> KeptRows:
        """The rows of one question, those of earlier runs among them."""
        key = cache_folder.key_of((self._namespace, *question))
        if key in self._documents:
            self._documents.move_to_end(key)
            return self._documents[key]
        rows = self._documents[key] = KeptRows(
            self._kind, key, lasts=self._lasts, most=self._most_rows
        )
        if len(self._documents) > self._most_documents:
            self._documents.popitem(last=False)[1].save()
        return rows

    def save(self) -> None:
        """Keep what is new for later runs."""
        for rows in self._documents.values():
            rows.save()


class KeptRows:
    """Rows by name."""

    def __init__(self, kind: str, key: str, *, lasts: bool, most: int = MOST_ROWS) -> None:
        self._kind, self._key, self._lasts, self._most = kind, key, lasts, most
        self._rows = self._read()
        self._new: dict[str, Row] = {}

    def find(self, name: str) -> Row | None:
        """The row under ``name``; None where there is none."""
        return self._rows.get(name)

    def keep(self, name: str, row: Row) -> None:
        """Take a row that was worked out now."""
        self._rows.pop(name, None)
        self._rows[name] = self._new[name] = row
        while len(self._rows) > self._most:
            del self._rows[next(iter(self._rows))]

    def save(self) -> None:
        """Write new rows beside those that another process wrote meanwhile."""
        if self._new and self._lasts:
            rows = {**self._read(), **self._new}
            cache_folder.save(self._kind, self._key, dict(list(rows.items())[-self._most :]))
        self._new = {}

    def _read(self) -> dict[str, Row]:
        document = cache_folder.load(self._kind, self._key) if self._lasts else None
        if not isinstance(document, dict):
            return {}
        return {str(name): row for name, row in document.items() if isinstance(row, list)}
