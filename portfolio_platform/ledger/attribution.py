"""Where the change of equity came from: each position's P&L of a session by template, and what belongs to no position.

Between two sessions, with rates ``f`` and everything else in a row's own currency:

- a position brings ``f_t (d realised + d income - d fees) + f_t d unrealised + value_{t-1} (f_t - f_{t-1})``; the last two
  terms are its `unrealised`: what its currency did to it is part of it;
- cash brings income that no position earned, ``f_t (d income - sum of d income of the currency's positions)``;
- rates bring ``cash_{t-1} (f_t - f_{t-1})``, the revaluation of the cash that lay there (component fx).

Each part comes from its own table, so that their sum, ``equity_t - equity_{t-1} - net flow``, can fail: a test holds it.
Pure: tables in, a table out.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.lake import derived
from portfolio_platform.lake.arrays import assemble, day_column, month_column, named, number_column
from portfolio_platform.lake.facts import UNCLASSIFIED
from portfolio_platform.ledger.fixed_point import Float64, Int64, to_floats
from portfolio_platform.ledger.inputs import encode, factorize

COMPONENTS = ("cash", "fx", "position")
CASH, FX, POSITION = range(3)
REALISED, UNREALISED, INCOME, FEES = range(4)
REASONS = ("", "missing_fx_rate")
KEY = ("portfolio", "strategy", "symbol", "currency")
ACCOUNT = ("portfolio", "currency")
NOISE = 1e-12  # of the amounts that a difference is taken of: what is smaller is rounding

SNAPSHOT_COLUMNS = (
    "day", *KEY, "average_cost", "market_value", "unrealised_pnl", "realised_pnl", "income", "fees", "fx_rate",
)  # fmt: skip
LOT_COLUMNS = ("day", *KEY, "template", "playbook", "quantity")
TRIP_COLUMNS = (*LOT_COLUMNS, "method")
CASH_COLUMNS = ("day", *ACCOUNT, "cash", "income", "fx_rate")


@dataclass(frozen=True)
class Tables:
    """Rows of the ledger's tables from the session before the first that is wanted: ``sessions`` has portfolio and day."""

    sessions: pa.Table
    snapshots: pa.Table
    lots: pa.Table
    trips: pa.Table
    cash: pa.Table


@dataclass(frozen=True)
class _Names:
    """Sorted names, for codes that tables share."""

    names: tuple[tuple[str, ...], ...]

    @property
    def size(self) -> int:
        return len(self.names)

    def find(self, rows: "_Coded") -> Int64:
        """Return the place of each row's name."""
        rank = {name: place for place, name in enumerate(self.names)}
        return np.array([rank[name] for name in rows.distinct], np.int64)[rows.code] if rows.distinct else rows.code


@dataclass(frozen=True)
class _Coded:
    """Rows by the combination of their text columns: a code for each row into ``distinct``, which is sorted."""

    code: Int64
    distinct: tuple[tuple[str, ...], ...]


def _coded(table: pa.Table, columns: tuple[str, ...]) -> _Coded:
    combined, parts = np.zeros(len(table), np.int64), []
    for name in columns:
        code, names = encode(table[name])
        combined = combined * max(len(names), 1) + code
        parts.append(names)
    code, used = _distinct(combined)
    rest, columns_of = used, []
    for names in reversed(parts):
        rest, place = np.divmod(rest, max(len(names), 1))
        columns_of.append([names[k] for k in place.tolist()])
    return _Coded(code, tuple(zip(*reversed(columns_of), strict=True)))


def _distinct(values: Int64) -> tuple[Int64, Int64]:
    """Return codes into the distinct values, and these, ascending: by hashing, since values repeat."""
    code, found = factorize(values)
    order = np.argsort(found)
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    return rank[code], found[order]


def _names(*tables: _Coded) -> _Names:
    return _Names(tuple(sorted({name for table in tables for name in table.distinct})))


