"""Reading one portfolio's past from the lake: facts as they are in force, and the ledger's own marks, rates and risks."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.control.counterfactual.record import Action, Asked, Executed, Float64, Held, Int64, Record, Risks
from portfolio_platform.control.model import PortfolioIntent
from portfolio_platform.control.money import digits_of, minor, quantity_units
from portfolio_platform.control.pipeline.names import known_name
from portfolio_platform.control.state import Instrument
from portfolio_platform.days import end_of_day_ns
from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home
from portfolio_platform.lake import active, derived
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.facts import CASH_FLOWS, CORPORATE_ACTIONS, FILLS, INSTRUMENTS, INTENTS, PORTFOLIOS, Fact
from portfolio_platform.ledger.fixed_point import to_floats
from portfolio_platform.policy.model import AccountingPolicy

SIDES = {"buy": "long", "sell": "short"}
POSITION = ("strategy", "symbol", "currency")
Names = dict[tuple[str, str, str], int]


def read_record(home: Home, portfolio: str, accounting: AccountingPolicy) -> Record:
    """Return the past of one portfolio up to the home's day.

    Args:
        home: whose lake is read.
        portfolio: whose past.
        accounting: how its cash flows are timed, and the currency where none is known.

    Raises:
        WrongUse: the ledger has no session of it.
    """
    days = _derived(home, derived.PORTFOLIO_EQUITY, portfolio, ("day", "equity", "net_flow", "weighted_flow", "stale_positions"))
    days = days.sort_by("day")
    if not len(days):
        raise WrongUse(f"{portfolio} has no session in the ledger: import its fills and run `portfolio build`")
    number = _day_numbers(days["day"])
    currency, live = _account(home, portfolio, accounting)
    equity = _numbers(days["equity"])
    snapshots = _derived(home, derived.LEDGER_SNAPSHOTS, portfolio, ("day", *POSITION, "mark", "fx_rate", "income"))
    multipliers, instruments, quoted = _instruments(home)
    keys = sorted(set(zip(*(snapshots[name].to_pylist() for name in POSITION), strict=True)))
    names: Names = {key: place for place, key in enumerate(keys)}
    currencies = tuple(sorted({key[2] for key in keys}))
    positions = tuple(Held(one[0], one[1], currencies.index(one[2]), multipliers.get(one[1], 1.0)) for one in keys)
    cash = _derived(home, derived.CASH_BALANCES, portfolio, ("day", "currency", "flows", "income", "fx_rate"))
    marks, fx = _marks(snapshots, names, currencies, cash, number)
    funded_at, funded = _funding(home, portfolio)
    return Record(
        portfolio=portfolio,
        currency=currency,
        digits=digits_of(currency),
        live=live,
        timing=accounting.flow_timing,
        instruments=instruments,
        days=number,
        equity=equity,
        net_flow=_numbers(days["net_flow"]),
        weighted_flow=_numbers(days["weighted_flow"]),
        reasons=_reasons(equity, days["stale_positions"].to_pylist()),
        other=_other(cash, snapshots, number),
        currencies=currencies,
        fx=fx,
        positions=positions,
        marks=marks,
        asked=_asked(home, portfolio, digits_of(currency)),
        fills=_fills(home, portfolio, names, quoted, currency),
        actions=_actions(home, names),
        risks=_risks(home, portfolio, names, number),
        buckets=_buckets(home, portfolio, number),
        funded_at=funded_at,
        funded=funded,
    )


def portfolios_with_intents(home: Home) -> list[str]:
    """Return the portfolios that have intents in the lake, sorted."""
    return sorted(set(home.lake.read(INTENTS.table, ["portfolio"])["portfolio"].unique().to_pylist()))


def _derived(home: Home, table: Table, portfolio: str, columns: Iterable[str]) -> pa.Table:
    where = (pc.field("portfolio") == portfolio) & (pc.field("day") <= home.today)
    return home.lake.read(table, list(columns), where)


def _facts(home: Home, fact: Fact, portfolio: str, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the rows of a portfolio in the order of the ledger: time, length of id, id."""
    rows = active.read(home.lake, fact, ("portfolio", "row_id", *columns), until_ts=end_of_day_ns(home.today))
    listed: list[dict[str, Any]] = rows.filter(pc.field("portfolio") == portfolio).to_pylist()
    return sorted(listed, key=lambda row: (row["ts"], len(row["row_id"]), row["row_id"]))


