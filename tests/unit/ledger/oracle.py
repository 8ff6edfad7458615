"""The accounting, slowly and obviously: exact fractions, one event after the other, nothing shared with what it checks."""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from fractions import Fraction

from tests.unit.ledger.ledgers import DAY, Action, Fill, Ledger, day_of, end_of, is_session, ledger_order, rounded

Key = tuple[str, str, str, str]  # portfolio, strategy, symbol, currency
ZERO = Fraction(0)


@dataclass
class Lot:
    """An open purchase, or an open short sale (negative)."""

    quantity: Fraction
    price: Fraction
    fee: Fraction  # for one unit
    tag: tuple[str, str]
    row_id: str
    ts: int


@dataclass(frozen=True)
class Trip:
    """A closed trade."""

    method: str
    key: Key
    direction: str
    opened_at: int
    closed_at: int
    quantity: Fraction
    entry: Fraction
    exit: Fraction
    realised: Fraction
    fees: Fraction
    opening: str
    closing: str
    tag: tuple[str, str]


@dataclass
class Position:
    """A position while events pass by."""

    multiplier: Fraction
    quantity: Fraction = ZERO
    average: Fraction = ZERO
    realised: Fraction = ZERO
    fees: Fraction = ZERO
    income: Fraction = ZERO
    trades: Fraction = ZERO  # cash of its trades, before fees
    stop: Fraction | None = None
    lots: list[Lot] = field(default_factory=list)
    # the open round trip
    opened_at: int = 0
    opening: str = ""
    tag: tuple[str, str] = ("", "")
    entered: Fraction = ZERO
    left: Fraction = ZERO
    entry_value: Fraction = ZERO
    exit_value: Fraction = ZERO
    trip_realised: Fraction = ZERO
    trip_fees: Fraction = ZERO

    def copy(self) -> "Position":
        """Return the position as it is now."""
        return replace(self, lots=[replace(lot) for lot in self.lots])


@dataclass
class Books:
    """All positions at the end of each day with an event, and all trips."""

    ledger: Ledger
    states: dict[Key, dict[int, Position]] = field(default_factory=lambda: defaultdict(dict))
    first_day: dict[Key, int] = field(default_factory=dict)
    trips: list[Trip] = field(default_factory=list)
    paid: set[tuple[str, int]] = field(default_factory=set)  # portfolio, day of a dividend

    def at(self, key: Key, day: int) -> Position:
        """Return a position at the end of a day."""
        days = self.states[key]
        return days[max(d for d in days if d <= day)]


def account(ledger: Ledger) -> Books:
    """Run all events in ledger order."""
    books, positions = Books(ledger), {}
    for event in ledger_order(ledger):
        if isinstance(event, Fill):
            key = (event.portfolio, event.strategy, event.symbol, ledger.currency_of(event))
            position = positions.setdefault(key, Position(ledger.multiplier_of(event.symbol)))
            books.first_day.setdefault(key, day_of(event.ts))
            _fill(books, key, position, event)
            books.states[key][day_of(event.ts)] = position.copy()
            continue
        for key, position in positions.items():
            if key[2] == event.symbol and any(f.ts < event.ts for f in ledger.fills if _key(ledger, f) == key):
                if event.kind == "cash_dividend" and position.quantity:
                    books.paid.add((key[0], day_of(event.ts)))
                _act(position, event)
                books.states[key][day_of(event.ts)] = position.copy()
    return books


def _key(ledger: Ledger, fill: Fill) -> Key:
    return (fill.portfolio, fill.strategy, fill.symbol, ledger.currency_of(fill))


def _act(position: Position, action: Action) -> None:
    value = Fraction(action.value)
    if action.kind == "cash_dividend":
        position.income += position.quantity * value * position.multiplier
        return
    for lot in position.lots:
        lot.quantity = rounded(lot.quantity * value)
        lot.price /= value
        lot.fee /= value
    position.quantity = sum((lot.quantity for lot in position.lots), ZERO)
    position.average /= value
    position.entered, position.left = rounded(position.entered * value), rounded(position.left * value)
    if position.stop is not None:
        position.stop /= value


