"""What drawdown, correlation and evidence rest on: unit values, the matrix of what is held, the gates."""

from collections.abc import Iterable
from datetime import date

from portfolio_platform.evidence.catalogue import BY_NAME
from portfolio_platform.evidence.gates import confidence_of
from portfolio_platform.explain.cells import by_session, by_size, cell, cells, earlier, explains, plain, rows_of
from portfolio_platform.explain.resolve import at_evidence_id
from portfolio_platform.explain.sources import Row, Sources
from portfolio_platform.explain.tables.ledger import equity_of, position_name
from portfolio_platform.explain.tables.risk import lot_name, policy_value
from portfolio_platform.explain.tree import Draft, listing
from portfolio_platform.lake import derived

DRAWDOWN = {
    "drawdown": "1 - unit value / high-water mark",
    "high_water_mark": "highest unit value so far, the start of 1 included",
    "under_water_days": "sessions since the high-water mark",
    "velocity_1": "drawdown - drawdown of the session before",
    "velocity_5": "(drawdown - drawdown 5 sessions ago) / 5",
    "velocity_20": "(drawdown - drawdown 20 sessions ago) / 20",
    "z_5": "change of drawdown over 5 sessions / (EWMA sigma from before them x square root of 5)",
    "acceleration": "velocity_5 - velocity_20",
    "mdd_severity": "maximum drawdown of 252 sessions / (square root of pi/2 x sigma x square root of T)",
    "cdar_95": "mean of the worst 5 % of the last 252 drawdowns",
    "regime": "regime of the session before and the policy's thresholds",
    "size_multiplier": "size that the policy gives the regime",
    "control_drawdown": "1 - unit value / mark that the regime's rules look at",
    "ewma_variance": "lambda x variance before + (1 - lambda) x daily return squared",
}
SPANS = {"velocity_1": 1, "velocity_5": 5, "z_5": 5, "velocity_20": 20}
LONG = {"mdd_severity": "unit_value", "cdar_95": "drawdown"}
REGIME_WORDS = ("regime", "transition", "sessions_in_regime", "size_multiplier")