def _account(home: Home, portfolio: str, accounting: AccountingPolicy) -> tuple[str, bool]:
    rows = active.read(home.lake, PORTFOLIOS, ("portfolio", "mode", "base_currency")).to_pylist()
    mine = next((row for row in rows if row["portfolio"] == portfolio), None)
    return (mine["base_currency"], mine["mode"] == "live") if mine else (accounting.default_currency, False)


def _instruments(home: Home) -> tuple[dict[str, float], tuple[tuple[str, Instrument], ...], dict[str, str]]:
    rows = active.read(home.lake, INSTRUMENTS, ("symbol", "multiplier", "cohort", "sector", "currency")).to_pylist()
    multipliers = {row["symbol"]: float(row["multiplier"] or 1) for row in rows}
    groups = sorted((row["symbol"], Instrument(known_name(row["cohort"]), known_name(row["sector"]))) for row in rows)
    return multipliers, tuple(groups), {row["symbol"]: row["currency"] for row in rows if row["currency"]}


def _marks(snapshots: pa.Table, names: Names, currencies: tuple[str, ...], cash: pa.Table, days: Int64) -> tuple[Float64, Float64]:
    """Return marks by position and rates by currency, each with a column for every session."""
    session = np.searchsorted(days, _day_numbers(snapshots["day"]))
    position = _places(snapshots, names)
    marks = np.full((len(names), days.size), np.nan)
    marks[position, session] = _numbers(snapshots["mark"])
    fx = np.full((len(currencies), days.size), np.nan)
    code = np.array([currencies.index(key[2]) for key in names], dtype=np.int64)
    fx[code[position], session] = _numbers(snapshots["fx_rate"])
    rates = np.searchsorted(days, _day_numbers(cash["day"]))
    for name, place, rate in zip(cash["currency"].to_pylist(), rates.tolist(), _numbers(cash["fx_rate"]).tolist(), strict=True):
        if name in currencies:
            fx[currencies.index(name), place] = rate
    return marks, fx


def _other(cash: pa.Table, snapshots: pa.Table, days: Int64) -> Float64:
    """Return flows, and income that is of no position, in base currency at each session's rates."""
    total = np.zeros(days.size)
    session = np.searchsorted(days, _day_numbers(cash["day"]))
    amounts = (_numbers(cash["flows"]) + _numbers(cash["income"])).copy()
    rate = _numbers(cash["fx_rate"])
    paid: dict[tuple[int, str], float] = {}
    of_positions = np.searchsorted(days, _day_numbers(snapshots["day"])).tolist()
    for place, name, income in zip(of_positions, snapshots["currency"].to_pylist(), _numbers(snapshots["income"]).tolist(), strict=True):
        if income:
            paid[place, name] = paid.get((place, name), 0.0) + income
    for row, (place, name) in enumerate(zip(session.tolist(), cash["currency"].to_pylist(), strict=True)):
        amounts[row] -= paid.get((place, name), 0.0)
    np.add.at(total, session, np.where(amounts != 0.0, amounts * rate, 0.0))
    return total


def _funding(home: Home, portfolio: str) -> tuple[int, float]:
    rows = _facts(home, CASH_FLOWS, portfolio, ("ts", "amount"))
    first = next((row for row in rows if row["amount"] > 0), None)
    return (int(first["ts"]), float(first["amount"])) if first else (0, 0.0)


def _asked(home: Home, portfolio: str, digits: int) -> tuple[Asked, ...]:
    names = ("intent_id", "ts", "strategy", "symbol", "side", "template", "playbook")
    amounts = ("requested_risk", "requested_notional", "approved_risk")
    rows = _facts(home, INTENTS, portfolio, (*names, *amounts, "decision_code"))
    found = []
    for row in rows:
        risk, notional, approved = (None if row[name] is None else minor(row[name], digits) for name in amounts)
        intent = PortfolioIntent(
            intent_id=row["intent_id"],
            portfolio=portfolio,
            strategy=row["strategy"],
            symbol=row["symbol"],
            side=SIDES.get(row["side"], row["side"]),
            requested_risk=risk or 0,
            ts=row["ts"],
            requested_notional=notional,
            template=known_name(row["template"]),
            playbook=known_name(row["playbook"]),
        )
        found.append(Asked(intent, approved or 0, row["decision_code"] or ""))
    return tuple(found)


