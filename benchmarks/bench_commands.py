"""Whole commands beside bare imports of the same packages: processor time, as a ratio, in one process.

python -m benchmarks.bench_commands              # the table, beside the last release's
python -m benchmarks.bench_commands --record     # also write it as the release's

Processor time of user code (children included) is steadier than the clock on a busy machine. "first" starts
with an empty cache folder each time, "again" with what earlier runs of the same command kept there. The
package is compiled beforehand, as an installation is. The infeasible scenario is measured against its twin
without a budget. ``benchmarks/released/commands.csv`` holds ratios to compare with, and in its column
``state`` which version they are of; "after 0.2.0" is a state between two releases.
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

from planner.version import package_version

IMPORTS = "import numpy, pulp, pydantic, click, rich"
RELEASED = Path(__file__).parent / "released" / "commands.csv"
RUNS = 3
PACKAGE = str(Path(__file__).parents[1] / "planner")
COMPILED = str(Path(tempfile.gettempdir()) / "planner-bench-compiled")
TWIN = "feasible twin of the infeasible one"
MAIN = "llama70b_qps50"
EXPLAINED = "infeasible, explained, over its twin"
AGAIN = """
import resource
from planner.scenario.reader import read_scenario
from planner.session import Session
from planner.solving.options import SolveOptions

def spent():
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime

session = Session.open(options=SolveOptions(verify="none"))
first = read_scenario("llama70b_qps50", session.catalog)
alone = first.services[0].model_copy(update={"assurance": None})
first = first.model_copy(update={"services": (alone,)})
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
class TimedCommand:
    """A command to measure: its arguments, the ratio aimed at, or Python code that prints seconds."""

    name: str
    aim: str
    arguments: tuple[str, ...] = ()
    code: str = ""


def _solve(*arguments: str) -> tuple[str, ...]:
    return ("solve", "MAIN", "--format", "json", *arguments)


COMMANDS = (
    TimedCommand("solve main, --verify none", "5", _solve("--verify", "none")),
    TimedCommand("solve main, simulated", "9", _solve()),
    TimedCommand(
        "solve main as shipped: margin, simulated", "18", ("solve", MAIN, "--format", "json")
    ),
    TimedCommand(
        "again with other targets, one session", "1", code=AGAIN.replace("CHANGED", '"slo": slo')
    ),
    TimedCommand(
        "again with another rate, one session", "1", code=AGAIN.replace("CHANGED", '"rate": 60.0')
    ),
    TimedCommand(TWIN, "", ("solve", "TWIN", "--verify", "none")),
    TimedCommand(EXPLAINED, "3", ("solve", "TIGHT", "--verify", "none")),
    TimedCommand(
        "sweep of 20 rates",
        "12",
        ("sweep", "MAIN", "--rate", "10..200", "--refine", "0", "--jobs", "1"),
    ),
    TimedCommand(
        "sweep of 20 TTFT targets",
        "12",
        ("sweep", "MAIN", "--ttft", "0.5s..4s", "--refine", "0", "--jobs", "1"),
    ),
    TimedCommand("explain", "9", ("explain", "MAIN", "--verify", "none")),
    TimedCommand(
        "compare TP 2, 4",
        "10",
        ("compare", "MAIN", "--vary", "tensor_parallel=2,4", "--verify", "none"),
    ),
    TimedCommand("frontier", "20", ("frontier", "MAIN")),
    TimedCommand(
        "report HTML",
        "25",
        ("report", "MAIN", "--verify", "none", "--format", "html", "-o", "OUT"),
    ),
)


