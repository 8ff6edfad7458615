"""From rows of derived tables to evidence: value, sample, coverage, interval, window and address of each metric, as arrays.

What belongs here: reading a metric's declaration against its table. Whether the evidence suffices is in `gates`; figures that
no table has (the gates for capital and skill) come from `track_record`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.evidence.metric import COLUMN, SESSIONS, WHOLE, Metric

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

NO_DAY = np.iinfo(np.int32).min
SUM = 1 << 32
"""More than there are days: portfolio and day make one number."""


@dataclass
class Words:
    """Texts that repeat, each kept once: `code` gives a text's place in `texts`."""

    texts: list[str] = field(default_factory=lambda: [""])
    _known: dict[str, int] = field(default_factory=lambda: {"": 0})

    def code(self, text: str | None) -> int:
        """Return the code of a text; null is the empty text, 0."""
        found = self._known.setdefault(text or "", len(self.texts))
        if found == len(self.texts):
            self.texts.append(text or "")
        return found

    def codes(self, column: pa.ChunkedArray) -> Int64:
        """Return the code of each value of a text column, dictionary-encoded or not."""
        encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        encoded = encoded.combine_chunks()
        if isinstance(encoded, pa.ChunkedArray):  # no chunk at all
            return np.empty(0, np.int64)
        table = np.array([*(self.code(text) for text in encoded.dictionary.to_pylist()), 0], np.int64)
        # null has no index: it reads the 0 at the end
        found: Int64 = table[pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)]
        return found


@dataclass(frozen=True)
class Sessions:
    """All sessions up to the last day asked for, by portfolio and day; ``coverage`` is the share of gross with a fresh mark."""

    portfolios: tuple[str, ...]
    portfolio: Int64
    day: Int64
    coverage: Float64
    number: Int64
    key: Int64

    @classmethod
    def of(cls, rows: pa.Table) -> "Sessions":
        """Read rows with portfolio, day, gross_exposure, stale_exposure in any order."""
        rows = rows.sort_by([("portfolio", "ascending"), ("day", "ascending")])
        names = pc.unique(rows["portfolio"]).to_pylist()
        code = pc.index_in(rows["portfolio"], pa.array(names, pa.string())).to_numpy().astype(np.int64)
        day = days_of(rows["day"])
        gross, stale = numbers_of(rows["gross_exposure"]), numbers_of(rows["stale_exposure"])
        with np.errstate(divide="ignore", invalid="ignore"):
            covered = np.where(gross > 0.0, 1.0 - stale / gross, np.where(gross == 0.0, 1.0, np.nan))
        start = np.searchsorted(code, np.arange(len(names)))
        return cls(tuple(names), code, day, covered, np.arange(code.size) - start[code], code * SUM + day)

    def places(self, portfolio: pa.ChunkedArray, day: Int64) -> Int64:
        """Return each row's session, -1 where there is none; ``portfolio`` is dictionary-encoded."""
        words = Words()
        codes = words.codes(portfolio)
        known = {name: place for place, name in enumerate(self.portfolios)}
        mine = np.array([known.get(text, -1) for text in words.texts], np.int64)[codes]
        return self._found(mine * SUM + day, mine >= 0)

    def before(self, sessions: Int64, window: int | Int64) -> Int64:
        """Return the session at which a window of so many sessions begins."""
        return sessions - np.minimum(self.number[sessions], window - 1)

    def since(self, sessions: Int64, start: Int64) -> Int64:
        """Return how many sessions lie from a day to each session, both included."""
        first = np.searchsorted(self.key, self.portfolio[sessions] * SUM + start)
        return np.maximum(sessions - np.minimum(first, sessions) + 1, 1)

    def _found(self, wanted: Int64, known: Flags) -> Int64:
        if not self.key.size:
            return np.full(wanted.size, -1, np.int64)
        place = np.minimum(np.searchsorted(self.key, wanted), self.key.size - 1)
        return np.where(known & (self.key[place] == wanted), place, -1)


