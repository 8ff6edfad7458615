"""Evidence of the gates for capital and for skill: portfolio-wide rows that no diagnostic has, one a session."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from portfolio_platform.evidence.catalogue import BY_NAME
from portfolio_platform.evidence.gates import CAPITAL_CONDITIONS, Sample, gates_by_class, judge, required_of, threshold_of
from portfolio_platform.evidence.observations import Observed, Sessions, Words, address_of
from portfolio_platform.evidence.track_record import TOO_SHORT, Resolved, Skill
from portfolio_platform.policy.model import Policy

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Drawdowns:
    """Drawdown of each session asked for, NaN where it is not known, with the reason as a code."""

    value: Float64
    reason: Int64


def gate_row(
    name: str, session: Int64, value: Float64, sample: Float64, reason: Int64, sessions: Sessions, words: Words, coverage: Float64
) -> Observed:
    """Return the evidence of one of the gates' metrics for sessions of one portfolio; its window begins with the first session."""
    metric = BY_NAME[name]
    own = metric.table.name == "sample_sufficiency"
    unknown, nothing = np.full(session.size, np.nan), np.zeros(session.size, np.int64)
    start = sessions.day[session - sessions.number[session]]
    # a row of sample_sufficiency is its own evidence: the key's parts are metric and an empty scope
    address = words.code(address_of(metric, (name, "") if own else ()))
    return Observed(
        metric=metric,
        session=session,
        scope=nothing,
        address=np.full(session.size, address),
        value=value,
        sample=sample,
        coverage=coverage,
        low=unknown,
        high=unknown,
        window_start=start,
        span=(sessions.number[session] + 1).astype(np.float64),
        method=np.full(session.size, words.code(metric.method)),
        reason=np.where(np.isfinite(value), 0, reason),
    )


def capital(session: Int64, found: Resolved, drawdown: Drawdowns, policy: Policy, sessions: Sessions, words: Words) -> list[Observed]:
    """Return the capital gate and its conditions: resolved policy signals, their mean result, their slippage, the drawdown.

    The gate's coverage is the share of its conditions that hold.
    """
    count = found.count.astype(np.float64)
    short, whole = np.full(session.size, words.code(TOO_SHORT)), np.ones(session.size)
    conditions = [
        gate_row("capital_mean_r", session, found.mean_r, count, short, sessions, words, whole),
        gate_row("capital_slippage", session, found.median_slippage, count, short, sessions, words, whole),
        gate_row(
            "capital_drawdown",
            session,
            drawdown.value,
            np.isfinite(drawdown.value).astype(np.float64),
            drawdown.reason,
            sessions,
            words,
            sessions.coverage[session],
        ),
    ]
    hold = [count >= required_of(policy, "capital_gate"), *(_holds(item, policy) for item in conditions)]
    share = np.sum(hold, axis=0) / len(CAPITAL_CONDITIONS)
    return [gate_row("capital_gate", session, count, count, short, sessions, words, share), *conditions]


def _holds(item: Observed, policy: Policy) -> npt.NDArray[np.bool_]:
    """Return the verdict on one condition of the capital gate."""
    name, size = item.metric.name, item.value.size
    limit = threshold_of(policy, name)
    threshold = np.full(size, np.nan if limit is None else limit.value)
    required = np.full(size, float(required_of(policy, name)))
    rows = Sample((name,), np.zeros(size, np.int64), item.value, item.sample, required, item.coverage, item.low, item.high, threshold)
    return judge(rows, gates_by_class(policy))[0]


def skill_row(session: Int64, found: Skill, returns_seen: Int64, sessions: Sessions, words: Words) -> tuple[Observed, Float64]:
    """Return the evidence of the skill gate, and how many observations it asks for (infinite: no number would do).

    ``found`` is after each return, ``returns_seen`` the number of returns up to each session. The sample counts whole
    effective observations, rounded down; the minimum track record is rounded up.
    """
    last = returns_seen - 1
    some = last >= 0

    def at(values: Float64) -> Float64:
        return np.where(some, values[np.maximum(last, 0)], np.nan) if values.size else np.full(session.size, np.nan)

    codes = np.array([words.code(text) for text in found.reason] or [0], np.int64)
    reason = np.where(some, codes[np.maximum(last, 0)], words.code(TOO_SHORT))
    effective, needed = at(found.effective), np.ceil(at(found.needed))
    sample = np.floor(np.where(np.isfinite(effective), effective, 0.0))
    row = gate_row("skill_gate", session, at(found.probability), sample, reason, sessions, words, np.ones(session.size))
    return row, np.where(np.isnan(needed), np.inf, needed)
