"""From fills, intents and profiles of trades to the observations of D6.

What belongs here: which fills enter, what an order paid against its decision, what an intent got of what it asked for, and what
the playbook expects of each (`signals.expectations` knows it). The arithmetic is in `execution`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from portfolio_platform.days import day_number
from portfolio_platform.diagnostics.execution import Observations
from portfolio_platform.diagnostics.session_keys import codes_in
from portfolio_platform.ledger.fixed_point import to_floats
from portfolio_platform.ledger.inputs import encode, factorize, ledger_order

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

ALL = "all"
UNFILLED_DAYS = 7
"""Days after which an intent without a fill counts as unfilled."""
UNKNOWN = -1
FLAT = 1e-9
"""Share of what a position ever traded below which what is left of it is a rounding error."""


@dataclass(frozen=True)
class Keys:
    """Portfolios and playbooks that observations are about: a group is a portfolio and a playbook, or all of its playbooks."""

    portfolios: tuple[str, ...]
    playbooks: tuple[str, ...]

    @property
    def count(self) -> int:
        """Return the number of groups."""
        return len(self.portfolios) * len(self.playbooks)

    def group(self, portfolio: Int64, playbook: Int64) -> Int64:
        """Return the group of each pair of codes."""
        return portfolio * len(self.playbooks) + playbook


@dataclass(frozen=True)
class Raw:
    """Whom observations are about, and when; ``order`` is that of time, also inside a day."""

    portfolio: Int64
    playbook: Int64
    day: Int64
    order: Int64


def observations(
    raw: Raw, value: Float64, chosen: Flags, keys: Keys, all_code: int, expected: Float64, expected_p90: Float64
) -> Observations:
    """Return the chosen observations that are known, for each playbook and for all of them together, by group and time."""
    place = np.flatnonzero(chosen & np.isfinite(value) & (raw.portfolio >= 0) & (raw.playbook >= 0))
    if not _ascending(raw.day[place], raw.order[place]):
        place = place[np.lexsort((raw.order[place], raw.day[place]))]
    size = 2 * place.size
    group, day = np.empty(size, np.int64), np.empty(size, np.int64)
    figures = (np.empty(size), np.empty(size), np.empty(size))
    at = np.zeros(keys.count + 1, np.int64)
    given = (raw.portfolio, raw.playbook, raw.day, value, expected, expected_p90)
    _deal(place, *given, len(keys.playbooks), all_code, at, group, day, *figures)
    return Observations(group, day, *figures)


@njit(cache=True)
def _deal(
    place: Int64,
    portfolio: Int64,
    playbook: Int64,
    days: Int64,
    value: Float64,
    expected: Float64,
    expected_p90: Float64,
    playbooks: int,
    all_code: int,
    at: Int64,
    group: Int64,
    day: Int64,
    values: Float64,
    norms: Float64,
    norms_p90: Float64,
) -> None:  # pragma: no cover - compiled
    """Deal observations out to their playbook's group and to that of all playbooks, each in the order in which they come."""
    for i in place:
        at[portfolio[i] * playbooks + playbook[i] + 1] += 1
        at[portfolio[i] * playbooks + all_code + 1] += 1
    for g in range(at.size - 1):
        at[g + 1] += at[g]
    for together in range(2):
        for i in place:
            g = portfolio[i] * playbooks + (all_code if together else playbook[i])
            row = at[g]
            at[g] += 1
            group[row], day[row] = g, days[i]
            values[row], norms[row], norms_p90[row] = value[i], expected[i], expected_p90[i]


def _ascending(first: Int64, second: Int64) -> bool:
    """Say whether pairs ascend."""
    return bool(((first[1:] > first[:-1]) | ((first[1:] == first[:-1]) & (second[1:] >= second[:-1]))).all())


def places(column: pa.ChunkedArray, names: pa.ChunkedArray) -> pa.Array:
    """Return where each text of a column is among names, null where it is none of them."""
    array, among = column.combine_chunks(), names.combine_chunks()
    if not pa.types.is_dictionary(array.type):
        return pc.index_in(array, among, skip_nulls=True)
    # a text that repeats is looked up once
    return pc.index_in(array.dictionary, among, skip_nulls=True).take(array.indices)


