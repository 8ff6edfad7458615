"""What the numbers of the ledger rest on: positions, cash, flows, marks, and in the end fills and bars."""

from collections.abc import Iterable
from datetime import date

from portfolio_platform.days import end_of_day_ns
from portfolio_platform.explain.cells import by_session, by_size, cell, cells, earlier, explains, rows_of, same
from portfolio_platform.explain.sources import Row, Sources
from portfolio_platform.explain.tables.facts import fact_line, fact_lines
from portfolio_platform.explain.tree import Draft, listing
from portfolio_platform.lake import derived
from portfolio_platform.lake.facts import BARS, CASH_FLOWS, CORPORATE_ACTIONS, FILLS, FLOW_KINDS, FX_RATES, INCOME_KINDS

VALUED = {
    "market_value": "sum of the marked values of all open positions",
    "gross_exposure": "sum of the sizes of the marked values",
    "net_exposure": "sum of the marked values, shorts negative",
    "long_exposure": "sum of the positive marked values",
    "short_exposure": "sum of the sizes of the negative marked values",
}
EQUITY = {
    "equity": "cash + market value of all positions",
    "cash": "cash of every currency, in base currency",
    **VALUED,
    **{f"{name}_pct": f"{name.replace('_', ' ')} / equity" for name in VALUED if name.endswith("exposure")},
    "daily_return": "equity over (equity of the session before + net flow) - 1, or as the policy times flows",
    "unit_value": "unit value of the session before x (1 + daily return); a flow changes units, never their value",
    "net_flow": "deposits less withdrawals since the session before",
    "weighted_flow": "net flow, each part weighted by the part of the day that was left",
    "volatility_60": "standard deviation (n - 1) of the last 60 daily returns x square root of sessions a year",
    "sharpe_60": "mean over standard deviation of the last 60 daily returns, annualised, risk-free rate 0",
    "open_positions": "positions that are not flat at the end of the day",
    "stale_positions": "open positions whose mark is older than the policy's max_mark_age",
    "stale_exposure": "sizes of the stale positions",
}


def open_positions(of: Sources, portfolio: str, day: date) -> list[Row]:
    """Return a session's positions that are not flat, by size."""
    rows = of.rows(derived.LEDGER_SNAPSHOTS, portfolio, day, day)
    return by_size((row for row in rows if row["average_cost"] is not None), "market_value_base")


def position_name(row: Row) -> str:
    """Return how a position is called: strategy and symbol, and its quantity where the row has one."""
    quantity = f", {float(row['quantity']):,.10g} units" if row.values.get("quantity") is not None else ""
    return f"{row['strategy']} {row['symbol']}{quantity}"


