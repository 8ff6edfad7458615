"""A paper run's page and the comparison of two: what they say follows from the numbers, and no name from outside is taken for markup."""

from datetime import date, timedelta
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portfolio_platform.render import paper_blocks as blocks
from portfolio_platform.render import paper_charts as charts
from portfolio_platform.render import paper_compare as compared
from portfolio_platform.render.paper_compare import Compared
from portfolio_platform.render.paper_page import paper_page
from portfolio_platform.render.paper_shown import (
    AnswerShown,
    EventShown,
    FigureShown,
    OrderShown,
    PaperShown,
    SessionShown,
    SymbolShown,
    TradeShown,
    interval,
    limits_that_bit,
    summary,
)

DAY = date(2008, 1, 1)
HOSTILE = "<script>alert('x')</script>|`rm`"


def session(number: int, equity: float, peak: float, **more: object) -> SessionShown:
    said = {"heat": 0.02, "cap": 0.06, "gross": 0.3, "symbol_share": 0.1, "cohort_share": 0.2, "held": 2, "running": 3}
    said |= {"mode": "normal", "regime": "normal"} | more  # type: ignore[assignment]
    return SessionShown(day=DAY + timedelta(days=number), equity=equity, drawdown=1 - equity / peak, **said)  # type: ignore[arg-type]


def answer(wanted: float, got: float, *limits: str, symbol: str = "AAA") -> AnswerShown:
    return AnswerShown(DAY, symbol, "i", wanted, wanted, got, "approved_full" if got else "rejected_heat", limits, "ordered" if got else "")


def trade(r: float, symbol: str = "AAA") -> TradeShown:
    return TradeShown(symbol, "bull_trending", "trend_rider", "bull_low", DAY, DAY + timedelta(days=3), r, 100 * r, "stop")


def run(symbol: str = "AAA", sessions: int = 160, **more: object) -> PaperShown:
    equities = [1000.0 + 30 * np.sin(number / 9) for number in range(sessions)]
    peaks = np.maximum.accumulate([1000.0, *equities])[1:]
    regimes = {"regime": "risk_off", "mode": "risk_off"}
    said: dict[str, object] = {
        "portfolio": "paper",
        "policy": "default",
        "control": "on",
        "currency": "USD",
        "cash": 1000.0,
        "sessions": tuple(session(n, e, p, **(regimes if n > 140 else {})) for n, (e, p) in enumerate(zip(equities, peaks, strict=True))),
        "symbols": (
            SymbolShown(
                symbol,
                "position_open",
                "bull_trending",
                "stop 9, target 12, or 3 closes",
                ((DAY, "idle"), (DAY + timedelta(days=5), "thesis_armed"), (DAY + timedelta(days=9), "position_open")),
                ((DAY, 0.02), (DAY + timedelta(days=30), 0.0)),
            ),
        ),
        "answers": (answer(10, 10), answer(10, 5, "mode defensive"), answer(10, 0, "heat", "symbol")),
        "trades": tuple(trade(r, symbol) for r in (1.0, -1.0, 2.0)),
        "fees": 4.0,
        "figures": (FigureShown("concurrent instruments", "3", "at least 3", True),),
        "orders": (OrderShown("2008-02-01", "r1", f"tighten {symbol}", "applied"),),
        "events": (EventShown(DAY + timedelta(days=141), "breach", "breach: x"),),
        "hash": "abc",
    }
    return PaperShown(**(said | more))  # type: ignore[arg-type]


def test_a_summary_is_what_the_sessions_trades_and_answers_add_up_to() -> None:
    sessions = (session(0, 100, 100), session(1, 110, 110, heat=0.07, held=4), session(2, 99, 110, mode="defensive"))
    found = summary(_of(sessions))
    assert found.total_return == pytest.approx(-0.01)
    assert found.max_drawdown == pytest.approx(0.1)
    assert (found.over_cap, found.max_held, found.guarded) == (1, 4, 1)
    assert (found.activations, found.smaller, found.refused) == (3, 1, 1)
    assert (found.wanted, found.got) == (30, 15)
    assert found.mean_r == pytest.approx(2 / 3) and found.win_rate == pytest.approx(2 / 3)


def _of(sessions: tuple[SessionShown, ...]) -> PaperShown:
    made = run(sessions=1)
    return PaperShown(**{**vars(made), "sessions": sessions, "cash": 100.0})