@dataclass(frozen=True)
class Observed:
    """Evidence as arrays over rows; texts are codes into `Words`, ``session`` into `Sessions`, NaN is null.

    ``address`` is the part of the evidence id after the day. ``span`` is the number of sessions in which the sample
    came together, NaN where that says nothing about when there will be more.
    """

    metric: Metric
    session: Int64
    scope: Int64
    address: Int64
    value: Float64
    sample: Float64
    coverage: Float64
    low: Float64
    high: Float64
    window_start: Int64
    span: Float64
    method: Int64
    reason: Int64


def columns_of(metrics: Sequence[Metric]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the columns that metrics of one table read, and which of them are texts to read as dictionaries."""
    table = metrics[0].table
    names: dict[str, None] = {"day": None, "portfolio": None}
    for metric in metrics:
        cells = (metric.column, metric.over, metric.sample, metric.low, metric.high, metric.why, metric.coverage)
        wanted = [*metric.scope, *metric.where, *(name for name in cells if name and ":" not in name and name != WHOLE)]
        named = (text.partition(":") for text in (metric.method, str(metric.window)) if text.startswith((COLUMN, SESSIONS)))
        wanted += [name for _, _, name in named]
        names |= dict.fromkeys([*wanted, *[name for name in table.key if name not in ("day", "portfolio")]])
    if "reason" in table.column_names:
        names["reason"] = None
    kinds = {column.name: column.kind for column in table.columns}
    return tuple(names), tuple(name for name in names if kinds[name] == "text")


@dataclass(frozen=True)
class Source:
    """Rows of one table, each with its session, and the texts of its key and words as codes."""

    rows: pa.Table
    session: Int64
    texts: Mapping[str, Int64]

    @classmethod
    def of(cls, rows: pa.Table, sessions: Sessions, words: Words) -> "Source":
        """Keep the rows of known sessions; text columns are coded."""
        session = sessions.places(rows["portfolio"], days_of(rows["day"]))
        if (session < 0).any():
            kept = np.flatnonzero(session >= 0)
            rows, session = rows.take(pa.array(kept)), session[kept]
        named = [item.name for item in rows.schema if pa.types.is_dictionary(item.type) or pa.types.is_string(item.type)]
        return cls(rows, session, {name: words.codes(rows[name]) for name in named})


def observe(metric: Metric, source: Source, sessions: Sessions, words: Words, by_session: Mapping[str, Float64]) -> Observed:
    """Return the evidence of a metric: a row for each row of its table that it is about.

    ``by_session`` has the samples that stand in another table (``table:column``), an array over all sessions.
    """
    chosen = np.ones(source.session.size, np.bool_)
    for name, text in metric.where.items():
        chosen &= source.texts[name] == words.code(text)
    place = np.flatnonzero(chosen)
    session = source.session[place]

    def numbers(name: str) -> Float64:
        return numbers_of(source.rows[name])[place]

    value = numbers(metric.column)
    if metric.over:
        below = numbers(metric.over)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = np.where((value == 0.0) & (below == 0.0), 0.0, value / below)
        value = np.where(np.isfinite(value), value, np.nan)
    if metric.absolute:
        value = np.abs(value)
    known = np.isfinite(value)
    unknown = np.full(place.size, np.nan)
    start, span = _window(metric, source, place, sessions)
    scope, address = _addresses(metric, source, place, words)
    return Observed(
        metric,
        session,
        scope,
        address,
        value,
        _sample(metric, known, session, by_session, numbers),
        _coverage(metric, session, sessions, numbers),
        numbers(metric.low) if metric.low else unknown,
        numbers(metric.high) if metric.high else unknown,
        start,
        span,
        _method(metric, source, place, words),
        np.where(known, 0, _reason(metric, source, place)),
    )


def _window(metric: Metric, source: Source, place: Int64, sessions: Sessions) -> tuple[Int64, Float64]:
    """Return the first day of each row's window, and in how many sessions its sample came together."""
    session = source.session[place]
    if isinstance(metric.window, str) and metric.window.startswith(SESSIONS):
        back = numbers_of(source.rows[metric.window.removeprefix(SESSIONS)])[place]
        start = sessions.day[sessions.before(session, np.nan_to_num(back).astype(np.int64) + 1)]
        span = np.full(place.size, np.nan)
    elif isinstance(metric.window, str):
        start = days_of(source.rows[metric.window.removeprefix(COLUMN)])[place]
        held = sessions.since(session, start).astype(np.float64)
        span = np.where(start == NO_DAY, np.nan, held)
    else:
        start = sessions.day[sessions.before(session, metric.window)]
        seen = sessions.number[session] + 1.0
        # a full window of fixed length holds as much as it ever will at its rate
        span = np.where(seen < metric.window, seen, np.nan)
    if metric.grows == "start":
        span = sessions.number[session] + 1.0
    return start, span if metric.grows != "never" else np.full(place.size, np.nan)


def _sample(metric: Metric, known: Flags, session: Int64, by_session: Mapping[str, Float64], numbers: Callable[[str], Float64]) -> Float64:
    if not metric.sample:
        return known.astype(np.float64)
    found = by_session[metric.sample][session] if ":" in metric.sample else numbers(metric.sample)
    return np.where(np.isfinite(found), found, 0.0)


def _coverage(metric: Metric, session: Int64, sessions: Sessions, numbers: Callable[[str], Float64]) -> Float64:
    if metric.coverage == WHOLE:
        return np.ones(session.size)
    return numbers(metric.coverage) if metric.coverage else sessions.coverage[session]


def _method(metric: Metric, source: Source, place: Int64, words: Words) -> Int64:
    if metric.method.startswith(COLUMN):
        return source.texts[metric.method.removeprefix(COLUMN)][place]
    return np.full(place.size, words.code(metric.method))


def _reason(metric: Metric, source: Source, place: Int64) -> Int64:
    found = np.zeros(place.size, np.int64)
    for name in ("reason", metric.why):
        if name in source.texts:
            found = np.where(found == 0, source.texts[name][place], found)
    return found


def _addresses(metric: Metric, source: Source, place: Int64, words: Words) -> tuple[Int64, Int64]:
    """Return each row's scope, and the part of its evidence id after the day: few distinct texts, built once each."""
    names = [name for name in metric.table.key if name not in ("day", "portfolio")]
    combined = np.zeros(place.size, np.int64)
    parts = np.zeros((1, 0), np.int64)
    for name in names:
        pairs, combined = np.unique(combined * len(words.texts) + source.texts[name][place], return_inverse=True)
        earlier, here = np.divmod(pairs, len(words.texts))
        parts = np.column_stack((parts[earlier], here))
    where = [names.index(name) for name in metric.scope]
    scopes, addresses = [], []
    for row in parts.tolist():
        texts = [words.texts[code] for code in row]
        scopes.append(words.code("/".join(texts[index] for index in where)))
        addresses.append(words.code(address_of(metric, texts)))
    return np.array(scopes, np.int64)[combined], np.array(addresses, np.int64)[combined]


def address_of(metric: Metric, key_parts: Sequence[str]) -> str:
    """Return what stands after the day in the evidence id of a metric's cell; parts are of the table's key, in its order."""
    return "/".join((*(quote(text, safe="") for text in key_parts), metric.column))


def days_of(column: pa.ChunkedArray) -> Int64:
    """Return dates as day numbers; null is `NO_DAY`."""
    filled = pc.fill_null(column.cast(pa.int32()), NO_DAY)
    days: Int64 = filled.to_numpy().astype(np.int64)
    return days


def numbers_of(column: pa.ChunkedArray) -> Float64:
    """Return numbers, counts or flags as floats; null is NaN."""
    values: Float64 = pc.fill_null(column.cast(pa.float64()), np.nan).to_numpy()
    return values