class _Sessions:
    """Sessions numbered by portfolio and day: the session before one is the number before, within its portfolio."""

    SPAN = 1 << 24

    def __init__(self, sessions: pa.Table) -> None:
        portfolio, self.portfolios = encode(sessions["portfolio"])
        self._keys = np.sort(portfolio * self.SPAN + _days(sessions["day"]))
        self.portfolio, self.day = np.divmod(self._keys, self.SPAN)

    def number(self, table: pa.Table) -> Int64:
        """Return the session of each row, -1 where its day is none of its portfolio's."""
        code, names = encode(table["portfolio"])
        rank = {name: place for place, name in enumerate(self.portfolios)}
        known = np.array([rank.get(name, -1) for name in names] or [-1], np.int64)
        keys = known[code] * self.SPAN + _days(table["day"])
        place = np.searchsorted(self._keys, keys)
        found = np.append(self._keys, -1)[place] == keys
        return np.where(found & (keys >= 0), place, -1)


def attribution(tables: Tables, first: int) -> pa.Table:
    """Return `pnl_attribution` of the sessions from ``first`` (a day number) on, sorted by its key."""
    sessions = _Sessions(tables.sessions)
    coded, of_lots, of_trips = (_coded(table, KEY) for table in (tables.snapshots, tables.lots, tables.trips))
    positions = _names(coded, of_lots, of_trips)
    held = _positions(tables.snapshots, positions.find(coded), sessions)
    parts = _parts(tables, positions, positions.find(of_lots), positions.find(of_trips), sessions)
    rows = [_position_rows(held, parts, sessions.day[held.session] >= first)]
    cash_coded = _coded(tables.cash, ACCOUNT)
    accounts = np.array([cash_coded.distinct.index((name[0], name[3])) for name in positions.names], np.int64)
    rows += _cash_rows(tables.cash, cash_coded, held, accounts, sessions, first)
    names = [*positions.names, *((portfolio, "", "", currency) for portfolio, currency in cash_coded.distinct)]
    for other in rows[1:]:
        other.position[:] += positions.size
    return _assemble(rows, names, parts.tags, sessions)


@dataclass(frozen=True)
class _Rows:
    """Rows of one component: amounts are (rows, 4) in base currency, NaN where a rate is missing; tag -1 is none."""

    component: int
    session: Int64
    position: Int64
    tag: Int64
    amounts: Float64
    shared: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Held:
    """Changes of every position since the session before, sorted by (position, session).

    ``amounts`` (rows, 4) in base currency; ``income`` the change of income in the position's own; ``moved`` says whether
    the position was held at either session, or anything of it changed.
    """

    session: Int64
    position: Int64
    amounts: Float64
    income: Float64
    moved: npt.NDArray[np.bool_]


def _since(values: Float64, follows: npt.NDArray[np.bool_]) -> tuple[Float64, Float64]:
    """Return each row's change and what it changed from: the row before where that is the session before, else nothing."""
    before = np.where(follows, np.concatenate((np.zeros(1), values[:-1])), 0.0) if values.size else values
    return values - before, before


def _times(amount: Float64, rate: Float64) -> Float64:
    """Return amounts in base currency; nothing is nothing at any rate."""
    return np.where(amount == 0.0, 0.0, amount * rate)


def _follows(owner: Int64, session: Int64) -> npt.NDArray[np.bool_]:
    """Say of rows sorted by (owner, session) whether the one before is the same owner's, one session earlier."""
    same = (owner[1:] == owner[:-1]) & (session[1:] == session[:-1] + 1)
    return np.concatenate((np.zeros(min(1, owner.size), bool), same))


