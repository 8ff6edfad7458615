"""What an alert's row says of itself: its evidence, and its texts."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from portfolio_platform.days import to_date
from portfolio_platform.evidence.catalogue import BY_NAME
from portfolio_platform.monitor.alerts import sentences as say
from portfolio_platform.monitor.alerts.contributors import Contributions
from portfolio_platform.monitor.alerts.engine import (
    COUNT,
    FIRST,
    LEVEL,
    P_FIRST,
    P_LEVEL,
    RESOLVED,
    TRANSITION,
    TRANSITIONS,
    WORST_LEVEL,
)
from portfolio_platform.monitor.alerts.grid import Metrics
from portfolio_platform.monitor.alerts.limits import SEVERITIES, leaving_limit, meets, rule_version
from portfolio_platform.monitor.alerts.states import Alerts
from portfolio_platform.policy.alerts import Rule

FIRING, ENDED = "firing", "resolved"
SCOPED_BY_SYMBOL = frozenset({"symbol_exposure", "churn"})


def alert_id(portfolio: str, rule: str, scope: str, first: str) -> str:
    """Return the id of an alert: its parts are percent-encoded, so that a scope may hold anything."""
    return ":".join(("alert", _encoded(portfolio), _encoded(rule), _encoded(scope), first))


@lru_cache(maxsize=4096)
def _encoded(part: str) -> str:
    return quote(part, safe="")


@dataclass(frozen=True)
class Facts:
    """What the metrics' rows say of each entry; (N,) each, null where the metric has no row."""

    unit: list[str]
    window_start: pa.Array
    sample_size: pa.Array
    required: pa.Array
    sessions_until: pa.Array
    passed: npt.NDArray[np.bool_]
    reason: list[str]
    evidence: list[str]


def facts_of(given: Alerts, metrics: Metrics) -> Facts:
    """Return the evidence of each entry; what is only held keeps the verdict of the session before."""
    there = pa.array(np.where(given.row >= 0, given.row, 0), pa.int64(), mask=given.row < 0)
    wanted = metrics.rows.select(["unit", "window_start", "sample_size", "required", "sessions_until", "passed", "reason", "evidence_id"])
    found = wanted.take(there) if len(wanted) else wanted.schema.empty_table()
    if not len(wanted) and len(given):
        found = pa.Table.from_arrays([pa.nulls(len(given), kind.type) for kind in wanted.schema], schema=wanted.schema)
    units = [BY_NAME[rule.metric].unit if rule.metric in BY_NAME else "" for rule in given.of_rule]
    gone = given.row < 0
    scoped = np.array([scope != "" for scope in given.scopes], np.bool_)[given.scope] if len(given) else gone
    passed = [bool(value) for value in found["passed"].to_pylist()]
    reason = [text or "" for text in found["reason"].to_pylist()]
    for entry in np.flatnonzero(gone).tolist():
        passed[entry], reason[entry] = bool(scoped[entry]), say.NO_LONGER_THERE if scoped[entry] else "not_computed"
    found_facts = Facts(
        unit=[text or units[code] for text, code in zip(found["unit"].to_pylist(), given.rule.tolist(), strict=True)],
        window_start=found["window_start"].combine_chunks(),
        sample_size=found["sample_size"].combine_chunks(),
        required=found["required"].combine_chunks(),
        sessions_until=found["sessions_until"].combine_chunks(),
        passed=np.array(passed, np.bool_),
        reason=reason,
        evidence=[text or "" for text in found["evidence_id"].to_pylist()],
    )
    return _with_held_gates(found_facts, given)


def _with_held_gates(facts: Facts, given: Alerts) -> Facts:
    """Return the facts with the gates of what is only held: an alert may be told only of a session that met its limit.

    A value that is back inside its limit is on the safe side of it, so its own gate has nothing to exclude and passes. Its
    alert would be told just when it gets better; so it keeps the verdict of the session before, if its own is no worse.
    """
    passed, reason = facts.passed.copy(), list(facts.reason)
    ended = given.counts[:, TRANSITION] == RESOLVED
    for entry in np.flatnonzero((given.breach == 0) & ~ended & passed).tolist():
        # entries of an alert follow each other; the first one of the range has only what is remembered of the session before
        passed[entry] = passed[entry - 1] if entry and given.continues(entry) else given.sure[entry]
        if not passed[entry]:
            reason[entry] = say.WAS_UNSURE
    return replace(facts, passed=passed, reason=reason)


TEXTS = (
    *("portfolio", "rule", "scope", "alert_id", "state", "severity", "transition", "rule_version", "metric", "comparison", "unit"),
    *("lookback", "gate_reason", "symbols", "contributors", "evidence_ids", "trend", "previous", "cause", "worst_severity"),
    *("sentence", "action"),
)


@dataclass(frozen=True)
class _Entry:
    """What the sentences of an entry speak of."""

    label: str
    rule: Rule
    portfolio: str
    scope: str
    unit: str
    reason: str
    symbols: str
    resolved: bool
    sessions: int
    observed: float
    threshold: float
    worst: float
    level: int
    breach: int


