"""A batch from start to end: tasks, rows, and the files that summarise them."""

from __future__ import annotations

import functools
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from planner.batches.answers import COLUMNS, BatchOptions, ResultRow, answer, load_ahead
from planner.batches.ledger import Ledger
from planner.batches.tasks import LeftOut, collect
from planner.batches.workers import run
from planner.catalog.store import load_catalog
from planner.reporting.deliver import write_document
from planner.reporting.formats.parquet import write_parquet
from planner.reporting.output import Output
from planner.reporting.studies.batch_document import batch_document
from planner.version import package_version

Counted = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What a batch came to.

    ``rows`` by id, those of earlier runs in the same folder among them; ``reused``: how many of this
    run's scenarios were solved before.
    """

    rows: tuple[ResultRow, ...]
    folder: Path
    reused: int

    @property
    def counts(self) -> dict[str, int]:
        """Rows by status."""
        return dict(Counter(str(r["status"]) for r in self.rows))

    @property
    def problems(self) -> tuple[ResultRow, ...]:
        """Rows without a plan: invalid, failed or crashed."""
        return tuple(r for r in self.rows if r["status"] in ("invalid", "failed", "crashed"))

    @property
    def exit_code(self) -> int:
        """2 when some are invalid, else 5 when some are unproven, else 3 when some are infeasible."""
        counts = self.counts
        if counts.get("invalid"):
            return 2
        if any(counts.get(s) for s in ("feasible", "unknown", "failed", "crashed")):
            return 5
        return 3 if counts.get("infeasible") else 0


def run_batch(
    source: str | Path,
    out: str | Path,
    *,
    pattern: str | None = None,
    grid: Sequence[str] = (),
    options: BatchOptions | None = None,
    engine: str = "local",
    jobs: int = 2,
    address: str | None = None,
    resume: bool = False,
    parquet: bool = False,
    progress: Counted = lambda _done, _total, _label: None,
    left_out: LeftOut = lambda _path, _why: None,
) -> BatchResult:
    """Solve every scenario of a folder, or one scenario over a grid; one row each in ``out``.

    Writes ``rows.jsonl`` as rows finish, then ``rows.csv``, ``summary.html`` and, when asked,
    ``rows.parquet``. ``left_out``: called with each path of the folder that is no task, and why. One bad
    file never stops the rest. Raises InputError when there is nothing to do, OutputError when ``out``
    cannot be written; finished rows are kept either way.
    """
    options = options or BatchOptions()
    tasks = collect(source, pattern, grid, fingerprint(options), left_out)
    folder = Path(out)
    with Ledger(folder, resume=resume) as ledger:
        done = ledger.keep({t.id: t.key for t in tasks})
        left = [t for t in tasks if t.key not in done]
        work = functools.partial(answer, options=options)
        finished = len(done)
        progress(finished, len(tasks), "")
        load = functools.partial(load_ahead, options)
        for row in (
            run(left, work, engine=engine, jobs=jobs, address=address, load=load) if left else ()
        ):
            ledger.append(row)
            finished += 1
            progress(finished, len(tasks), str(row["id"]))
        rows = tuple(sorted(ledger.rows, key=lambda r: str(r["id"])))
        result = BatchResult(rows, folder, len(done))
        _summarise(result, parquet)
    return result


def fingerprint(options: BatchOptions) -> str:
    """Digest of everything but the scenario that an answer depends on."""
    catalog = load_catalog(options.catalogs)
    calibration = (
        Path(options.calibration).read_text(encoding="utf-8") if options.calibration else ""
    )
    stated = [package_version(), catalog.digest(), calibration, asdict(options.solve)]
    text = json.dumps(stated, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _summarise(result: BatchResult, parquet: bool) -> None:
    document = batch_document(result.rows, result.counts, COLUMNS)
    write_document(document, Output("csv", str(result.folder / "rows.csv"), "rows"))
    write_document(document, Output("html", str(result.folder / "summary.html")))
    if parquet:
        write_parquet(result.folder / "rows.parquet", document.tables()["rows"])
