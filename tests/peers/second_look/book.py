"""The raw sample as frames, and a slow ledger of it: one portfolio, replayed fill by fill, session by session."""

from collections import deque
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from pathlib import Path

import exchange_calendars
import numpy as np
import pandas as pd

SAMPLE = Path(__file__).parents[3] / "sample_data"
LAST = pd.Timestamp("2010-12-31")


def day_of(times: pd.Series) -> pd.Series:
    """Return the day of each time: a day ends at midnight, and midnight belongs to it."""
    stamps = pd.to_datetime(times, utc=True, format="ISO8601")
    return (stamps - pd.Timedelta(1, "ns")).dt.tz_localize(None).dt.normalize()


@lru_cache(maxsize=1)
def calendar_days() -> dict[str, pd.DatetimeIndex]:
    """Return the sessions of both calendars of the sample."""
    xnys = exchange_calendars.get_calendar("XNYS", start="2005-12-01", end="2011-01-31").sessions
    return {"XNYS": pd.DatetimeIndex(xnys).tz_localize(None), "24x7": pd.date_range("2005-12-01", "2011-01-31")}


@dataclass(frozen=True)
class Raw:
    """The sample's files; each row has its day."""

    fills: pd.DataFrame
    bars: pd.DataFrame
    flows: pd.DataFrame
    instruments: pd.DataFrame
    signals: pd.DataFrame
    intents: pd.DataFrame
    expectations: pd.DataFrame

    @cached_property
    def closes(self) -> dict[str, pd.Series]:
        """Return each symbol's closes by day."""
        return {symbol: rows.set_index("day")["close"] for symbol, rows in self.bars.groupby("symbol")}


@lru_cache(maxsize=1)
def raw() -> Raw:
    """Read the sample's files."""

    def read(name: str) -> pd.DataFrame:
        rows = pd.read_csv(SAMPLE / name, keep_default_na=True)
        if "ts" in rows:
            rows["day"] = day_of(rows["ts"])
            rows["time"] = pd.to_datetime(rows["ts"], utc=True, format="ISO8601")
        return rows

    fills = read("fills.csv.gz").reset_index(names="line").sort_values(["time", "line"]).reset_index(drop=True)
    fills["amount"] = np.where(fills["side"] == "buy", fills["quantity"], -fills["quantity"])
    instruments = read("instruments.csv").set_index("symbol")
    fills["units"] = fills["amount"] * fills["symbol"].map(instruments["multiplier"])
    fills["value"] = fills["units"] * fills["price"]
    return Raw(
        fills,
        read("bars.csv.gz").sort_values(["symbol", "time"]).reset_index(drop=True),
        read("cash_flows.csv"),
        instruments,
        read("signals.csv.gz"),
        read("intents.csv.gz"),
        read("playbook_expectations.csv"),
    )


@dataclass
class Lot:
    """Units of one fill that are still open."""

    quantity: float
    price: float
    template: str
    playbook: str


@dataclass
class Position:
    """One strategy's holding of one symbol: average cost, and the same units as FIFO lots."""

    quantity: float = 0.0
    cost: float = 0.0
    realised: float = 0.0
    fees: float = 0.0
    stop: float = np.nan
    lots: deque[Lot] = field(default_factory=deque)

    def copy(self) -> "Position":
        """Return a copy that later fills leave alone."""
        lots = deque(Lot(lot.quantity, lot.price, lot.template, lot.playbook) for lot in self.lots)
        return Position(self.quantity, self.cost, self.realised, self.fees, self.stop, lots)


@dataclass(frozen=True)
class Trip:
    """A position from flat to flat; numbers of its fills, with the share of each that belongs to it."""

    strategy: str
    symbol: str
    side: str
    parts: tuple[tuple[int, float, bool], ...]  # line of the fill in the frame, units, whether it entered

    @property
    def first(self) -> int:
        """Return the opening fill."""
        return self.parts[0][0]

    @property
    def last(self) -> int:
        """Return the closing fill."""
        return self.parts[-1][0]


def _trade(held: Position, fill: pd.Series) -> None:
    """Apply a fill to average cost, to the lots and to the stop."""
    amount, price = float(fill["amount"]), float(fill["price"])
    closing = min(abs(amount), abs(held.quantity)) if amount * held.quantity < 0 else 0.0
    side = np.sign(held.quantity)
    if closing:
        held.realised += side * closing * (price - held.cost)
        left = closing
        while left > 1e-12:
            lot = held.lots[0]
            taken = min(left, abs(lot.quantity))
            lot.quantity -= side * taken
            left -= taken
            if abs(lot.quantity) < 1e-10:
                held.lots.popleft()
    opening = abs(amount) - closing
    before = abs(held.quantity) - closing
    after = round(held.quantity + amount, 10)
    if opening > 1e-12:
        held.cost = (before * held.cost + opening * price) / (before + opening) if before > 1e-12 else price
        held.lots.append(Lot(np.sign(amount) * opening, price, fill["template"], fill["playbook"]))
    held.quantity = after
    held.fees += float(fill["fee"])
    stated = float(fill["stop_price"])
    if not np.isnan(stated) or after * side <= 0:
        held.stop = stated if after else np.nan  # one that a fill does not state stays in force while the side does


