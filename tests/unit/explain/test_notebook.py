"""The notebook: frames, series and models of a home, and the lines of its documentation run as they stand."""

import re
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

import portfolio_platform
from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home
from portfolio_platform.lake.derived import TABLES
from portfolio_platform.notebook import Platform
from tests.unit.explain.conftest import newest_issue

PAGE = Path(__file__).parents[3] / "docs" / "notebook.md"


@pytest.fixture
def p(told: Home) -> Platform:
    return portfolio_platform.open(told.root)


def test_the_lines_of_the_documentation_run(told: Home) -> None:
    lines = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
    assert lines.count("p.") >= 12
    exec(compile(lines.replace('".portfolio"', repr(str(told.root))), str(PAGE), "exec"), {})


def test_importing_the_package_imports_no_heavy_library() -> None:
    code = "import sys, portfolio_platform; sys.exit(bool({'pandas', 'pyarrow', 'pydantic', 'numpy', 'deltalake'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_table_is_a_frame(p: Platform, name: str) -> None:
    frame = p.table(name)
    assert isinstance(frame, pd.DataFrame) and set(frame.columns) <= set(TABLES[name].column_names)


def test_a_table_is_filtered_by_portfolio_and_day(p: Platform) -> None:
    heat = p.table("portfolio_heat", portfolio="core", first="2010-12-01", last="2010-12-31")
    assert set(heat["portfolio"]) == {"core"} and str(heat["day"].min().date()) == "2010-12-01" and len(heat) == 22
    fills = p.table("fills", portfolio="core", first="2010-12-01", last="2010-12-31")
    assert str(fills["ts"].dt.tz) == "UTC" and fills["ts"].min() > pd.Timestamp("2010-12-01", tz="UTC") and fills["quantity"].dtype == float
    exact = p.table("fills", portfolio="core", first="2010-12-31", decimals="exact")
    assert all(isinstance(value, Decimal) for value in exact["quantity"])
    assert len(p.tables.portfolio_heat) == len(p.table("portfolio_heat")) and "fills" in dir(p.tables)


def test_a_metric_is_a_series_by_day(p: Platform) -> None:
    series = p.metric("heat", "core")
    table = p.table("portfolio_heat", portfolio="core")
    assert series.index.is_monotonic_increasing and series.to_list() == table["heat"].to_list()
    assert p.metric("symbol_exposure", "core", scope="AAPL").max() > 0.0
    assert p.metric("equity", "core").iloc[-1] == p.table("portfolio_equity", portfolio="core")["equity"].iloc[-1]


def test_reports_are_models_published_or_not(p: Platform) -> None:
    stored, composed = p.report("core"), p.reports("core", "2010-12-29", "2010-12-31")
    assert str(stored.day) == "2010-12-31" and [str(one.day) for one in composed] == ["2010-12-29", "2010-12-30", "2010-12-31"]
    assert composed[-1] == stored


def test_alerts_and_recommendations_are_frames(p: Platform) -> None:
    assert {"id", "state", "sentence"} <= set(p.alerts("core").columns) and len(p.alerts()) > len(p.alerts("core")) > 0
    assert list(p.recommendations("core", all=True)["id"]) == [newest_issue(p.home, "core")]


def test_explanations_are_text_and_escaped_html(p: Platform) -> None:
    found = p.why("heat core 2010-12-31", depth=3)
    assert "active heat" in str(found) and "<details open>" in found._repr_html_()
    assert "portfolio_equity" in p.tables._repr_html_() and "<td>core</td>" in p._repr_html_() and "core" in repr(p)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda p: p.table("fils"), "did you mean fills"),
        (lambda p: p.table("fills", portfolio="nobody"), "there is core, macro"),
        (lambda p: p.table("bars", portfolio="core"), "has no portfolios"),
        (lambda p: p.table("instruments", first="2010-01-01"), "has no days"),
        (lambda p: p.table("fills", first="yesterday"), "write YYYY-MM-DD"),
        (lambda p: p.metric("symbol_exposure", "core"), "wants a scope, one of AAPL"),
        (lambda p: p.metric("symbol_exposure", "core", scope="X"), "has no scope 'X'"),
        (lambda p: p.metric("happiness", "core"), "there is no metric"),
        (lambda p: p.report("core", "2010-12-25"), "was no session"),
        (lambda p: portfolio_platform.open("/nowhere/at/all"), "there is no home"),
    ],
)
def test_wrong_questions_are_answered(p: Platform, ask: Callable[[Platform], object], said: str) -> None:
    with pytest.raises(WrongUse, match=said):
        ask(p)
    with pytest.raises(AttributeError, match="no table"):
        p.tables.nothing  # noqa: B018
