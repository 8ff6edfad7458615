"""What each trade of the past did to equity, as far as its size goes: cash, fees and open value are in proportion to its scale.

A trade is what one intent opened in one position. What closes a position closes the same share of every trade in it, so that
equity is linear in the scales of trades: what was not scaled reproduces the past, and any other path is a weighted sum.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from portfolio_platform.control.counterfactual.record import Executed, Float64, Int64, Record

UNIT = 10.0**18
NO_INTENT = -1


class Step(NamedTuple):
    """A fill taken apart: what it closes of a position, and what it opens. Quantities of 1e-18, at least 0.

    Attributes:
        fill: index of the fill.
        position: index of the position.
        sign: 1 for a purchase, -1 for a sale.
        held: what was open before it.
        closed: how much of that it closes.
        opened: what it opens.
        trade: the trade that it opens or adds to; -1 where it only closes.
        session: in which session it counts.
    """

    fill: int
    position: int
    sign: int
    held: int
    closed: int
    opened: int
    trade: int
    session: int


@dataclass(frozen=True, eq=False)
class Moves:
    """What happened to trades, ascending by session: each row belongs to one trade; amounts in the position's currency.

    ``cash`` is before fees; ``realised`` against the trade's average cost, before fees; ``traded`` is the absolute value.
    """

    trade: Int64
    session: Int64
    currency: Int64
    cash: Float64
    fee: Float64
    realised: Float64
    traded: Float64
    start: Int64


@dataclass(frozen=True, eq=False)
class Open:
    """A row for each session and trade that is open at its end, ascending by session: units, and value in base currency."""

    trade: Int64
    session: Int64
    position: Int64
    units: Float64
    value: Float64
    start: Int64


@dataclass(frozen=True, eq=False)
class Paths:
    """The trades of a record.

    Attributes:
        intent: by trade the index of its intent in the record; -1 where its fills name none that is known.
        position: by trade its position.
        session: by trade the session of its first fill.
        steps: the fills taken apart, in the order of the ledger.
        moves: cash, fees and realised P&L of trades.
        open: what was open at each session's end.
        trades_of: by intent the trades that it opened.
    """

    intent: Int64
    position: Int64
    session: Int64
    steps: tuple[Step, ...]
    moves: Moves
    open: Open
    trades_of: tuple[tuple[int, ...], ...]

    @property
    def size(self) -> int:
        """Return the number of trades."""
        return int(self.intent.size)


def trace(record: Record) -> Paths:
    """Return the trades of a record and what each did, in one pass over fills and corporate actions."""
    walk = _Walk(record)
    items = [(action.ts, 0, place) for place, action in enumerate(record.actions)]
    items += [(fill.ts, 1, place) for place, fill in enumerate(record.fills)]
    sessions = record.session_of([ts for ts, _, _ in sorted(items)]).tolist()
    for (_, kind, place), session in zip(sorted(items), sessions, strict=True):
        if session >= record.sessions:
            continue
        if kind:
            walk.fill(place, record.fills[place], session)
        else:
            walk.action(place, session)
    return walk.paths()


class _Walk:
    """Open units and cost of each trade, position by position, as fills come."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._intents = {one.intent.intent_id: place for place, one in enumerate(record.asked)}
        self._trades: dict[tuple[int, int], int] = {}
        self._first: list[int] = []
        self._held = [0] * len(record.positions)
        self._units: list[dict[int, float]] = [{} for _ in record.positions]
        self._cost: list[dict[int, float]] = [{} for _ in record.positions]
        self._moves: list[tuple[int, int, int, float, float, float, float]] = []
        self._steps: list[Step] = []
        self._changed: list[dict[int, dict[int, float]]] = [{} for _ in record.positions]

    def fill(self, place: int, fill: Executed, session: int) -> None:
        position, size, sign = fill.position, abs(fill.quantity), 1 if fill.quantity > 0 else -1
        held = self._held[position]
        closed = min(size, abs(held)) if held * sign < 0 else 0
        opened = size - closed
        trade = self._trade(fill, session) if opened else NO_INTENT
        self._steps.append(Step(place, position, sign, abs(held), closed, opened, trade, session))
        if closed:
            self._close(fill, closed / abs(held), fill.fee * closed / size, session)
            self._held[position] += sign * closed
        if opened:
            self._open(fill, trade, sign * opened / UNIT, fill.fee * opened / size, session)
            self._held[position] += sign * opened
        self._changed[position][session] = dict(self._units[position])

    def action(self, place: int, session: int) -> None:
        action = self._record.actions[place]
        position = action.position
        units, held = self._units[position], self._record.positions[position]
        if action.dividend:
            for trade, amount in units.items():
                cash = amount * action.dividend * held.multiplier
                self._moves.append((trade, session, held.currency, cash, 0.0, cash, 0.0))
        if action.ratio != 1.0:
            self._held[position] = round(self._held[position] * action.ratio)
            for trade in units:
                units[trade] *= action.ratio
            self._changed[position][session] = dict(units)

    def _trade(self, fill: Executed, session: int) -> int:
        key = (self._intents.get(fill.intent_id, NO_INTENT), fill.position)
        if key not in self._trades:
            self._trades[key] = len(self._trades)
            self._first.append(session)
        return self._trades[key]

    def _close(self, fill: Executed, share: float, fee: float, session: int) -> None:
        held = self._record.positions[fill.position]
        units, cost = self._units[fill.position], self._cost[fill.position]
        total = sum(units.values())
        for trade in list(units):
            closing = units[trade] * share
            proceeds = closing * fill.price * held.multiplier
            realised = proceeds - cost[trade] * share
            part = fee * units[trade] / total if total else 0.0
            self._moves.append((trade, session, held.currency, proceeds, part, realised, abs(proceeds)))
            units[trade] -= closing
            cost[trade] -= cost[trade] * share
            if share == 1.0:
                del units[trade], cost[trade]

    def _open(self, fill: Executed, trade: int, units: float, fee: float, session: int) -> None:
        held = self._record.positions[fill.position]
        paid = units * fill.price * held.multiplier
        self._moves.append((trade, session, held.currency, -paid, fee, 0.0, abs(paid)))
        self._units[fill.position][trade] = self._units[fill.position].get(trade, 0.0) + units
        self._cost[fill.position][trade] = self._cost[fill.position].get(trade, 0.0) + paid

    def paths(self) -> Paths:
        keys = list(self._trades)
        of_intent: list[list[int]] = [[] for _ in self._record.asked]
        for trade, (intent, _) in enumerate(keys):
            if intent != NO_INTENT:
                of_intent[intent].append(trade)
        return Paths(
            intent=np.array([intent for intent, _ in keys], dtype=np.int64),
            position=np.array([position for _, position in keys], dtype=np.int64),
            session=np.array(self._first, dtype=np.int64),
            steps=tuple(self._steps),
            moves=self._as_moves(),
            open=self._as_open(),
            trades_of=tuple(map(tuple, of_intent)),
        )

    def _as_moves(self) -> Moves:
        columns = list(zip(*self._moves, strict=True)) or [()] * 7
        trade, session, currency = (np.array(column, dtype=np.int64) for column in columns[:3])
        cash, fee, realised, traded = (np.array(column, dtype=np.float64) for column in columns[3:])
        return Moves(trade, session, currency, cash, fee, realised, traded, _starts(session, self._record.sessions))

    def _as_open(self) -> Open:
        """Return the rows of every session: each stretch between two changes of a position holds its trades as they were."""
        record = self._record
        rows: list[tuple[int, int, float, int, int]] = []
        for place, changes in enumerate(self._changed):
            ends = [*list(changes)[1:], record.sessions][: len(changes)]
            for (since, units), until in zip(changes.items(), ends, strict=True):
                rows += [(one, place, amount, since, until) for one, amount in units.items()]
        columns = list(zip(*rows, strict=True)) or [()] * 5
        trade, position, begin, end = (np.array(columns[column], dtype=np.int64) for column in (0, 1, 3, 4))
        amounts: Float64 = np.array(columns[2], dtype=np.float64)
        count = end - begin
        row = np.repeat(np.arange(count.size), count)
        session = np.arange(row.size) - np.repeat(np.cumsum(count) - count, count) + begin[row]
        order = np.argsort(session, kind="stable")
        row, session = row[order], session[order]
        multiplier = np.array([held.multiplier for held in record.positions], dtype=np.float64)
        currency = np.array([held.currency for held in record.positions], dtype=np.int64)
        at = position[row]
        value = amounts[row] * record.marks[at, session] * multiplier[at] * record.fx[currency[at], session] if row.size else np.empty(0)
        return Open(trade[row], session, at, amounts[row], value, _starts(session, record.sessions))


