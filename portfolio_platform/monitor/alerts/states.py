"""Alerts of every session of a range: the state machine over all portfolios, rules and scopes, as flat arrays."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from portfolio_platform.monitor.alerts.engine import (
    CALM,
    COOL,
    COUNT,
    EASING,
    FIRST,
    LEVEL,
    NOTHING,
    P_COUNT,
    P_FIRST,
    P_LAST,
    P_LEVEL,
    P_WORST,
    TRANSITION,
    WIDTH,
    WORST,
    WORST_LEVEL,
    Carried,
    evaluate,
)
from portfolio_platform.monitor.alerts.grid import Metrics, Series, series_of
from portfolio_platform.monitor.alerts.limits import SEVERITIES
from portfolio_platform.policy.alerts import AlertPolicy, Rule

Ints = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sessions:
    """A portfolio's sessions in a range: day numbers, the first being that of the session before it (-1: none), and their numbers."""

    days: Ints
    numbers: Ints

    @property
    def before(self) -> int:
        """Return the number of the session before the range; -1 where there is none."""
        return int(self.numbers[0])


@dataclass(frozen=True)
class Standing:
    """An alert of the session before the range; ``sure``: what its gate said then."""

    level: int
    worst_level: int
    calm: int
    easing: int
    count: int
    first: int
    worst: float
    sure: bool = True


@dataclass(frozen=True)
class Ended:
    """The newest end of an alert before the range: day numbers, the number of its last session, how long and how bad."""

    first: int
    last: int
    session: int
    count: int
    level: int
    worst: float


@dataclass(frozen=True)
class Memory:
    """What is known of a portfolio's alerts before a range, by (rule, scope)."""

    standing: Mapping[tuple[str, str], Standing] = field(default_factory=dict)
    ended: Mapping[tuple[str, str], Ended] = field(default_factory=dict)

    def scopes(self, rule: str) -> set[str]:
        """Return the scopes of a rule whose alert stands."""
        return {scope for name, scope in self.standing if name == rule}

    def sure(self, rule: str, scope: str) -> bool:
        """Say whether the gate of an alert that stands passed in the session before."""
        now = self.standing.get((rule, scope))
        return now is not None and now.sure

    def carried(self, rule: str, scopes: tuple[str, ...], cool_down: int, before: int) -> Carried:
        """Return the state of a rule's series after the session before."""
        state = Carried.calm(len(scopes))
        for k, scope in enumerate(scopes):
            now, ended = self.standing.get((rule, scope)), self.ended.get((rule, scope))
            if ended is not None:
                state.counts[k, [P_FIRST, P_LAST, P_COUNT, P_LEVEL]] = ended.first, ended.last, ended.count, ended.level
                state.counts[k, COOL] = max(0, cool_down - (before - ended.session))
                state.values[k, P_WORST] = ended.worst
            if now is not None:
                state.counts[k, [LEVEL, WORST_LEVEL, CALM, EASING]] = now.level, now.worst_level, now.calm, now.easing
                state.counts[k, [COUNT, FIRST, COOL]] = now.count, now.first, 0
                state.values[k, WORST] = now.worst
        return state


@dataclass(frozen=True)
class Alerts:
    """One entry for every alert that fires in a session or ends in it, by portfolio, rule, scope and day.

    Attributes:
        portfolios, rules, scopes: names behind the codes; ``of_rule`` are the rules themselves.
        portfolio, rule, scope: codes; (N,).
        day, session: day number and number of the session; (N,).
        row: row number in `Metrics`, -1 where the metric has none; (N,).
        observed, before: value of the session and of the one before, NaN where null; (N,).
        breach: the level whose threshold the session meets with all conditions, 0 where it is only held; (N,).
        sure: whether the gate passed in the session before the range, for alerts that stood then; (N,).
        counts, values: what the state machine says; (N, WIDTH), (N, 2).
    """

    portfolios: tuple[str, ...]
    rules: tuple[str, ...]
    of_rule: tuple[Rule, ...]
    scopes: tuple[str, ...]
    portfolio: Ints
    rule: Ints
    scope: Ints
    day: Ints
    session: Ints
    row: Ints
    observed: Float64
    before: Float64
    breach: Ints
    sure: npt.NDArray[np.bool_]
    counts: Ints
    values: Float64

    def __len__(self) -> int:
        """Return the number of entries."""
        return int(self.day.size)

    def continues(self, entry: int) -> bool:
        """Say whether an entry is of the alert of the entry before it."""
        same = (column[entry] == column[entry - 1] for column in (self.portfolio, self.rule, self.scope, self.counts[:, FIRST]))
        return all(same)

    @property
    def severity(self) -> Ints:
        """Return the level: 1 warning, 2 critical."""
        return self.counts[:, LEVEL]

    @property
    def threshold(self) -> Float64:
        """Return the threshold of each entry's severity."""
        limits = np.array([[np.nan, _number(rule.warning), _number(rule.critical)] for rule in self.of_rule]).reshape(-1, len(SEVERITIES))
        return limits[self.rule, self.severity]

    @property
    def upward(self) -> npt.NDArray[np.bool_]:
        """Say whether larger is worse."""
        return np.array([rule.comparison.startswith(">") for rule in self.of_rule], np.bool_)[self.rule]


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)


