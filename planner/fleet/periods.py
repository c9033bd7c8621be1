"""Demand over time: hours of a day or week, or a rate series reduced to representative days.

Each hour has a mean rate, which pays, and the rate of its busiest window, which sizes. The hours of a
longer cycle are reduced to a few days by medoids; every day that holds a service's busiest hour
stays as it is, and the other days are scaled so that the mean over the cycle is kept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.errors import InputError
from planner.scenario.fleet import Horizon, Load
from planner.scenario.schema import Service
from planner.units import HOURS_PER_MONTH

Floats = NDArray[np.float64]

DAY = 24
SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True, eq=False)
class Hourly:
    """Rates of one service by hour of its cycle [requests/s]: the mean, and the busiest window."""

    mean_qps: Floats
    busiest_qps: Floats


@dataclass(frozen=True, slots=True)
class Calendar:
    """The periods of a plan.

    ``hours``: how long each lasts in the horizon [h]; ``billed_hours``: how long its fleet is paid, which
    includes starting it before a rise; ``month``: the first month of its stage (0 = now).
    ``sizing_qps``: rate of the busiest window, in the last month of the stage; ``mean_qps``: mean rate
    over its months; by service and period [requests/s].
    """

    labels: tuple[str, ...]
    hours: tuple[float, ...]
    billed_hours: tuple[float, ...]
    month: tuple[int, ...]
    sizing_qps: Mapping[str, tuple[float, ...]]
    mean_qps: Mapping[str, tuple[float, ...]]


def calendar_of(
    services: Sequence[Service], horizon: Horizon, start_up_hours: float = 0.0
) -> Calendar:
    """The periods that the services' loads and the horizon span; one where nothing varies.

    ``start_up_hours``: before a rise, replicas start this long ahead [h], at the end of the lower hour.

    Raises InputError for a rate series that cannot be read or spans less than a day.
    """
    hourly = {s.name: hourly_of(s) for s in services}
    days = math.lcm(*(max(1, len(h.mean_qps) // DAY) for h in hourly.values()))
    varies = any(len(h.mean_qps) > 1 for h in hourly.values())
    if not varies:
        cycle = {n: Hourly(h.mean_qps, h.busiest_qps) for n, h in hourly.items()}
        weights = [1.0]
    else:
        keep = max((s.load.days for s in services if s.load is not None), default=1)
        cycle, weights = reduce_days({n: _tiled(h, days) for n, h in hourly.items()}, keep)
    return _staged(cycle, weights, varies, horizon, start_up_hours)


def hourly_of(service: Service) -> Hourly:
    """The service's rates by hour: one hour where its rate does not vary."""
    load = service.load
    if load is None:
        rate = np.array([service.rate])
        return Hourly(rate, rate)
    if load.series is not None:
        return _from_series(service, load, load.series)
    if load.hourly is None:
        rate = np.array([service.rate])
        return Hourly(rate, rate * load.peak_ratio)
    profile = np.array(load.hourly)
    mean = service.rate * profile / profile.mean()
    return Hourly(mean, mean * load.peak_ratio)


def _from_series(service: Service, load: Load, name: str) -> Hourly:
    """Hours of a rate series, scaled to the service's mean rate; gaps take their hour's mean of day."""
    from planner.workload.rate_series import by_hour, read_rates, recorded_hours

    series = read_rates(name, load.workload)
    hours = recorded_hours(series)
    if hours < DAY:
        raise InputError(
            "the rate series spans less than a day", where=name, found=f"{hours} hours"
        )
    mean, busiest = by_hour(series)
    for rates in (mean, busiest):
        of_day = rates.reshape(-1, DAY)
        recorded = np.maximum(1, np.count_nonzero(~np.isnan(of_day), axis=0))
        usual = np.nansum(of_day, axis=0) / recorded
        gaps = np.isnan(of_day)
        of_day[gaps] = np.broadcast_to(usual, of_day.shape)[gaps]
    scale = service.rate / mean.mean()
    ratio = load.peak_ratio if series.window_s >= SECONDS_PER_HOUR else 1.0
    return Hourly(mean * scale, busiest * scale * ratio)


def _tiled(hourly: Hourly, days: int) -> Hourly:
    repeat = days * DAY // len(hourly.mean_qps)
    return Hourly(np.tile(hourly.mean_qps, repeat), np.tile(hourly.busiest_qps, repeat))