@explains(derived.DRAWDOWN_STATE, DRAWDOWN)
def drawdown_state(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """A drawdown is the unit value against its highest, a regime what the policy makes of it."""
    portfolio, day = row.portfolio, row.day
    before = of.before(portfolio, day)
    was = of.row(derived.DRAWDOWN_STATE, portfolio, before) if before else None
    if column == "drawdown":
        return cells(of, row, ("unit_value", "high_water_mark"))
    if column == "control_drawdown":
        return cells(
            of, row, ("unit_value", "control_high_water_mark" if row["control_high_water_mark"] is not None else "high_water_mark")
        )
    if column in ("high_water_mark", "under_water_days"):
        return _mark(of, row)
    if column == "unit_value":
        return equity_of(of, portfolio, day, "unit_value")
    if column == "acceleration":
        return cells(of, row, ("velocity_5", "velocity_20"))
    if column in REGIME_WORDS:
        rules = [
            policy_value(of, portfolio, day, f"drawdown.regime.{name}", value)
            for name, value in of.policy(portfolio, day).drawdown.regime.model_dump().items()
        ]
        then = earlier(of, was, "regime", "regime of the session before")
        said = [plain(row, "transition")] if row["transition"] else [Draft("no transition in this session")]
        return [*said, *then, *cells(of, row, ("control_drawdown", "z_5")), listing("the policy's thresholds", lambda: rules)]
    if column in SPANS:
        return _span(of, row, column)
    if column in LONG:
        return _long(of, row, column)
    return earlier(of, was, column, f"{column.replace('_', ' ')} of the session before")


def _mark(of: Sources, row: Row) -> list[Draft]:
    """Return the session of the high-water mark, and what came after it."""
    days = of.window(row.portfolio, row.day, row["under_water_days"] + 1)
    since = of.rows(derived.PORTFOLIO_EQUITY, row.portfolio, days[0], row.day)
    after = by_session(of, f"unit values since, {len(since) - 1} sessions", lambda: reversed(since[1:]), "unit_value")
    return [cell(of, since[0], "unit_value", title=f"unit value on {days[0]}, the mark, or the start of 1 where that is higher"), after]


def _span(of: Sources, row: Row, column: str) -> list[Draft]:
    days = of.window(row.portfolio, row.day, SPANS[column] + 1)
    rows = of.rows(derived.DRAWDOWN_STATE, row.portfolio, days[0], row.day)
    then = cell(of, rows[0], "drawdown", title=f"drawdown on {days[0]}")
    sigma = [cell(of, rows[0], "ewma_variance", title=f"EWMA variance on {days[0]}")] if column == "z_5" else []
    return [*cells(of, row, ("drawdown",)), then, *sigma]


def _long(of: Sources, row: Row, column: str) -> list[Draft]:
    size, quoted = of.policy(row.portfolio, row.day).drawdown.window, LONG[column]
    # a maximum drawdown is taken over as many returns, which is one unit value more
    days = of.window(row.portfolio, row.day, size + (column == "mdd_severity"))
    rows = of.rows(derived.DRAWDOWN_STATE, row.portfolio, days[0], row.day)
    chosen = by_size(rows, "drawdown") if quoted == "drawdown" else rows
    return [by_session(of, f"{quoted.replace('_', ' ')}s from {days[0]} to {row.day}", lambda: chosen, quoted)]


STACKING = {
    "score": "K: sum over pairs of u_i u_j max(0, s_i s_j C_ij) / sum of u_i u_j, u the share of risk, s the side, C the correlation",
    "stack_ratio": "sum over i, j of u_i u_j s_i s_j C_ij / sum of u_i squared",
    "effective_bets": "1 / sum over i, j of u_i u_j s_i s_j C_ij",
    "mean_correlation": "mean of the sample correlations of all pairs",
    "correlated_heat": "square root of the sum over positions p, q of R_p R_q max(0, s_p s_q C_pq) / equity",
    "largest_bucket_pct": "same-direction exposure of the largest bucket / equity",
}


@explains(derived.CORRELATION_STACKING, STACKING)
def correlation_stacking(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """Stacking is the correlations of what is held, weighted by it."""
    if column in ("buckets", "largest_bucket", "largest_bucket_pct"):
        rows = by_size(of.rows(derived.CORRELATION_BUCKETS, row.portfolio, row.day, row.day), "same_direction_pct")
        return [rows_of(of, "buckets", lambda: rows, "same_direction_pct", lambda bucket: str(bucket["symbols"]))]
    if column == "gross_exposure_pct":
        return equity_of(of, row.portfolio, row.day, "gross_exposure_pct")
    window = [plain(row, name) for name in ("method", "observations", "window_start", "shrinkage") if row[name] is not None]
    risks = by_size(of.rows(derived.POSITION_RISK, row.portfolio, row.day, row.day), "exposure")
    held = rows_of(of, "what is held", lambda: risks, "exposure", position_name, "signed marked value of each position")
    heat = [rows_of(of, "risks", lambda: by_size(risks, "risk"), "risk", position_name)] if column == "correlated_heat" else []
    return [*window, held, *heat, *_matrix(of, row)]


def _matrix(of: Sources, row: Row) -> list[Draft]:
    """Return the pairs of the shrunk matrix, the closest first, and the days that the window reaches over."""

    def pairs() -> list[Draft]:
        from portfolio_platform.diagnostics.pipeline.correlation import correlation_matrix

        found = correlation_matrix(of.home, row.portfolio, row.day)
        size = len(found.symbols)
        values = [(found.symbols[i], found.symbols[j], float(found.matrix[i, j])) for i in range(size) for j in range(i + 1, size)]
        return [Draft(f"{one} and {other}", value, f"{value:.3f}") for one, other, value in sorted(values, key=lambda pair: -abs(pair[2]))]

    start: date | None = row["window_start"]
    words = f"shrunk correlations of daily log returns from {start} to {row.day}" if start else "from cohorts: the sample is short"
    return [listing("correlations by pair", pairs, words)]


@explains(
    derived.CORRELATION_BUCKETS,
    {
        "same_direction_pct": "the larger of long and short exposure of its symbols / equity",
        "tightness": "smallest correlation between two of its symbols",
    },
)
def correlation_buckets(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """A bucket is the lots of its symbols, and the correlations that hold it together."""
    if column == "same_direction_pct":
        return [*cells(of, row, ("long_exposure", "short_exposure")), *equity_of(of, row.portfolio, row.day), *_why_together(of, row)]
    if column in ("long_exposure", "short_exposure"):
        symbols = row["symbols"].split(", ")
        lots = [lot for lot in of.rows(derived.LOT_EXPOSURES, row.portfolio, row.day, row.day) if lot["symbol"] in symbols]
        words = "lots of one symbol are netted before its side is taken"
        return [rows_of(of, "lots of its symbols", lambda: by_size(lots, "market_value_base"), "market_value_base", lot_name, words)]
    return _why_together(of, row)


def _why_together(of: Sources, row: Row) -> list[Draft]:
    stacking = of.row(derived.CORRELATION_STACKING, row.portfolio, row.day)
    symbols = [plain(row, "symbols"), plain(row, "method")]
    return [*symbols, *(_matrix(of, stacking) if stacking is not None else [])]


SUFFICIENCY = {
    "value": "the metric's own cell",
    "passed": "the gate of its class: sample, coverage, interval, threshold",
    "missing": "required - sample size, at least 0",
    "sessions_until": "missing / rate at which the sample came together",
}


@explains(derived.SAMPLE_SUFFICIENCY, SUFFICIENCY)
def sample_sufficiency(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """Evidence is the cell that holds the value, and what the gate asked of it."""
    gates = of.policy(row.portfolio, row.day).gates
    asked = [plain(row, name) for name in ("gate", "sample_size", "required", "coverage", "low", "high", "threshold", "window_start")]
    asked = [draft for draft in asked if draft.value is not None]
    rule = [policy_value(of, row.portfolio, row.day, "gates.coverage", gates.coverage)]
    metric = BY_NAME.get(row["metric"])
    if metric is not None and metric.by_policy and row["low"] is not None:
        sure = confidence_of(of.policy(row.portfolio, row.day), metric.name)
        name = "loosening_confidence" if sure == gates.loosening_confidence else "tightening_confidence"
        rule.append(policy_value(of, row.portfolio, row.day, f"gates.{name}", sure))
    said = [Draft("metric", row["metric"], row["metric"], f"{metric.label}: {metric.method}" if metric else "")]
    verdict = [plain(row, "passed"), *([plain(row, "reason")] if row["reason"] else [])]
    own = [] if row["evidence_id"] == row.id("value") else [at_evidence_id(of, row["evidence_id"])]
    if not own:
        own = [plain(row, "method"), *_signals(of, row)]
    return [*said, *own, *asked, *rule, *(verdict if column == "value" else [])]


def _signals(of: Sources, row: Row) -> list[Draft]:
    """Return what the gates for capital and skill count: resolved signals, or daily returns."""
    days = of.days(row.portfolio)
    if row["metric"] == "skill_gate":
        sessions = of.rows(derived.PORTFOLIO_EQUITY, row.portfolio, days[0], row.day)
        return [by_session(of, "daily returns since the start", lambda: reversed(sessions), "daily_return")]

    def found() -> list[Row]:
        rows = of.rows(derived.SIGNAL_OUTCOMES, row.portfolio, date.min, row.day, qualified=True, purpose="policy")
        known = [item for item in rows if item["outcome_day"] is not None and item["outcome_day"] <= row.day]
        return sorted(known, key=lambda item: item["outcome_day"], reverse=True)

    quoted = "slippage_at_outcome_bps" if row["metric"] == "capital_slippage" else "r_achieved"
    return [rows_of(of, "resolved signals", found, quoted, lambda item: f"{item['outcome_day']} {item['signal_id']} {item['outcome']}")]
