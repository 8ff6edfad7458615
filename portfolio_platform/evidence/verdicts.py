"""Rows of `sample_sufficiency` from evidence: gates applied, ids built, sorted by key."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.evidence.gates import Failure, Sample, gates_by_class, judge, required_of, threshold_of
from portfolio_platform.evidence.observations import NO_DAY, Float64, Int64, Observed, Sessions, Words
from portfolio_platform.lake.arrays import assemble, day_column, month_column, named, number_column
from portfolio_platform.lake.derived import SAMPLE_SUFFICIENCY
from portfolio_platform.policy.model import Policy

NO_VALUE = "no value"
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Joined:
    """Evidence of many metrics, one after the other; ``place`` is each row's metric."""

    given: tuple[Observed, ...]
    place: Int64

    def column(self, name: str) -> npt.NDArray[np.float64]:
        """Return a column of all of them."""
        return np.concatenate([getattr(item, name) for item in self.given]) if self.given else np.empty(0)

    def codes(self, name: str) -> Int64:
        """Return a column of codes."""
        return self.column(name).astype(np.int64)


@dataclass(frozen=True)
class Verdict:
    """The verdict on rows and why: codes into `Words`."""

    passed: Flags
    reason: Int64


def join(given: Sequence[Observed]) -> Joined:
    """Put evidence together."""
    return Joined(tuple(given), np.repeat(np.arange(len(given)), [item.value.size for item in given]))


def required_and_threshold(given: Joined, portfolio: Int64, policies: Sequence[Policy]) -> tuple[Float64, Float64]:
    """Return how many observations each row asks for and the threshold of its metric, under its portfolio's policy."""
    required = np.ones((len(policies), len(given.given)))
    threshold = np.full((len(policies), len(given.given)), np.nan)
    for which, policy in enumerate(policies):
        for place, item in enumerate(given.given):
            required[which, place] = required_of(policy, item.metric.name)
            found = threshold_of(policy, item.metric.name)
            threshold[which, place] = np.nan if found is None else found.value
    return required[portfolio, given.place], threshold[portfolio, given.place]


def decide(rows: Sample, portfolio: Int64, policies: Sequence[Policy], unknown: Int64, words: Words) -> Verdict:
    """Return the verdict on each row; ``policies`` by portfolio, ``unknown`` says why a value is null where that is known."""
    passed, reason = np.ones(portfolio.size, np.bool_), np.zeros(portfolio.size, np.int64)
    distinct = {policy.hash: policy for policy in policies}
    for one in distinct.values():
        mine = np.array([policy.hash == one.hash for policy in policies], np.bool_)
        chosen = np.flatnonzero(mine[portfolio]) if len(distinct) > 1 else np.arange(portfolio.size)
        verdict, failures = judge(_taken(rows, chosen), gates_by_class(one))
        passed[chosen] = verdict
        reason[chosen] = _reasons(failures, unknown[chosen], words)
    return Verdict(passed, reason)


def _taken(rows: Sample, chosen: Int64) -> Sample:
    if chosen.size == rows.metric.size:
        return rows
    arrays = (rows.value, rows.sample_size, rows.required, rows.coverage, rows.low, rows.high, rows.threshold)
    return Sample(rows.names, rows.metric[chosen], *(array[chosen] for array in arrays))


def _reasons(failures: Sequence[Failure], unknown: Int64, words: Words) -> Int64:
    """Return why each row failed, joined by "; ", as codes; a null's own reason comes first."""
    code, texts = np.zeros(unknown.size, np.int64), [""]
    for failure in failures:
        here = np.array([words.code(text) for text in failure.texts], np.int64)[failure.code]
        if not failure.gate.words:
            own = unknown[failure.place]
            here = np.where(own > 0, own, words.code(NO_VALUE))
        base = len(words.texts)
        pairs, which = np.unique(code[failure.place] * base + here, return_inverse=True)
        made = []
        for earlier, fresh in zip(*(part.tolist() for part in np.divmod(pairs, base)), strict=True):
            made.append(len(texts))
            texts.append("; ".join(text for text in (texts[earlier], words.texts[fresh]) if text))
        code[failure.place] = np.array(made, np.int64)[which]
    return np.array([words.code(text) for text in texts], np.int64)[code]


