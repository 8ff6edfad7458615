import re
import struct
from datetime import date
from xml.parsers import expat

import numpy as np
import pytest

from portfolio_platform.render import charts
from portfolio_platform.render import svg as drawing
from portfolio_platform.render.series import History
from tests.unit.render.factory import history, with_nulls

TEN_YEARS = 2_520


def _well_formed(text: str) -> None:
    expat.ParserCreate().Parse(text, True)


@pytest.mark.parametrize("name", charts.NAMES)
def test_ten_years_give_a_small_and_well_formed_picture(name: charts.ChartName) -> None:
    ten_years = history(TEN_YEARS)
    text = charts.chart(name, ten_years)
    _well_formed(text)
    assert len(text.encode()) < 300_000
    assert "<text" not in text, "glyphs are paths: no font of the reader's machine"
    picture = charts.png(name, ten_years)
    assert struct.unpack(">II", picture[16:24]) == (900, 320)
    assert len(picture) < 100_000


@pytest.mark.parametrize("name", charts.NAMES)
def test_too_little_to_draw_is_said_and_does_not_crash(name: charts.ChartName) -> None:
    for few, why in (
        (History.empty("core"), "No sessions yet"),
        (history(1), "One session so far"),
        (with_nulls(history(9)), "Fewer than two"),
    ):
        _well_formed(charts.chart(name, few))
        assert charts.png(name, few).startswith(b"\x89PNG")
        assert why in charts.nothing_to_draw(few, (few.equity,))


@pytest.mark.parametrize("sessions", [2, 130])
def test_short_histories_are_drawn(sessions: int) -> None:
    for name in charts.NAMES:
        _well_formed(charts.chart(name, history(sessions)))


def test_a_history_with_holes_and_without_units_is_drawn() -> None:
    holed = history(60)
    for values in (holed.equity, holed.drawdown, holed.gross_exposure_pct, holed.effective_symbols):
        values[10:30] = np.nan
    holed.unit_value[40:] = 0.0
    holed.net_exposure_pct[:] = np.nan
    for name in charts.NAMES:
        _well_formed(charts.chart(name, holed))


def test_no_vertex_of_a_series_is_dropped_in_silence() -> None:
    """A spike of one session in ten years stays visible: simplification moves a line by less than a tenth of a pixel."""
    spiked = history(TEN_YEARS)
    spiked.drawdown[:] = 0.01
    before = charts.underwater(spiked)
    spiked.drawdown[1_234] = 0.40
    assert charts.underwater(spiked) != before
    depths = [float(y) for y in re.findall(r"[ML][\d.]+ (-?[\d.]+)", charts.underwater(spiked))]
    assert max(depths) - min(depths) > 100


def test_a_path_is_written_shorter_with_every_vertex() -> None:
    assert drawing.shorter("M 1.23456 2 \nL 1.23499 5.5 \nL 7.1 5.5 \nL 8 9 \nz\n") == "M1.23 2V5.5H7.1L8 9z"
    assert drawing.shorter("M 0 0 Q 1.23456 2 -0.001 4 z") == "M 0 0 Q 1.23 2 0 4 z"


def test_charts_on_one_page_share_no_id() -> None:
    made = history(300)
    ids = [identity for name in charts.NAMES for identity in re.findall(r' id="([^"]+)"', charts.chart(name, made))]
    assert len(ids) == len(set(ids))


def test_references_in_a_chart_point_into_it() -> None:
    for name in charts.NAMES:
        text = charts.chart(name, history(300))
        ids = set(re.findall(r' id="([^"]+)"', text))
        targets = set(re.findall(r'xlink:href="#([^"]+)"|url\(#([^)]+)\)', text))
        assert {left or right for left, right in targets} <= ids


def test_drawing_leaves_the_settings_of_the_process_alone() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    charts.equity(history(5))
    assert dict(matplotlib.rcParams) == before


def test_the_median_is_that_of_known_values() -> None:
    values = np.array([1.0, 3.0, np.nan, 5.0, 7.0, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(charts.trailing_median(values, 4), [np.nan, 2.0, 2.0, 3.0, 5.0, 6.0, 6.0, np.nan])


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (date(2024, 1, 2), date(2024, 1, 3)),
        (date(2024, 1, 30), date(2024, 2, 28)),
        (date(2023, 12, 30), date(2024, 3, 1)),
        (date(2007, 1, 3), date(2010, 12, 31)),
        (date(1990, 1, 1), date(2024, 1, 1)),
    ],
)
def test_dates_on_an_axis_are_few_and_inside(first: date, last: date) -> None:
    places, labels = charts.date_ticks(first, last)
    assert 2 <= len(places) == len(labels) <= 10
    assert all(first <= place <= last for place in places)
    assert len(set(labels)) > 1 or len(labels) == 1