@dataclass(frozen=True)
class Orders:
    """Entry orders: what the executions of one order in a day entered, quantity-weighted. ``row`` is its first such fill.

    They come by the time of that fill.

    Attributes:
        slippage: in bps, adverse positive; NaN without a decision price.
        seconds: from the decision to the first execution; NaN without a decision time.
        notional: quantity times price times multiplier.
    """

    row: Int64
    day: Int64
    ts: Int64
    slippage: Float64
    seconds: Float64
    notional: Float64


def entry_orders(fills: pa.Table, held: pa.Table, splits: pa.Table, multiplier: Mapping[str, float]) -> Orders:
    """Return the entry orders among fills: those that open, enlarge or turn a position.

    ``fills`` are all of their days; ``held`` has portfolio, strategy, symbol and quantity of what was held before them;
    ``splits`` has ts, symbol and ratio.
    """
    ts = fills["ts"].to_numpy().astype(np.int64)
    sign = np.where(codes_in(fills["side"], ["buy"]) == 0, 1.0, -1.0)
    quantity, price = to_floats(fills["quantity"]), to_floats(fills["price"])
    symbol, symbols = encode(fills["symbol"])
    entering = _entering(fills, ts, sign * quantity * _later_splits(ts, symbol, symbols, splits), held, splits)
    place = np.flatnonzero((entering > 0.0) & (codes_in(fills["purpose"], ["policy"]) == 0))
    owner, _ = encode(fills["portfolio"])
    place, opens = _by_order(place, owner, day_number(ts), _order_numbers(fills), ts)
    decision = to_floats(fills["decision_price"])
    decided = pc.fill_null(fills["decision_ts"], UNKNOWN).to_numpy().astype(np.int64)
    with np.errstate(divide="ignore", invalid="ignore"):
        bps = (sign * (price - decision) / decision * 1e4)[place]
    units = np.array([multiplier.get(name, 1.0) for name in symbols], np.float64)[symbol][place] if symbols else np.empty(0)
    row, weight = place[opens], (quantity * entering)[place]
    return Orders(
        row,
        day_number(ts[row]),
        ts[row],
        _sum(np.where(np.isfinite(bps), bps * weight, 0.0), opens) / _positive(_sum(np.where(np.isfinite(bps), weight, 0.0), opens)),
        np.where(decided[row] == UNKNOWN, np.nan, (ts[row] - decided[row]) / 1e9),
        _sum(weight * price[place] * units, opens),
    )


def _order_numbers(fills: pa.Table) -> Int64:
    """Return a number for each fill's order: equal for fills of one order, for a fill without one its own."""
    column = fills["order_id"].combine_chunks()
    found = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    codes = found.indices.fill_null(-1).to_numpy().astype(np.int64)
    return np.where(codes < 0, len(found.dictionary) + np.arange(codes.size), codes)


def _by_order(place: Int64, owner: Int64, day: Int64, order: Int64, ts: Int64) -> tuple[Int64, Int64]:
    """Return fills by order of a portfolio in a day, those by their first fill, and where each one's begin; each's are by time."""
    if (ts[place][1:] < ts[place][:-1]).any():
        place = place[np.argsort(ts[place], kind="stable")]
    orders = int(order.max(initial=0)) + 1
    days = day[place] - day[place].min(initial=0)
    key = (owner[place] * (int(days.max(initial=0)) + 1) + days) * orders + order[place]
    code, _ = factorize(key)  # by first appearance
    place = place[np.argsort(code, kind="stable")]
    return place, np.searchsorted(np.sort(code), np.arange(int(code.max(initial=-1)) + 1))


def _sum(values: Float64, opens: Int64) -> Float64:
    found: Float64 = np.add.reduceat(values, opens) if opens.size else np.empty(0)
    return found


def _positive(values: Float64) -> Float64:
    return np.where(values > 0.0, values, np.nan)


def _later_splits(ts: Int64, symbol: Int64, symbols: list[str], splits: pa.Table) -> Float64:
    """Return the product of the splits after each time: what turns a quantity into today's units."""
    factor = np.ones(ts.size)
    for row in splits.to_pylist():
        if row["symbol"] in symbols:
            factor[(symbol == symbols.index(row["symbol"])) & (ts < row["ts"])] *= float(row["ratio"])
    return factor


