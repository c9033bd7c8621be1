"""Whole commands beside bare imports of the same packages: processor time, as a ratio, in one process.

python -m benchmarks.bench_commands              # the table, beside the last release's
python -m benchmarks.bench_commands --record     # also write it as the release's

Processor time of user code (children included) is steadier than the clock on a busy machine. The infeasible
scenario is measured against its twin without a budget. Ratios of the last release are in
``benchmarks/released/commands.csv``.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

IMPORTS = "import numpy, pulp, pydantic, click, rich"
RELEASED = Path(__file__).parent / "released" / "commands.csv"
RUNS = 3
AGAIN = """
import resource
from planner.scenario.reader import read_scenario
from planner.session import Session
from planner.solving.options import SolveOptions

def spent():
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime

session = Session.open(options=SolveOptions(verify="none"))
first = read_scenario("llama70b_qps50", session.catalog)
session.solve(first)
service = first.services[0]
targets = tuple(t.model_copy(update={"seconds": 1.1 * t.seconds}) for t in service.slo.targets)
slo = service.slo.model_copy(update={"targets": targets})
second = first.model_copy(update={"services": (service.model_copy(update={CHANGED}),)})
started = spent()
session.solve(second)
print(spent() - started)
"""


@dataclass(frozen=True, slots=True)
class Command:
    """A command to measure: its arguments, the ratio aimed at, or Python code that prints seconds."""

    name: str
    aim: str
    arguments: tuple[str, ...] = ()
    code: str = ""


def _solve(*arguments: str) -> tuple[str, ...]:
    return ("solve", "llama70b_qps50", "--format", "json", *arguments)


COMMANDS = (
    Command("solve main, --verify none", "5", _solve("--verify", "none")),
    Command("solve main, simulated", "9", _solve()),
    Command(
        "again with other targets, one session", "1", code=AGAIN.replace("CHANGED", '"slo": slo')
    ),
    Command(
        "again with another rate, one session", "1", code=AGAIN.replace("CHANGED", '"rate": 60.0')
    ),
    Command("infeasible, explained", "3 x twin", ("solve", "TIGHT", "--verify", "none")),
    Command("its feasible twin", "", ("solve", "TWIN", "--verify", "none")),
    Command(
        "sweep of 20 rates",
        "12",
        ("sweep", "llama70b_qps50", "--rate", "10..200", "--refine", "0", "--jobs", "1"),
    ),
    Command(
        "sweep of 20 TTFT targets",
        "12",
        ("sweep", "llama70b_qps50", "--ttft", "0.5s..4s", "--refine", "0", "--jobs", "1"),
    ),
    Command("explain", "9", ("explain", "llama70b_qps50", "--verify", "none")),
    Command(
        "compare TP 2, 4",
        "10",
        ("compare", "llama70b_qps50", "--vary", "tensor_parallel=2,4", "--verify", "none"),
    ),
    Command("frontier", "20", ("frontier", "llama70b_qps50")),
    Command(
        "report HTML",
        "25",
        ("report", "llama70b_qps50", "--verify", "none", "--format", "html", "-o", "OUT"),
    ),
)


def user_s(code: str, *arguments: str) -> float:
    """User time of a fresh interpreter running ``code``, its children included [s]."""
    before = os.times().children_user
    subprocess.run([sys.executable, "-c", code, *arguments], check=False, capture_output=True)
    return os.times().children_user - before


def measured_s(command: Command, folder: Path) -> float:
    """Median user time of a command [s]."""
    places = {
        "TIGHT": str(folder / "infeasible_tight_budget.yaml"),
        "TWIN": str(folder / "twin.yaml"),
        "OUT": str(folder / "report.html"),
    }
    arguments = [places.get(a, a) for a in command.arguments]
    found = []
    for _ in range(RUNS):
        if command.code:
            run = [sys.executable, "-c", command.code]
            found.append(float(subprocess.run(run, check=True, capture_output=True).stdout))
        else:
            run_main = f"from planner.cli.main import main; main({arguments!r})"
            found.append(user_s(run_main))
    return statistics.median(found)


def scenarios_in(folder: Path) -> None:
    """Write the infeasible scenario, and its twin without a budget and a stock."""
    from planner.scenario.reader import find_scenario

    text = find_scenario("infeasible_tight_budget").read_text()
    (folder / "infeasible_tight_budget.yaml").write_text(text)
    kept = [line for line in text.splitlines() if "max_cost" not in line and "stock:" not in line]
    (folder / "twin.yaml").write_text("\n".join(k for k in kept if k != "limits:") + "\n")


def released() -> dict[str, str]:
    """The last release's ratios by command."""
    if not RELEASED.exists():
        return {}
    with RELEASED.open(newline="") as file:
        return {row["command"]: row["ratio"] for row in csv.DictReader(file)}


def main(arguments: tuple[str, ...] = ()) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="write the ratios as the release's")
    parser.add_argument("--only", default="", help="commands whose name holds this")
    requested = parser.parse_args(arguments)
    last, ratios = released(), {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scenarios_in(folder)
        imports = statistics.median(user_s(IMPORTS) for _ in range(2 * RUNS + 1))
        print(f"bare imports: {imports:.3f} s of user time")
        print(f"{'command':40s} {'ratio':>8s} {'released':>9s} {'aim':>9s} {'seconds':>8s}")
        for command in COMMANDS:
            if requested.only not in command.name:
                continue
            seconds = measured_s(command, folder)
            ratios[command.name] = f"{seconds / imports:.1f}"
            before = last.get(command.name, "-")
            print(
                f"{command.name:40s} {ratios[command.name]:>8s} {before:>9s} {command.aim:>9s} "
                f"{seconds:8.2f}",
                flush=True,
            )
    if requested.record:
        with RELEASED.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("command", "ratio"))
            writer.writerows(ratios.items())


if __name__ == "__main__":
    main(tuple(sys.argv[1:]))
