"""Where a batch runs: joblib's backends behind one generator of rows, crashes survived.

``local`` are processes of this machine, copies of this one or joblib's loky; ``dask`` and ``ray`` start a
cluster here or use the one at ``address``. A worker that dies takes its pool with it: what was unfinished
is tried again in small groups, then alone, and a task that dies alone twice is reported as crashed.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any

from planner.batches.answers import ResultRow, failed
from planner.batches.forked import can_fork, forked, watch_parent
from planner.batches.tasks import Task
from planner.errors import InputError, OutputError, nearest
from planner.parallel.interrupts import interrupts_ignored

ENGINES = ("local", "dask", "ray")
CONNECT_S = 10
RAY_CHUNK = 16  # Ray's joblib backend returns lists only, so rows come in chunks

Work = Callable[[Task], ResultRow]


def run(
    tasks: Sequence[Task],
    work: Work,
    *,
    engine: str,
    jobs: int,
    address: str | None,
    load: Callable[[], None] = lambda: None,
) -> Iterator[ResultRow]:
    """Yield one row per task, in the order they finish.

    ``jobs``: workers, where this process starts them; ``load``: called before it is copied. Raises
    InputError for an unknown engine or an address nobody answers at, OutputError when the engine's package
    is missing.
    """
    with _backend(engine, jobs, address, load) as parallel:
        yield from _surviving(tasks, work, parallel, jobs)


Parallel = Callable[[Sequence[Task], Work], Iterator[ResultRow]]


def _surviving(
    tasks: Sequence[Task], work: Work, parallel: Parallel, jobs: int
) -> Iterator[ResultRow]:
    """Everything at once; after a crash in groups; after another alone, twice; then give the task up."""
    left = {t.id: t for t in tasks}
    sizes = (len(tasks), 2 * jobs, 1, 1)
    for round_, size in enumerate(sizes, start=1):
        if not left:
            return
        waiting = list(left.values())
        for start in range(0, len(waiting), max(size, 1)):
            group = waiting[start : start + max(size, 1)]
            try:
                for row in parallel(group, work):
                    left.pop(row["id"], None)
                    yield row
            except _crashes() as error:
                if round_ == len(sizes):
                    task = left.pop(group[0].id)
                    yield failed(
                        task,
                        "crashed",
                        f"the worker died twice, with nothing beside it: {type(error).__name__}",
                    )


def _crashes() -> tuple[type[BaseException], ...]:
    from concurrent.futures.process import BrokenProcessPool

    kinds: list[type[BaseException]] = [BrokenProcessPool]
    with contextlib.suppress(ImportError):
        from distributed.scheduler import KilledWorker

        kinds.append(KilledWorker)
    with contextlib.suppress(ImportError):
        from ray.exceptions import WorkerCrashedError

        kinds.append(WorkerCrashedError)
    return tuple(kinds)


@contextlib.contextmanager
def _backend(
    engine: str, jobs: int, address: str | None, load: Callable[[], None]
) -> Iterator[Parallel]:
    if engine not in ENGINES:
        raise InputError(
            "unknown engine",
            where="--engine",
            found=engine,
            allowed=", ".join(ENGINES),
            action=nearest(engine, ENGINES),
        )
    if engine == "local" and address is not None:
        raise InputError("a local batch has no address", where="--address", found=address)
    if engine == "local" and jobs > 1 and can_fork():
        load()
        with forked(jobs) as parallel:
            yield parallel
        return
    start = {"local": _local, "dask": _dask, "ray": _ray}[engine]
    with start(jobs, address) as parallel:
        yield parallel


@contextlib.contextmanager
def _local(jobs: int, _address: str | None) -> Iterator[Parallel]:
    """Loky's pool of processes; with one job this very process, where a crash is the batch's own."""
    if jobs == 1:
        yield lambda tasks, work: map(work, tasks)
        return
    joblib = _need("joblib", "batch")

    def parallel(tasks: Sequence[Task], work: Work) -> Iterator[ResultRow]:
        with interrupts_ignored():
            bound = partial(_while_parent_lives, os.getpid(), work)
            rows = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")(
                joblib.delayed(bound)(t) for t in tasks
            )
        yield from rows

    try:
        yield parallel
    except BaseException:  # Ctrl-C too: no worker outlives its batch
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor().shutdown(wait=True, kill_workers=True)
        raise


def _while_parent_lives(parent: int, work: Work, task: Task) -> ResultRow:
    """``work`` in a worker that ends when its parent does, however that ended."""
    _watch(parent)
    return work(task)


@lru_cache(maxsize=1)
def _watch(parent: int) -> None:
    if os.getpid() != parent:
        watch_parent(parent)


@contextlib.contextmanager
def _dask(jobs: int, address: str | None) -> Iterator[Parallel]:
    joblib = _need("joblib", "dask")
    distributed = _need("distributed", "dask")
    import logging

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        if address is None:
            where = stack.enter_context(
                distributed.LocalCluster(
                    n_workers=jobs, threads_per_worker=1, dashboard_address=None
                )
            )
        else:
            where = address
        try:
            stack.enter_context(distributed.Client(where, timeout=CONNECT_S))
        except (OSError, TimeoutError, ValueError) as error:
            raise InputError(
                "no Dask scheduler answers",
                where="--address",
                found=f"{address} ({error})",
                action="start one with: dask scheduler",
            ) from None

        def parallel(tasks: Sequence[Task], work: Work) -> Iterator[ResultRow]:
            with joblib.parallel_config(backend="dask"):
                yield from joblib.Parallel(return_as="generator_unordered")(
                    joblib.delayed(work)(t) for t in tasks
                )

        yield parallel


@contextlib.contextmanager
def _ray(jobs: int, address: str | None) -> Iterator[Parallel]:
    joblib = _need("joblib", "ray")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray = _need("ray", "ray")
        register = _need("ray.util.joblib", "ray").register_ray
        options: dict[str, int] = (
            {"num_cpus": jobs, "include_dashboard": False} if address is None else {}
        )
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", **options)
        except Exception as error:  # Ray raises kinds of its own, and of the libraries below it
            ray.shutdown()
            said = f"{type(error).__name__}: {error}".splitlines()[0]
            if address is None:
                raise OutputError(
                    "Ray did not start on this machine",
                    found=said,
                    action="try again, or use --engine local",
                ) from None
            raise InputError(
                "no Ray cluster answers",
                where="--address",
                found=f"{address} ({said})",
                action="start one with: ray start --head",
            ) from None
        register()

    def parallel(tasks: Sequence[Task], work: Work) -> Iterator[ResultRow]:
        chunk = RAY_CHUNK * jobs
        with warnings.catch_warnings(), joblib.parallel_config(backend="ray", n_jobs=jobs):
            warnings.simplefilter("ignore")
            for start in range(0, len(tasks), chunk):
                yield from joblib.Parallel()(
                    joblib.delayed(work)(t) for t in tasks[start : start + chunk]
                )

    try:
        yield parallel
    finally:
        ray.shutdown()


def _need(module: str, extra: str) -> Any:  # joblib, Dask and Ray publish no types
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        raise OutputError(
            f"this engine needs the package {module.partition('.')[0]!r}, which is not installed",
            action=f"pip install 'llm-fleet-planner[{extra}]'",
        ) from None
