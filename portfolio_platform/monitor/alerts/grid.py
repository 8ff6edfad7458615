"""From rows of `sample_sufficiency` to what the state machine looks at: a grid of scopes by sessions for each rule."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.monitor.alerts.engine import Observed
from portfolio_platform.monitor.alerts.limits import CRITICAL, WARNING, calm, meets
from portfolio_platform.policy.alerts import Rule

Ints = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
USED = (
    *("day", "portfolio", "metric", "scope", "value", "unit", "sample_size", "required", "sessions_until", "window_start"),
    *("passed", "reason", "evidence_id"),
)
KEYS = ("portfolio", "metric", "scope")


def encoded(column: "pa.ChunkedArray") -> tuple[Ints, list[str]]:
    """Return a text column's codes, in the order of its sorted names, and the names."""
    plain = column.combine_chunks()
    if not pa.types.is_dictionary(plain.type):
        plain = pc.dictionary_encode(plain)
    if isinstance(plain, pa.ChunkedArray):
        plain = plain.combine_chunks()
    names = [name or "" for name in plain.dictionary.to_pylist()]
    order = sorted(set(names))
    place = {name: number for number, name in enumerate(order)}
    lookup = np.array([place[name] for name in names], np.int64)
    codes = plain.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return (lookup[codes] if len(names) else codes), order


