"""What moved: realised against expected, time in drawdown regimes, regimes of signals, allocation, crowds, failure modes.

Everything is read at the period's last session, or counted over its sessions; the baseline is what lies before, disjoint.
"""

from datetime import date

import numpy as np

from portfolio_platform.evidence.ids import evidence_id
from portfolio_platform.evidence.intervals import wilson
from portfolio_platform.lake import derived
from portfolio_platform.monitor.reflection.facts import History, Row, Sessions, Signals, Span, last_session
from portfolio_platform.monitor.reflection.model import Allocation, Coverage, Crowd, Expected, Failure, RegimeTime, SignalRegime

MEASURES = ("holding_time", "mae", "mfe", "slippage", "win_rate")
BASELINE = 250
CROWDS, GROUPS = 6, 12
FAILURE_KEY = ("failure_mode", "template", "regime", "side")
# name, the share that would be right, what it is a share of
COVERED = (
    ("hit_rate", None, "n"),
    ("hold_below_p50", 0.5, "banded"),
    ("hold_below_p90", 0.9, "banded"),
    ("mae_below_p50", 0.5, "banded"),
    ("mfe_above_p50", 0.5, "banded"),
)


def expected(history: History, last: date) -> tuple[Expected, ...]:
    """Return realised against expected at a session: all playbooks together, and each that has a sample."""
    rows = [row for row in history.execution.get(last, ()) if row["measure"] in MEASURES and row["n"]]
    rows.sort(key=lambda row: (MEASURES.index(row["measure"]), row["playbook"] != "all", row["playbook"]))
    names = ("measure", "playbook", "unit", "expected", "realised", "low", "high", "expected_p90", "p90", "n", "drift", "reason")
    found = []
    for row in rows:
        cell = evidence_id(derived.EXECUTION_PROFILE, history.portfolio, last, "realised", row["measure"], row["playbook"])
        found.append(Expected(**{name: row[name] for name in names}, cusum_signal=bool(row["cusum_signal"]), evidence_id=cell))
    return tuple(found)


def coverage(history: History, last: date) -> tuple[Coverage, ...]:
    """Return how stated confidence and expected bands came true, of the signals resolved in the 60 sessions up to a session.

    What would be right of the hit rate is the mean stated confidence.
    """
    row = history.calibration.get(last)
    if row is None:
        return ()
    found = []
    for name, right, of in COVERED:
        n, share = int(row[of]), row[name]
        known = share is not None and n > 0
        low, high = (float(end) for end in wilson(share * n, n)) if known else (None, None)
        found.append(
            Coverage(
                name=name,
                share=share,
                low=low,
                high=high,
                right=row["confidence"] if right is None else right,
                n=n,
                evidence_id=evidence_id(derived.CALIBRATION, history.portfolio, last, name),
            )
        )
    return tuple(found)


def drawdown_regimes(sessions: Sessions, span: Span) -> tuple[RegimeTime, ...]:
    """Return the time in each drawdown regime, against the 250 sessions before the period."""
    now, before = sessions.regime[span.begin : span.end], sessions.regime[max(0, span.begin - BASELINE) : span.begin]
    names = sorted({*now.tolist(), *before.tolist()} - {""})
    return tuple(
        RegimeTime(
            regime=name,
            sessions=int((now == name).sum()),
            share=float((now == name).mean()),
            baseline_share=float((before == name).mean()) if before.size else None,
            baseline_sessions=int(before.size),
        )
        for name in names
    )


def signal_regimes(signals: Signals, span: Span) -> tuple[SignalRegime, ...]:
    """Return the regimes of the window's signals against all before it, the most frequent first."""
    known = signals.day <= span.last
    window = known & (signals.day > span.window_after)
    now, before = signals.regime[window], signals.regime[known & ~window]
    if not now.size:
        return ()
    found = []
    for name in sorted({*now.tolist(), *before.tolist()}):
        n = int((now == name).sum())
        low, high = (float(end) for end in wilson(n, now.size))
        share = float((before == name).mean()) if before.size else None
        found.append(
            SignalRegime(
                regime=name,
                n=n,
                of=int(now.size),
                share=n / now.size,
                low=low,
                high=high,
                baseline_share=share,
                baseline_of=int(before.size),
            )
        )
    return tuple(sorted(found, key=lambda one: (-one.n, one.regime)))


