"""The main job: wall time beside bare imports, peak memory, candidates evaluated per second."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 5
PACKAGES = "import pulp, highspy, numpy, pydantic, click, yaml, rich"
PEAK = (
    "import resource, sys; from planner.cli.main import main;"
    "main(['solve', 'llama70b_qps50', '--verify', 'none', '--format', 'json', '-o', '/dev/null']);"
    "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
)


def wall_s(code: str) -> float:
    """Median wall time of a fresh interpreter running ``code`` [s]."""
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def solve_code(verify: str) -> str:
    """A fresh interpreter's ``planner solve`` of the main scenario."""
    arguments = ["solve", "llama70b_qps50", "--verify", verify]
    return f"from planner.cli.main import main; main({arguments!r})"


def candidates_per_s() -> tuple[int, float]:
    """Deployments tried and how many a second, sizing and capacity included."""
    from planner.catalog.store import load_catalog
    from planner.fleet.candidates.enumerate import enumerate_candidates
    from planner.fleet.offers.admitted import admitted_offers
    from planner.performance.factors import load_calibration
    from planner.scenario.reader import read_scenario

    catalog = load_catalog()
    scenario = read_scenario("llama70b_qps50", catalog)
    factors = load_calibration(catalog)
    offers = admitted_offers(scenario.prices, catalog)
    rates = []
    tried = 0
    for _ in range(RUNS):
        started = time.perf_counter()
        found = enumerate_candidates(scenario.services[0], catalog, offers, factors)
        tried = len(found.candidates) + len(found.rejections)
        rates.append(tried / (time.perf_counter() - started))
    return tried, statistics.median(rates)


def main() -> None:
    """Print the table."""
    imports = wall_s(PACKAGES)
    plain = wall_s(solve_code("none"))
    simulated = wall_s(solve_code("simulate"))
    peak = subprocess.run(
        [sys.executable, "-c", PEAK], check=True, capture_output=True, text=True
    ).stdout.split()[-1]
    tried, rate = candidates_per_s()
    print(f"bare imports of the same packages  {imports:8.2f} s")
    print(f"planner solve, --verify none       {plain:8.2f} s   (aim 1.5 s)")
    print(f"planner solve, --verify simulate   {simulated:8.2f} s")
    print(f"peak memory, --verify none         {float(peak):8.0f} MB  (aim 250 MB)")
    print(f"deployments tried                  {tried:8d}     at {rate:,.0f} a second")


if __name__ == "__main__":
    main()