class Book:
    """A portfolio's sessions, and the state after each of them."""

    def __init__(self, portfolio: str) -> None:
        """Replay all fills of the portfolio."""
        self.name = portfolio
        self.raw = raw()
        self.fills = self.raw.fills[self.raw.fills["portfolio"] == portfolio].reset_index(drop=True)
        self.flows = self.raw.flows[self.raw.flows["portfolio"] == portfolio]
        self.sessions = self._sessions()
        self.at = {day: number for number, day in enumerate(self.sessions)}
        self.states: list[dict[tuple[str, str], Position]] = []
        self.trips: list[Trip] = []
        self.open_trips: list[tuple[tuple[int, float, bool], ...]] = []
        self._replay()

    def _sessions(self) -> pd.DatetimeIndex:
        """Return the calendars of what was traded so far, days with a fill, and the day of the first flow."""
        start = min(self.flows["day"].min(), self.fills["day"].min())
        days = {start, *self.fills["day"]}
        kinds = self.raw.instruments["calendar"]
        for symbol, first in self.fills.groupby("symbol")["day"].min().items():
            days |= {day for day in calendar_days()[kinds[symbol]] if first <= day <= LAST}
        return pd.DatetimeIndex(sorted(days))

    def _replay(self) -> None:
        held: dict[tuple[str, str], Position] = {}
        parts: dict[tuple[str, str], list[tuple[int, float, bool]]] = {}
        by_day = dict(list(self.fills.groupby("day")))
        for day in self.sessions:
            for line, fill in by_day.get(day, self.fills.iloc[:0]).iterrows():
                key = (fill["strategy"], fill["symbol"])
                position = held.setdefault(key, Position())
                self._trip(parts, key, position.quantity, int(line), float(fill["amount"]))
                _trade(position, fill)
            self.states.append({key: position.copy() for key, position in held.items()})
        self.open_trips = [tuple(rest) for rest in parts.values()]

    def _trip(self, parts: dict, key: tuple[str, str], quantity: float, line: int, amount: float) -> None:
        """Add the fill to the open trip, closing it and opening another where the side turns."""
        closing = min(abs(amount), abs(quantity)) if amount * quantity < 0 else 0.0
        if closing:
            parts[key].append((line, closing, False))
            if abs(abs(quantity) - closing) < 1e-10:
                self.trips.append(Trip(*key, "long" if quantity > 0 else "short", tuple(parts.pop(key))))
        if abs(amount) - closing > 1e-10:
            parts.setdefault(key, []).append((line, abs(amount) - closing, True))

    def trip_name(self, trip: Trip) -> str:
        """Return the name of a trip in the platform's tables; only the order of equals rests on it."""
        first, last = self.fills["execution_id"][trip.first], self.fills["execution_id"][trip.last]
        return f"flat_to_flat/{self.name}/{trip.strategy}/{trip.symbol}/USD/{self.name}|{first}/{self.name}|{last}"

    def multiplier(self, symbol: str) -> float:
        """Return the notional of one unit at price 1."""
        return float(self.raw.instruments.loc[symbol, "multiplier"])

    def mark(self, symbol: str, day: pd.Timestamp) -> tuple[float, int]:
        """Return the mark of a symbol on a day and its age in sessions of the symbol's calendar."""
        closes = self.raw.closes[symbol]
        where = closes.index.searchsorted(day, side="right") - 1
        price, seen = (closes.iloc[where], closes.index[where]) if where >= 0 else (np.nan, pd.Timestamp.min)
        mine = self.fills_of[symbol]
        fill = mine["day"].searchsorted(day, side="right") - 1
        if fill >= 0 and mine["day"].iloc[fill] > seen:
            price, seen = mine["price"].iloc[fill], mine["day"].iloc[fill]
        calendar = calendar_days()[self.raw.instruments.loc[symbol, "calendar"]]
        return float(price), int(calendar.searchsorted(day, side="right") - calendar.searchsorted(seen, side="right"))

    @cached_property
    def fills_of(self) -> dict[str, pd.DataFrame]:
        """Return the portfolio's fills by symbol."""
        return dict(list(self.fills.groupby("symbol")))

    @cache  # noqa: B019 - there are two books, and they live as long as the tests
    def values(self, session: int) -> dict[tuple[str, str], float]:
        """Return the signed value of each open position at a session's close."""
        day = self.sessions[session]
        return {
            key: position.quantity * self.multiplier(key[1]) * self.mark(key[1], day)[0]
            for key, position in sorted(self.states[session].items())
            if position.quantity
        }

    @cached_property
    def cash(self) -> np.ndarray:
        """Return the cash after each session."""
        moved = pd.concat(
            [
                self.flows.groupby("day")["amount"].sum(),
                (-self.fills["value"] - self.fills["fee"]).groupby(self.fills["day"]).sum(),
            ]
        )
        moved = moved.groupby(level=0).sum()
        return np.array([moved[moved.index <= day].sum() for day in self.sessions])

    @cached_property
    def equity(self) -> np.ndarray:
        """Return the equity after each session."""
        return np.array([self.cash[n] + sum(self.values(n).values()) for n in range(len(self.sessions))])

    @cached_property
    def flow(self) -> np.ndarray:
        """Return the flows since the session before."""
        edges = self.sessions.searchsorted(self.flows["day"])
        return np.bincount(edges, weights=self.flows["amount"], minlength=len(self.sessions))

    @cached_property
    def returns(self) -> np.ndarray:
        """Return flow-neutral returns: a flow counts at the start of its day, at its end where that is no base."""
        found = np.empty(len(self.equity))
        before = 0.0
        for n, (equity, flow) in enumerate(zip(self.equity, self.flow, strict=True)):
            base, gained = before + flow, equity
            if base <= 0.1 * max(before, equity):
                base, gained = before, equity - flow
            found[n] = gained / base - 1.0 if base > 0 else np.nan
            before = equity
        return found

    @cached_property
    def units(self) -> np.ndarray:
        """Return the unit value after each session."""
        return np.cumprod(1.0 + np.nan_to_num(self.returns))


@lru_cache(maxsize=2)
def book(portfolio: str) -> Book:
    """Return a portfolio's replay."""
    return Book(portfolio)