def allocation(history: History, last: date) -> tuple[Allocation, ...]:
    """Return the shares of templates and playbooks at a session against their baseline, the largest move first."""
    rows = [row for row in history.allocation.get(last, ()) if (row["share"] or 0.0) > 0.0 or (row["baseline"] or 0.0) > 0.0]
    rows.sort(key=lambda row: (row["dimension"] != "template", -abs(row["drift"] or 0.0), row["group"]))
    names = ("dimension", "group", "share", "baseline", "drift", "sessions", "baseline_sessions")
    return tuple(
        Allocation(
            **{name: row[name] for name in names},
            evidence_id=evidence_id(derived.CONCENTRATION_DRIFT, history.portfolio, last, "drift", row["dimension"], row["group"]),
        )
        for row in rows[:GROUPS]
    )


def crowding(history: History, first: date, until: date) -> tuple[Crowd, ...]:
    """Return the crowds of a period, those of most strategies and sessions first."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in history.crowding:
        if first <= row["day"] <= until:
            groups.setdefault((row["kind"], row["group"], row["side"]), []).append(row)
    found = []
    for (kind, group, side), rows in groups.items():
        peak = max(rows, key=lambda row: (row["strategies"], row["exposure_pct"] or 0.0, -row["day"].toordinal()))
        found.append(
            Crowd(
                kind=kind,
                group=group,
                side=side,
                sessions=len(rows),
                strategies=peak["strategies"],
                members=peak["members"],
                exposure_pct=peak["exposure_pct"],
                evidence_id=evidence_id(derived.CROWDING, history.portfolio, peak["day"], "strategies", kind, group, side),
            )
        )
    found.sort(key=lambda one: (-one.strategies, -one.sessions, one.kind, one.group, one.side))
    return tuple(found[:CROWDS])


def failures(history: History, span: Span) -> tuple[Failure, ...]:
    """Return the failure modes that recur at the period's last session or did at the session before the period."""
    last, before = last_session(history.sessions, span.end - 1), last_session(history.sessions, span.begin - 1)
    now, old = _recurring(history, last), _recurring(history, before)
    found = []
    for key in sorted({*now, *old}):
        day, row = (last, now[key]) if key in now else (before, old[key])
        assert day is not None
        found.append(
            Failure.model_validate(
                {
                    **dict(zip(FAILURE_KEY, key, strict=True)),
                    "status": "gone" if key not in now else "still_there" if key in old else "new",
                    **{name: row[name] for name in ("cases", "trades", "share", "baseline_share", "p_adjusted", "loss_share", "members")},
                    "evidence_id": evidence_id(derived.FAILURE_MODES, history.portfolio, day, "p_adjusted", *key),
                }
            )
        )
    order = {"new": 0, "still_there": 1, "gone": 2}
    return tuple(sorted(found, key=lambda one: (order[one.status], -(one.loss_share or 0.0), one.evidence_id)))


def _recurring(history: History, day: date | None) -> dict[tuple[str, ...], Row]:
    rows = history.failures.get(day, ()) if day is not None else ()
    return {tuple(row[name] for name in FAILURE_KEY): row for row in rows if row["recurring"]}


def worst_and_best(sessions: Sessions, span: Span) -> tuple[float | None, float | None, float | None]:
    """Return the smallest and the largest daily return and the deepest drawdown of a period's sessions; None where none is known."""
    made, drawdown = sessions.daily_return[span.begin : span.end], sessions.drawdown[span.begin : span.end]
    made, drawdown = made[np.isfinite(made)], drawdown[np.isfinite(drawdown)]
    deepest = float(drawdown.max()) if drawdown.size else None
    return (float(made.min()), float(made.max()), deepest) if made.size else (None, None, deepest)
