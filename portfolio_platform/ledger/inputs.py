"""From fact tables to what the kernel eats: positions in key order, events in ledger order, quantities scaled.

Ledger order is (position, time, length of id, id): ids that count up sort as numbers do, and the order of import
never shows. A corporate action comes before the fills of its instant: those are in the new shares.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.days import day_number
from portfolio_platform.ledger.fixed_point import SCALE, Float64, Int64, decimal_places, exact_integers, scaled, split_decimals, to_floats
from portfolio_platform.ledger.layout import DIVIDEND, FILL, SPLIT, Events

Names = npt.NDArray[np.object_]
FILL_COLUMNS = (
    "row_id",
    "ts",
    "portfolio",
    "strategy",
    "symbol",
    "side",
    "quantity",
    "price",
    "currency",
    "fee",
    "template",
    "playbook",
    "stop_price",
)
LIMIT = float(2**61)  # a running absolute sum below it cannot overflow, not even doubled


@dataclass(frozen=True)
class Reference:
    """What the accounting looks up by name: multipliers, calendars, currencies, base currencies."""

    multiplier: dict[str, float]
    calendar: dict[str, str]
    currency: dict[str, str]
    base_currency: dict[str, str]
    default_calendar: str = "weekdays"
    default_currency: str = "USD"

    def base_of(self, portfolio: str) -> str:
        """Return the base currency of a portfolio."""
        return self.base_currency.get(portfolio, self.default_currency)

    def calendar_of(self, symbol: str) -> str:
        """Return the calendar of a symbol, the default where none is known."""
        return self.calendar.get(symbol) or self.default_calendar


@dataclass(frozen=True)
class Positions:
    """Positions in key order; ``places`` are the decimal places in which each counts its quantity."""

    portfolio: Names
    strategy: Names
    symbol: Names
    currency: Names
    places: Int64
    multiplier: Float64
    exact: npt.NDArray[np.bool_]

    @property
    def size(self) -> int:
        """Return the number of positions."""
        return int(self.portfolio.size)


@dataclass(frozen=True)
class Fills:
    """Fills as arrays in file order, with names as codes into sorted lists."""

    ts: Int64
    position: Int64
    tag: Int64
    price: Float64
    fee: Float64
    stop: Float64
    sign: npt.NDArray[np.int8]
    quantity: pa.ChunkedArray
    row_id: pa.ChunkedArray


@dataclass(frozen=True)
class Keys:
    """Positions and tags by name, before their quantities are scaled."""

    portfolio: Names
    strategy: Names
    symbol: Names
    currency: Names
    tags: tuple[tuple[str, str], ...]


def encode(column: pa.ChunkedArray | pa.Array) -> tuple[Int64, list[str]]:
    """Return codes into the sorted distinct values of a text column; null is the empty text."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        array = array.unify_dictionaries().combine_chunks() if array.num_chunks else pa.array([], pa.string())
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    values = [value if value is not None else "" for value in array.dictionary.to_pylist()]
    indices = array.indices
    if indices.null_count:
        values.append("")
        indices = indices.fill_null(len(values) - 1)
    codes = indices.to_numpy(zero_copy_only=False)
    used = np.zeros(len(values), bool)
    used[codes] = True
    distinct = sorted({value for value, present in zip(values, used, strict=True) if present})
    rank = {value: place for place, value in enumerate(distinct)}
    translate = np.array([rank.get(value, -1) for value in values], dtype=np.int64)
    return translate[codes] if translate.size else np.empty(0, np.int64), distinct


def _merge(codes: Int64, names: list[str], others: Names) -> tuple[Int64, list[str], Int64]:
    """Return the codes of two sources over the union of their names, sorted."""
    union = sorted(set(names) | set(others.tolist()))
    rank = {name: place for place, name in enumerate(union)}
    first = np.array([rank[name] for name in names], dtype=np.int64)[codes] if names else codes
    return first, union, np.array([rank[name] for name in others.tolist()], dtype=np.int64)


