"""``python -m benchmarks [NAME ...]``: run all benchmarks, or the named ones."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import benchmarks


def main() -> None:
    """Run every ``bench_*`` module's ``main`` in order of name."""
    names = sorted(m.name for m in pkgutil.iter_modules(benchmarks.__path__))
    chosen = [n for n in names if n.startswith("bench_")]
    wanted = {f"bench_{n.removeprefix('bench_')}" for n in sys.argv[1:]}
    for name in chosen:
        if not wanted or name in wanted:
            print(f"\n== {name.removeprefix('bench_')}")
            importlib.import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
