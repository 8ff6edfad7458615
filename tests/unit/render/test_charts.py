import re
import struct
import warnings
from dataclasses import replace
from datetime import date, timedelta
from xml.parsers import expat

import numpy as np
import pytest

from portfolio_platform.render import axes, charts
from portfolio_platform.render import svg as drawing
from portfolio_platform.render.chart_data import Data, Failure, Failures, Series
from tests.unit.render.factory import COLUMNS, DAY, data_of, history, lines, matrix, with_nulls

TEN_YEARS = 2_520


def _well_formed(text: str) -> None:
    expat.ParserCreate().Parse(text, True)


@pytest.mark.parametrize("name", charts.NAMES)
def test_ten_years_give_a_small_and_well_formed_picture(name: charts.ChartName) -> None:
    ten_years = data_of(name, TEN_YEARS)
    text = charts.chart(name, ten_years)
    _well_formed(text)
    assert len(text.encode()) < 400_000
    assert "<text" not in text, "glyphs are paths: no font of the reader's machine"
    picture = charts.png(name, ten_years)
    assert struct.unpack(">II", picture[16:24]) == ((900, 480) if name == "correlation" else (900, 320))
    assert len(picture) < 100_000


@pytest.mark.parametrize("name", charts.NAMES)
def test_too_little_to_draw_is_said_and_does_not_crash(name: charts.ChartName) -> None:
    nothing, one = data_of(name, 0), data_of(name, 1)
    for few in (nothing, one):
        _well_formed(charts.chart(name, few))
        assert charts.png(name, few).startswith(b"\x89PNG")
    assert any("No sessions yet" in told for told in _told(name, nothing))
    if name not in ("correlation", "failures"):
        assert any("One session so far" in told for told in _told(name, one))


def _told(name: charts.ChartName, data: Data) -> list[str]:
    from matplotlib.figure import Figure

    figure = Figure()
    charts.draw(name, data, figure)
    return [text.get_text() for text in figure.texts]


@pytest.mark.parametrize("name", charts.HISTORY)
def test_a_history_of_nulls_says_so(name: charts.ChartName) -> None:
    assert any("Fewer than two" in told for told in _told(name, with_nulls(history(9))))


def test_lines_of_nulls_say_so() -> None:
    for name, columns in COLUMNS.items():
        null = Series("core", [DAY, DAY + timedelta(days=1)], {column: np.full(2, np.nan) for column in columns})
        assert any("Fewer than two" in told for told in _told(name, null)), name
        _well_formed(charts.chart(name, null))


def test_what_is_no_chart_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"there is no chart 'sankey'; there is equity, .*pnl"):
        charts.chart_name("sankey")


def test_why_there_is_no_matrix_is_said() -> None:
    alone = matrix(("S<PX",), 1)
    assert any("only S<PX is held, a correlation needs two symbols" in told for told in _told("correlation", alone))
    flat = matrix((), 0)
    assert any("nothing is held" in told for told in _told("correlation", flat))
    unbuilt = replace(flat, why="the buckets are not built; run `portfolio build`")
    assert _told("correlation", unbuilt) == ["the buckets are not built; run `portfolio build`."]
    assert any("no losing trade" in told for told in _told("failures", Failures("core", DAY)))


@pytest.mark.parametrize("count", [2, 15, 60])
def test_a_matrix_of_many_symbols_is_drawn(count: int) -> None:
    _well_formed(charts.chart("correlation", matrix(tuple(f"SYMBOL{number}" for number in range(count)))))