def test_what_several_limits_took_is_shared_and_the_parts_add_up() -> None:
    found = limits_that_bit(run())
    assert found == {"heat": (1, 0, 5.0), "mode defensive": (0, 1, 5.0), "symbol": (1, 0, 5.0)}


@settings(max_examples=30)
@given(st.lists(st.floats(-3, 5), min_size=10, max_size=60))
def test_an_interval_holds_the_mean_and_lies_within_the_sample(rs: list[float]) -> None:
    low, high = interval(rs) or (1.0, 0.0)
    assert min(rs) - 1e-9 <= low <= high <= max(rs) + 1e-9
    assert interval(rs) == interval(list(reversed(rs)))
    if max(rs) - min(rs) > 1e-6:
        assert low - 0.2 * (max(rs) - min(rs)) <= sum(rs) / len(rs) <= high + 0.2 * (max(rs) - min(rs))


def test_nine_trades_have_no_interval() -> None:
    assert interval([1.0] * 9) is None
    assert "too few for an interval" in blocks.mean_r(run())


def test_a_page_is_whole_the_same_each_time_and_takes_no_name_for_markup() -> None:
    made = run(HOSTILE)
    page = paper_page(made)
    assert page == paper_page(made)
    text = page.decode()
    assert "<script" not in text.split("<body>")[1] and "&lt;script&gt;" in text
    for title in charts.TITLES.values():
        assert title.replace("'", "&#39;") in text or title in text
    for said in ("2008-01-01 to 2008-06-08", "tighten", "concurrent instruments", "trend_rider", "mode defensive"):
        assert said in text


@pytest.mark.parametrize("name", sorted(charts.TITLES))
def test_every_chart_is_a_picture_also_where_there_is_nothing_to_draw(name: str) -> None:
    empty = PaperShown("paper", "default", "off", "USD", 1000.0, (), (), (), (), 0.0)
    drawn, nothing = charts.chart(name, run()), charts.chart(name, empty)
    assert ElementTree.fromstring(drawn).tag.endswith("svg") and ElementTree.fromstring(nothing).tag.endswith("svg")
    assert len(drawn) != len(nothing)


def test_phases_end_where_the_next_begins_and_the_last_goes_on() -> None:
    one = run().symbols[0]
    begin = charts.spells(one, 14_000.0)
    assert [phase for phase, _, _ in begin] == ["idle", "thesis_armed", "position_open"]
    assert [length for _, _, length in begin[:2]] == [5.0, 4.0]
    assert begin[-1][1] + begin[-1][2] == 14_000.0


def other(scale: float, **more: object) -> PaperShown:
    made = run(**more)
    sessions = tuple(SessionShown(**{**vars(one), "equity": one.equity * scale}) for one in made.sessions)
    return PaperShown(**{**vars(made), "sessions": sessions})


def test_two_equal_runs_differ_in_nothing() -> None:
    found = Compared(("a", "b"), (run(), run()), "h")
    assert compared.difference(*found.runs) == (0.0, 0.0)
    rows = {row[0].text: row[3].text for row in compared.table(found).rows}
    assert {text for name, text in rows.items() if not name.startswith("Mean R,")} == {"="}
    assert "that is not told apart from chance" in " ".join(compared.sentences(found))


def test_a_difference_that_grows_every_day_is_told_apart() -> None:
    one = run(sessions=200)
    sessions = tuple(SessionShown(**{**vars(x), "equity": x.equity * 1.001**n}) for n, x in enumerate(one.sessions))
    low, high = compared.difference(PaperShown(**{**vars(one), "sessions": sessions}), one) or (0.0, 0.0)
    assert low == pytest.approx(high) == pytest.approx(252 * np.log(1.001))
    assert compared.difference(run(sessions=100), run(sessions=100)) is None


def test_a_comparison_says_what_limits_took_with_numbers_and_notes() -> None:
    off = PaperShown(**{**vars(run()), "control": "off", "answers": (answer(10, 10),)})
    found = Compared((HOSTILE, "control off"), (run(), off), "h")
    text = compared.page(found).decode()
    assert "<script" not in text.split("<body>")[1]
    assert "What the envelopes did" in text and "no limit took anything of 1 activations" in text
    markdown = compared.markdown(found)
    assert "<script" not in markdown and "seed" in markdown and "one path" in markdown
    document = compared.document(found)
    assert document["runs"][0]["refused"] == 1 and document["limits"][1] == {}
    for name in compared.TITLES:
        assert ElementTree.fromstring(compared.chart(name, found)).tag.endswith("svg")