class Metrics:
    """Rows of `sample_sufficiency` by portfolio and metric. ``rows`` keeps the order that `row` numbers refer to."""

    def __init__(self, rows: pa.Table) -> None:
        """Sort the rows by portfolio, metric, scope and day, and remember where each metric begins."""
        self.rows = rows
        (portfolio, portfolios), (metric, metrics), (scope, self.scopes) = (encoded(rows[name]) for name in KEYS)
        self.day = rows["day"].combine_chunks().cast(pa.int32()).to_numpy(zero_copy_only=False).astype(np.int64)
        self.value = rows["value"].combine_chunks().to_numpy(zero_copy_only=False).astype(np.float64)
        self._scope = scope
        self._order = np.lexsort((self.day, scope, metric, portfolio))
        key = (portfolio * max(1, len(metrics)) + metric)[self._order]
        starts = np.flatnonzero(np.diff(key, prepend=-1))
        ends = np.append(starts, key.size)[1:]
        self._at = {
            (portfolios[number // len(metrics)], metrics[number % len(metrics)]): (int(start), int(end))
            for number, start, end in zip(key[starts].tolist(), starts, ends, strict=True)
        }

    def of(self, portfolio: str, metric: str) -> tuple[Ints, Ints]:
        """Return row numbers and scope codes of a metric, by scope and day."""
        start, end = self._at.get((portfolio, metric), (0, 0))
        rows = self._order[start:end]
        return rows, self._scope[rows]


@dataclass(frozen=True)
class Series:
    """A rule's series of one portfolio: scopes (K) by sessions; the first column is the session before the range.

    ``row`` is the row number in `Metrics`, -1 where there is none; ``observed`` is without that first column, as is ``met``:
    the level whose threshold the session meets, whatever the session before it did.
    """

    name: str
    rule: Rule
    scopes: tuple[str, ...]
    row: Ints
    value: Float64
    observed: Observed
    met: npt.NDArray[np.int8]


def _placed(metrics: Metrics, portfolio: str, metric: str, days: Ints) -> tuple[Ints, Ints, Ints]:
    """Return row numbers, scope codes and session columns of a metric's rows that lie on the days."""
    rows, scope = metrics.of(portfolio, metric)
    column = np.searchsorted(days, metrics.day[rows])
    sound = (column < days.size) & (days[np.minimum(column, days.size - 1)] == metrics.day[rows])
    return rows[sound], scope[sound], column[sound]


def _grid(metrics: Metrics, portfolio: str, metric: str, days: Ints, scopes: tuple[str, ...]) -> Ints:
    """Return the row number of each scope and session, -1 where there is none."""
    found = np.full((len(scopes), days.size), -1, np.int64)
    rows, scope, column = _placed(metrics, portfolio, metric, days)
    series = _series_of(metrics, scopes)[scope]
    found[series[series >= 0], column[series >= 0]] = rows[series >= 0]
    return found


def _series_of(metrics: Metrics, scopes: tuple[str, ...]) -> Ints:
    """Return the series of each of the metrics' scopes, -1 where it is not asked for."""
    place = {scope: number for number, scope in enumerate(scopes)}
    return np.array([place.get(scope, -1) for scope in metrics.scopes], np.int64)


def _values(metrics: Metrics, row: Ints) -> Float64:
    if not metrics.value.size:
        return np.full(row.shape, np.nan)
    return np.where(row >= 0, metrics.value[row], np.nan)


def _hot_scopes(metrics: Metrics, portfolio: str, rule: Rule, days: Ints) -> set[str]:
    """Return the scopes whose value meets the rule's lowest threshold at least once: no other can begin."""
    rows, scope, _ = _placed(metrics, portfolio, rule.metric, days)
    lowest = rule.warning if rule.warning is not None else rule.critical
    assert lowest is not None  # the policy's model holds that a rule has a threshold
    hot = meets(metrics.value[rows], rule.comparison, lowest) if rows.size else np.zeros(0, np.bool_)
    return {metrics.scopes[code] for code in np.unique(scope[hot]).tolist()}


def series_of(metrics: Metrics, portfolio: str, name: str, rule: Rule, days: Ints, carried: set[str]) -> Series | None:
    """Return the series of a rule that can have an alert: those that meet it in the range, and those that are carried.

    ``days`` are the portfolio's sessions, the first being that before the range (or -1 where there is none).
    """
    scopes = tuple(sorted(_hot_scopes(metrics, portfolio, rule, days[1:]) | carried))
    if not scopes:
        return None
    row = _grid(metrics, portfolio, rule.metric, days, scopes)
    value = _values(metrics, row)
    breach, inside = _levels(value, rule)
    # of a scope that is gone nothing is left to alert about; a portfolio's own metric is never gone, only unknown
    absent = (row < 0) & np.array([scope != "" for scope in scopes])[:, None]
    unknown = ~np.isfinite(value)
    for condition in rule.also:
        own = _grid(metrics, portfolio, condition.metric, days, scopes)
        whole = _grid(metrics, portfolio, condition.metric, days, ("",))
        beside = _values(metrics, np.where(own >= 0, own, whole))
        breach[~meets(beside, condition.comparison, condition.value)] = 0
        left = calm(beside, condition.comparison, condition.value, rule.leave)
        inside[left] = 0
        unknown |= ~np.isfinite(beside) & (inside > 0)
    begins = breach if rule.enter_sessions == 1 else np.minimum(breach, np.pad(breach, ((0, 0), (1, 0)))[:, :-1])
    # where one thing is calm, what is not known beside it decides nothing
    known = ~unknown | absent | (np.isfinite(value) & (inside == 0))
    size = len(scopes)
    observed = Observed(
        value=np.ascontiguousarray(value[:, 1:]),
        breach=np.ascontiguousarray(begins[:, 1:]),
        inside=np.ascontiguousarray(inside[:, 1:]),
        known=np.ascontiguousarray(known[:, 1:]),
        days=np.ascontiguousarray(days[1:]),
        lowest=np.full(size, WARNING if rule.warning is not None else CRITICAL, np.int64),
        leave_sessions=np.full(size, rule.leave_sessions, np.int64),
        cool_down=np.full(size, rule.cool_down, np.int64),
        upward=np.full(size, rule.comparison.startswith(">"), np.bool_),
    )
    return Series(name, rule, scopes, row, value, observed, breach[:, 1:])


def _levels(value: Float64, rule: Rule) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    """Return the level whose threshold each value meets, and the highest level that it has not left."""
    breach, inside = np.zeros(value.shape, np.int8), np.zeros(value.shape, np.int8)
    for level, threshold in ((WARNING, rule.warning), (CRITICAL, rule.critical)):
        if threshold is not None:
            breach[meets(value, rule.comparison, threshold)] = level
            inside[np.isfinite(value) & ~calm(value, rule.comparison, threshold, rule.leave)] = level
    return breach, inside
