"""Two paths side by side: the recorded one and the counterfactual one, day by day and in sum. Pure."""

from collections.abc import Sequence

import numpy as np

from portfolio_platform.control.counterfactual.model import CAVEAT, Counterfactual, Course, Day, Outcome
from portfolio_platform.control.counterfactual.outcome import outcomes, refusals, rule_counts
from portfolio_platform.control.counterfactual.paths import Accounts, accounts
from portfolio_platform.control.counterfactual.record import Float64, Int64, Record, Window
from portfolio_platform.control.counterfactual.replay import Assumptions, Prepared, Replayed, recorded_drawdowns, replay
from portfolio_platform.diagnostics.drawdown import RISK_OFF, DrawdownDay
from portfolio_platform.policy.model import Policy

Grouped = tuple[Float64, Float64]


def counterfactual(prepared: Prepared, policy: Policy, window: Window, assumptions: Assumptions | None = None) -> Counterfactual:
    """Return what a policy would have made of a window."""
    chosen = assumptions or Assumptions()
    record = prepared.record
    found = replay(prepared, policy, window, chosen)
    recorded = recorded_drawdowns(record, policy.drawdown, window.last)
    start, before = recorded[window.first - 1].unit_value if window.first else 1.0, recorded[window.first :]
    made = accounts(record, prepared.paths, window.first, window.last)
    asked = outcomes(prepared, found, made)
    ones = np.ones(record.risks.session.size)
    then, now = (
        _Held(record, window, ones, record.equity),
        _Held(record, window, found.position_scales, _whole(record, window, found.equity)),
    )
    trades = int(sum(one.fate != "not_traded" for one in asked))
    kept = int(sum(one.scale > 0.0 for one in asked))
    return Counterfactual(
        portfolio=record.portfolio,
        currency=record.currency,
        digits=record.digits,
        policy=f"{policy.name} v{policy.version}",
        policy_hash=policy.hash,
        heat_cap=policy.heat.cap,
        risk_off=policy.drawdown.regime.risk_off_drawdown,
        regime=chosen.regime,
        most=chosen.most,
        first=record.day(window.first),
        last=record.day(window.last),
        caveat=CAVEAT,
        then=_course(record, window, start, before, _Sums(made, np.ones(prepared.paths.size), trades), then),
        now=_course(record, window, start, found.drawdowns, _Sums(made, found.scales, kept), now),
        refusals=refusals(asked, 10**record.digits),
        rules=rule_counts(asked, 10**record.digits),
        outcomes=asked,
        days=_days(record, window, before, found, asked, (then, now)),
    )


def _whole(record: Record, window: Window, equity: Float64) -> Float64:
    """Return the recorded equity up to a window and the given one inside it."""
    whole = record.equity.copy()
    whole[window.first : window.last + 1] = equity
    return whole


class _Held:
    """Heat, gross exposure and the largest groups at each session of a window, where positions have given scales."""

    def __init__(self, record: Record, window: Window, scales: Float64, equity: Float64) -> None:
        risks = record.risks
        self._inside = slice(window.first, window.last + 1)
        self.equity = equity
        base = np.where(equity > 0.0, equity, np.nan)
        exposure = np.nan_to_num(risks.exposure) * scales
        # as in the replay: a risk that is not known is taken for all of the exposure
        risk = np.where(np.isfinite(risks.risk), risks.risk, np.nan_to_num(risks.exposure)) * scales
        gross: Float64 = np.bincount(risks.session, exposure, minlength=record.sessions).astype(np.float64)
        self.heat = (np.bincount(risks.session, risk, minlength=record.sessions) / base)[self._inside]
        self.gross = (gross / base)[self._inside]
        cohorts = {symbol: groups.cohort or symbol for symbol, groups in record.instruments}
        symbols = [held.symbol for held in record.positions]
        self.symbol, self.symbol_pct = self._top(record, symbols, exposure, gross, base)
        self.cohort, self.cohort_pct = self._top(record, [cohorts.get(name, name) for name in symbols], exposure, gross, base)

    def _top(self, record: Record, names: Sequence[str], exposure: Float64, gross: Float64, base: Float64) -> Grouped:
        """Return the largest group's share of gross exposure, and its exposure over equity."""
        groups = sorted(set(names))
        code: Int64 = np.array([groups.index(name) for name in names], dtype=np.int64)
        sums = np.zeros((record.sessions, max(1, len(groups))))
        np.add.at(sums, (record.risks.session, code[record.risks.position]), exposure)
        most = sums.max(axis=1)
        share = np.divide(most, gross, out=np.zeros(record.sessions), where=gross > 0.0)
        return share[self._inside], (most / base)[self._inside]