@dataclass(frozen=True)
class _Piece:
    """The entries of one rule in one portfolio: places of series and sessions, and what the state machine says of them."""

    portfolio: int
    rule: int
    series: Series
    k: Ints
    s: Ints
    counts: Ints
    values: Float64
    sessions: Sessions
    sure: npt.NDArray[np.bool_]


def alerts(
    metrics: Metrics,
    sessions: Mapping[str, Sessions],
    policy_of: Callable[[str], AlertPolicy],
    memory_of: Mapping[str, Memory],
) -> Alerts:
    """Return every portfolio's alerts over its sessions, going on from what is remembered; pure."""
    found: list[_Piece] = []
    portfolios, rules = tuple(sorted(sessions)), _Rules()
    for number, portfolio in enumerate(portfolios):
        mine, memory = sessions[portfolio], memory_of.get(portfolio, Memory())
        for name, rule in sorted(policy_of(portfolio).rules.items()):
            if not rule.enabled:
                continue
            series = series_of(metrics, portfolio, name, rule, mine.days, memory.scopes(name))
            if series is None:
                continue
            done = evaluate(series.observed, memory.carried(name, series.scopes, rule.cool_down, mine.before))
            k, s = np.nonzero(done.counts[:, :, TRANSITION] != NOTHING)
            if k.size:
                sure = np.array([memory.sure(name, scope) for scope in series.scopes], np.bool_)
                code = rules.code(name, rule)
                found.append(_Piece(number, code, series, k, s, done.counts[k, s], done.values[k, s], mine, sure))
    return _flat(portfolios, rules, found)


class _Rules:
    """Rules by name and content: portfolios may have another version of one rule."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.rules: list[Rule] = []

    def code(self, name: str, rule: Rule) -> int:
        for number, known in enumerate(self.names):
            if known == name and self.rules[number] == rule:
                return number
        self.names.append(name)
        self.rules.append(rule)
        return len(self.names) - 1


def _flat(portfolios: tuple[str, ...], rules: _Rules, found: list[_Piece]) -> Alerts:
    """Return the entries of all series in one."""
    scopes = tuple(sorted({scope for piece in found for scope in piece.series.scopes}))
    place = {scope: number for number, scope in enumerate(scopes)}
    return Alerts(
        portfolios=portfolios,
        rules=tuple(rules.names),
        of_rule=tuple(rules.rules),
        scopes=scopes,
        portfolio=_ints(np.full(piece.k.size, piece.portfolio) for piece in found),
        rule=_ints(np.full(piece.k.size, piece.rule) for piece in found),
        scope=_ints(np.array([place[scope] for scope in piece.series.scopes], np.int64)[piece.k] for piece in found),
        day=_ints(piece.sessions.days[piece.s + 1] for piece in found),
        session=_ints(piece.sessions.numbers[piece.s + 1] for piece in found),
        row=_ints(piece.series.row[piece.k, piece.s + 1] for piece in found),
        observed=_floats(piece.series.value[piece.k, piece.s + 1] for piece in found),
        before=_floats(piece.series.value[piece.k, piece.s] for piece in found),
        breach=_ints(piece.series.met[piece.k, piece.s].astype(np.int64) for piece in found),
        sure=np.concatenate([np.zeros(0, np.bool_), *(piece.sure[piece.k] for piece in found)]),
        counts=_ints(piece.counts for piece in found).reshape(-1, WIDTH),
        values=_floats(piece.values for piece in found).reshape(-1, 2),
    )


def _ints(parts: Iterable[Ints]) -> Ints:
    return np.concatenate([np.zeros(0, np.int64), *(part.ravel() for part in parts)])


def _floats(parts: Iterable[Float64]) -> Float64:
    return np.concatenate([np.zeros(0), *(part.ravel() for part in parts)])


def inhibitors(
    given: Alerts, policy_of: Callable[[str], AlertPolicy], passed: npt.NDArray[np.bool_], resolved: npt.NDArray[np.bool_]
) -> list[str]:
    """Return for each entry the rule whose critical alert of the same portfolio and session makes it silent, empty where none does.

    An alert whose own gate failed silences nobody: it may not be told itself.
    """
    silenced: list[str] = [""] * len(given)
    for code, portfolio in enumerate(given.portfolios):
        for name, others in sorted(policy_of(portfolio).inhibit.items(), reverse=True):
            mine = given.portfolio == code
            loud = mine & (given.severity == len(SEVERITIES) - 1) & passed & ~resolved & _of(given, {name})
            days = np.unique(given.day[loud])
            for entry in np.flatnonzero(mine & _of(given, set(others) - {name}) & np.isin(given.day, days)).tolist():
                silenced[entry] = name
    return silenced


def _of(given: Alerts, names: set[str]) -> npt.NDArray[np.bool_]:
    wanted = np.array([name in names for name in given.rules], np.bool_)
    return wanted[given.rule] if wanted.size else np.zeros(len(given), np.bool_)