def _currencies(fills: pa.Table, symbols: tuple[Int64, list[str]], portfolios: tuple[Int64, list[str]], known: Reference) -> pa.Array:
    """Return the currency of each fill: its own, else its instrument's, else its portfolio's base currency."""
    column = fills["currency"]
    if not column.null_count:
        return column
    codes, names = encode(column)
    by_symbol = np.array([known.currency.get(name, "") for name in symbols[1]], dtype=object)[symbols[0]]
    by_portfolio = np.array([known.base_of(name) for name in portfolios[1]], dtype=object)[portfolios[0]]
    own = np.array(names, dtype=object)[codes]
    return pa.array(np.where(own != "", own, np.where(by_symbol != "", by_symbol, by_portfolio)), pa.string())


def key_fills(fills: pa.Table, known: Reference, carried: Keys | None) -> tuple[Fills, Keys, Int64]:
    """Name the positions of fills and of a carried state; return fills, keys, and the carried positions' places.

    Raises nothing: rows were validated when they were imported.
    """
    nothing = np.empty(0, dtype=object)
    portfolio, portfolios = encode(fills["portfolio"])
    symbol, symbols = encode(fills["symbol"])
    strategy, strategies = encode(fills["strategy"])
    currency, currencies = encode(_currencies(fills, (symbol, symbols), (portfolio, portfolios), known))
    old = carried or Keys(nothing, nothing, nothing, nothing, ())
    portfolio, portfolios, old_portfolio = _merge(portfolio, portfolios, old.portfolio)
    strategy, strategies, old_strategy = _merge(strategy, strategies, old.strategy)
    symbol, symbols, old_symbol = _merge(symbol, symbols, old.symbol)
    currency, currencies, old_currency = _merge(currency, currencies, old.currency)

    def combine(p: Int64, s: Int64, y: Int64, c: Int64) -> Int64:
        return ((p * len(strategies) + s) * len(symbols) + y) * len(currencies) + c

    combined = combine(portfolio, strategy, symbol, currency)
    before = combine(old_portfolio, old_strategy, old_symbol, old_currency)
    code, used = factorize(combined)
    distinct = np.union1d(used, before)
    rest, c = np.divmod(distinct, max(len(currencies), 1))
    rest, y = np.divmod(rest, max(len(symbols), 1))
    p, s = np.divmod(rest, max(len(strategies), 1))
    tag, tags = _tags(fills, old.tags)
    keys = Keys(_take(portfolios, p), _take(strategies, s), _take(symbols, y), _take(currencies, c), tags)
    side, sides = encode(fills["side"])
    signs = np.array([1 if name == "buy" else -1 for name in sides], dtype=np.int8)
    arrays = Fills(
        ts=fills["ts"].to_numpy(),
        position=np.searchsorted(distinct, used)[code],
        tag=tag,
        price=to_floats(fills["price"]),
        fee=np.nan_to_num(to_floats(fills["fee"]), nan=0.0),
        stop=to_floats(fills["stop_price"]),
        sign=signs[side] if side.size else signs,
        quantity=fills["quantity"],
        row_id=fills["row_id"],
    )
    return arrays, keys, np.searchsorted(distinct, before)


def factorize(values: Int64) -> tuple[Int64, Int64]:
    """Return codes into the distinct values, and these, unsorted: by hashing, much faster than by sorting when they repeat."""
    import pandas as pd

    codes, distinct = pd.factorize(values)
    return codes, np.asarray(distinct, dtype=np.int64)


def _take(names: list[str], codes: Int64) -> Names:
    return np.array(names, dtype=object)[codes] if names else np.empty(0, dtype=object)