def test_names_from_outside_are_shapes_and_never_markup() -> None:
    evil = '"><script>alert(1)</script>--><!-- $x^2$ & \x1b[31m\u6771\u4eac'
    drawn = {
        "correlation": matrix((evil, "_hidden", "SPX")),
        "pnl": lines(5, (evil, "_hidden", "")),
        "failures": Failures("core", DAY, (Failure(evil, 2, 1),)),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a letter that the font does not have would be a warning
        for name, data in drawn.items():
            text = charts.chart(charts.chart_name(name), data)
            _well_formed(text)
            assert "script" not in text and "<!--" not in text and "<text" not in text
            assert charts.png(charts.chart_name(name), data).startswith(b"\x89PNG")


def test_a_name_is_cut_and_never_hidden() -> None:
    assert axes.drawable("x" * 50) == "x" * 21 + "…"
    assert axes.drawable("_x") == "\N{THIN SPACE}_x", "a legend leaves out what begins with an underscore"
    assert axes.drawable("a\u6771\n") == "a□" and axes.drawable("") == "□"


def test_more_strategies_than_can_be_told_apart_are_drawn_together() -> None:
    from matplotlib.figure import Figure

    figure = Figure()
    charts.draw("pnl", lines(20, COLUMNS["pnl"]), figure)
    labels = [str(line.get_label()) for line in figure.axes[0].get_lines() if not str(line.get_label()).startswith("_")]
    assert len(labels) == 6 and labels[-1].startswith("4 others: ")


def test_failures_that_come_back_are_hatched() -> None:
    assert "<pattern" in charts.chart("failures", data_of("failures", 1))
    assert "<pattern" not in charts.chart("failures", Failures("core", DAY, (Failure("x", 5, 0),)))


@pytest.mark.parametrize("sessions", [2, 130])
def test_short_histories_are_drawn(sessions: int) -> None:
    for name in charts.NAMES:
        _well_formed(charts.chart(name, data_of(name, sessions)))


def test_a_history_with_holes_and_without_units_is_drawn() -> None:
    holed = history(60)
    for values in (holed.equity, holed.drawdown, holed.gross_exposure_pct, holed.effective_symbols):
        values[10:30] = np.nan
    holed.unit_value[40:] = 0.0
    holed.net_exposure_pct[:] = np.nan
    for name in charts.HISTORY:
        _well_formed(charts.chart(name, holed))


def test_no_vertex_of_a_series_is_dropped_in_silence() -> None:
    """A spike of one session in ten years stays visible: simplification moves a line by less than a tenth of a pixel."""
    spiked = history(TEN_YEARS)
    spiked.drawdown[:] = 0.01
    before = charts.chart("underwater", spiked)
    spiked.drawdown[1_234] = 0.40
    assert charts.chart("underwater", spiked) != before
    depths = [float(y) for y in re.findall(r"[ML][\d.]+ (-?[\d.]+)", charts.chart("underwater", spiked))]
    assert max(depths) - min(depths) > 100


def test_a_path_is_written_shorter_with_every_vertex() -> None:
    assert drawing.shorter("M 1.23456 2 \nL 1.23499 5.5 \nL 7.1 5.5 \nL 8 9 \nz\n") == "M1.23 2V5.5H7.1L8 9z"
    assert drawing.shorter("M 0 0 Q 1.23456 2 -0.001 4 z") == "M 0 0 Q 1.23 2 0 4 z"


def test_charts_on_one_page_share_no_id() -> None:
    ids = [identity for name in charts.NAMES for identity in re.findall(r' id="([^"]+)"', charts.chart(name, data_of(name, 300)))]
    assert len(ids) == len(set(ids))


def test_references_in_a_chart_point_into_it() -> None:
    for name in charts.NAMES:
        text = charts.chart(name, data_of(name, 300))
        ids = set(re.findall(r' id="([^"]+)"', text))
        targets = set(re.findall(r'xlink:href="#([^"]+)"|url\(#([^)]+)\)', text))
        assert {left or right for left, right in targets} <= ids


def test_drawing_leaves_the_settings_of_the_process_alone() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    charts.chart("equity", history(5))
    assert dict(matplotlib.rcParams) == before


def test_the_median_is_that_of_known_values() -> None:
    values = np.array([1.0, 3.0, np.nan, 5.0, 7.0, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(axes.trailing_median(values, 4), [np.nan, 2.0, 2.0, 3.0, 5.0, 6.0, 6.0, np.nan])


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
    places, labels = axes.date_ticks(first, last)
    assert 2 <= len(places) == len(labels) <= 10
    assert all(first <= place <= last for place in places)
    assert len(set(labels)) > 1 or len(labels) == 1