def _positions(snapshots: pa.Table, position: Int64, sessions: _Sessions) -> _Held:
    session = sessions.number(snapshots)
    order = np.lexsort((session, position))
    order = order[session[order] >= 0]
    position, session = position[order], session[order]
    follows = _follows(position, session)

    def column(name: str) -> Float64:
        return _floats(snapshots, name)[order]

    is_open = ~np.isnan(column("average_cost"))
    # a flat position may have no mark, and then its value is not a number
    unrealised, _ = _since(np.where(is_open, column("unrealised_pnl"), 0.0), follows)
    _, value = _since(np.where(is_open, column("market_value"), 0.0), follows)
    rate = column("fx_rate")
    moved_rate, _ = _since(rate, follows)
    (realised, _), (income, _), (fees, _) = (_since(column(name), follows) for name in ("realised_pnl", "income", "fees"))
    amounts = np.stack(
        (
            _times(realised, rate),
            _times(unrealised, rate) + _times(value, moved_rate),
            _times(income, rate),
            _times(fees, rate),
        ),
        axis=1,
    )
    held_before = np.where(follows, np.concatenate((np.zeros(1, bool), is_open[:-1])), False) if is_open.size else is_open
    moved = is_open | held_before | (realised != 0.0) | (income != 0.0) | (fees != 0.0)
    return _Held(session, position, amounts, income, moved)


@dataclass(frozen=True)
class _Parts:
    """Quantities by tag of open lots, and of lots that trips closed, each sorted by (position, session); the last part is unclassified."""

    lot_key: Int64
    trip_key: Int64
    tag: Int64
    size: Float64
    tags: tuple[tuple[str, str], ...]
    sessions: int

    def of(self, position: Int64, session: Int64) -> tuple[Int64, Int64]:
        """Return where each row's parts begin, and how many there are.

        Those of the lots held at the session before, else of the lots held now, else of the trips that began and ended
        inside the session, else the one that is unclassified.
        """
        key = position * self.sessions + session
        start, count = np.full(key.size, self.tag.size - 1), np.ones(key.size, np.int64)
        choices = ((self.trip_key, key, self.lot_key.size), (self.lot_key, key, 0), (self.lot_key, np.where(session > 0, key - 1, -1), 0))
        for known, wanted, offset in choices:
            low, high = np.searchsorted(known, wanted), np.searchsorted(known, wanted, side="right")
            start, count = np.where(high > low, low + offset, start), np.where(high > low, high - low, count)
        return start, count


