"""Demand over time: the peak survives, the mean is kept, starts are paid, growth compounds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.errors import InputError
from planner.fleet.periods import DAY, Hourly, calendar_of, hourly_of, reduce_days, start_up_hours
from planner.scenario.fleet import Horizon
from planner.scenario.schema import Service

FLAT = Horizon()
PROFILE = [2, 1, 1, 1, 1, 2, 4, 6, 8, 9, 10, 10, 9, 9, 9, 10, 9, 8, 7, 6, 5, 4, 3, 3]


def service(name: str = "chat", rate: float = 12.0, **more: object) -> Service:
    return Service.model_validate(
        {
            "name": name,
            "model": "m",
            "rate": rate,
            "prompt_tokens": 100,
            "output_tokens": 10,
            "slo": {"ttft_p99": 1},
            **more,
        }
    )


def write_series(path: Path, hourly: np.ndarray, window_s: int = 600) -> str:
    lines = ["window_start_s,rate_rps"]
    per_hour = 3600 // window_s
    for h, rate in enumerate(hourly):
        for w in range(per_hour):
            burst = 2.0 if w == 3 else 1.0
            lines.append(f"{h * 3600 + w * window_s},{rate * burst}")
    path.write_text("\n".join(lines))
    return str(path)


def test_a_rate_that_does_not_vary_is_one_period() -> None:
    calendar = calendar_of([service()], FLAT)
    assert calendar.hours == calendar.billed_hours == (1.0,)
    assert calendar.sizing_qps == calendar.mean_qps == {"chat": (12.0,)}


def test_a_day_has_its_hours_and_its_mean_is_the_rate() -> None:
    calendar = calendar_of([service(load={"hourly": PROFILE, "peak_ratio": 1.5})], FLAT)
    assert len(calendar.hours) == DAY
    assert sum(calendar.hours) == pytest.approx(FLAT.months * 730)
    assert np.mean(calendar.mean_qps["chat"]) == pytest.approx(12.0)
    assert max(calendar.sizing_qps["chat"]) == pytest.approx(12 * 10 / np.mean(PROFILE) * 1.5)
    assert calendar.labels[9] == "09:00"


def test_a_flat_service_is_beside_one_that_varies() -> None:
    calendar = calendar_of([service("a"), service("b", load={"hourly": PROFILE})], FLAT)
    assert set(calendar.sizing_qps["a"]) == {12.0}
    assert len(set(calendar.sizing_qps["b"])) > 5


def test_a_series_is_sized_on_its_busiest_window_and_keeps_its_peak_hour(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    days = np.concatenate([np.array(PROFILE) * rng.uniform(0.6, 1.2) for _ in range(14)])
    days[5 * DAY + 11] *= 3
    name = write_series(tmp_path / "rates.csv", days)
    requested = service(load={"series": name, "days": 3})
    hourly = hourly_of(requested)
    assert hourly.mean_qps.mean() == pytest.approx(12.0)
    assert hourly.busiest_qps == pytest.approx(hourly.mean_qps * 2 / (7 / 6))
    calendar = calendar_of([requested], FLAT)
    assert len(calendar.hours) == 3 * DAY
    assert max(calendar.sizing_qps["chat"]) == pytest.approx(hourly.busiest_qps.max(), abs=0)
    weighted = np.average(calendar.mean_qps["chat"], weights=calendar.hours)
    assert weighted == pytest.approx(12.0, rel=0.02)


def test_a_series_shorter_than_a_day_is_refused(tmp_path: Path) -> None:
    name = write_series(tmp_path / "rates.csv", np.ones(5))
    with pytest.raises(InputError, match="less than a day"):
        calendar_of([service(load={"series": name})], FLAT)


def test_hours_that_are_missing_take_the_usual_rate_of_their_hour(tmp_path: Path) -> None:
    days = np.tile(np.array(PROFILE, float), 2)
    days[DAY + 4] = np.nan
    name = write_series(tmp_path / "rates.csv", days)
    hourly = hourly_of(service(load={"series": name}))
    assert hourly.mean_qps[DAY + 4] == pytest.approx(hourly.mean_qps[4])


def test_a_rate_of_zero_is_no_gap(tmp_path: Path) -> None:
    week = np.concatenate([np.tile(np.array(PROFILE, float), 5), np.zeros(2 * DAY)])
    name = write_series(tmp_path / "rates.csv", week)
    hourly = hourly_of(service(load={"series": name}))
    stated = hourly_of(service(load={"hourly": week.tolist()}))
    assert hourly.mean_qps == pytest.approx(stated.mean_qps)
    assert hourly.mean_qps[5 * DAY :].max() == 0
    assert hourly.mean_qps[: 5 * DAY].mean() == pytest.approx(12.0 * 7 / 5)


def test_the_peak_of_a_day_that_was_cut_short_counts(tmp_path: Path) -> None:
    hours = np.where(np.arange(41) >= 36, 90.0, 10.0)
    hourly = hourly_of(service(load={"series": write_series(tmp_path / "rates.csv", hours, 3600)}))
    assert len(hourly.mean_qps) == 2 * DAY
    assert hourly.mean_qps.max() / hourly.mean_qps.min() == pytest.approx(9)
    assert hourly.mean_qps.mean() == pytest.approx(12.0)


def test_a_day_that_begins_at_noon_keeps_its_clock(tmp_path: Path) -> None:
    path = tmp_path / "rates.csv"
    rows = [f"{(12 + h) * 3600},{50 if h >= 12 else 10}" for h in range(24)]
    path.write_text("window_start_s,rate_rps\n" + "\n".join(rows))
    hourly = hourly_of(service(load={"series": str(path)}))
    assert list(hourly.mean_qps) == pytest.approx([20.0] * 12 + [4.0] * 12)


def test_windows_longer_than_an_hour_fill_their_hours(tmp_path: Path) -> None:
    path = tmp_path / "rates.csv"
    path.write_text(
        "window_start_s,rate_rps\n" + "\n".join(f"{h * 3600},6" for h in range(0, 24, 4))
    )
    hourly = hourly_of(service(load={"series": str(path)}))
    assert list(hourly.mean_qps) == pytest.approx([12.0] * 24)


@given(
    data=st.lists(
        st.lists(st.floats(0.1, 100), min_size=7 * DAY, max_size=7 * DAY), min_size=1, max_size=2
    ),
    keep=st.integers(1, 7),
)
@settings(max_examples=40, deadline=None)
def test_the_busiest_hour_of_every_service_survives_verbatim(
    data: list[list[float]], keep: int
) -> None:
    hourly = {f"s{i}": Hourly(np.array(r), np.array(r) * 1.2) for i, r in enumerate(data)}
    reduced, weights = reduce_days(hourly, keep)
    assert sum(weights) == 7
    assert len(weights) <= max(keep, len(data))
    for name, before in hourly.items():
        after = reduced[name]
        assert after.busiest_qps.max() == before.busiest_qps.max()
        peak = int(np.argmax(before.busiest_qps)) // DAY
        day = before.busiest_qps.reshape(7, DAY)[peak]
        assert any(np.array_equal(day, d) for d in after.busiest_qps.reshape(-1, DAY))
        assert after.mean_qps.max() <= before.mean_qps.max()


def test_rising_hours_pay_for_the_start_and_hours_are_only_moved() -> None:
    requested = [service(load={"hourly": PROFILE})]
    plain, started = calendar_of(requested, FLAT), calendar_of(requested, FLAT, start_up_hours=0.25)
    assert sum(started.billed_hours) == pytest.approx(sum(plain.billed_hours))
    assert plain.billed_hours == plain.hours == started.hours
    unit = plain.hours[0]
    moved = np.array(started.billed_hours) / unit - 1
    assert moved[6] == pytest.approx(0.0)  # 05:00 rises into 06:00, and so does 06:00 into 07:00
    assert moved[4] == pytest.approx(-0.25)  # pays its end at the rate of 05:00
    assert moved[10] == pytest.approx(0.25)  # the top of the rise


def test_growth_compounds_and_stages_are_sized_for_their_last_month() -> None:
    horizon = Horizon(months=12, stages=4, growth_per_month=0.1)
    calendar = calendar_of([service()], horizon)
    assert calendar.month == (0, 3, 6, 9)
    assert sum(calendar.hours) == pytest.approx(12 * 730)
    assert calendar.sizing_qps["chat"] == pytest.approx([12 * 1.1**m for m in (2, 5, 8, 11)])


def test_a_stage_pays_for_the_mean_of_its_months_not_for_its_last() -> None:
    horizon = Horizon(months=12, stages=4, growth_per_month=0.1)
    calendar = calendar_of([service()], horizon)
    months = [12 * 1.1**m for m in range(12)]
    by_stage = [sum(months[i : i + 3]) / 3 for i in (0, 3, 6, 9)]
    assert calendar.mean_qps["chat"] == pytest.approx(by_stage)
    assert np.mean(calendar.mean_qps["chat"]) == pytest.approx(np.mean(months))


def test_the_longest_start_up_counts() -> None:
    requested = [service("a"), service("b", routing={"start_up": "15m"})]
    assert start_up_hours(requested, {"vllm": 120.0}) == pytest.approx(0.25)
    assert start_up_hours(requested[:1], {"vllm": 120.0}) == pytest.approx(120 / 3600)


def test_a_week_of_equal_days_is_one_day_seven_times() -> None:
    calendar = calendar_of([service(load={"hourly": PROFILE * 7})], FLAT)
    assert len(calendar.hours) == DAY
    assert sum(calendar.hours) == pytest.approx(FLAT.months * 730)
    assert np.mean(calendar.mean_qps["chat"]) == pytest.approx(12.0)


def test_equal_days_that_hold_two_peaks_each_stand_for_themselves() -> None:
    later = [*PROFILE * 6, *PROFILE[:10], 20, *PROFILE[11:]]
    both = [service("a", load={"hourly": PROFILE * 7}), service("b", load={"hourly": later})]
    calendar = calendar_of(both, FLAT)
    assert min(calendar.hours) > 0
    assert sum(calendar.hours) == pytest.approx(FLAT.months * 730)