def _starts(session: Int64, sessions: int) -> Int64:
    return np.searchsorted(session, np.arange(sessions + 1), side="left").astype(np.int64)


def valued(record: Record, paths: Paths, scales: Float64) -> Float64:
    """Return equity at each session in base currency, shape (sessions,), where each trade has its share of its size.

    It is ``other + sum over trades of scale x (cash - fees + open value)``: linear in ``scales``, shape (trades,).
    """
    sessions = record.sessions
    moves, held = paths.moves, paths.open
    net = (moves.cash - moves.fee) * scales[moves.trade]
    total = record.other.copy()
    for code in range(len(record.currencies)):
        mine = moves.currency == code
        cash = np.cumsum(np.bincount(moves.session[mine], net[mine], minlength=sessions)) if mine.any() else np.zeros(sessions)
        total += np.where(cash != 0.0, cash * record.fx[code], 0.0)
    return total + np.bincount(held.session, held.value * scales[held.trade], minlength=sessions)


@dataclass(frozen=True, eq=False)
class Accounts:
    """By trade what it made between two sessions at its full size, in base currency: ``pnl = realised + unrealised - fees``."""

    pnl: Float64
    realised: Float64
    unrealised: Float64
    fees: Float64
    traded: Float64


def accounts(record: Record, paths: Paths, first: int, last: int) -> Accounts:
    """Return what each trade made from the end of the session before ``first`` to the end of ``last``, all of shape (trades,)."""
    moves, held, size = paths.moves, paths.open, paths.size
    inside = slice(int(moves.start[first]), int(moves.start[last + 1]))
    trade, rate = moves.trade[inside], record.fx[moves.currency[inside], moves.session[inside]]

    def summed(values: Float64) -> Float64:
        return np.bincount(trade, values[inside] * rate, minlength=size).astype(np.float64)

    def worth(session: int) -> Float64:
        if session < 0:
            return np.zeros(size)
        rows = slice(int(held.start[session]), int(held.start[session + 1]))
        upto = slice(0, int(moves.start[session + 1]))
        cash = (moves.cash - moves.fee)[upto] * record.fx[moves.currency[upto], session]
        value = np.bincount(held.trade[rows], held.value[rows], minlength=size)
        return (value + np.bincount(moves.trade[upto], cash, minlength=size)).astype(np.float64)

    pnl = worth(last) - worth(first - 1)
    realised, fees = summed(moves.realised), summed(moves.fee)
    return Accounts(pnl, realised, pnl - realised + fees, fees, summed(moves.traded))
