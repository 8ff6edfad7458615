"""What is shown of a paper run is what the book has of it, and what limited an answer is named once."""

import pytest

from portfolio_platform.home import Home
from portfolio_platform.instruments.state import Asked
from portfolio_platform.paper.record import read_record
from portfolio_platform.paper.shown import limits_of, shown_of, write_page
from portfolio_platform.paper.views import price, readable
from tests.unit.paper.ran import bars_made, paper_home, paper_made

__all__ = ["bars_made", "paper_home", "paper_made"]


def ask(**more: object) -> Asked:
    said: dict[str, object] = {"intent_id": "i", "at": 1, "wanted_risk": 10, "requested_risk": 10, "requested_notional": 99, "bounds": ()}
    return Asked(**({**said, "envelope_version": 1} | more))  # type: ignore[arg-type]


def test_what_limited_an_answer_is_named_once_and_by_its_rule() -> None:
    assert limits_of(ask(became="ordered 1 at a risk of 1", code="approved_full"), "heat") == ()
    assert limits_of(ask(bounds=("max_new_risk", "lot"), became="not asked: risk_off"), "risk_off") == ("mode risk_off",)
    assert limits_of(ask(bounds=("max_new_risk", "lot"), became="not asked: no room: max_new_risk, lot"), "cohort") == ("cohort",)
    clipped = ask(
        code="approved_clipped", got_risk=5, reasons=("mode:defensive by regime:defensive", "constrained:heat"), became="ordered 1"
    )
    assert limits_of(clipped, "heat") == ("mode defensive", "heat")
    assert limits_of(ask(code="rejected_positions", became="rejected"), "heat") == ("positions",)
    assert limits_of(ask(code="approved_full", got_risk=10, became="too_small"), "heat") == ("too small",)
    assert limits_of(ask(bounds=("risk_limit", "symbol_max_risk"), became="ordered 1"), "heat") == ("own risk limit", "symbol")


def test_prices_are_read_as_decimals() -> None:
    assert price(41_499_000_000_000_000_000) == "41.499" and price(-(10**18)) == "-1" and price(1_234_500 * 10**18) == "1,234,500"
    assert readable("stop 41499000000000000000, or 3 closes") == "stop 41.499, or 3 closes"


def test_what_is_shown_adds_up_to_the_record(paper_home: Home) -> None:
    run = shown_of(paper_home)
    with paper_home.book.reading() as connection:
        record = read_record(connection, "paper")
    sessions = [one for one in record.sessions if one.is_session]
    assert [one.day.isoformat() for one in run.sessions] == [one.day for one in sessions]
    assert [round(one.equity * 100) for one in run.sessions] == [one.equity for one in sessions]
    for shown, kept in zip(run.sessions, sessions, strict=True):
        assert shown.gross * kept.equity - kept.gross < 2  # minor units
        assert shown.symbol_share <= shown.cohort_share <= shown.gross + 1e-6
        assert (shown.symbol_share > 0) == (kept.held > 0)
    asked = sum(sum(one.decisions) for one in record.sessions)
    assert sum(bool(one.code) for one in run.answers) == asked > 0
    assert {one.symbol for one in run.symbols} >= {one.symbol for one in run.trades}
    assert shown_of(paper_home) == run


def test_no_name_of_a_portfolio_leads_out_of_its_folder(paper_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portfolio_platform.paper.shown.paper_page", lambda run: b"")
    run = shown_of(paper_home)
    for name in ("..", "../../elsewhere", "/tmp/x"):
        path = write_page(paper_home, name, run=run)
        assert path.resolve().parent.parent == (paper_home.root / "paper").resolve()


def test_the_page_is_written_into_the_home(paper_home: Home) -> None:
    path = write_page(paper_home)
    assert path == paper_home.root / "paper" / "paper" / "page.html"
    first = path.read_bytes()
    assert write_page(paper_home).read_bytes() == first and first.startswith(b"<!DOCTYPE html>")