def _fills(home: Home, portfolio: str, names: Names, quoted: dict[str, str], base: str) -> tuple[Executed, ...]:
    texts = ("strategy", "symbol", "currency", "side", "intent_id", "template", "playbook")
    rows = _facts(home, FILLS, portfolio, ("ts", *texts, "quantity", "price", "fee", "stop_price"))
    found = []
    for row in rows:
        place = names.get((row["strategy"], row["symbol"], row["currency"] or quoted.get(row["symbol"]) or base))
        if place is None:
            continue  # after the ledger's last session
        units = quantity_units(row["quantity"])
        found.append(
            Executed(
                execution_id=row["row_id"],
                ts=row["ts"],
                position=place,
                quantity=units if row["side"] == "buy" else -units,
                price=float(row["price"]),
                fee=float(row["fee"] or 0),
                stop=float("nan") if row["stop_price"] is None else float(row["stop_price"]),
                intent_id=row["intent_id"] or "",
                template=known_name(row["template"]),
                playbook=known_name(row["playbook"]),
            )
        )
    return tuple(found)


def _actions(home: Home, names: Names) -> tuple[Action, ...]:
    rows = active.read(home.lake, CORPORATE_ACTIONS, until_ts=end_of_day_ns(home.today)).to_pylist()
    found = []
    for row in sorted(rows, key=lambda row: (row["ts"], row["symbol"], row["row_id"])):
        split = row["kind"] == "split"
        ratio, dividend = (float(row["ratio"]), 0.0) if split else (1.0, float(row["amount"]))
        found += [Action(row["ts"], place, ratio, dividend) for key, place in names.items() if key[1] == row["symbol"]]
    return tuple(found)


def _risks(home: Home, portfolio: str, names: Names, days: Int64) -> Risks:
    rows = _derived(home, derived.POSITION_RISK, portfolio, ("day", *POSITION, "risk", "exposure", "template", "playbook"))
    session = np.searchsorted(days, _day_numbers(rows["day"]))
    position = _places(rows, names)
    order = np.lexsort((position, session))
    template, playbook = (
        np.array([known_name(text) for text in rows[name].to_pylist()], dtype=object) for name in ("template", "playbook")
    )
    return Risks(
        session[order],
        position[order],
        _numbers(rows["risk"])[order],
        np.abs(_numbers(rows["exposure"]))[order],
        tuple(template[order].tolist()),
        tuple(playbook[order].tolist()),
    )


def _buckets(home: Home, portfolio: str, days: Int64) -> tuple[tuple[tuple[str, str], ...], ...]:
    rows = _derived(home, derived.CORRELATION_BUCKETS, portfolio, ("day", "bucket", "symbols"))
    found: list[list[tuple[str, str]]] = [[] for _ in range(days.size)]
    session = np.searchsorted(days, _day_numbers(rows["day"])).tolist()
    for place, bucket, symbols in zip(session, rows["bucket"].to_pylist(), rows["symbols"].to_pylist(), strict=True):
        found[place] += [(symbol, bucket) for symbol in symbols.split(", ")]
    return tuple(tuple(sorted(one)) for one in found)


def _reasons(equity: Float64, stale: list[int]) -> tuple[str, ...]:
    """Return why a session's drawdown cannot be judged, as the drawdown diagnostic has it."""
    return tuple(
        "missing_fx_rate" if np.isnan(value) else "stale_mark" if count and value > 0.0 else ""
        for value, count in zip(equity.tolist(), stale, strict=True)
    )


def _places(rows: pa.Table, names: Names) -> Int64:
    keys = zip(*(rows[name].to_pylist() for name in POSITION), strict=True)
    return np.array([names[key] for key in keys], dtype=np.int64)


def _numbers(column: pa.ChunkedArray) -> Float64:
    if pa.types.is_decimal(column.type):
        return to_floats(column)
    values: Float64 = column.cast(pa.float64()).to_numpy().astype(np.float64)
    return values


def _day_numbers(column: pa.ChunkedArray) -> Int64:
    numbers: Int64 = column.cast(pa.int32()).to_numpy().astype(np.int64)
    return numbers