class _Sums:
    """What trades made together at given scales, base currency."""

    def __init__(self, made: Accounts, scales: Float64, trades: int) -> None:
        self.realised, self.unrealised = float(made.realised @ scales), float(made.unrealised @ scales)
        self.fees, self.traded, self.trades = float(made.fees @ scales), float(made.traded @ scales), trades


def _course(record: Record, window: Window, start: float, rows: Sequence[DrawdownDay], sums: _Sums, held: _Held) -> Course:
    """Return the figures of a path; ``start`` is the unit value before the window."""
    inside = slice(window.first, window.last + 1)
    before = float(record.equity[window.first - 1]) if window.first else 0.0
    units = np.array([day.unit_value for day in rows], dtype=np.float64)
    returns = units / np.concatenate(([start], units[:-1])) - 1.0
    worst = int(np.argmin(returns))
    equity = held.equity[inside]
    known = equity[np.isfinite(equity)]
    end = float(known[-1]) if known.size else float("nan")
    from_start = np.concatenate(([start], units))
    mean = float(known.mean()) if known.size else float("nan")
    return Course(
        equity=end,
        pnl=end - before - float(np.nansum(record.net_flow[inside])),
        realised=sums.realised,
        unrealised=sums.unrealised,
        fees=sums.fees,
        max_drawdown=float((1.0 - from_start / np.maximum.accumulate(from_start)).max()),
        worst_return=float(returns[worst]),
        worst_day=record.day(window.first + worst),
        total_return=float(units[-1] / start - 1.0),
        risk_off_sessions=sum(day.regime == RISK_OFF for day in rows),
        turnover=sums.traded / mean,
        trades=sums.trades,
        mean_heat=_mean(held.heat),
        max_heat=_most(held.heat),
        mean_gross=_mean(held.gross),
        max_symbol=_most(held.symbol_pct),
        max_cohort=_most(held.cohort_pct),
    )


def _most(values: Float64) -> float:
    known = values[np.isfinite(values)]
    return float(known.max()) if known.size else 0.0


def _mean(values: Float64) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else 0.0


def _days(
    record: Record,
    window: Window,
    before: Sequence[DrawdownDay],
    found: Replayed,
    asked: Sequence[Outcome],
    held: tuple[_Held, _Held],
) -> tuple[Day, ...]:
    then, now = held
    refused, clipped = [0] * window.sessions, [0] * window.sessions
    places = (record.session_of([one.decision.at for one in asked]) - window.first).tolist()
    for one, place in zip(asked, places, strict=True):
        at = min(place, window.sessions - 1)
        refused[at] += not one.decision.approved
        clipped[at] += one.decision.approved and one.decision.approved_risk < one.decision.requested_risk
    with np.errstate(divide="ignore", invalid="ignore"):
        reserved = found.reserved / np.where(found.equity > 0.0, found.equity, np.nan)
    return tuple(
        Day(
            day=record.day(window.first + place),
            equity_then=float(record.equity[window.first + place]),
            equity=float(found.equity[place]),
            drawdown_then=before[place].drawdown,
            drawdown=found.drawdowns[place].drawdown,
            regime_then=before[place].regime,
            regime=found.drawdowns[place].regime,
            heat_then=float(then.heat[place]),
            heat=float(now.heat[place]),
            reserved=float(reserved[place]),
            gross_then=float(then.gross[place]),
            gross=float(now.gross[place]),
            top_symbol_then=float(then.symbol[place]),
            top_symbol=float(now.symbol[place]),
            top_cohort_then=float(then.cohort[place]),
            top_cohort=float(now.cohort[place]),
            cohort_exposure_then=float(then.cohort_pct[place]),
            cohort_exposure=float(now.cohort_pct[place]),
            refused=refused[place],
            clipped=clipped[place],
        )
        for place in range(window.sessions)
    )