def _entering(fills: pa.Table, ts: Int64, signed: Float64, held: pa.Table, splits: pa.Table) -> Float64:
    """Return which share of each fill opens or enlarges its position; ``signed`` and ``held`` are brought to today's units.

    It is 0 for what reduces or closes, 1 for what only enters, and the rest beyond flat of a fill that turns the position.
    """
    names = ("portfolio", "strategy", "symbol")
    position = np.zeros(len(held) + len(fills), np.int64)
    for name in names:
        parts = [encode(table[name]) for table in (held, fills)]
        union = sorted({text for _, texts in parts for text in texts})
        rank = {text: place for place, text in enumerate(union)}
        codes = [np.array([rank[text] for text in texts], np.int64)[code] if texts else code for code, texts in parts]
        position = position * max(len(union), 1) + np.concatenate(codes)
    position, _ = factorize(position)
    held_symbol, held_symbols = encode(held["symbol"])
    start = np.full(len(held), np.iinfo(np.int64).min)
    if len(held):
        start = held["until_ts"].to_numpy().astype(np.int64)
    before = to_floats(held["quantity"]) * _later_splits(start, held_symbol, held_symbols, splits)
    of_fills = position[len(held) :]
    order = ledger_order(of_fills, ts, np.zeros(ts.size, np.int8), fills["row_id"])
    opening = np.bincount(position[: len(held)], before.astype(np.float64), minlength=int(position.max(initial=-1)) + 1).astype(np.float64)
    entering = np.zeros(ts.size)
    _walk(of_fills[order], signed[order], opening, order, entering)
    return entering


@njit(cache=True)
def _walk(position: Int64, signed: Float64, opening: Float64, order: Int64, entering: Float64) -> None:  # pragma: no cover - compiled
    """Walk each position's fills in ledger order; one enters with what leaves the position on its own side."""
    at = -1
    quantity = scale = 0.0
    for i in range(position.size):
        if position[i] != at:
            at = position[i]
            quantity = opening[at]
            scale = abs(quantity)
        quantity += signed[i]
        scale += abs(signed[i])
        if abs(quantity) <= FLAT * scale:
            quantity = 0.0
        if quantity * signed[i] > 0.0:
            entering[order[i]] = min(1.0, abs(quantity) / abs(signed[i]))


def fill_ratios(intents: pa.Table, orders: Orders, order_intent: Int64) -> tuple[Int64, Float64]:
    """Return the day on which each intent's ratio is known, and filled notional over the notional that was approved.

    It is known on the day of its first fill, from all of that day's fills; without one within `UNFILLED_DAYS` days it is 0
    after these. ``order_intent`` is the place of each order's intent, -1 without. NaN where nothing was asked for or granted.
    """
    ts = intents["ts"].to_numpy().astype(np.int64)
    asked, granted = to_floats(intents["requested_risk"]), to_floats(intents["approved_risk"])
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(np.isnan(granted) | ~(asked > 0.0), 1.0, granted / asked)
        wanted = to_floats(intents["requested_notional"]) * share
    last = day_number(ts) + UNFILLED_DAYS
    mine = np.flatnonzero(order_intent >= 0)
    first = np.full(ts.size, np.iinfo(np.int64).max)
    _earliest(order_intent, orders.day, first)
    counted = mine[orders.day[mine] == first[order_intent[mine]]]
    filled = np.bincount(order_intent[counted], orders.notional[counted], minlength=ts.size)
    known = first <= last
    return np.where(known, first, last), np.where(wanted > 0.0, np.where(known, filled, 0.0) / _positive(wanted), np.nan)


@njit(cache=True)
def _earliest(intent: Int64, day: Int64, first: Int64) -> None:  # pragma: no cover - compiled
    """Bring each intent's first day down to that of its earliest order; an order without an intent (-1) is left out."""
    for order in range(intent.size):
        if intent[order] >= 0:
            first[intent[order]] = min(first[intent[order]], day[order])
