"""Ledgers for tests: plain facts, random or written by hand, and the Arrow tables and CSV files that they become."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from portfolio_platform.days import day_number, end_of_day_ns, format_timestamp, nanoseconds, to_date, to_number
from portfolio_platform.lake import facts
from portfolio_platform.ledger.advance import Facts
from portfolio_platform.ledger.inputs import FILL_COLUMNS, Reference

MINUTE = 60 * 1_000_000_000
DAY = 1440 * MINUTE
FIRST = date(2023, 12, 22)  # a Friday; Christmas, New Year and a year's end follow
CLOSED = {date(2023, 12, 25), date(2024, 1, 1), date(2024, 1, 15)}  # XNYS holidays of the range


@dataclass(frozen=True)
class Fill:
    """A fill as its source states it."""

    row_id: str
    ts: int
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    fee: Decimal = Decimal(0)
    portfolio: str = "alpha"
    strategy: str = "s1"
    currency: str | None = None
    template: str = "trend"
    playbook: str = "p1"
    stop_price: Decimal | None = None

    @property
    def signed(self) -> Fraction:
        """Return the quantity, negative for a sale."""
        return Fraction(self.quantity) * (1 if self.side == "buy" else -1)


@dataclass(frozen=True)
class Action:
    """A split (``value`` is the ratio) or a cash dividend (``value`` for one unit)."""

    row_id: str
    ts: int
    symbol: str
    kind: str
    value: Decimal


@dataclass(frozen=True)
class Flow:
    """A cash movement."""

    row_id: str
    ts: int
    amount: Decimal
    kind: str = "deposit"
    portfolio: str = "alpha"
    currency: str | None = None


@dataclass(frozen=True)
class Bar:
    """A close."""

    symbol: str
    ts: int
    close: Decimal


@dataclass(frozen=True)
class Rate:
    """An exchange rate."""

    currency: str
    base_currency: str
    ts: int
    rate: Decimal


@dataclass(frozen=True)
class Instrument:
    """What a symbol is."""

    currency: str
    calendar: str
    multiplier: Decimal = Decimal(1)


INSTRUMENTS = {
    "EQ": Instrument("USD", "XNYS"),
    "FUT": Instrument("USD", "weekdays", Decimal(50)),
    "COIN": Instrument("USD", "24x7"),
    "TOK": Instrument("USD", "24x7"),
    "DAX": Instrument("EUR", "weekdays"),
}
"""The listed symbols; NEW is a symbol that nobody lists."""
PLACES = {"EQ": 0, "FUT": 0, "COIN": 8, "TOK": 18, "DAX": 1, "NEW": 3}
BASES = {"alpha": "USD", "beta": "EUR"}
"""The listed portfolios; gamma is a portfolio that nobody lists."""


@dataclass(frozen=True)
class Ledger:
    """All facts of a ledger, and the days that it covers."""

    fills: tuple[Fill, ...] = ()
    actions: tuple[Action, ...] = ()
    flows: tuple[Flow, ...] = ()
    bars: tuple[Bar, ...] = ()
    rates: tuple[Rate, ...] = ()
    instruments: dict[str, Instrument] = field(default_factory=lambda: dict(INSTRUMENTS))
    bases: dict[str, str] = field(default_factory=lambda: dict(BASES))
    first: int = to_number(FIRST)
    last: int = to_number(FIRST) + 17

    @property
    def reference(self) -> Reference:
        """Return what the accounting looks up by name."""
        return Reference(
            multiplier={name: float(item.multiplier) for name, item in self.instruments.items()},
            calendar={name: item.calendar for name, item in self.instruments.items()},
            currency={name: item.currency for name, item in self.instruments.items()},
            base_currency=dict(self.bases),
        )

    def currency_of(self, fill: Fill) -> str:
        """Return a fill's currency: its own, its instrument's, its portfolio's."""
        known = self.instruments.get(fill.symbol)
        return fill.currency or (known.currency if known else self.base_of(fill.portfolio))

    def base_of(self, portfolio: str) -> str:
        """Return a portfolio's base currency."""
        return self.bases.get(portfolio, "USD")

    def calendar_of(self, symbol: str) -> str:
        """Return a symbol's calendar."""
        return self.instruments[symbol].calendar if symbol in self.instruments else "weekdays"

    def multiplier_of(self, symbol: str) -> Fraction:
        """Return the notional of one unit at price 1."""
        return Fraction(self.instruments[symbol].multiplier) if symbol in self.instruments else Fraction(1)

    @property
    def facts(self) -> Facts:
        """Return the facts as `advance` takes them."""
        return Facts(
            fills=_table(facts.FILLS, self.fills, FILL_COLUMNS),
            bars=_table(facts.BARS, self.bars, ("symbol", "ts", "close")),
            cash_flows=_table(facts.CASH_FLOWS, self.flows, ("row_id", "ts", "portfolio", "amount", "currency", "kind")),
            corporate_actions=_actions(self.actions),
            fx_rates=_table(facts.FX_RATES, self.rates, ("currency", "base_currency", "ts", "rate")),
            reference=self.reference,
        )


