"""The bars of a home as a run goes over them: by day and instant, in the order in which they close, and nothing after.

What is read here is the whole history; what a day may see of it is cut by its time (`until`). A test alters the future of the bars and
finds nothing changed.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import NamedTuple

from portfolio_platform.broker.model import Bar
from portfolio_platform.broker.rows import bar_of
from portfolio_platform.control.money import digits_of, quantity_units
from portfolio_platform.control.pipeline.names import known_name
from portfolio_platform.control.state import Instrument
from portfolio_platform.days import NANOSECONDS_PER_DAY, day_number, to_date, to_number
from portfolio_platform.errors import DataProblem, WrongUse
from portfolio_platform.home import Home
from portfolio_platform.instruments.universe import UniverseBars
from portfolio_platform.lake import active
from portfolio_platform.lake.facts import BARS, CORPORATE_ACTIONS, INSTRUMENTS
from portfolio_platform.ledger.calendars import ALWAYS

WARM_UP = 365
"""Days of bars before the first session, where nobody says when to begin."""
KEEP = 320
"""How many bars a workflow is told when it starts, so that it begins with what it needs to see."""


class Listed(NamedTuple):
    """What is traded under a symbol."""

    symbol: str
    calendar: str
    currency: str
    multiplier: int
    groups: Instrument
    lot: int


class Instant(NamedTuple):
    """Bars that close at one time, by symbol."""

    at: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Market:
    """The bars of a universe, and what its symbols are.

    Attributes:
        listed: by symbol.
        bars: by symbol, ascending.
        currency: that all of them are in.
        digits: decimals of its minor unit.
    """

    listed: Mapping[str, Listed]
    bars: Mapping[str, tuple[Bar, ...]]
    currency: str
    digits: int
    _times: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Note when each symbol's bars close."""
        self._times.update({symbol: [one.ts for one in bars] for symbol, bars in self.bars.items()})

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return the universe, sorted."""
        return tuple(sorted(self.bars))

    @cached_property
    def by_day(self) -> dict[int, tuple[Instant, ...]]:
        """Return the instants of each day, by day number, in their order."""
        found: dict[int, dict[int, list[Bar]]] = {}
        for symbol in self.symbols:
            for bar in self.bars[symbol]:
                found.setdefault(day_number(bar.ts), {}).setdefault(bar.ts, []).append(bar)
        return {day: tuple(Instant(at, tuple(at_once[at])) for at in sorted(at_once)) for day, at_once in sorted(found.items())}

    @cached_property
    def universe(self) -> UniverseBars:
        """Return all bars as arrays; a pass of the screener cuts them at its time."""
        longest = max((len(one) for one in self.bars.values()), default=1)
        return UniverseBars.of(self.bars, keep=longest)

    def before(self, symbol: str, at: int, after: int = 0, keep: int = KEEP) -> tuple[Bar, ...]:
        """Return the newest bars of a symbol that closed after one time and up to another."""
        times = self._times[symbol]
        end, begin = bisect_right(times, at), bisect_right(times, after)
        return self.bars[symbol][max(begin, end - keep) : end]

    def span(self, first: date | None, last: date | None) -> tuple[date, date]:
        """Return the days of a run: as asked for, or all that there are bars of but the warm-up.

        Raises:
            WrongUse: they are the wrong way round, or there are no bars in them.
        """
        days = sorted(self.by_day)
        if not days:
            raise WrongUse("there are no bars to run over; `portfolio import` brings them")
        begin = to_number(first) if first is not None else next((day for day in days if day >= days[0] + WARM_UP), days[-1])
        end = to_number(last) if last is not None else days[-1]
        if not any(begin <= day <= end for day in days):
            there = f"{to_date(days[0])} to {to_date(days[-1])}"
            raise WrongUse(f"there are no bars from {to_date(begin)} to {to_date(end)}; there are some from {there}")
        return to_date(begin), to_date(end)


def read_market(home: Home, universe: Sequence[str], lots: Mapping[str, int], base: str) -> Market:
    """Return the bars of a home's universe.

    Args:
        home: whose lake.
        universe: symbols; all that have bars where empty.
        lots: quantities are multiples of this, by symbol; those that trade round the clock in hundred-millionths, else whole units.
        base: currency of the portfolio.

    Raises:
        WrongUse: a symbol has no bars.
        DataProblem: a symbol is in another currency, or was split: the paper loop does neither conversions nor splits.
    """
    rows = active.read(home.lake, BARS, ("symbol", "ts", "open", "high", "low", "close", "volume")).sort_by(
        [("symbol", "ascending"), ("ts", "ascending")]
    )
    wanted = set(universe)
    by_symbol: dict[str, list[Bar]] = {}
    for row in rows.to_pylist():
        symbol = row["symbol"]
        if wanted and symbol not in wanted:
            continue
        listed = by_symbol.setdefault(symbol, [])
        opens = listed[-1].ts if listed else row["ts"] - NANOSECONDS_PER_DAY
        listed.append(bar_of(symbol, opens, row["ts"], row["close"], (row["open"], row["high"], row["low"]), _volume(row["volume"])))
    missing = sorted(wanted - set(by_symbol))
    if missing:
        raise WrongUse(
            f"there are no bars of {', '.join(missing)}; the home has bars of {', '.join(sorted(set(rows['symbol'].to_pylist())))}"
        )
    known = {row["symbol"]: row for row in active.read(home.lake, INSTRUMENTS).to_pylist()}
    default = home.timeline().newest.policy.accounting.default_calendar
    found = {symbol: _listed(symbol, known.get(symbol, {}), base, default, lots) for symbol in sorted(by_symbol)}
    _refuse_splits(home, set(found))
    return Market(found, {symbol: tuple(by_symbol[symbol]) for symbol in sorted(by_symbol)}, base, digits_of(base))


def _volume(volume: Decimal | None) -> Decimal | None:
    """Return a volume that limits fills; a source that says 0 for a bar that traded does not know it."""
    return volume if volume else None


def _listed(symbol: str, row: Mapping[str, object], base: str, calendar: str, lots: Mapping[str, int]) -> Listed:
    currency = str(row.get("currency") or base)
    if currency != base:
        raise DataProblem(f"{symbol} is in {currency} and the paper portfolio in {base}: it converts nothing; leave the symbol out")
    multiplier = row.get("multiplier") or Decimal(1)
    assert isinstance(multiplier, Decimal)
    traded = str(row.get("calendar") or calendar)
    lot = lots.get(symbol, 10**10 if traded == ALWAYS else 10**18)
    groups = Instrument(known_name(_text(row.get("cohort"))), known_name(_text(row.get("sector"))))
    return Listed(symbol, traded, currency, quantity_units(multiplier), groups, lot)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _refuse_splits(home: Home, symbols: set[str]) -> None:
    rows = active.read(home.lake, CORPORATE_ACTIONS, ("symbol", "kind")).to_pylist()
    split = sorted({row["symbol"] for row in rows} & symbols)
    if split:
        raise DataProblem(f"{', '.join(split)}: the bars hold corporate actions, which the paper loop does not follow; leave them out")