def _tags(fills: pa.Table, old: tuple[tuple[str, str], ...]) -> tuple[Int64, tuple[tuple[str, str], ...]]:
    template, templates = encode(fills["template"])
    playbook, playbooks = encode(fills["playbook"])
    combined = template * max(len(playbooks), 1) + playbook
    code, used = factorize(combined)
    pairs = [(templates[pair // len(playbooks)], playbooks[pair % len(playbooks)]) for pair in used.tolist()]
    union = tuple(sorted(set(pairs) | set(old)))
    rank = {pair: place for place, pair in enumerate(union)}
    places = np.array([rank[pair] for pair in pairs], dtype=np.int64)
    return places[code] if places.size else combined, union


@dataclass(frozen=True)
class Actions:
    """Splits and dividends in time order."""

    ts: Int64
    symbol: Names
    kind: Int64
    value: Float64
    ratio: tuple[Fraction, ...]


def read_actions(actions: pa.Table, *, after_ts: int, until_ts: int) -> Actions:
    """Return the corporate actions of a time range, sorted by time, symbol and id."""
    rows = actions.filter((pc.field("ts") > after_ts) & (pc.field("ts") <= until_ts)).sort_by(
        [("ts", "ascending"), ("symbol", "ascending"), ("row_id", "ascending")]
    )
    listed = rows.to_pylist()
    kinds = [SPLIT if row["kind"] == "split" else DIVIDEND for row in listed]
    return Actions(
        ts=np.array([row["ts"] for row in listed], dtype=np.int64),
        symbol=np.array([row["symbol"] for row in listed], dtype=object),
        kind=np.array(kinds, dtype=np.int64),
        value=np.array([float(row["ratio"] if row["kind"] == "split" else row["amount"]) for row in listed], dtype=np.float64),
        ratio=tuple(Fraction(row["ratio"]) if row["kind"] == "split" else Fraction(1) for row in listed),
    )


def scale_positions(
    fills: Fills, keys: Keys, known: Reference, actions: Actions, carried: pa.Array | None, carried_at: Int64
) -> tuple[Positions, Int64 | None, Int64 | None]:
    """Choose each symbol's decimal places, and which symbols need more than 64 bits.

    Returns the positions, and whole units and fractions of the fills' quantities (None without fills); what is beyond
    2**53 units reads as 0 there, and its symbol is exact.
    """
    symbols, of_position = np.unique(keys.symbol.astype(str), return_inverse=True) if keys.symbol.size else (np.empty(0, str), carried_at)
    places, total, huge = np.zeros(symbols.size, np.int64), np.zeros(symbols.size), np.zeros(symbols.size, bool)
    whole, fraction = None, None
    for column, at in ((fills.quantity, fills.position), (carried, carried_at)):
        if column is None or len(column) == 0:
            continue
        where = of_position[at]
        parts = split_decimals(column)
        if parts is None:
            beyond = pc.greater_equal(pc.abs(column), pa.scalar(Decimal(2**53), column.type))
            huge[where[beyond.to_numpy(zero_copy_only=False) if isinstance(beyond, pa.Array) else beyond.to_numpy()]] = True
            parts = split_decimals(pc.if_else(beyond, pa.scalar(Decimal(0), column.type), column))
            assert parts is not None
        np.maximum.at(places, where, decimal_places(parts[1]))
        total += np.bincount(where, np.abs(parts[0] + parts[1] / 1e18) + 1.0, minlength=symbols.size)
        if column is fills.quantity:
            whole, fraction = parts
    for symbol, ratio in zip(actions.symbol, actions.ratio, strict=True):
        if ratio != 1 and symbol in symbols:
            here = int(np.searchsorted(symbols, symbol))
            shift = next((k for k in range(SCALE + 1) if 10**k % ratio.denominator == 0), SCALE)
            places[here] = min(SCALE, places[here] + shift)
            total[here] *= max(1.0, float(ratio)) * max(ratio.numerator, ratio.denominator)
    huge |= total * 10.0**places >= LIMIT
    places[huge] = SCALE
    multiplier = np.array([known.multiplier.get(symbol, 1.0) for symbol in keys.symbol], dtype=np.float64)
    positions = Positions(keys.portfolio, keys.strategy, keys.symbol, keys.currency, places[of_position], multiplier, huge[of_position])
    return positions, whole, fraction


def ledger_order(position: Int64, ts: Int64, kind: npt.NDArray[np.int8], row_id: pa.ChunkedArray) -> Int64:
    """Return the ledger order of events; ids are looked at only where position and time are equal."""
    order = np.argsort(ts, kind="stable")
    small = position.astype(np.uint16) if position.size and position.max() < 2**16 else position
    order = order[np.argsort(small[order], kind="stable")]
    at, when = position[order], ts[order]
    same = (at[1:] == at[:-1]) & (when[1:] == when[:-1])
    if not same.any():
        return order
    tied = np.flatnonzero(np.concatenate(([False], same)) | np.concatenate((same, [False])))
    run = np.cumsum(~np.concatenate(([False], same)))[tied]
    rows = order[tied]
    is_fill = kind[rows] == FILL
    ids = pc.fill_null(row_id.take(pa.array(rows, mask=~is_fill)).cast(pa.string()), "")
    ties = pa.table({"run": run, "is_fill": is_fill, "length": pc.utf8_length(ids), "id": ids})
    order[tied] = rows[pc.sort_indices(ties, [(name, "ascending") for name in ties.column_names]).to_numpy()]
    return order


def _action_events(positions: Positions, actions: Actions, first_ts: Int64) -> tuple[Int64, Int64]:
    """Return (position, action) pairs: an action touches the positions of its symbol that had a fill before it."""
    if not actions.ts.size:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    by_symbol = np.argsort(actions.symbol, kind="stable")
    names = actions.symbol[by_symbol]
    start = np.searchsorted(names, positions.symbol, side="left") if positions.size else np.empty(0, np.int64)
    count = np.searchsorted(names, positions.symbol, side="right") - start if positions.size else start
    position = np.repeat(np.arange(positions.size), count)
    offset = np.arange(position.size) - np.repeat(np.cumsum(count) - count, count)
    action = by_symbol[np.repeat(start, count) + offset]
    late = first_ts[position] < actions.ts[action]
    return position[late], action[late]


def build_events(
    fills: Fills,
    positions: Positions,
    parts: tuple[Int64 | None, Int64 | None],
    actions: Actions,
    first_ts: Int64,
    members: npt.NDArray[np.bool_],
) -> Events:
    """Return the events of the positions that are ``members``, in ledger order, exact where those positions are.

    ``first_ts`` is the time of each position's first fill ever.
    """
    exact = bool(positions.exact[members].any()) if members.any() else False
    chosen = np.flatnonzero(members[fills.position]) if not members.all() else np.arange(fills.ts.size)
    at, which = _action_events(positions, actions, first_ts)
    keep = members[at]
    at, which = at[keep], which[keep]
    position = np.concatenate((fills.position[chosen], at))
    ts = np.concatenate((fills.ts[chosen], actions.ts[which]))
    kind = np.concatenate((np.zeros(chosen.size, np.int8), actions.kind[which].astype(np.int8)))
    order = ledger_order(position, ts, kind, fills.row_id.take(pa.array(chosen)) if chosen.size < fills.ts.size else fills.row_id)
    if exact or parts[0] is None or parts[1] is None:
        size = exact_integers(fills.quantity.take(pa.array(chosen))) * fills.sign[chosen].astype(object)
        quantity = np.concatenate((size, np.zeros(at.size, dtype=object)))
    else:
        places = positions.places[fills.position[chosen]]
        size = scaled(parts[0][chosen], parts[1][chosen], places) * fills.sign[chosen]
        quantity = np.concatenate((size, np.zeros(at.size, np.int64)))
    nothing = np.zeros(at.size)
    dtype = object if exact else np.int64
    # only the splits of these positions: another's terms may be beyond 64 bits
    terms = [(1, 1)] * max(len(actions.ratio), 1)
    for place in np.unique(which).tolist():
        terms[place] = (actions.ratio[place].numerator, actions.ratio[place].denominator)
    ordered = position[order]
    return Events(
        start=np.searchsorted(ordered, np.arange(positions.size + 1)),
        kind=kind[order],
        ts=ts[order],
        day=day_number(ts[order]),
        quantity=quantity[order],
        price=np.concatenate((fills.price[chosen], actions.value[which]))[order],
        fee=np.concatenate((fills.fee[chosen], nothing))[order],
        stop=np.concatenate((fills.stop[chosen], nothing + np.nan))[order],
        tag=np.concatenate((fills.tag[chosen], np.zeros(at.size, np.int64)))[order],
        row=np.concatenate((chosen, which))[order],
        split_numerator=np.array([term[0] for term in terms], dtype=dtype),
        split_denominator=np.array([term[1] for term in terms], dtype=dtype),
        places=positions.places,
        multiplier=positions.multiplier,
    )