def at(text: str) -> int:
    """Return ISO text, UTC, as nanoseconds."""
    return nanoseconds(datetime.fromisoformat(text + "+00:00"))


def _table(fact: facts.Fact, rows: Iterable[Any], names: Sequence[str]) -> pa.Table:
    listed = list(rows)
    schema = fact.table.arrow_schema()
    return pa.table({name: pa.array([getattr(row, name) for row in listed], schema.field(name).type) for name in names})


def _actions(actions: Iterable[Action]) -> pa.Table:
    schema = facts.CORPORATE_ACTIONS.table.arrow_schema()
    rows = [
        {
            "row_id": action.row_id, "ts": action.ts, "symbol": action.symbol, "kind": action.kind,
            "ratio": action.value if action.kind == "split" else None, "amount": None if action.kind == "split" else action.value,
        }
        for action in actions
    ]  # fmt: skip
    names = ("row_id", "ts", "symbol", "kind", "ratio", "amount")
    return pa.Table.from_pylist(rows, schema=pa.schema([schema.field(name) for name in names]))


def is_session(calendar: str, day: int) -> bool:
    """Say whether a day is a session, from first principles."""
    when = to_date(day)
    if calendar == "24x7":
        return True
    return when.weekday() < 5 and not (calendar == "XNYS" and when in CLOSED)


def _amount(rng: Random, places: int, top: int) -> Decimal:
    return Decimal(rng.randrange(1, top * 10**places)).scaleb(-places)


def rounded(value: Fraction, places: int = 18) -> Fraction:
    """Round half away from zero."""
    scaled = abs(value) * 10**places
    whole = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return Fraction(whole if value > 0 else -whole, 10**places)


def ledger_order(ledger: Ledger) -> list[Fill | Action]:
    """Return fills and actions by time; an action before the fills of its instant, fills by (length of id, id)."""
    events = [((a.ts, 0, 0, a.symbol, a.row_id), a) for a in ledger.actions] + [
        ((f.ts, 1, len(f.row_id), f.row_id, ""), f) for f in ledger.fills
    ]
    return [event for _, event in sorted(events, key=lambda pair: pair[0])]


