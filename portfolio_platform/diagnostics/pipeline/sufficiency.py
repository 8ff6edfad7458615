"""The sample gates as a stage: every diagnostic's tables in, the evidence of every metric and its verdict out."""

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.days import to_number
from portfolio_platform.evidence.catalogue import METRICS
from portfolio_platform.evidence.gate_evidence import Drawdowns, capital, skill_row
from portfolio_platform.evidence.metric import Metric
from portfolio_platform.evidence.observations import Observed, Sessions, Source, Words, columns_of, days_of, numbers_of, observe
from portfolio_platform.evidence.scale import with_sigma_interval
from portfolio_platform.evidence.track_record import resolved, skill
from portfolio_platform.evidence.verdicts import join, table_rows
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.progress import Plan
from portfolio_platform.policy.assigned import Assigned
from portfolio_platform.stage import Stage

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

UPSTREAMS = (
    "ledger",
    "signals",
    "heat",
    "crowding",
    "concentration",
    "drift",
    "data_quality",
    "correlation",
    "one_sided",
    "drawdown",
    "turnover",
    "execution",
    "execution_flags",
    "idle",
    "failures",
)
RESOLVED = ("target_hit", "stop_hit", "expired")


def compute(home: Home, policies: Assigned, plan: Plan) -> dict[Table, pa.Table]:
    """Return the evidence of every session of the plan."""
    until = plan.until.isoformat()[:7]
    columns = ["day", "portfolio", "daily_return", "gross_exposure", "stale_exposure"]
    before = pc.field("day") <= plan.until
    equity = home.lake.read(derived.PORTFOLIO_EQUITY, columns, before, to_month=until)
    equity = equity.sort_by([("portfolio", "ascending"), ("day", "ascending")])
    sessions, words = Sessions.of(equity), Words()
    sources = {table: Source.of(_read(home, metrics, plan), sessions, words) for table, metrics in _by_table().items()}
    elsewhere = {metric.sample: _sample(metric.sample, sources, sessions) for metric in METRICS if ":" in metric.sample}
    observed = [observe(metric, sources[metric.table], sessions, words, elsewhere) for metric in METRICS]
    observed = [with_sigma_interval(item, sessions, policies.of) if item.metric.in_sigma else item for item in observed]
    asked = [np.full(item.value.size, np.nan) for item in observed]
    wanted = sessions.day >= to_number(plan.first)
    for evidence, required in (
        *_capital(home, policies, plan, sessions, wanted, words, sources[derived.DRAWDOWN_STATE]),
        *_skill(policies, sessions, wanted, words, numbers_of(equity["daily_return"])),
    ):
        observed.append(evidence)
        asked.append(required)
    return {derived.SAMPLE_SUFFICIENCY: table_rows(join(observed), sessions, words, policies.of, np.concatenate(asked))}


def _by_table() -> dict[Table, list[Metric]]:
    found: dict[Table, list[Metric]] = {}
    for metric in METRICS:
        found.setdefault(metric.table, []).append(metric)
    return found


def _read(home: Home, metrics: list[Metric], plan: Plan) -> pa.Table:
    names, texts = columns_of(metrics)
    where = (pc.field("day") >= plan.first) & (pc.field("day") <= plan.until)
    months = {"from_month": plan.first.isoformat()[:7], "to_month": plan.until.isoformat()[:7]}
    return home.lake.read(metrics[0].table, names, where, dictionaries=texts, **months)


def _sample(named: str, sources: Mapping[Table, Source], sessions: Sessions) -> Float64:
    """Return a column (``table:column``) of a table with one row a session, by session; NaN where it has none."""
    table, column = named.split(":")
    source = sources[derived.DERIVED[table]]
    found = np.full(sessions.day.size, np.nan)
    found[source.session] = numbers_of(source.rows[column])
    return found


def _capital(
    home: Home, policies: Assigned, plan: Plan, sessions: Sessions, wanted: npt.NDArray[np.bool_], words: Words, drawdowns: Source
) -> Iterator[tuple[Observed, Float64]]:
    """Yield the evidence of the capital gate, portfolio by portfolio; it asks for what the policy says."""
    signals = _resolved_signals(home, plan)
    drawdown, why = np.full(sessions.day.size, np.nan), np.zeros(sessions.day.size, np.int64)
    drawdown[drawdowns.session] = numbers_of(drawdowns.rows["drawdown"])
    why[drawdowns.session] = drawdowns.texts["reason"]
    for place, portfolio in enumerate(sessions.portfolios):
        session = np.flatnonzero(wanted & (sessions.portfolio == place))
        mine = signals.filter(pc.equal(signals["portfolio"], portfolio))
        figures = (days_of(mine["outcome_day"]), numbers_of(mine["r_achieved"]), numbers_of(mine["slippage_at_outcome_bps"]))
        found = resolved(*figures, sessions.day[session])
        standing = Drawdowns(drawdown[session], why[session])
        for evidence in capital(session, found, standing, policies.of(portfolio), sessions, words):
            yield evidence, np.full(session.size, np.nan)


def _resolved_signals(home: Home, plan: Plan) -> pa.Table:
    """Return the qualified policy signals that were resolved by the last day, in the order in which that became known."""
    names = ["portfolio", "outcome_day", "r_achieved", "slippage_at_outcome_bps", "signal_id"]
    where = (
        (pc.field("outcome_day") <= plan.until)
        & (pc.field("purpose") == "policy")
        & pc.field("qualified")
        & pc.field("outcome").isin(RESOLVED)
    )
    until = plan.until.isoformat()[:7]
    found = home.lake.read(derived.SIGNAL_OUTCOMES, names, where, to_month=until)
    return found.sort_by([("outcome_day", "ascending"), ("signal_id", "ascending")])


def _skill(
    policies: Assigned, sessions: Sessions, wanted: npt.NDArray[np.bool_], words: Words, returns: Float64
) -> Iterator[tuple[Observed, Float64]]:
    """Yield the evidence of the skill gate, portfolio by portfolio, and the observations that it asks for."""
    for place, portfolio in enumerate(sessions.portfolios):
        gates, mine = policies.of(portfolio).gates, sessions.portfolio == place
        known = np.isfinite(returns[mine])
        found = skill(returns[mine][known], gates.skill_sharpe, gates.loosening_confidence)
        chosen = wanted[mine]
        yield skill_row(np.flatnonzero(mine & wanted), found, np.cumsum(known)[chosen], sessions, words)


STAGE = Stage("sufficiency", (derived.SAMPLE_SUFFICIENCY,), UPSTREAMS, compute)
