"""A portfolio of the ledger as the orchestrator sees it: worth what the ledger says, to the cent, on any day."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow.compute as pc
import pytest

from portfolio_platform.clock import end_of_day
from portfolio_platform.desk import snapshot
from portfolio_platform.desk.lots import Lot, Netted
from portfolio_platform.desk.snapshot import ledger_portfolios, snapshot_of
from portfolio_platform.errors import DataProblem, WrongUse
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.orchestrator.accounts import Accounts, AccountTerms

END = datetime(2011, 1, 1, tzinfo=UTC)


def equity(home: Home, portfolio: str, day: date) -> float:
    where = (pc.field("portfolio") == portfolio) & (pc.field("day") == day)
    return float(home.lake.read(derived.PORTFOLIO_EQUITY, ["equity"], where)["equity"][0].as_py())


@pytest.mark.parametrize("portfolio", ["core", "macro"])
@pytest.mark.parametrize("day", [date(2007, 1, 31), date(2008, 10, 20), date(2010, 6, 14), date(2010, 12, 31)])
def test_it_is_worth_what_the_ledger_says_on_days_that_no_state_was_saved_of(sample_home: Home, portfolio: str, day: date) -> None:
    taken = snapshot_of(sample_home, portfolio, end_of_day(day))
    assert taken.snapshot.equity_minor / 100 == pytest.approx(equity(sample_home, portfolio, day), abs=0.03)
    assert taken.snapshot.as_of == end_of_day(day)


def test_the_newest_portfolio_has_the_ledgers_lots_prices_and_sectors(sample_home: Home) -> None:
    found = snapshot_of(sample_home, "core", END, tickers=["IBM"]).snapshot
    (account,) = found.accounts
    assert {one.ticker: one.quantity for one in account.holdings} == {
        "AAPL": 1239, "COMP": 221, "GOOG": 665, "MSFT": 17458, "SPX": 639,
    }  # fmt: skip
    comp = next(one for one in account.holdings if one.ticker == "COMP")
    assert [(lot.quantity, lot.cost) for lot in comp.lots][:2] == [(93, Decimal("2595.199")), (43, Decimal("2595.1991"))]
    assert len({lot.lot_id for lot in comp.lots}) == len(comp.lots) == 4
    assert found.by_ticker["AAPL"].price == Decimal("322.56") and found.by_ticker["AAPL"].sector == "Information Technology"
    assert found.by_ticker["IBM"].sector == "Information Technology", "what may be bought comes with its price"
    assert (found.by_ticker["AAPL"].daily_value_minor or 0) > 10**11
    assert "WTI" not in found.by_ticker, "what is neither held nor wanted is left out: its old price would hold a plan up"


def test_the_account_is_as_the_terms_say_and_a_cash_account_of_whole_shares_without(sample_home: Home) -> None:
    plain = snapshot_of(sample_home, "macro", END).snapshot.accounts[0]
    assert (plain.account, plain.kind, plain.fractional) == ("macro", "cash", False)
    terms = AccountTerms(portfolio="macro", account="derivatives", kind="margin", fractional=True, lot_sizes={"WTI": 100})
    found = snapshot_of(sample_home, "macro", END, terms=terms, pending=["plan x"]).snapshot
    said = found.accounts[0]
    assert (said.account, said.kind, said.fractional, found.by_ticker["WTI"].lot_size) == ("derivatives", "margin", True, 100)
    assert found.pending == ("plan x",) and found.state_hash != snapshot_of(sample_home, "macro", END).snapshot.state_hash


def test_a_short_position_is_taken_off_the_cash_named_and_cannot_be_traded(sample_home: Home) -> None:
    taken = snapshot_of(sample_home, "macro", end_of_day(date(2010, 6, 14)), tickers=["SIM24", "SPX"])
    (finding,) = taken.findings
    assert finding.severity == "warning" and finding.subject == "SIM24"
    assert "held short (128.4198289): its 78,040.73 USD is taken off the cash" in finding.message
    assert "SIM24" not in taken.snapshot.by_ticker and "SPX" in taken.snapshot.by_ticker
    assert taken.snapshot.cash_minor == taken.snapshot.equity_minor == 52_684_693


def test_what_happened_within_the_day_is_in_it(sample_home: Home) -> None:
    day = date(2010, 12, 31)
    fills = sample_home.lake.read(derived.STATE_LOTS, ["opened_at", "symbol", "day"], pc.field("day") == day).to_pylist()
    bought = max(one["opened_at"] for one in fills if one["symbol"] == "AAPL")
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=bought // 1000)
    before = snapshot_of(sample_home, "core", moment - timedelta(seconds=1)).snapshot
    after = snapshot_of(sample_home, "core", moment).snapshot
    assert ("core", "AAPL") not in before.quantities and after.quantities["core", "AAPL"] == 1239
    assert after.as_of == moment and before.as_of < moment
    assert before.state_hash != after.state_hash


def test_the_same_portfolio_at_another_time_of_the_same_state_has_the_same_hash(sample_home: Home) -> None:
    first = snapshot_of(sample_home, "core", END).snapshot
    assert first.state_hash == snapshot_of(sample_home, "core", END + timedelta(hours=5)).snapshot.state_hash
    assert first.as_of == END


def test_a_portfolio_that_is_not_there_or_not_yet_is_said_with_those_that_are(sample_home: Home, home: Home) -> None:
    with pytest.raises(WrongUse, match="no portfolio 'nope'; it has: core, macro"):
        snapshot_of(sample_home, "nope", END)
    with pytest.raises(WrongUse, match="begins on 2007-01-0"):
        snapshot_of(sample_home, "core", datetime(2006, 5, 1, tzinfo=UTC))
    with pytest.raises(WrongUse, match="none yet"):
        snapshot_of(home, "core", END)
    assert ledger_portfolios(sample_home) == ["core", "macro"] and ledger_portfolios(home) == []


def test_a_fill_that_came_late_for_a_built_day_is_pending_until_the_ledger_is_built(sample_copy: Home, tmp_path: Path) -> None:
    from portfolio_platform.sources.pipeline import import_paths
    from tests.e2e.running import fills

    (tmp_path / "late.csv").write_text(fills("F-9,2010-12-30T15:00:00Z,core,GOOG,sell,65,600,1.25"))
    import_paths(sample_copy, [tmp_path / "late.csv"])
    late = snapshot_of(sample_copy, "core", END).snapshot
    assert len(late.pending) == 1 and late.pending[0].startswith("ledger build: fills were imported for days that are built already")
    assert snapshot_of(sample_copy, "macro", END).snapshot.pending == (), "the other portfolio waits for nothing"


def test_what_is_priced_elsewhere_is_counted_in_the_portfolios_currency_and_said() -> None:
    rates = snapshot._Rates("USD", {"EUR": Decimal("1.25")})
    known = {"FUT": snapshot._Known("Energy", Decimal(50), "EUR"), "AAA": snapshot._Known("Tech", Decimal(1), "USD")}
    held = Netted("FUT", "EUR", (), Decimal(0), Decimal(0))
    assert snapshot._unit(held, known, rates) == Decimal("62.5")
    (finding,) = snapshot._counted("FUT", known["FUT"], rates, "USD")
    assert finding.severity == "warning" and "50 times its price, 1.25 USD for one EUR" in finding.message
    assert snapshot._counted("AAA", known["AAA"], rates, "USD") == []
    with pytest.raises(DataProblem, match="no instrument says its sector"):
        snapshot._unit(held._replace(symbol="GONE"), known, rates)
    with pytest.raises(DataProblem, match="no rate of CHF in USD; import fx_rates"):
        rates.of("CHF")


def test_lots_of_one_id_are_told_apart_and_a_symbol_that_no_order_can_name_is_said() -> None:
    lots = tuple(Lot(Decimal(1), Decimal("10.5"), 10**18, "same") for _ in range(2))
    held = snapshot._holding("p", Netted("AAA", "USD", lots, Decimal(0), Decimal(0)), Decimal(1))
    assert [lot.lot_id for lot in held.lots] == ["same", "same#2"] and held.quantity == 2
    odd = snapshot._tax_lot(lots[0]._replace(lot_id="\x1b" * 200), Decimal(1), 1)
    assert len(odd.lot_id) == 32 and odd.lot_id.isalnum()
    with pytest.raises(DataProblem, match=r"'BTC/USD' cannot be planned with.*--snapshot"):
        snapshot._holding("p", Netted("BTC/USD", "USD", lots, Decimal(0), Decimal(0)), Decimal(1))


def test_accounts_are_one_for_each_portfolio_and_plain_where_none_is_listed() -> None:
    listed = {"as_of": END, "source": "office", "accounts": [{"portfolio": "p", "kind": "margin", "planned_stop_pct": "8"}]}
    found = Accounts.model_validate(listed)
    assert found.of("p").planned_stop_pct == 8 and found.of("q") == AccountTerms(portfolio="q")
    with pytest.raises(ValueError, match="'p' is there twice; keep one"):
        Accounts.model_validate({**listed, "accounts": [{"portfolio": "p"}, {"portfolio": "p"}]})
