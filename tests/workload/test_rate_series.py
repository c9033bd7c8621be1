"""Rate series as spreadsheets and monitoring write them, and what is none."""

import numpy as np
import pytest

from planner.errors import InputError
from planner.workload.rate_series import by_hour, read_rates

HEADER = "window_start_s,rate_rps\n"
DAY = "".join(f"{3600 * h},{h % 5 + 0.5}\n" for h in range(24))


def write(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "rates.csv"
    path.write_text(text, encoding=encoding)
    return str(path)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (HEADER + DAY, "utf-8"),
        (HEADER + DAY, "utf-8-sig"),
        ((HEADER + DAY).replace(",", "\t"), "utf-8"),
        ((HEADER + DAY).replace(",", ";").replace(".", ","), "utf-8"),
        ((HEADER + DAY).replace("\n", "\r\n"), "utf-8"),
    ],
    ids=["plain", "byte order mark", "tabs", "semicolons", "windows lines"],
)
def test_a_day_is_read_however_it_is_written(tmp_path, text, encoding):
    mean, busiest = by_hour(read_rates(write(tmp_path, text, encoding)))
    assert list(mean) == [h % 5 + 0.5 for h in range(24)]
    assert list(busiest) == list(mean)


@pytest.mark.parametrize(
    ("rows", "what", "line"),
    [
        ("0,1\n600,fast\n", "not a rate", 3),
        ("0,1\n600,-3\n", "not a rate", 3),
        ("0,1\n600,inf\n", "not a rate", 3),
        ("0,1\nnan,2\n", "not a time", 3),
        ("0,1\n600,1\n600,2\n", "windows are not in order", 4),
        ("600,1\n0,1\n", "windows are not in order", 3),
        ("", "has no windows", None),
        ("0,0\n600,0\n", "no window has a rate above 0", None),
        ("0,\n600,NaN\n", "no window has a rate above 0", None),
    ],
)
def test_what_is_no_series_is_said_with_its_line(tmp_path, rows, what, line):
    with pytest.raises(InputError, match=what) as raised:
        read_rates(write(tmp_path, HEADER + rows))
    assert line is None or str(raised.value).startswith(f"{tmp_path}/rates.csv:{line}:")


def test_a_window_counts_in_each_hour_by_its_share(tmp_path):
    rows = "".join(f"{2400 * n},{n + 1}\n" for n in range(36))  # windows of 40 minutes
    mean, busiest = by_hour(read_rates(write(tmp_path, HEADER + rows)))
    assert mean[:3] == pytest.approx([(2 * 1 + 2) / 3, (2 + 2 * 3) / 3, (2 * 4 + 5) / 3])
    assert list(busiest[:3]) == [2, 3, 5]


def test_what_was_not_recorded_is_not_zero(tmp_path):
    rows = "".join(f"{3600 * h},{2 if h != 5 else ''}\n" for h in range(24) if h != 7)
    mean, _ = by_hour(read_rates(write(tmp_path, HEADER + rows)))
    assert np.flatnonzero(np.isnan(mean)).tolist() == [5, 7]
