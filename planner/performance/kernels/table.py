"""The measured kernels of one GPU and engine: latencies by operation and shape.

``catalogs/kernels/<gpu>.<engine>.npz`` is written by ``benchmarks/build_kernels.py``. Latencies lie on a
ladder (tokens, message elements) or a grid (sequences x context) and are kept as logarithms of
nanoseconds. A file is read when the first deployment on its GPU and engine is priced.
"""

from __future__ import annotations

import io
import json
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

Floats = NDArray[np.float64]
STEPS = 400.0
FOLDER = "kernels"


class _Meta(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: tuple[str, ...]
    words: tuple[str, ...]
    axes: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, repr=False, eq=False)
class WordRows:
    """The rows of an operation that begin with one text. shapes: without it; log_ns: latencies [ln ns]."""

    shapes: NDArray[np.int32]
    log_ns: Floats

    @cached_property
    def sizes(self) -> tuple[Floats, Floats]:
        """The distinct first and second numbers of the shapes, rising."""
        return _distinct(self.shapes[:, 0]), _distinct(self.shapes[:, 1])


def _distinct(sizes: NDArray[np.int32]) -> Floats:
    """As ``numpy.unique``, which loads masked arrays for it."""
    ordered = np.sort(sizes).astype(float)
    found: Floats = ordered[np.concatenate(([True], ordered[1:] != ordered[:-1]))]
    return found


@dataclass(frozen=True, repr=False)
class Operation:
    """One operation's shapes and latencies.

    rows: a shape per row, text as an index into ``words``. axes: the ladder of each axis.
    log_ns: per shape the natural logarithm of its latencies [ln ns], one axis or two after the first.
    """

    keys: tuple[str, ...]
    words: tuple[str, ...]
    axes: tuple[Floats, ...]
    rows: NDArray[np.int32]
    log_ns: Floats
    _of_words: dict[int, WordRows] = field(default_factory=dict, init=False, compare=False)

    def of_word(self, code: int) -> WordRows:
        """The rows that begin with a text; looked up once."""
        if code not in self._of_words:
            own = self.rows[:, 0] == code
            self._of_words[code] = WordRows(self.rows[own, 1:], self.log_ns[own])
        return self._of_words[code]

    def word(self, text: str) -> int:
        """The code of a text value, -1 when no row has it."""
        return self.words.index(text) if text in self.words else -1

    def exact(self, *shape: int) -> Floats | None:
        """The latencies of one shape, None when it was not measured."""
        found = np.flatnonzero((self.rows == np.array(shape)).all(axis=1))
        return self.log_ns[found[0]] if len(found) else None


@dataclass(frozen=True, repr=False)
class KernelTable:
    """Operations by name. gpu, engine: what they were measured on.

    products: seconds over a ladder of tokens by kernel, rows and columns, as far as they were looked up;
    grids: likewise nanoseconds of attention by name, KV cache and shape; sums: of products, by
    what ``product_sums`` depends on.
    """

    gpu: str
    engine: str
    operations: Mapping[str, Operation]
    products: dict[tuple[str, int, int], Floats | None] = field(
        default_factory=dict, init=False, compare=False
    )
    grids: dict[tuple[Hashable, ...], Floats | None] = field(
        default_factory=dict, init=False, compare=False
    )
    sums: dict[tuple[Hashable, ...], object] = field(
        default_factory=dict, init=False, compare=False
    )

    def get(self, name: str) -> Operation | None:
        """The operation, None where the engine has no table of it on this GPU."""
        return self.operations.get(name)


@lru_cache(maxsize=512)
def kernel_table(root: Path, gpu: str, engine: str) -> KernelTable | None:
    """Return the table of a GPU and engine under a catalog's root, None when there is none."""
    path = root / FOLDER / f"{gpu}.{engine}.npz"
    return _read(path, gpu, engine) if path.exists() else None


@lru_cache(maxsize=64)
def _read(path: Path, gpu: str, engine: str) -> KernelTable:
    return KernelTable(gpu, engine, _Operations(path))


class _Operations(Mapping[str, Operation]):
    """The operations of a file, each unpacked when it is first looked up."""

    def __init__(self, path: Path) -> None:
        self._arrays = np.load(io.BytesIO(path.read_bytes()))
        files = self._arrays.files
        self._names = [name.removesuffix(".meta") for name in files if name.endswith(".meta")]
        self._found: dict[str, Operation] = {}

    def __getitem__(self, name: str) -> Operation:
        if name not in self._found:
            if name not in self._names:
                raise KeyError(name)
            self._found[name] = _operation(self._arrays, name)
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _operation(arrays: np.lib.npyio.NpzFile, name: str) -> Operation:
    meta = _Meta.model_validate(json.loads(arrays[f"{name}.meta"].tobytes()))
    high = arrays[f"{name}.high"].astype(np.int64)
    codes = np.cumsum(high * 256 + arrays[f"{name}.low"], axis=1)
    shape = (len(codes), *(len(axis) for axis in meta.axes))
    return Operation(
        keys=meta.keys,
        words=meta.words,
        axes=tuple(np.array(axis, dtype=float) for axis in meta.axes),
        rows=arrays[f"{name}.keys"],
        log_ns=(codes / STEPS).reshape(shape),
    )
