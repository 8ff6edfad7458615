"""What a signal became and what a trade saw, by a plain walk; and small worlds to walk in."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from portfolio_platform.lake.facts import BARS, CORPORATE_ACTIONS, FILLS, SIGNALS
from portfolio_platform.ledger.inputs import Reference
from portfolio_platform.signals.bars import BAR_COLUMNS, Bars, lay_out
from portfolio_platform.signals.entries import COLUMNS as FILL_COLUMNS
from portfolio_platform.signals.entries import Fills, read_fills
from portfolio_platform.signals.rows import SIGNAL_COLUMNS

NS_DAY = 86_400_000_000_000
FIRST = 19_000  # a day number
NOBODY = Reference({}, {}, {}, {})


def at(day: float) -> int:
    """Return the time so many days after the first."""
    return FIRST * NS_DAY + round(day * NS_DAY)


@dataclass(frozen=True)
class Bar:
    """A bar of one symbol."""

    ts: int
    open: float | None
    high: float | None
    low: float | None
    close: float


def _decimal(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def table(fact: Any, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> pa.Table:
    """Return rows of a fact: what is not given is null, floats are decimals where the fact says so."""
    schema = fact.table.arrow_schema()
    data = {}
    for name in columns:
        kind = schema.field(name).type
        values = [row.get(name) for row in rows]
        data[name] = pa.array([_decimal(value) for value in values] if pa.types.is_decimal(kind) else values, kind)
    return pa.table(data)


def bars_of(world: dict[str, list[Bar]], splits: tuple[tuple[int, str, float], ...] = ()) -> Bars:
    """Lay out bars by symbol, beside splits (time, symbol, ratio)."""
    rows = [vars(bar) | {"symbol": symbol} for symbol, bars in world.items() for bar in bars]
    actions = [
        {"ts": ts, "symbol": symbol, "kind": "split", "ratio": ratio, "row_id": str(k)} for k, (ts, symbol, ratio) in enumerate(splits)
    ]
    return lay_out(table(BARS, BAR_COLUMNS, rows), table(CORPORATE_ACTIONS, ("ts", "symbol", "kind", "ratio", "row_id"), actions))


def signals_of(*rows: dict[str, Any]) -> pa.Table:
    """Return signals: long ones of AAA at 100 with stop 95 and target 110, at the close of the first day, unless stated."""
    usual = {
        "ts": at(1),
        "portfolio": "core",
        "strategy": "s",
        "symbol": "AAA",
        "direction": "long",
        "timeframe": "1d",
        "template": "t",
        "playbook": "p",
        "regime": "calm",
        "engine_version": "1",
        "purpose": "policy",
        "qualified": True,
        "disposition": "taken",
        "entry_price": 100.0,
        "stop_price": 95.0,
        "target_price": 110.0,
        "expected_hold_bars": 3,
    }
    return table(SIGNALS, SIGNAL_COLUMNS, [usual | {"signal_id": f"S{k}"} | row for k, row in enumerate(rows)])


def fills_of(*rows: dict[str, Any]) -> Fills:
    """Return fills: purchases of one AAA at 100 unless stated."""
    usual = {"portfolio": "core", "strategy": "s", "symbol": "AAA", "side": "buy", "quantity": 1.0, "price": 100.0, "fee": 0.0}
    names = {"currency": "USD", "template": "t", "playbook": "p"}
    return read_fills(_fills([usual | names | row for row in rows]), NOBODY)


def _fills(rows: list[dict[str, Any]]) -> pa.Table:
    facts = table(FILLS, tuple(name for name in FILL_COLUMNS if name != "row_id"), rows)
    return facts.append_column("row_id", pa.array([row.get("row_id", f"F{k}") for k, row in enumerate(rows)], pa.string()))


def walk(bars: list[Bar], row: dict[str, Any], until: int) -> tuple[str, int | None, float | None, float, float, int, bool]:
    """Return outcome, time, price, adverse and favourable excursion, bars, ambiguous; one bar after the other."""
    sign = 1 if row["direction"] == "long" else -1
    entry, stop, target = row["entry_price"], row["stop_price"], row["target_price"]
    hold, valid = row["expected_hold_bars"] or 0, row["valid_until"]
    adverse = favourable = 0.0
    count, last = 0, None
    for bar in sorted(bars, key=lambda bar: bar.ts):
        if not row["ts"] < bar.ts <= until:
            continue
        if valid is not None and count >= hold and bar.ts > valid:
            break
        prices = [price for price in (bar.open, bar.high, bar.low, bar.close) if price is not None]
        high = bar.high if bar.high is not None else max(prices[0], bar.close)
        low = bar.low if bar.low is not None else min(prices[0], bar.close)
        worst, best = (low, high) if sign > 0 else (high, low)
        adverse, favourable = max(adverse, sign * (entry - worst)), max(favourable, sign * (best - entry))
        count, last = count + 1, bar.close
        stopped = stop is not None and sign * (worst - stop) <= 0
        reached = target is not None and sign * (best - target) >= 0
        if stopped:
            begun = bar.close if (bar.open, bar.high, bar.low) == (None, None, None) else bar.open
            gapped = begun is not None and sign * (begun - stop) < 0
            return "stop_hit", bar.ts, begun if gapped else stop, adverse, favourable, count, reached
        if reached:
            return "target_hit", bar.ts, target, adverse, favourable, count, False
        if (hold or valid is not None) and count >= hold and (valid is None or bar.ts >= valid):
            return "expired", bar.ts, bar.close, adverse, favourable, count, False
    if valid is not None and count >= hold and valid <= until:
        return "expired", max(valid, row["ts"]), last, adverse, favourable, count, False
    return "open", None, None, adverse, favourable, count, False


def same(one: float | None, other: float | None, tolerance: float = 1e-12) -> bool:
    """Say whether two figures are equal, both null included."""
    if one is None or other is None:
        return one is None and other is None
    return bool(np.isclose(one, other, rtol=tolerance, atol=tolerance))
