"""Small records, made by hand: one symbol or two, a few sessions, money in USD."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np

from portfolio_platform.control.counterfactual.record import Action, Asked, Executed, Held, Record, Risks
from portfolio_platform.control.model import PortfolioIntent
from portfolio_platform.control.state import Instrument
from portfolio_platform.days import NANOSECONDS_PER_DAY, to_number
from portfolio_platform.policy.load import default_policy
from portfolio_platform.policy.model import Policy

MONDAY = date(2008, 3, 3)
FIRST = to_number(MONDAY)
UNIT = 10**18
HOUR = 3_600_000_000_000
FUNDED = 100_000.0


def at(session: int, hour: float = 15.0) -> int:
    """A time of a session's day."""
    return (FIRST + session) * NANOSECONDS_PER_DAY + int(hour * HOUR)


def asked(name: str, session: int, risk: float, approved: float | None = None, hour: float = 14.0, **given: Any) -> Asked:
    """An intent of strategy s in symbol A for an amount of USD, granted in full then where nothing is said."""
    fields = {"strategy": "s", "symbol": "A", "side": "long", "template": "t", "playbook": "p", "requested_notional": round(risk * 2_000)}
    intent = PortfolioIntent(intent_id=name, portfolio="x", requested_risk=round(risk * 100), ts=at(session, hour), **{**fields, **given})
    granted = risk if approved is None else approved
    return Asked(intent, round(granted * 100), "approved_full" if granted == risk else "approved_clipped" if granted else "rejected_heat")


def fill(
    number: int,
    session: int,
    quantity: float,
    price: float,
    intent: str = "",
    *,
    fee: float = 0.0,
    stop: float = float("nan"),
    position: int = 0,
) -> Executed:
    """An execution at 15:00 of a session, one nanosecond after the one before it."""
    return Executed(f"e{number}", at(session) + number, position, round(quantity * 10**6) * 10**12, price, fee, stop, intent, "t", "p")


def record(
    marks: Sequence[Sequence[float]],
    fills: Sequence[Executed] = (),
    intents: Sequence[Asked] = (),
    actions: Sequence[Action] = (),
    *,
    stops: Sequence[float] | None = None,
    fx: Sequence[Sequence[float]] | None = None,
    multipliers: Sequence[float] = (),
    live: bool = False,
) -> Record:
    """A record of the positions (s, A), (s, B)... with their marks by session; 100,000 USD come before the first.

    ``stops`` are what each position's risk runs to; half of the exposure is at risk where there is none. Equity is worked out by a
    ledger of its own, one fill at a time.
    """
    prices = np.array(marks, dtype=np.float64)
    positions, sessions = prices.shape
    rates = np.ones((1, sessions)) if fx is None else np.array(fx, dtype=np.float64)
    each = [*multipliers, *[1.0] * (positions - len(multipliers))]
    equity, rows = _ledger(prices, fills, actions, rates, each, stops)
    symbols = [chr(ord("A") + place) for place in range(positions)]
    flow = np.zeros(sessions)
    flow[0] = FUNDED
    columns = list(zip(*rows, strict=True)) or [()] * 4
    return Record(
        portfolio="x",
        currency="USD",
        digits=2,
        live=live,
        timing="start",
        instruments=tuple((name, Instrument("cohort", "sector")) for name in symbols),
        days=np.arange(FIRST, FIRST + sessions),
        equity=equity,
        net_flow=flow,
        weighted_flow=flow,
        reasons=("",) * sessions,
        other=np.full(sessions, FUNDED),
        currencies=tuple(f"C{code}" for code in range(rates.shape[0])),
        fx=rates,
        positions=tuple(Held("s", name, min(place, rates.shape[0] - 1), each[place]) for place, name in enumerate(symbols)),
        marks=prices,
        asked=tuple(sorted(intents, key=lambda one: one.intent.ts)),
        fills=tuple(fills),
        actions=tuple(actions),
        risks=Risks(
            np.array(columns[0], dtype=np.int64),
            np.array(columns[1], dtype=np.int64),
            np.array(columns[2], dtype=np.float64),
            np.array(columns[3], dtype=np.float64),
            ("t",) * len(rows),
            ("p",) * len(rows),
        ),
        buckets=((),) * sessions,
        funded_at=at(0, 9.0),
        funded=FUNDED,
    )


def _ledger(
    prices: np.ndarray,
    fills: Sequence[Executed],
    actions: Sequence[Action],
    rates: np.ndarray,
    each: list[float],
    stops: Sequence[float] | None,
) -> tuple[np.ndarray, list[tuple[int, int, float, float]]]:
    """Equity by session and rows of risk: a plain account, quantity and cash of each position."""
    positions, sessions = prices.shape
    held, cash, equity, rows = [0.0] * positions, [0.0] * positions, np.empty(sessions), []
    for session in range(sessions):
        events: list[Any] = [*actions, *fills]
        today = [one for one in events if one.ts // NANOSECONDS_PER_DAY == FIRST + session]
        for one in sorted(today, key=lambda one: one.ts):
            place = one.position
            if isinstance(one, Action):
                cash[place] += held[place] * one.dividend * each[place]
                held[place] *= one.ratio
            else:
                units = one.quantity / UNIT
                held[place] += units
                cash[place] -= units * one.price * each[place] + one.fee
        total = FUNDED
        for place in range(positions):
            rate = rates[min(place, rates.shape[0] - 1), session]
            value = held[place] * prices[place, session] * each[place] * rate
            total += cash[place] * rate + value
            if abs(held[place]) > 1e-9:
                risk = (
                    abs(value) / 2 if stops is None else abs(prices[place, session] - stops[place]) * abs(held[place]) * each[place] * rate
                )
                rows.append((session, place, risk, abs(value)))
        equity[session] = total
    return equity, rows


def policy(**changes: Any) -> Policy:
    """The shipped policy with other values by key, dots as double underscores."""
    from portfolio_platform.control.counterfactual.thresholds import Change, changed

    return changed(default_policy(), [Change(name.replace("__", "."), value) for name, value in changes.items()])