@explains(derived.PORTFOLIO_EQUITY, EQUITY)
def portfolio_equity(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """Equity is cash and positions; a return is equity against that of the session before."""
    portfolio, day = row.portfolio, row.day
    before = of.before(portfolio, day)
    then = of.row(derived.PORTFOLIO_EQUITY, portfolio, before) if before else None
    if column == "equity":
        return cells(of, row, ("cash", "market_value"))
    if column == "cash":
        return [
            rows_of(of, "by currency", lambda: of.rows(derived.CASH_BALANCES, portfolio, day, day), "cash_base", lambda r: r["currency"])
        ]
    if column.endswith("_pct"):
        return cells(of, row, (column.removesuffix("_pct"), "equity"))
    if column in VALUED or column in ("open_positions", "stale_positions", "stale_exposure"):
        return [rows_of(of, "positions", lambda: _positions(of, row, column), "market_value_base", position_name)]
    if column == "daily_return":
        return [*earlier(of, then, "equity", "equity of the session before"), *cells(of, row, ("equity", "net_flow"))]
    if column == "unit_value":
        return [*earlier(of, then, "unit_value", "unit value of the session before"), *cells(of, row, ("daily_return",))]
    if column in ("net_flow", "weighted_flow"):
        after = of.since(portfolio, day)
        return [fact_lines(of, "flows", lambda: _movements(of, portfolio, FLOW_KINDS, after, day))]
    if column in ("volatility_60", "sharpe_60"):
        days = of.window(portfolio, day, 60)
        return [
            by_session(of, f"daily returns from {days[0]} to {day}",
                    lambda: reversed(of.rows(derived.PORTFOLIO_EQUITY, portfolio, days[0], day)), "daily_return")
        ]  # fmt: skip
    return ()


def _positions(of: Sources, row: Row, column: str) -> list[Row]:
    found = open_positions(of, row.portfolio, row.day)
    if column.startswith("stale"):
        limit = of.policies.default.accounting.max_mark_age
        return [position for position in found if position["mark_age"] is None or position["mark_age"] > limit]
    if column in ("long_exposure", "short_exposure"):
        return [position for position in found if (position.number("market_value_base") > 0.0) == (column == "long_exposure")]
    return found


def _movements(of: Sources, portfolio: str, kinds: tuple[str, ...], after: int | None, day: date, currency: str = "") -> list[Row]:
    found = of.facts(CASH_FLOWS, after=after, until=end_of_day_ns(day), isin={"kind": kinds}, portfolio=portfolio)
    return [row for row in found if not currency or row["currency"] in (currency, None)]


CASH = {
    "cash": "flows + income + trades - fees, each since the start",
    "cash_base": "balance x rate of its currency",
    "flows": "deposits less withdrawals since the start",
    "income": "dividends, interest, funding and other cash that is performance, since the start",
    "trades": "proceeds of sales less cost of purchases, since the start",
    "fees": "fees of all fills since the start",
}


@explains(derived.CASH_BALANCES, CASH)
def cash_balances(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """Cash is what flowed, was earned, traded and paid."""
    portfolio, currency, until = row.portfolio, row["currency"], end_of_day_ns(row.day)
    if column == "cash_base":
        return cells(of, row, ("cash", "fx_rate"))
    if column == "cash":
        return cells(of, row, ("flows", "income", "trades", "fees"))
    if column in ("flows", "income"):
        kinds = FLOW_KINDS if column == "flows" else INCOME_KINDS
        return [fact_lines(of, "cash movements", lambda: _movements(of, portfolio, kinds, None, row.day, currency))]
    if column in ("trades", "fees"):
        return [
            fact_lines(of, "fills", lambda: of.facts(FILLS, until=until, isin={"currency": (currency, None)}, portfolio=portfolio),
                       "an empty currency is the instrument's, else the portfolio's")
        ]  # fmt: skip
    if column == "fx_rate":
        return [fact_lines(of, "rates", lambda: of.facts(FX_RATES, until=until, currency=currency), "the newest up to the end of the day")]
    return ()


def fills_of(of: Sources, row: Row, *, after: int | None = None, until: int | None = None) -> list[Row]:
    """Return the fills of a row's position, by time."""
    end = end_of_day_ns(row.day) if until is None else until
    return of.facts(FILLS, after=after, until=end, portfolio=row.portfolio, strategy=row["strategy"], symbol=row["symbol"])


def mark_bar(of: Sources, symbol: str, day: date) -> Draft:
    """Return the newest bar of a symbol up to a day: the one that marks it."""

    def newest() -> list[Draft]:
        for after in (end_of_day_ns(date.fromordinal(day.toordinal() - 31)), None):
            found = of.facts(BARS, after=after, until=end_of_day_ns(day), symbol=symbol)
            if found:
                return [fact_line(of, found[-1])]
        return []

    return listing(f"newest bar of {symbol}", newest)


def stop_fill(of: Sources, row: Row) -> list[Draft]:
    """Return the fill that set a position's stop: its newest one that names a stop."""
    named = [fill for fill in fills_of(of, row) if fill["stop_price"] is not None]
    return [fact_line(of, named[-1])] if named else [Draft("no fill of the position names a stop")]


SNAPSHOT = {
    "market_value": "quantity x mark x multiplier",
    "market_value_base": "quantity x mark x multiplier x rate of its currency",
    "unrealised_pnl": "market value less cost of what is open",
    "average_cost": "average price of what is open, before fees",
    "stop_price": "stop of the newest fill of the position that names one, in today's units",
    "realised_pnl": "profit of what was closed, before fees, since the start",
}


@explains(derived.LEDGER_SNAPSHOTS, SNAPSHOT)
def ledger_snapshots(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """A position is its fills; its value is that at the mark."""
    if column in ("market_value", "market_value_base"):
        return cells(of, row, ("quantity", "mark", *(("fx_rate",) if column.endswith("base") else ())))
    if column == "unrealised_pnl":
        return cells(of, row, ("market_value", "quantity", "average_cost"))
    if column in ("mark", "mark_age", "mark_source"):
        if row["mark_source"] == "bar":
            return [mark_bar(of, row["symbol"], row.day)]
        return [fact_lines(of, "fills of the symbol", lambda: of.facts(FILLS, until=end_of_day_ns(row.day),
                                                                     portfolio=row.portfolio, symbol=row["symbol"]))]  # fmt: skip
    if column == "fx_rate":
        return [fact_lines(of, "rates", lambda: of.facts(FX_RATES, until=end_of_day_ns(row.day), currency=row["currency"]))]
    if column == "stop_price":
        return stop_fill(of, row)
    splits = of.facts(CORPORATE_ACTIONS, until=end_of_day_ns(row.day), symbol=row["symbol"])
    actions = [fact_lines(of, "splits and dividends", lambda: splits)] if splits else []
    return [fact_lines(of, "fills of the position", lambda: fills_of(of, row)), *actions]


@explains(derived.LOT_EXPOSURES, {"market_value_base": "quantity of the lots x mark x multiplier x rate"})
def lot_exposures(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """Lots are parts of a position, first in, first out."""
    key = {"strategy": row["strategy"], "symbol": row["symbol"], "currency": row["currency"]}
    snapshot = of.row(derived.LEDGER_SNAPSHOTS, row.portfolio, row.day, **key)
    parts = [*same(of, snapshot, "mark", "mark of the position"), *same(of, snapshot, "quantity", "quantity of the position")]
    return [*parts, fact_lines(of, "fills of the position", lambda: fills_of(of, row))]


TRIP = {
    "realised_pnl": "(average exit price - average entry price) x quantity x multiplier, with the sign of the direction",
    "fees": "fees of its fills; a fill that flips is split by quantity",
}


@explains(derived.ROUND_TRIPS, TRIP)
def round_trips(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """A round trip is its fills, from the opening to the closing one."""
    found: list[Draft] = []
    if column == "realised_pnl":
        found = cells(of, row, ("entry_price", "exit_price", "quantity"))
    words = "every fill of the position from the opening to the closing one"
    return [*found, fact_lines(of, "fills", lambda: fills_between(of, row), words, newest=False)]


def fills_between(of: Sources, row: Row) -> list[Row]:
    """Return the fills of a trade's position from its opening to its closing."""
    return fills_of(of, row, after=row["opened_at"] - 1, until=row["closed_at"])


@explains(
    derived.PNL_ATTRIBUTION,
    {
        "total": "realised + unrealised + income - fees",
        "realised": "change of the position's realised profit since the session before, in base currency",
        "unrealised": "change of its unrealised profit, its currency's revaluation included",
    },
)
def pnl_attribution(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """The profit of a session is the change of the position since the session before."""
    if column == "total":
        return cells(of, row, ("realised", "unrealised", "income", "fees"))
    if row["component"] != "position":
        kinds = INCOME_KINDS
        return [fact_lines(of, "cash movements", lambda: _movements(of, row.portfolio, kinds, of.since(row.portfolio, row.day), row.day))]
    key = {"strategy": row["strategy"], "symbol": row["symbol"], "currency": row["currency"]}
    before = of.before(row.portfolio, row.day)
    own = {"realised": "realised_pnl", "unrealised": "unrealised_pnl", "income": "income", "fees": "fees"}.get(column, "market_value")
    now = of.row(derived.LEDGER_SNAPSHOTS, row.portfolio, row.day, **key)
    then = of.row(derived.LEDGER_SNAPSHOTS, row.portfolio, before, **key) if before else None
    fills = fact_lines(of, "fills of the session", lambda: fills_of(of, row, after=of.since(row.portfolio, row.day)))
    return [*same(of, now, own, "in this session"), *earlier(of, then, own, "in the session before"), fills]


def equity_of(of: Sources, portfolio: str, day: date, column: str = "equity", title: str = "") -> list[Draft]:
    """Return a figure of a session's equity."""
    row = of.row(derived.PORTFOLIO_EQUITY, portfolio, day)
    return [cell(of, row, column, title=title or column.replace("_", " "))] if row is not None else []
