"""Tables lined up with sessions: columns become lists once, rounded as a report needs them, and a session is a place in them.

Thousands of reports are composed from a few tables; taking each number out of Arrow by itself would cost more than all else.
"""

from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.canonical import rounded
from portfolio_platform.lake.columns import Table

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
Moved = list[tuple[float | int | None, float | None, float | None]]
_DAYS = 1_000_000


class Sessions:
    """The sessions of all portfolios, by portfolio and day, each with the places of the one before and the one a week back."""

    def __init__(self, equity: pa.Table) -> None:
        """Number the sessions of rows of `portfolio_equity`."""
        self.table = equity.sort_by([("portfolio", "ascending"), ("day", "ascending")]).combine_chunks()
        self.portfolios: list[str] = sorted(set(self.table["portfolio"].to_pylist()))
        self.portfolio: list[str] = self.table["portfolio"].to_pylist()
        self.day: list[date] = self.table["day"].to_pylist()
        self.key = self.keys(self.table)
        size = len(self.key)
        place = np.arange(size)
        starts = np.searchsorted(self.key, (self.key // _DAYS) * _DAYS)
        self.previous: Int64 = np.where(place > starts, place - 1, -1)
        back = np.searchsorted(self.key, self.key - 7, side="right") - 1
        self.week: Int64 = np.where(back >= starts, back, -1)
        self.start: Int64 = starts

    def keys(self, table: pa.Table) -> Int64:
        """Return a number for each row's portfolio and day; -1 for a portfolio without sessions."""
        codes = pc.fill_null(pc.index_in(table["portfolio"], pa.array(self.portfolios, pa.string())), -1).to_numpy().astype(np.int64)
        days = table["day"].cast(pa.int32()).to_numpy().astype(np.int64)
        return np.where(codes < 0, -1, codes * _DAYS + days)

    def places(self, keys: Int64) -> Int64:
        """Return the session of each key, -1 where there is none."""
        if not self.key.size:
            return np.full(keys.shape, -1)
        at = np.minimum(np.searchsorted(self.key, keys), self.key.size - 1)
        return np.where(self.key[at] == keys, at, -1)

    def before_of(self, others: "Sessions", first_day: list[date]) -> Int64:
        """Return for each session of others the place here of its portfolio's last session before a day; -1 where there is none."""
        days = np.array([day.toordinal() for day in first_day], np.int64) - date(1970, 1, 1).toordinal()
        codes = np.array([self.portfolios.index(name) for name in others.portfolio], np.int64)
        at = np.searchsorted(self.key, codes * _DAYS + days) - 1
        return np.where((at >= 0) & (self.key[np.maximum(at, 0)] // _DAYS == codes), at, -1)


class Frame:
    """Rows of a table by session, in the order given; columns are lists, made when first asked for."""

    def __init__(self, rows: pa.Table, sessions: Sessions, declared: Table) -> None:
        """Line rows up with sessions; rows of other days are left out, the order inside a session stays."""
        place = sessions.places(sessions.keys(rows))
        order = np.flatnonzero(place >= 0)
        order = order[np.argsort(place[order], kind="stable")]
        self.rows = rows.take(pa.array(order)).combine_chunks()
        self.place = place[order]
        self.sessions, self.declared = sessions, declared
        self.start = np.searchsorted(self.place, np.arange(len(sessions.key) + 1)).tolist()
        self._kinds = {column.name: column.kind for column in declared.columns}
        self._columns: dict[str, list[object]] = {}
        self._moved: dict[str, Moved] = {}
        self._records: dict[tuple[str, ...], list[tuple[object, ...]]] = {}

    def span(self, session: int) -> range:
        """Return the rows of a session."""
        return range(self.start[session], self.start[session + 1])

    def column(self, name: str) -> list[object]:
        """Return a column as plain values: floats rounded, NaN and null as None, days and decimals as text."""
        if name not in self._columns:
            self._columns[name] = self._plain(name)
        return self._columns[name]

    def record(self, row: int, names: tuple[str, ...]) -> dict[str, object]:
        """Return some columns of a row."""
        if names not in self._records:
            self._records[names] = list(zip(*(self.column(name) for name in names), strict=True))
        return dict(zip(names, self._records[names][row], strict=True))

    def _plain(self, name: str) -> list[object]:
        kind, column = self._kinds.get(name, "number"), self.rows[name]
        if kind == "number":
            return list(rounded(column.to_numpy().astype(np.float64)))
        if kind == "day":
            return column.cast(pa.string()).to_pylist()  # type: ignore[no-any-return]
        if kind == "decimal":
            return [None if value is None else format(value.normalize(), "f") for value in column.to_pylist()]
        return column.to_pylist()  # type: ignore[no-any-return]

    def moved(self, name: str, *, with_change: bool = True) -> Moved:
        """Return a column of a table with one row a session: value, change since the session before, since a week before.

        The list has an entry for each session; its parts are None where there is no row.
        """
        if name not in self._moved:
            size = len(self.sessions.key)
            raw = np.full(size, np.nan)
            raw[self.place] = self.rows[name].to_numpy(zero_copy_only=False).astype(np.float64)
            values: list[float | int | None] = list(rounded(raw))
            if self._kinds[name] == "integer":
                values = [None if value is None else int(value) for value in values]
            nothing: list[float | None] = [None] * size
            changes = [nothing, nothing]
            if with_change:
                earlier = (self.sessions.previous, self.sessions.week)
                changes = [rounded(raw - np.where(then >= 0, raw[then], np.nan)) for then in earlier]
            self._moved[name] = list(zip(values, changes[0], changes[1], strict=True))
        return self._moved[name]