def user_s(code: str, cache: str = "off") -> tuple[float, str]:
    """User time of a fresh interpreter running ``code``, its children included [s], and what it prints."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    kept |= {"PLANNER_CACHE": cache, "PYTHONPYCACHEPREFIX": COMPILED}
    before = os.times().children_user
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, env=kept
    )
    return os.times().children_user - before, done.stdout


def measured_s(command: TimedCommand, folder: Path, runs: int) -> tuple[float, float]:
    """Median user time of a command with an empty cache folder, and with a full one [s]."""
    places = {
        "MAIN": str(folder / "main.yaml"),
        "TIGHT": str(folder / "infeasible_tight_budget.yaml"),
        "TWIN": str(folder / "twin.yaml"),
        "OUT": str(folder / "report.html"),
    }
    arguments = [places.get(a, a) for a in command.arguments]
    run_main = f"import sys; sys.argv = ['planner', *{arguments!r}]; from planner.cli.main import run; run()"
    first: list[float] = []
    again: list[float] = []
    for k in range(runs):
        cache = str(folder / f"kept-{command.name.replace('/', ' ')}-{k}")
        for found in (first, again):
            spent, printed = user_s(command.code or run_main, cache)
            found.append(float(printed) if command.code else spent)
    return statistics.median(first), statistics.median(again)


def scenarios_in(folder: Path) -> None:
    """Write the main scenario, the infeasible one, and its twin without a budget and a stock.

    All are sized for the prediction itself, as the aims are stated.
    """
    from planner.scenario.reader import find_scenario

    main_text = find_scenario(MAIN).read_text()
    (folder / "main.yaml").write_text(f"{main_text}\nassurance: none\n")
    text = find_scenario("infeasible_tight_budget").read_text() + "\nassurance: none\n"
    (folder / "infeasible_tight_budget.yaml").write_text(text)
    kept = [line for line in text.splitlines() if "max_cost" not in line and "stock:" not in line]
    (folder / "twin.yaml").write_text("\n".join(k for k in kept if k != "limits:") + "\n")


def released() -> tuple[dict[str, str], str]:
    """The ratios to compare with by command, the first run's, and the state they are of."""
    if not RELEASED.exists():
        return {}, "none"
    with RELEASED.open(newline="") as file:
        rows = list(csv.DictReader(file))
    states = dict.fromkeys(row["state"] for row in rows)
    return {row["command"]: row["ratio"] for row in rows}, ", ".join(states)


def ratios_of(
    command: TimedCommand, seconds: tuple[float, float], imports: float, twin: tuple[float, float]
) -> tuple[str, str]:
    """Both medians over bare imports; of the infeasible scenario over its twin."""
    over = twin if command.name == EXPLAINED else (imports, imports)
    return f"{seconds[0] / over[0]:.1f}", f"{seconds[1] / over[1]:.1f}"


def main(arguments: tuple[str, ...] = ()) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="write the ratios as the release's")
    parser.add_argument("--only", default="", help="commands whose name holds this")
    parser.add_argument("--runs", type=int, default=RUNS, help="of each command")
    requested = parser.parse_args(arguments)
    (last, state), ratios = released(), {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scenarios_in(folder)
        user_s(f"import compileall; compileall.compile_dir({PACKAGE!r}, quiet=2)")
        imports = statistics.median(user_s(IMPORTS)[0] for _ in range(2 * requested.runs + 1))
        twin = (imports, imports)
        print(f"bare imports: {imports:.3f} s of user time; released: {state}")
        print(
            f"{'command':40s} {'first':>7s} {'again':>7s} {'released':>9s} {'aim':>9s} {'seconds':>8s}"
        )
        for command in COMMANDS:
            if requested.only not in command.name:
                continue
            seconds = measured_s(command, folder, requested.runs)
            twin = seconds if command.name == TWIN else twin
            first, again = ratios_of(command, seconds, imports, twin)
            ratios[command.name] = (first, again)
            print(
                f"{command.name:40s} {first:>7s} {again:>7s} {last.get(command.name, '-'):>9s} "
                f"{command.aim:>9s} {seconds[0]:8.2f}",
                flush=True,
            )
    if requested.record:
        with RELEASED.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("command", "ratio", "again", "state"))
            writer.writerows((name, *both, package_version()) for name, both in ratios.items())


if __name__ == "__main__":
    main(tuple(sys.argv[1:]))