def _moment(rng: Random, day: int) -> int:
    start = day * DAY
    return start + rng.choice((DAY, DAY // 2, DAY // 2, rng.randrange(1, DAY + 1), rng.randrange(1, 1440) * MINUTE))


def random_ledger(seed: int, fills: int, days: int, *, foreign: bool = True) -> Ledger:
    """Return a ledger with everything that happens: shorts, flips, ties, rebates, splits, dividends, late portfolios, gaps."""
    rng = Random(seed)
    first = to_number(FIRST)
    last = first + days - 1
    symbols = ["EQ", "FUT", "COIN", "TOK", "NEW"] + (["DAX"] if foreign else [])
    bases = dict(BASES) if foreign else {"alpha": "USD", "beta": "USD"}
    actions = []
    for number in range(rng.randrange(0, 5)):
        kind = rng.choice(("split", "split", "cash_dividend"))
        value = Decimal(rng.choice(("2", "1.5", "0.1", "0.5", "3", "0.333333333333333333"))) if kind == "split" else _amount(rng, 2, 2)
        actions.append(Action(f"A{number}", _moment(rng, rng.randrange(first, last + 1)), rng.choice(symbols), kind, value))
    drafts = sorted((_moment(rng, rng.randrange(first, last + 1)), rng.random()) for _ in range(fills))
    names = [f"E{number}" for number in range(7, 7 + fills)]
    rng.shuffle(names)
    held: dict[tuple[str, ...], Fraction] = {}
    done: list[Fill] = []
    pending = sorted(actions, key=lambda action: (action.ts, action.symbol, action.row_id))
    for (ts, _), name in zip(drafts, names, strict=True):
        while pending and pending[0].ts <= ts:
            action = pending.pop(0)
            for key in held:
                if key[2] == action.symbol and action.kind == "split":
                    held[key] = rounded(held[key] * Fraction(action.value))
        late = ts > (first + days // 2) * DAY
        portfolio = rng.choice(("alpha", "alpha", "beta", "gamma") if late else ("alpha", "alpha", "beta"))
        key = (portfolio, rng.choice(("s1", "s2")), rng.choice(symbols))
        places = PLACES[key[2]]
        now = held.get(key, Fraction(0))
        side, quantity = rng.choice(("buy", "sell")), _amount(rng, rng.randrange(0, places + 1), 20)
        if now and rng.random() < 0.5:
            side = "sell" if now > 0 else "buy"
            left = abs(now)
            flat = Decimal(left.numerator * 10**18 // left.denominator).scaleb(-18)
            quantity = rng.choice((flat, flat, flat + quantity, min(flat, quantity)))
        price = _amount(rng, rng.randrange(0, 5), 200)
        stop = _amount(rng, 2, 200) if rng.random() < 0.5 else None
        fee = rng.choice((Decimal(0), Decimal("1.25"), _amount(rng, 4, 3), -_amount(rng, 2, 1)))
        fill = Fill(name, ts, key[2], side, quantity, price, fee, portfolio, key[1], None, rng.choice(("trend", "reversion")), "p1", stop)
        if foreign and rng.random() < 0.05:
            fill = replace(fill, currency="EUR")
        held[key] = now + fill.signed
        done.append(fill)
    flows = []
    for number in range(rng.randrange(1, 7)):
        portfolio = rng.choice(("alpha", "alpha", "beta"))
        kind = rng.choice(("initial_funding", "deposit", "withdrawal", "interest", "fee"))
        size = _amount(rng, 2, 200_000 if kind in facts.FLOW_KINDS else 20)
        size = -size / 20 if kind in ("withdrawal", "fee") else size
        currency = rng.choice((None, "USD", "EUR")) if foreign else None
        size = size.quantize(Decimal("0.01")) or Decimal("-0.01")
        flows.append(Flow(f"F{number}", _moment(rng, rng.randrange(first, last + 1)), size, kind, portfolio, currency))
    bars = []
    for symbol in symbols:
        begin = first - rng.randrange(0, 4) if rng.random() < 0.8 else last
        chance = rng.choice((0.2, 0.9))
        for day in range(begin, last + 1):
            if is_session("weekdays" if symbol == "NEW" else INSTRUMENTS[symbol].calendar, day) and rng.random() < chance:
                bars.append(Bar(symbol, day * DAY + rng.choice((DAY, DAY - 180 * MINUTE)), _amount(rng, 3, 200)))
    rates = []
    for day in range(first + rng.choice((-1, 0, days // 3)), last + 1):
        chosen = rng.random()
        if foreign and chosen < 0.3:
            rates.append(Rate("EUR", "USD", day * DAY + DAY // 2, Decimal("1.0") + _amount(rng, 4, 1) / 5))
        if foreign and 0.2 < chosen < 0.35:
            rates.append(Rate("USD", "EUR", day * DAY + DAY // 2, Decimal("0.8") + _amount(rng, 4, 1) / 5))
    return Ledger(tuple(done), tuple(actions), tuple(flows), tuple(bars), tuple(rates), bases=bases, first=first, last=last)


@st.composite
def ledgers(draw: st.DrawFn, *, foreign: bool = True, most: int = 60) -> Ledger:
    """Return random ledgers; shrinking makes them short."""
    return random_ledger(
        draw(st.integers(0, 2**32)), draw(st.integers(0, most)), draw(st.integers(3, 22)), foreign=foreign and draw(st.booleans())
    )


def write_files(ledger: Ledger, folder: Path, *, only: Sequence[str] | None = None) -> list[Path]:
    """Write a ledger as canonical CSV files; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    contents: dict[str, list[dict[str, Any]]] = {
        "fills": [
            {
                "execution_id": f.row_id, "ts": format_timestamp(f.ts), "portfolio": f.portfolio, "strategy": f.strategy,
                "symbol": f.symbol, "side": f.side, "quantity": f"{f.quantity:f}", "price": f"{f.price:f}",
                "currency": f.currency or "", "fee": f"{f.fee:f}",
                "template": f.template, "playbook": f.playbook, "stop_price": "" if f.stop_price is None else f"{f.stop_price:f}",
            }
            for f in ledger.fills
        ],
        "cash_flows": [
            {
                "flow_id": f.row_id, "ts": format_timestamp(f.ts), "portfolio": f.portfolio, "amount": f"{f.amount:f}",
                "currency": f.currency or "", "kind": f.kind,
            }
            for f in ledger.flows
        ],
        "bars": [{"symbol": b.symbol, "ts": format_timestamp(b.ts), "close": f"{b.close:f}"} for b in ledger.bars],
        "fx_rates": [
            {"ts": format_timestamp(r.ts), "currency": r.currency, "base_currency": r.base_currency, "rate": f"{r.rate:f}"}
            for r in ledger.rates
        ],
        "corporate_actions": [
            {
                "action_id": a.row_id, "ts": format_timestamp(a.ts), "symbol": a.symbol, "kind": a.kind,
                "ratio": f"{a.value:f}" if a.kind == "split" else "", "amount": "" if a.kind == "split" else f"{a.value:f}",
            }
            for a in ledger.actions
        ],
        "instruments": [
            {"symbol": name, "currency": i.currency, "calendar": i.calendar, "multiplier": f"{i.multiplier:f}"}
            for name, i in ledger.instruments.items()
        ],
        "portfolios": [{"portfolio": name, "base_currency": base} for name, base in ledger.bases.items()],
    }  # fmt: skip
    paths = []
    for name, rows in contents.items():
        if not rows or (only is not None and name not in only):
            continue
        path = folder / f"{name}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        paths.append(path)
    return paths


def day_of(ts: int) -> int:
    """Return the day number of a time."""
    return day_number(ts)


def end_of(day: int) -> int:
    """Return a day's last instant."""
    return end_of_day_ns(to_date(day))
