"""How fast the program proves large random fleets: seconds, gap, size and memory.

On a machine that does other work as well, CPU seconds tell more than the clock: the solver runs on one
thread.
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import sys
from dataclasses import dataclass

from benchmarks.generator import Size, fleet
from planner.fleet.program.program import solve

RUNS = 6  # seeds; the settings were tuned on the first


@dataclass(frozen=True)
class Case:
    """A size with the gap to reach and the seconds it may take."""

    size: Size
    gap: float
    limit_s: float


CASES = (
    Case(Size(1, 400, max_kinds=1), 0.0, 30),
    Case(Size(50, 400, max_kinds=1), 0.003, 20),
    Case(Size(50, 400), 0.003, 20),
    Case(Size(200, 400, max_kinds=1), 0.01, 30),
    Case(Size(200, 400), 0.01, 30),
    Case(Size(10, 400, periods=24, max_kinds=1, commitments=True), 0.005, 30),
    Case(Size(10, 400, periods=24, commitments=True), 0.005, 30),
)


def run(case: Case, seed: int) -> dict[str, float | str | None]:
    """One solve in a process of its own, so that its memory is its own."""
    problem = fleet(case.size, seed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    solution = solve(problem, gap=case.gap, time_limit_s=case.limit_s)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "status": solution.status,
        "seconds": solution.seconds,
        "cpu": used.ru_utime - before,
        "gap": solution.gap,
        "kinds": solution.kinds_after_dominance,
        "columns": solution.variables,
        "rows": solution.constraints,
        "mb": used.ru_maxrss / 1024,
    }


def main() -> None:
    """Print one line per case: medians over seeded instances."""
    print("| fleet | gap requested | seconds | of CPU | gap proved | kinds | columns | rows | MB |")
    print("|---|---|---|---|---|---|---|---|---|")
    context = multiprocessing.get_context("spawn")
    for case in CASES:
        runs = []
        for seed in range(RUNS):
            with context.Pool(1) as pool:
                runs.append(pool.apply(run, (case, seed)))

        def median(key: str, of: list[dict[str, float | str | None]] = runs) -> float:
            return statistics.median(float(r[key] or 0.0) for r in of)

        proved = sum(r["status"] == "optimal" for r in runs)
        print(
            f"| {case.size.label} | {100 * case.gap:g} % | {median('seconds'):.2f} "
            f"| {median('cpu'):.2f} "
            f"| {100 * median('gap'):.2f} % ({proved} of {RUNS} within) | {median('kinds'):.0f} of "
            f"{case.size.services * case.size.candidates} | {median('columns'):.0f} "
            f"| {median('rows'):.0f} | {median('mb'):.0f} |"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