def _fill(books: Books, key: Key, position: Position, fill: Fill) -> None:
    price, traded, fee = Fraction(fill.price), fill.signed, Fraction(fill.fee)
    fee_of_one = fee / abs(traded)
    sign = 1 if traded > 0 else -1
    position.fees += fee
    position.trades -= traded * price * position.multiplier
    closing = min(abs(traded), abs(position.quantity)) if position.quantity * traded < 0 else ZERO
    opening = abs(traded) - closing
    if closing:
        realised = (price - position.average) * closing * -sign * position.multiplier
        position.realised += realised
        position.trip_realised += realised
        position.trip_fees += fee_of_one * closing
        position.exit_value += price * closing
        position.left += closing
        position.quantity += closing * sign
        _close_lots(books, key, position, fill, closing, fee_of_one, sign)
        if position.quantity == 0:
            books.trips.append(
                Trip(
                    "flat_to_flat", key, "short" if sign > 0 else "long", position.opened_at, fill.ts, position.entered,
                    position.entry_value / position.entered, position.exit_value / position.left, position.trip_realised,
                    position.trip_fees, position.opening, fill.row_id, position.tag,
                )
            )  # fmt: skip
            position.stop = None
    if opening:
        if position.quantity == 0:
            position.opened_at, position.opening, position.tag = fill.ts, fill.row_id, (fill.template, fill.playbook)
            position.entered = position.left = position.entry_value = position.exit_value = ZERO
            position.trip_realised = position.trip_fees = position.average = ZERO
        held = abs(position.quantity)
        position.average = (position.average * held + price * opening) / (held + opening)
        position.quantity += opening * sign
        position.entered += opening
        position.entry_value += price * opening
        position.trip_fees += fee_of_one * opening
        position.lots.append(Lot(opening * sign, price, fee_of_one, (fill.template, fill.playbook), fill.row_id, fill.ts))
    if position.quantity and fill.stop_price is not None:
        position.stop = Fraction(fill.stop_price)


def _close_lots(books: Books, key: Key, position: Position, fill: Fill, closing: Fraction, fee: Fraction, sign: int) -> None:
    while closing:
        lot = position.lots[0]
        matched = min(abs(lot.quantity), closing)
        if matched:
            realised = (Fraction(fill.price) - lot.price) * matched * -sign * position.multiplier
            books.trips.append(
                Trip(
                    "fifo", key, "short" if sign > 0 else "long", lot.ts, fill.ts, matched, lot.price, Fraction(fill.price), realised,
                    (lot.fee + fee) * matched, lot.row_id, fill.row_id, lot.tag,
                )
            )  # fmt: skip
        lot.quantity += matched * sign
        closing -= matched
        if lot.quantity == 0:
            position.lots.pop(0)


def sessions(books: Books, portfolio: str) -> list[int]:
    """Return a portfolio's sessions."""
    ledger, found = books.ledger, set()
    for key, first in books.first_day.items():
        if key[0] == portfolio:
            found |= {day for day in range(first, ledger.last + 1) if is_session(ledger.calendar_of(key[2]), day)}
    found |= {day_of(fill.ts) for fill in ledger.fills if fill.portfolio == portfolio}
    found |= {day for name, day in books.paid if name == portfolio}
    moved = [day_of(flow.ts) for flow in ledger.flows if flow.portfolio == portfolio]
    return sorted(found | ({min(moved)} if moved else set()))


def mark(ledger: Ledger, key: Key, day: int) -> tuple[Fraction, str, int]:
    """Return the mark of a position on a day, where it is from, and its age."""
    fills = [f for f in ledger.fills if (f.portfolio, f.symbol, ledger.currency_of(f)) == (key[0], key[2], key[3]) and day_of(f.ts) <= day]
    newest = max(fills, key=lambda f: (f.ts, f.strategy, len(f.row_id), f.row_id))
    price, source, since = Fraction(newest.price), "fill", day_of(newest.ts)
    ratios = [(a.ts, Fraction(a.value)) for a in ledger.actions if a.symbol == key[2] and a.kind == "split" and a.ts <= end_of(day)]
    after = newest.ts
    bars = [b for b in ledger.bars if b.symbol == key[2] and day_of(b.ts) <= day]
    listed = ledger.instruments.get(key[2])
    if bars and (listed is None or listed.currency == key[3]):
        bar = max(bars, key=lambda b: b.ts)
        if day_of(bar.ts) >= since:
            price, source, since, after = Fraction(bar.close), "bar", day_of(bar.ts), bar.ts
    for ts, ratio in ratios:
        if ts > after:
            price /= ratio
    calendar = ledger.calendar_of(key[2])
    return price, source, sum(is_session(calendar, d) for d in range(since + 1, day + 1))


