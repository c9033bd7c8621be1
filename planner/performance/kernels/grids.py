"""Values over two ladders, read between and beyond their rungs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class LogGrid:
    """Two increasing ladders; between their values bilinear in all logarithms, extrapolated beyond."""

    def __init__(self, rows: Floats, columns: Floats) -> None:
        self._rows, self._columns = _LogLadder(rows), _LogLadder(columns)
        self._width = len(columns)

    def at(self, logs: Floats, row: Floats, column: Floats) -> Floats:
        """Values at (row, column). logs: logarithms of those on the grid, by row and column."""
        i, a = self._rows.cell(row)
        j, b = self._columns.cell(column)
        rest = 1 - b
        at, across = i * self._width + j, logs.ravel()
        low = across[at] * rest + across[at + 1] * b
        at += self._width
        high = across[at] * rest + across[at + 1] * b
        found: Floats = np.exp(low * (1 - a) + high * a)
        return found


class _LogLadder:
    def __init__(self, values: Floats) -> None:
        self._least, self._logs = values[0], np.log(values)
        self._gaps = np.diff(self._logs)

    def cell(self, values: Floats) -> tuple[NDArray[np.int64], Floats]:
        """The interval that each value lies in, and how far into it its logarithm is."""
        at = np.log(np.maximum(values, self._least))
        above = self._logs.searchsorted(at, side="right") - 1
        i = np.minimum(np.maximum(above, 0), len(self._gaps) - 1)
        return i, (at - self._logs[i]) / self._gaps[i]