def text_columns(given: Alerts, facts: Facts, contributed: Contributions) -> dict[str, list[str]]:
    """Return the text columns of all entries."""
    rows: list[tuple[str, ...]] = []
    versions = [rule_version(name, rule) for name, rule in zip(given.rules, given.of_rule, strict=True)]
    labels = [BY_NAME[rule.metric].label if rule.metric in BY_NAME else rule.metric for rule in given.of_rule]
    of_symbol = [rule.metric in SCOPED_BY_SYMBOL for rule in given.of_rule]
    of_playbook = [rule.metric in BY_NAME and BY_NAME[rule.metric].scope == ("playbook",) for rule in given.of_rule]
    counts, values = given.counts.tolist(), given.values.tolist()
    codes = zip(given.portfolio.tolist(), given.rule.tolist(), given.scope.tolist(), strict=True)
    numbers = zip(given.observed.tolist(), given.before.tolist(), given.threshold.tolist(), given.breach.tolist(), strict=True)
    for entry, ((portfolio_code, code, scope_code), (observed, before, limit, breach)) in enumerate(zip(codes, numbers, strict=True)):
        portfolio, rule, scope = given.portfolios[portfolio_code], given.of_rule[code], given.scopes[scope_code]
        state, (worst, worst_before), unit, reason = counts[entry], values[entry], facts.unit[entry], facts.reason[entry]
        symbols = scope if of_symbol[code] else contributed.symbols.get(entry, "")
        resolved = state[TRANSITION] == RESOLVED
        shown = "all playbooks" if scope == "all" and of_playbook[code] else scope
        about = _Entry(
            *(labels[code], rule, portfolio, shown, unit, reason, symbols, resolved, state[COUNT]),
            *(observed, limit, worst, state[LEVEL], breach),
        )
        sentence, action = _told(about)
        said = (
            *(portfolio, given.rules[code], scope, alert_id(portfolio, given.rules[code], scope, _day(state[FIRST]))),
            *(ENDED if resolved else FIRING, SEVERITIES[state[LEVEL]], TRANSITIONS[state[TRANSITION]], versions[code]),
            *(
                rule.metric,
                rule.comparison,
                unit,
                rule.lookback,
                reason,
                symbols,
                contributed.texts.get(entry, "[]"),
                facts.evidence[entry],
            ),
            say.trend(observed - before, limit, rule.comparison.startswith(">")),
            *(_previous(*state[P_FIRST : P_LEVEL + 1], worst_before, unit), rule.cause, SEVERITIES[state[WORST_LEVEL]], sentence, action),
        )
        rows.append(said)
    columns = zip(*rows, strict=True) if rows else ([] for _ in TEXTS)
    return {name: list(column) for name, column in zip(TEXTS, columns, strict=True)}


@lru_cache(maxsize=4096)
def _previous(first: int, last: int, sessions: int, level: int, worst: float, unit: str) -> str:
    """Return when the same alert fired before, empty where it never did."""
    if first < 0:
        return ""
    return say.previous_sentence(to_date(first), to_date(last), sessions, SEVERITIES[level], say.formatted(worst, unit))


@lru_cache(maxsize=16384)
def _day(number: int) -> str:
    return to_date(number).isoformat()


def _told(about: _Entry) -> tuple[str, str]:
    """Return what happened and what to do."""
    at_worst, shown = say.formatted(about.worst, about.unit), say.formatted(about.observed, about.unit)
    there = math.isfinite(about.observed)
    if about.resolved:
        now = shown if there else None
        return say.resolved_sentence(about.label, about.portfolio, about.scope, now, at_worst, about.sessions), say.NOTHING_TO_DO
    filled = (about.rule, about.portfolio, about.scope, shown, say.formatted(about.threshold, about.unit), about.symbols)
    action = say.filled(about.rule.action, *filled)
    if not there:
        return say.held_sentence(about.label, about.portfolio, about.scope, about.reason, at_worst), action
    return _firing_sentence(about, shown, say.filled(about.rule.sentence, *filled)), action


def _firing_sentence(about: _Entry, shown: str, sentence: str) -> str:
    """Return what a firing alert says: its rule's sentence where its limit is met, else that hysteresis keeps it."""
    if about.breach >= about.level:
        return sentence
    rule, limit = about.rule, say.formatted(about.threshold, about.unit)
    leaving = say.formatted(leaving_limit(about.threshold, rule.leave, rule.comparison), about.unit)
    until = say.calm_for(say.good_side(rule.comparison, leaving), rule.leave_sessions)
    if about.breach:
        return f"{sentence} {say.eased_sentence(f'{rule.comparison} {limit}', until)}"
    if meets(about.observed, rule.comparison, about.threshold):
        return say.beside_sentence(about.label, about.portfolio, about.scope, shown, say.calm_for("calm", rule.leave_sessions))
    return say.back_inside_sentence(about.label, about.portfolio, about.scope, shown, f"{rule.comparison} {limit}", until)