def rate(ledger: Ledger, currency: str, base: str, day: int) -> Fraction | None:
    """Return base currency for one unit of currency: the newest rate either way round, None where there is none."""
    if currency == base:
        return Fraction(1)
    known = [(r.ts, 1, Fraction(r.rate)) for r in ledger.rates if (r.currency, r.base_currency) == (currency, base) and r.ts <= end_of(day)]
    known += [
        (r.ts, 0, 1 / Fraction(r.rate)) for r in ledger.rates if (r.currency, r.base_currency) == (base, currency) and r.ts <= end_of(day)
    ]
    return max(known)[2] if known else None


@dataclass(frozen=True)
class Session:
    """What a portfolio is worth at the end of a session; None where a rate is missing."""

    day: int
    equity: Fraction | None
    flow: Fraction | None  # since the last session that had a value
    weighted: Fraction | None
    unit_value: float
    daily_return: float | None


def equity(books: Books, portfolio: str, timing: str) -> list[Session]:
    """Return every session's equity, flow and unit value."""
    ledger, rows = books.ledger, []
    base, unit, before, valued_at, previous = ledger.base_of(portfolio), 1.0, ZERO, None, None
    flows = [f for f in ledger.flows if f.portfolio == portfolio]
    for day in sessions(books, portfolio):
        cash: dict[str, Fraction] = defaultdict(Fraction)
        value: Fraction | None = ZERO
        for key, first in books.first_day.items():
            if key[0] != portfolio or first > day:
                continue
            state = books.at(key, day)
            cash[key[3]] += state.trades - state.fees + state.income
            fx = rate(ledger, key[3], base, day)
            if state.quantity and value is not None:
                value = None if fx is None else value + state.quantity * mark(ledger, key, day)[0] * state.multiplier * fx
        for flow in flows:
            if day_of(flow.ts) <= day:
                cash[flow.currency or base] += Fraction(flow.amount)
        converted = [(amount, rate(ledger, currency, base, day)) for currency, amount in cash.items() if amount]
        if value is None or any(fx is None for _, fx in converted):
            rows.append(Session(day, None, None, None, unit, None))
            previous = day
            continue
        now = value + sum((amount * fx for amount, fx in converted if fx is not None), ZERO)
        since: dict[str, Fraction] = defaultdict(Fraction)
        partly: dict[str, Fraction] = defaultdict(Fraction)
        for flow in flows:
            on = day_of(flow.ts)
            if flow.kind not in ("initial_funding", "deposit", "withdrawal") or on > day or (valued_at is not None and on <= valued_at):
                continue
            since[flow.currency or base] += Fraction(flow.amount)
            elapsed = Fraction(flow.ts - on * DAY, DAY) if on == day else ZERO
            partly[flow.currency or base] += Fraction(flow.amount) * (1 - elapsed)
        rates = {currency: rate(ledger, currency, base, day) for currency in since}
        result = None
        moved = weighted = None
        if all(fx is not None or since[currency] == 0 for currency, fx in rates.items()):
            moved = sum((since[c] * (fx or 0) for c, fx in rates.items()), ZERO)
            weighted = sum((partly[c] * (fx or 0) for c, fx in rates.items()), ZERO)
            result = _return(before, now, moved, weighted, timing)
        if result is not None:
            unit *= 1.0 + float(result)
        rows.append(Session(day, now, moved, weighted, unit, None if result is None else float(result)))
        before, valued_at = now, day
    del previous
    return rows


def _return(before: Fraction, after: Fraction, flow: Fraction, weighted: Fraction, timing: str) -> Fraction | None:
    if after <= 0:
        return None
    enough = max(before, after) / 10
    if timing == "start" and before + flow > enough:
        return after / (before + flow) - 1
    if timing == "modified_dietz" and before + weighted > enough:
        return (after - before - flow) / (before + weighted)
    if before > 0 and after - flow > 0:
        return (after - flow) / before - 1
    if timing == "end" and before + flow > enough:
        return after / (before + flow) - 1
    return None
