"""From derived tables to the arrays of the heat diagnostic, and from its results to rows."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.days import day_number
from portfolio_platform.diagnostics import heat as d1
from portfolio_platform.diagnostics.session_keys import codes_in, in_order
from portfolio_platform.lake import derived
from portfolio_platform.lake.arrays import assemble, named, number_column
from portfolio_platform.ledger.fixed_point import to_floats
from portfolio_platform.ledger.inputs import Actions, encode
from portfolio_platform.ledger.layout import SPLIT
from portfolio_platform.ledger.marks import split_factors
from portfolio_platform.policy.diagnostics import HeatPolicy

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

POSITION_KEY = ("strategy", "symbol", "currency")
SNAPSHOT_TEXTS = ("portfolio", *POSITION_KEY, "template", "playbook")
SNAPSHOT_COLUMNS = (
    "day",
    *SNAPSHOT_TEXTS,
    "quantity",
    "average_cost",
    "mark",
    "mark_age",
    "stop_price",
    "fx_rate",
    "market_value_base",
    "month",
)


@dataclass(frozen=True)
class PolicyOfSession:
    """The heat policy in force at each session; all shapes are (sessions,)."""

    cap: Float64
    sigmas: Float64
    sigma_window: Int64
    sigma_minimum: Int64
    default_hold_days: Float64
    exit_cost: Float64


def numbers(column: pa.ChunkedArray) -> Float64:
    """Return a column of numbers as floats, NaN where null."""
    values: Float64 = column.cast(pa.float64()).to_numpy().astype(np.float64)
    return values


def policy_of_session(sessions: pa.Table, policies: dict[str, HeatPolicy]) -> PolicyOfSession:
    """Return the policy of each session; ``policies`` has an entry for each portfolio."""
    codes, names = encode(sessions["portfolio"])
    listed = [policies[name] for name in names]

    def each(values: list[float]) -> Float64:
        return np.array(values, dtype=np.float64)[codes]

    return PolicyOfSession(
        cap=each([policy.cap for policy in listed]),
        sigmas=each([policy.sigmas for policy in listed]),
        sigma_window=each([policy.sigma_window for policy in listed]).astype(np.int64),
        sigma_minimum=each([policy.sigma_minimum for policy in listed]).astype(np.int64),
        default_hold_days=each([policy.default_hold_days for policy in listed]),
        exit_cost=each([policy.exit_cost_bps * d1.BPS for policy in listed]),
    )


def open_positions(snapshots: pa.Table, sessions: pa.Table) -> tuple[pa.Table, Int64]:
    """Return the rows of `ledger_snapshots` that belong to a session and are open, sorted by session and key, and their sessions."""
    rows, session = in_order(snapshots, sessions, POSITION_KEY)
    is_open = to_floats(rows["quantity"]) != 0.0
    return (rows, session) if is_open.all() else (rows.filter(pa.array(is_open)), session[is_open])


def holdings(positions: pa.Table, session: Int64, multipliers: dict[str, float], max_mark_age: int) -> d1.Holdings:
    """Return open positions as arrays; a symbol without a multiplier has 1, as in the accounting."""
    quantity = to_floats(positions["quantity"])
    symbol, symbols = encode(positions["symbol"])
    multiplier = np.array([multipliers.get(name, 1.0) for name in symbols], dtype=np.float64)[symbol] if symbols else np.empty(0)
    return d1.Holdings(
        session=session,
        sign=np.sign(quantity),
        units=np.abs(quantity) * multiplier * numbers(positions["fx_rate"]),
        mark=numbers(positions["mark"]),
        average_cost=numbers(positions["average_cost"]),
        stop=numbers(positions["stop_price"]),
        exposure=numbers(positions["market_value_base"]),
        stale=positions["mark_age"].to_numpy() > max_mark_age,
    )


def expected_holds(positions: pa.Table, expectations: pa.Table, default: Float64) -> Float64:
    """Return the expected hold of each position in days: the median of its playbook, else the default (shape (rows,)).

    ``expectations`` are rows of `playbook_expectations` for all regimes; their bars are days here, the timeframe of daily
    signals. A median that is not positive says nothing about a position that is still open.
    """
    known = {
        (row["template"], row["playbook"]): float(row["hold_bars_p50"])
        for row in expectations.select(["template", "playbook", "hold_bars_p50"]).to_pylist()
        if row["hold_bars_p50"] is not None and row["hold_bars_p50"] > 0
    }
    template, templates = encode(positions["template"])
    playbook, playbooks = encode(positions["playbook"])
    table = np.array([[known.get((t, p), np.nan) for p in playbooks] for t in templates], dtype=np.float64)
    found = table[template, playbook] if templates else np.empty(0)
    return np.where(np.isnan(found), default, found)


def returns(bars: pa.Table, splits: Actions, names: list[str]) -> d1.Returns:
    """Return the daily log returns of the named symbols, between their own consecutive daily closes.

    ``bars`` has symbol, ts, close, as traded: closes before a split count in the shares that came of them. The last bar of
    a day is its close.
    """
    code = codes_in(bars["symbol"], names)
    wanted = np.flatnonzero(code >= 0)
    code, ts = code[wanted], bars["ts"].to_numpy()[wanted]
    close = to_floats(bars["close"])[wanted]
    order = np.lexsort((ts, code))
    code, ts, close = code[order], ts[order], close[order]
    day = day_number(ts)
    last = np.append((code[1:] != code[:-1]) | (day[1:] != day[:-1]), True)[: code.size]
    code, ts, close, day = code[last], ts[last], close[last], day[last]
    for symbol in sorted({str(name) for name, kind in zip(splits.symbol, splits.kind, strict=True) if kind == SPLIT} & set(names)):
        mine = code == names.index(symbol)
        close[mine] *= split_factors(ts[mine], symbol, splits)
    follows = np.flatnonzero(code[1:] == code[:-1]) + 1
    value = np.log(close[follows] / close[follows - 1])
    return d1.Returns(np.searchsorted(code[follows], np.arange(len(names) + 1)), day[follows], value)


def risk_rows(positions: pa.Table, held: d1.Holdings, risks: d1.Risks, sigma: Float64, hold: Float64, sessions: pa.Table) -> pa.Table:
    """Return `position_risk` in the order of the positions; ``sessions`` has the equity that ratios are taken over."""
    equity = numbers(sessions["equity"])
    of_session = d1.session_status(held, equity)[held.session]
    base = np.where(of_session == d1.OK, equity[held.session], np.nan)
    shown = np.where(risks.method == d1.BY_VOLATILITY, hold, np.nan)
    columns: dict[str, pa.Array] = {name: _plain(positions[name]) for name in ("day", *SNAPSHOT_TEXTS, "month", "mark_age")}
    columns |= {
        "direction": named(("short", "long"), (held.sign > 0).astype(np.int64)),
        "exposure": number_column(held.exposure),
        "mark": number_column(held.mark),
        "stop_price": number_column(held.stop),
        "risk": number_column(risks.risk),
        "capital_risk": number_column(risks.capital_risk),
        "exit_cost": number_column(risks.exit_cost),
        "sigma": number_column(np.where(risks.method == d1.BY_VOLATILITY, sigma, np.nan)),
        "hold_days": number_column(shown),
        "method": named(d1.METHODS, risks.method),
        "imputed": pa.array(risks.imputed),
        "beyond_stop": pa.array(risks.beyond_stop),
        "risk_pct": number_column(risks.risk / base),
        "reason": named(d1.REASONS, np.where(risks.status != d1.OK, risks.status, of_session)),
    }
    return assemble(derived.POSITION_RISK, columns)


def heat_rows(found: d1.Heat, reserved: Float64, cap: Float64, sessions: pa.Table) -> pa.Table:
    """Return `portfolio_heat`: a row for each session, in their order."""
    columns: dict[str, pa.Array] = {name: sessions[name].combine_chunks() for name in ("day", "portfolio", "month")}
    columns |= {
        "active_risk": number_column(found.active_risk),
        "reserved_risk": number_column(reserved),
        "active_heat": number_column(found.active_heat),
        "reserved_heat": number_column(found.reserved_heat),
        "heat": number_column(found.heat),
        "cap": number_column(cap),
        "use": number_column(found.use),
        "capital_heat": number_column(found.capital_heat),
        "imputed_share": number_column(found.imputed_share),
        "positions": pa.array(found.positions),
        "imputed_positions": pa.array(found.imputed_positions),
        "beyond_stop": pa.array(found.beyond_stop),
        "coverage": number_column(found.coverage),
        "reason": named(d1.REASONS, found.status),
    }
    return assemble(derived.PORTFOLIO_HEAT, columns)


def _plain(column: pa.ChunkedArray) -> pa.Array:
    """Return a column in one piece, text as text."""
    one = column.combine_chunks()
    if isinstance(one, pa.ChunkedArray):
        one = one.chunk(0) if one.num_chunks else pa.array([], one.type)
    return pc.cast(one, pa.string()) if pa.types.is_dictionary(one.type) else one