def table_rows(
    given: Joined, sessions: Sessions, words: Words, policy_of: Callable[[str], Policy], required: Float64 | None = None
) -> pa.Table:
    """Return the rows of `sample_sufficiency`, sorted by its key.

    ``required`` overrides how many observations are asked for where it is not NaN; infinite is null: never enough.
    """
    session, place = given.codes("session"), given.place
    portfolio = sessions.portfolio[session]
    policies = [policy_of(name) for name in sessions.portfolios]
    asked, threshold = required_and_threshold(given, portfolio, policies)
    if required is not None:
        asked = np.where(np.isnan(required), asked, np.where(np.isfinite(required), required, np.nan))
    names = tuple(item.metric.name for item in given.given)
    sample, value = given.column("sample"), given.column("value")
    evidence = Sample(names, place, value, sample, asked, given.column("coverage"), given.column("low"), given.column("high"), threshold)
    verdict = decide(evidence, portfolio, policies, given.codes("reason"), words)
    missing = np.maximum(asked - sample, 0.0)
    columns = {
        "portfolio": named(list(sessions.portfolios), portfolio),
        "day": day_column(sessions.day[session]),
        "metric": named(names, place),
        "scope": named(words.texts, given.codes("scope")),
        "value": number_column(value),
        "unit": named([item.metric.unit for item in given.given], place),
        "gate": named([item.metric.gate for item in given.given], place),
        "sample_size": _integers(sample),
        "required": _integers(asked),
        "coverage": number_column(evidence.coverage),
        "low": number_column(evidence.low),
        "high": number_column(evidence.high),
        "threshold": number_column(threshold),
        "window_start": _days(given.codes("window_start")),
        "method": named(words.texts, given.codes("method")),
        "passed": pa.array(verdict.passed),
        "reason": named(words.texts, verdict.reason),
        "missing": _integers(missing),
        "sessions_until": number_column(_sessions_until(missing, sample, given.column("span"))),
        "evidence_id": _ids(given, session, sessions, words),
        "month": month_column(sessions.day[session]),
    }
    order = pa.array(_order(session, place, given.codes("scope"), sessions, names, words))
    return assemble(SAMPLE_SUFFICIENCY, {name: column.take(order) for name, column in columns.items()})


def _sessions_until(missing: Float64, sample: Float64, span: Float64) -> Float64:
    """Return ``missing / rate``, the rate being the sample over the sessions in which it came together; NaN where it says nothing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = missing * span / sample
    return np.where((missing > 0.0) & (sample > 0.0) & np.isfinite(found), found, np.nan)


def _ids(given: Joined, session: Int64, sessions: Sessions, words: Words) -> pa.Array:
    """Return the evidence id of each row, as `ids.evidence_id` writes it: table/portfolio, day, rest of the key and column."""
    heads, many = [], len(sessions.portfolios)
    for item in given.given:
        heads += [f"{item.metric.table.name}/{quote(name, safe='')}" for name in sessions.portfolios]
    distinct, day = np.unique(sessions.day[session], return_inverse=True)
    days = distinct.astype("datetime64[D]").astype(str).tolist()
    head = named(heads, given.place * many + sessions.portfolio[session])
    return pc.binary_join_element_wise(head, named(days, day), named(words.texts, given.codes("address")), "/")


def _order(session: Int64, place: Int64, scope: Int64, sessions: Sessions, names: tuple[str, ...], words: Words) -> Int64:
    """Return the order by day, portfolio, metric, scope."""
    metric_rank = np.argsort(np.argsort(np.array(names, np.object_))) if names else np.empty(0, np.int64)
    used, scope = np.unique(scope, return_inverse=True)
    scope_rank = np.argsort(np.argsort(np.array([words.texts[code] for code in used.tolist()], np.object_)))
    first = int(sessions.day[session].min()) if session.size else 0
    key = (sessions.day[session] - first) * len(sessions.portfolios) + sessions.portfolio[session]
    key = (key * max(len(names), 1) + metric_rank[place]) * max(used.size, 1) + scope_rank[scope]
    return np.argsort(key, kind="stable")


def _integers(values: Float64) -> pa.Array:
    null = ~np.isfinite(values)
    return pa.array(np.where(null, 0.0, values).astype(np.int64), mask=null)


def _days(days: Int64) -> pa.Array:
    null = days == NO_DAY
    dates = day_column(np.where(null, 0, days))
    return pc.if_else(pa.array(null), pa.scalar(None, pa.date32()), dates)