def reduce_days(hourly: Mapping[str, Hourly], keep: int) -> tuple[dict[str, Hourly], list[float]]:
    """``keep`` representative days, or as many as hold a service's busiest hour; and their weights [days].

    The day of each service's busiest hour is kept verbatim; medoids are added one by one, each the day
    that brings all days closest to their representative (distances relative to each service's peak).
    """
    days = len(next(iter(hourly.values())).mean_qps) // DAY
    shape = (days, DAY)
    peaks = {n: int(np.argmax(h.busiest_qps)) // DAY for n, h in hourly.items()}
    chosen = sorted(set(peaks.values()))
    if days <= max(keep, len(chosen)):
        return dict(hourly), [1.0] * days
    points = np.concatenate(
        [h.busiest_qps.reshape(shape) / max(h.busiest_qps.max(), 1e-12) for h in hourly.values()],
        axis=1,
    )
    distance = np.abs(points[:, None, :] - points[None, :, :]).sum(axis=2)
    while len(chosen) < keep:
        nearest = distance[:, chosen].min(axis=1)
        gain = np.maximum(0, nearest[:, None] - distance).sum(axis=0)
        gain[chosen] = -1.0
        if gain.max() <= 0:  # every other day is like one that is kept
            break
        chosen.append(int(np.argmax(gain)))
    owner = np.array(chosen)[np.argmin(distance[:, chosen], axis=1)]
    owner[chosen] = chosen  # of equal days that are both kept, each represents itself
    weights = [float((owner == day).sum()) for day in chosen]
    return {
        n: _scaled(h, chosen, weights, verbatim=set(peaks.values())) for n, h in hourly.items()
    }, weights


def _scaled(hourly: Hourly, chosen: list[int], weights: list[float], verbatim: set[int]) -> Hourly:
    """The chosen days, those not ``verbatim`` scaled so that the cycle's mean is kept.

    No hour is scaled above the service's peak.
    """
    mean = hourly.mean_qps.reshape(-1, DAY)
    busiest = hourly.busiest_qps.reshape(-1, DAY)
    fixed = sum(w * mean[d].sum() for d, w in zip(chosen, weights, strict=True) if d in verbatim)
    free = sum(w * mean[d].sum() for d, w in zip(chosen, weights, strict=True) if d not in verbatim)
    factor = max(0.0, (mean.sum() - fixed) / free) if free > 0 else 1.0
    factors = np.array([1.0 if d in verbatim else factor for d in chosen])[:, None]
    return Hourly(
        np.minimum(mean[chosen] * factors, mean.max()).ravel(),
        np.minimum(busiest[chosen] * factors, busiest.max()).ravel(),
    )


def _staged(
    cycle: Mapping[str, Hourly],
    weights: list[float],
    varies: bool,
    horizon: Horizon,
    start_up_hours: float,
) -> Calendar:
    """The cycle repeated in each stage: sized as grown by its last month, paid as grown on average."""
    size = len(next(iter(cycle.values())).mean_qps)
    stages = horizon.stages if varies or horizon.stages > 1 or horizon.growth_per_month else 1
    months = horizon.months // stages
    stage_hours = months * HOURS_PER_MONTH if varies or stages > 1 else 1.0
    total = sum(weights) * (DAY if varies else 1)
    labels, hours, month, last, mean = [], [], [], [], []
    for stage in range(stages):
        first = stage * months
        for slot in range(size):
            day, hour = divmod(slot, DAY)
            share = weights[day if varies else 0] / total
            labels.append(_label(first, day, hour, stages, varies, len(weights)))
            hours.append(stage_hours * share)
            month.append(first)
            last.append(horizon.growth(first + months))
            mean.append(horizon.mean_growth(first + 1, first + months))
    return Calendar(
        labels=tuple(labels),
        hours=tuple(hours),
        billed_hours=_billed(hours, cycle, min(start_up_hours, 1.0)) if varies else tuple(hours),
        month=tuple(month),
        sizing_qps={n: _grown(h.busiest_qps, last, stages) for n, h in cycle.items()},
        mean_qps={n: _grown(h.mean_qps, mean, stages) for n, h in cycle.items()},
    )


def _billed(
    hours: list[float], cycle: Mapping[str, Hourly], start_up_hours: float
) -> tuple[float, ...]:
    """Hours paid at each period's fleet: before a rise, the end of the lower hour is paid at the higher.

    A rise is of all services together, each relative to its peak; days follow themselves.
    """
    together = np.sum([h.busiest_qps / h.busiest_qps.max() for h in cycle.values()], axis=0)
    days = together.reshape(-1, DAY)
    rises = (np.roll(days, -1, axis=1) > days).astype(float)
    kept = 1.0 + start_up_hours * (np.roll(rises, 1, axis=1) - rises)
    factors = np.tile(kept.ravel(), len(hours) // kept.size)
    return tuple(float(h * f) for h, f in zip(hours, factors, strict=True))


def billed_hours(
    hours: Sequence[float], sizing_qps: Mapping[str, Sequence[float]], start_up_hours: float
) -> tuple[float, ...]:
    """Hours paid at each period's fleet where rates were moved between the hours of a day.

    As for a cycle: before a rise the end of the lower hour is paid at the higher, days follow themselves.
    """
    cycle = {n: Hourly(np.array(r), np.array(r)) for n, r in sizing_qps.items() if max(r) > 0}
    return _billed(list(hours), cycle, min(start_up_hours, 1.0))


def start_up_hours(services: Sequence[Service], engine_start_up_s: Mapping[str, float]) -> float:
    """The longest start-up of any service on any engine it may use [h]."""
    seconds = [
        s.routing.start_up if s.routing.start_up is not None else engine_start_up_s[e]
        for s in services
        for e in s.search.engines
    ]
    return max(seconds, default=0.0) / SECONDS_PER_HOUR


def _grown(rates: Floats, factor: list[float], stages: int) -> tuple[float, ...]:
    return tuple(float(r) * f for r, f in zip(np.tile(rates, stages), factor, strict=True))


def _label(first: int, day: int, hour: int, stages: int, varies: bool, days: int) -> str:
    parts = [f"month {first + 1}"] if stages > 1 else []
    if varies:
        parts += ([f"day {day + 1}"] if days > 1 else []) + [f"{hour:02d}:00"]
    return " ".join(parts) or "always"