def _parts(tables: Tables, positions: _Names, of_lots: Int64, of_trips: Int64, sessions: _Sessions) -> _Parts:
    tagged = tuple(_coded(table, ("template", "playbook")) for table in (tables.lots, tables.trips))
    tags = _names(*tagged)
    fifo = pc.equal(tables.trips["method"], "fifo").to_numpy()
    keys, tag, size = [], [], []
    for table, owner, named_by, wanted in (
        (tables.lots, of_lots, tagged[0], np.ones(len(tables.lots), bool)),
        (tables.trips, of_trips, tagged[1], fifo),
    ):
        session = sessions.number(table)
        rows = np.flatnonzero(wanted & (session >= 0))
        key = owner[rows] * sessions.day.size + session[rows]
        inverse, both = _distinct(key * max(tags.size, 1) + tags.find(named_by)[rows])
        keys.append(both // max(tags.size, 1))
        tag.append(both % max(tags.size, 1))
        size.append(np.bincount(inverse, np.abs(to_floats(table["quantity"]))[rows], minlength=both.size))
    names = (*(tuple(name) for name in tags.names), (UNCLASSIFIED, UNCLASSIFIED))
    codes = np.concatenate((*tag, [len(names) - 1])).astype(np.int64)
    return _Parts(keys[0], keys[1], codes, np.concatenate((*size, [1.0])), tuple((a, b) for a, b in names), sessions.day.size)


def _position_rows(held: _Held, parts: _Parts, wanted: npt.NDArray[np.bool_]) -> _Rows:
    rows = np.flatnonzero(wanted & held.moved)
    start, count = parts.of(held.position[rows], held.session[rows])
    row = np.repeat(np.arange(rows.size), count)
    part = np.arange(row.size) - np.repeat(np.cumsum(count) - count, count) + start[row]
    whole = np.bincount(row, parts.size[part], minlength=rows.size)
    share = parts.size[part] / whole[row]
    at = rows[row]
    amounts = held.amounts[at] * share[:, None]
    return _Rows(POSITION, held.session[at], held.position[at], parts.tag[part], amounts, (count > 1)[row])


def _cash_rows(cash: pa.Table, coded: _Coded, held: _Held, accounts: Int64, sessions: _Sessions, first: int) -> list[_Rows]:
    """Return the income of cash that no position earned, and the revaluation of cash; ``accounts`` are the positions' accounts."""
    session = sessions.number(cash)
    order = np.lexsort((session, coded.code))
    order = order[session[order] >= 0]
    account, session = coded.code[order], session[order]
    follows = _follows(account, session)
    income, rate, balance = (_floats(cash, name)[order] for name in ("income", "fx_rate", "cash"))
    (received, earlier), (moved_rate, _), (_, lay) = _since(income, follows), _since(rate, follows), _since(balance, follows)
    key, count = account * sessions.day.size + session, len(coded.distinct) * sessions.day.size
    earned_by = accounts[held.position] * sessions.day.size + held.session if held.position.size else held.position
    earned = np.bincount(earned_by, held.income, minlength=count)[key] if count else received
    scale = np.abs(income) + np.abs(earlier) + np.abs(earned)
    other = np.where(np.abs(received - earned) <= NOISE * scale, 0.0, received - earned)
    out = []
    for component, column, amount in ((CASH, INCOME, _times(other, rate)), (FX, UNREALISED, _times(lay, moved_rate))):
        rows = np.flatnonzero((amount != 0.0) & (sessions.day[session] >= first))
        amounts = np.zeros((rows.size, 4))
        amounts[:, column] = amount[rows]
        out.append(_Rows(component, session[rows], account[rows], np.full(rows.size, -1), amounts, np.zeros(rows.size, bool)))
    return out


def _assemble(parts: list[_Rows], names: list[tuple[str, ...]], tags: tuple[tuple[str, str], ...], sessions: _Sessions) -> pa.Table:
    component = np.concatenate([np.full(part.session.size, part.component) for part in parts])
    session, position, tag = (np.concatenate([getattr(part, name) for part in parts]) for name in ("session", "position", "tag"))
    amounts, shared = np.concatenate([part.amounts for part in parts]), np.concatenate([part.shared for part in parts])
    order = np.lexsort((tag, position, component, sessions.portfolio[session], sessions.day[session]))
    session, position, tag, amounts = session[order], position[order], tag[order], amounts[order]
    missing = np.isnan(amounts).any(axis=1)
    columns = {
        "day": day_column(sessions.day[session]),
        "portfolio": named(sessions.portfolios, sessions.portfolio[session]),
        **{name: named([key[place] for key in names], position) for place, name in enumerate(KEY) if place},
        "template": named([*(template for template, _ in tags), ""], np.where(tag < 0, len(tags), tag)),
        "playbook": named([*(playbook for _, playbook in tags), ""], np.where(tag < 0, len(tags), tag)),
        "component": named(COMPONENTS, component[order]),
        "realised": number_column(amounts[:, REALISED]),
        "unrealised": number_column(amounts[:, UNREALISED]),
        "income": number_column(amounts[:, INCOME]),
        "fees": number_column(amounts[:, FEES]),
        "total": number_column(amounts[:, REALISED] + amounts[:, UNREALISED] + amounts[:, INCOME] - amounts[:, FEES]),
        "shared": pa.array(shared[order]),
        "reason": named(REASONS, missing.astype(np.int64)),
        "month": month_column(sessions.day[session]),
    }
    return assemble(derived.PNL_ATTRIBUTION, columns)


def _days(column: pa.ChunkedArray) -> Int64:
    return np.asarray(column.cast(pa.int32()).to_numpy(), np.int64)


def _floats(table: pa.Table, name: str) -> Float64:
    values: Float64 = table[name].to_numpy().astype(np.float64)
    return values
