"""Histories for tests: a portfolio with a session each weekday from Monday, 6 January 2020."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np

from portfolio_platform.days import to_number
from portfolio_platform.monitor.reflection.facts import Fired, History, Sessions, Signals, Trades

START = date(2020, 1, 6)


def weekday(place):
    """Return the day of a session by its number."""
    weeks, rest = divmod(place, 5)
    return START + timedelta(days=7 * weeks + rest)


def sessions(unit_values, regime="normal"):
    """Make sessions from unit values."""
    unit = np.array(unit_values, np.float64)
    made = np.diff(unit, prepend=1.0) / np.concatenate(([1.0], unit[:-1]))
    drawdown = 1.0 - unit / np.maximum.accumulate(np.maximum(unit, 1.0))
    day = np.array([to_number(weekday(place)) for place in range(unit.size)])
    return Sessions(day, unit, unit * 100.0, np.zeros(unit.size), made, drawdown, np.full(unit.size, regime, object))


def trades(rows):
    """Make trades from (session, playbook, r, pnl), more named by keys: template, regime, symbol, purpose."""
    texts = {"template": "t", "regime": "calm", "symbol": "AAA", "purpose": "policy"}
    filled = [(*row[:4], texts | (row[4] if len(row) > 4 else {})) for row in rows]
    day = np.array([to_number(weekday(row[0])) for row in filled], np.int64)
    columns = {name: np.array([row[4][name] for row in filled], object) for name in texts}
    playbook = np.array([row[1] for row in filled], object)
    r, pnl = (np.array([row[place] for row in filled], np.float64) for place in (2, 3))
    return Trades(day=day, playbook=playbook, r=r, pnl=pnl, **columns)


def fired(rows):
    """Make alerts from (session, rule) or (session, rule, scope)."""
    full = [(row[0], row[1], row[2] if len(row) > 2 else "") for row in rows]
    day = np.array([to_number(weekday(row[0])) for row in full], np.int64)
    ids = np.array([f"alert:p:{rule}:{scope}:{weekday(place)}" for place, rule, scope in full], object)
    return Fired(
        day,
        ids,
        np.array([row[1] for row in full], object),
        np.array([row[2] for row in full], object),
        np.full(len(full), "warning", object),
    )


def history(unit_values, traded=(), alerts=(), signals=(), **rows):
    """Make a history; signals are (session, regime)."""
    named = {"crowding": (), "recommendations": (), "execution": {}, "calibration": {}, "allocation": {}, "failures": {}, "firing": ()}
    return History(
        portfolio="p",
        sessions=sessions(unit_values),
        trades=trades(traded),
        signals=Signals(
            np.array([to_number(weekday(place)) for place, _ in signals], np.int64), np.array([name for _, name in signals], object)
        ),
        fired=fired(alerts),
        **(named | rows),
    )


def until(whole, day):
    """Return a history as it was known at a day's end."""
    last = to_number(day)
    kept = whole.sessions.day <= last

    def cut(rows):
        return tuple(row for row in rows if row["day"] <= day)

    def each(table, chosen):
        return replace(table, **{name: getattr(table, name)[chosen] for name in table.__dataclass_fields__})

    return replace(
        whole,
        sessions=each(whole.sessions, kept),
        trades=each(whole.trades, whole.trades.day <= last),
        signals=each(whole.signals, whole.signals.day <= last),
        fired=each(whole.fired, whole.fired.day <= last),
        crowding=cut(whole.crowding),
        recommendations=cut(whole.recommendations),
        firing=cut(whole.firing),
        **{
            name: {key: value for key, value in getattr(whole, name).items() if key <= day}
            for name in ("execution", "calibration", "allocation", "failures")
        },
    )
