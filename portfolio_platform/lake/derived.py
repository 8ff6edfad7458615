"""The derived tables: what follows from the facts. These names and columns are a contract with their readers.

Amounts of a position are in the currency of its fills; columns that end in ``_base`` and everything in
`PORTFOLIO_EQUITY`, `LOT_EXPOSURES` and the diagnostics are in the portfolio's base currency. A null always has a
reason beside it.
"""

from portfolio_platform.lake.columns import Column, Kind, Table
from portfolio_platform.lake.facts import CONTESTED, FACTS, IMPORTS, MONTH, QUARANTINE


def _number(name: str, description: str, unit: str = "currency") -> Column:
    return Column(name, "number", description, unit)


def _of(kind: Kind, name: str, description: str, unit: str = "") -> Column:
    return Column(name, kind, description, unit)


DAY = _of("day", "day", "UTC day; day D is (D 00:00Z, D+1 00:00Z]")
PORTFOLIO = _of("text", "portfolio", "portfolio")
STRATEGY = _of("text", "strategy", "strategy")
SYMBOL = _of("text", "symbol", "instrument")
POSITION = (PORTFOLIO, STRATEGY, SYMBOL)
TEMPLATE = _of("text", "template", "strategy template")
PLAYBOOK = _of("text", "playbook", "playbook")
REASON = _of("text", "reason", "why figures of the row are null, empty where none is")

LEDGER_SNAPSHOTS = Table(
    "ledger_snapshots",
    "State of every position after the last fill of the day, marked at that day's close; a row for each session of the "
    "portfolio from the position's first fill on, also when flat.",
    (
        DAY,
        *POSITION,
        _of("decimal", "quantity", "open quantity, negative when short", "units"),
        _number("average_cost", "average price of the open quantity, before fees; null when flat"),
        _number("mark", "price the position is valued at"),
        _of("text", "mark_source", "bar (a close of the symbol) or fill (the portfolio's last fill of the symbol)"),
        _of("integer", "mark_age", "sessions of the instrument's calendar since the mark", "sessions"),
        _number("market_value", "quantity * mark * multiplier"),
        _number("unrealised_pnl", "market value less cost of the open quantity"),
        _number("realised_pnl", "realised P&L before fees, cumulative"),
        _number("fees", "fees paid, cumulative"),
        _number("income", "cash dividends received less paid, cumulative"),
        _number("stop_price", "stop in force, of the last fill of the open position"),
        _of("text", "template", "template of the oldest open lot, null when flat"),
        _of("text", "playbook", "playbook of the oldest open lot, null when flat"),
        _of("flag", "lots_differ", "true where open lots have other templates or playbooks"),
        _of("text", "currency", "currency of the row's amounts"),
        _number("fx_rate", "base currency for one unit of currency", "base/currency"),
        _number("market_value_base", "market value in base currency", "base currency"),
        REASON,
        MONTH,
    ),
    ("day", "portfolio", "strategy", "symbol", "currency"),
    "month",
)

LOT_EXPOSURES = Table(
    "lot_exposures",
    "Open quantity of every position by the template and playbook of its FIFO lots, for each session.",
    (
        DAY,
        *POSITION,
        TEMPLATE,
        PLAYBOOK,
        _of("decimal", "quantity", "open quantity of these lots, negative when short", "units"),
        _number("market_value_base", "marked value of these lots", "base currency"),
        _of("flag", "stale", "true where the mark is older than the policy's max_mark_age"),
        _of("text", "currency", "currency of the position"),
        MONTH,
    ),
    ("day", "portfolio", "strategy", "symbol", "currency", "template", "playbook"),
    "month",
)

CASH_BALANCES = Table(
    "cash_balances",
    "Cash of a portfolio by currency, and all that moved it, for each session; amounts cumulative.",
    (
        DAY,
        PORTFOLIO,
        _of("text", "currency", "currency of the row's amounts"),
        _number("cash", "balance"),
        _number("flows", "deposits less withdrawals"),
        _number("income", "dividends, interest, funding and other cash that is performance"),
        _number("trades", "proceeds of sales less cost of purchases"),
        _number("fees", "fees of fills"),
        _number("fx_rate", "base currency for one unit of currency", "base/currency"),
        _number("cash_base", "balance in base currency", "base currency"),
        MONTH,
    ),
    ("day", "portfolio", "currency"),
    "month",
)

_BASE, _SHARE = "base currency", "fraction of equity"

PORTFOLIO_EQUITY = Table(
    "portfolio_equity",
    "Net asset value, flows, flow-neutral unit value and exposures of a portfolio for each of its sessions.",
    (
        DAY,
        PORTFOLIO,
        _number("cash", "cash of all currencies", _BASE),
        _number("market_value", "value of all positions", _BASE),
        _number("equity", "cash and market value", _BASE),
        _number("net_flow", "deposits less withdrawals since the session before", _BASE),
        _number("weighted_flow", "flows weighted by the part of the day that was left", _BASE),
        _number("unit_value", "time-weighted value of one unit, 1 at the start", "1"),
        _number("daily_return", "flow-neutral return since the session before", "fraction"),
        _number("gross_exposure", "sum of absolute market values", _BASE),
        _number("net_exposure", "sum of market values", _BASE),
        _number("long_exposure", "sum of positive market values", _BASE),
        _number("short_exposure", "sum of negative market values, as a positive number", _BASE),
        _number("gross_exposure_pct", "gross exposure over equity", _SHARE),
        _number("net_exposure_pct", "net exposure over equity", _SHARE),
        _number("long_exposure_pct", "long exposure over equity", _SHARE),
        _number("short_exposure_pct", "short exposure over equity", _SHARE),
        _number("volatility_60", "standard deviation of the last 60 daily returns, annualised", "fraction a year"),
        _number("sharpe_60", "Sharpe ratio of the last 60 daily returns, annualised, risk-free rate 0", "1"),
        _of("integer", "open_positions", "positions that are not flat", "positions"),
        _of("integer", "stale_positions", "open positions whose mark is older than max_mark_age", "positions"),
        _number("stale_exposure", "gross exposure of the stale positions", _BASE),
        _of("flag", "flow_at_end", "true where the day's flow had to be counted at the day's end"),
        _of("integer", "session", "number of the portfolio's session, 0 the first", "sessions"),
        REASON,
        MONTH,
    ),
    ("day", "portfolio"),
    "month",
)

ROUND_TRIPS = Table(
    "round_trips",
    "Closed trades: flat to flat for a position, and each matched FIFO lot as a second method.",
    (
        _of("text", "round_trip_id", "deterministic id: method, position, opening and closing fill"),
        *POSITION,
        _of("text", "direction", "long or short"),
        _of("timestamp", "opened_at", "time of the opening fill", "ns UTC"),
        _of("timestamp", "closed_at", "time of the closing fill", "ns UTC"),
        _of("decimal", "quantity", "units that were opened and closed (after splits)", "units"),
        _number("entry_price", "average entry price (after splits)"),
        _number("exit_price", "average exit price"),
        _number("realised_pnl", "realised P&L before fees"),
        _number("fees", "fees of its fills; a fill that flips is split by quantity"),
        _number("holding_seconds", "time from opening to closing", "s"),
        _of("text", "method", "flat_to_flat or fifo"),
        TEMPLATE,
        PLAYBOOK,
        _of("text", "currency", "currency of the row's amounts"),
        _of("text", "opening_row_id", "row id of the opening fill"),
        _of("text", "closing_row_id", "row id of the closing fill"),
        _of("day", "day", "UTC day of closed_at"),
        MONTH,
    ),
    ("round_trip_id",),
    "month",
)

CONCENTRATION_METRICS = Table(
    "concentration_metrics",
    "How concentrated a portfolio is, for each session, by dimension.",
    (
        DAY,
        PORTFOLIO,
        _of("text", "dimension", "symbol, template, playbook, cohort, sector or strategy"),
        _of("text", "basis", "what is shared out: gross exposure"),
        _number("hhi", "Herfindahl-Hirschman index, sum of squared shares", "0..1"),
        _number("hhi_normalised", "(HHI - 1/N)/(1 - 1/N), 1 for one group", "0..1"),
        _number("effective_n", "1/HHI, effective number of groups", "groups"),
        _of("integer", "groups", "groups with exposure", "groups"),
        _number("cr1", "share of the largest group", "fraction of gross"),
        _number("cr3", "share of the three largest groups", "fraction of gross"),
        _number("coverage", "share of gross exposure that is classified", "fraction of gross"),
        _of("text", "top_group", "largest group; of equals the first by name"),
        _number("top_share", "its share", "fraction of gross"),
        _number("top_exposure_pct", "its gross exposure over equity", _SHARE),
        _number("top_share_worst_case", "its share if all that is unclassified belonged to it", "fraction of gross"),
        REASON,
        MONTH,
    ),
    ("day", "portfolio", "dimension", "basis"),
    "month",
)

CONCENTRATION_GROUPS = Table(
    "concentration_groups",
    "Every group's share and exposure behind concentration_metrics.",
    (
        DAY,
        PORTFOLIO,
        _of("text", "dimension", "symbol, template, playbook, cohort, sector or strategy"),
        _of("text", "basis", "what is shared out: gross exposure"),
        _of("text", "group", "the group"),
        _number("exposure", "gross exposure of the group", _BASE),
        _number("net_exposure", "net exposure of the group", _BASE),
        _number("share", "share of gross exposure", "fraction of gross"),
        _number("exposure_pct", "gross exposure over equity", _SHARE),
        MONTH,
    ),
    ("day", "portfolio", "dimension", "basis", "group"),
    "month",
)

DRAWDOWN_STATE = Table(
    "drawdown_state",
    "Drawdown of the unit value, its speed, its severity, and the drawdown regime, for each session.",
    (
        DAY,
        PORTFOLIO,
        _number("unit_value", "time-weighted value of one unit", "1"),
        _number("drawdown", "1 - unit value / high-water mark", "fraction"),
        _number("high_water_mark", "highest unit value so far, the start included", "1"),
        _of("integer", "under_water_days", "sessions since the high-water mark", "sessions"),
        _number("velocity_1", "change of drawdown over 1 session", "fraction a session"),
        _number("velocity_5", "change of drawdown over 5 sessions, a session", "fraction a session"),
        _number("velocity_20", "change of drawdown over 20 sessions, a session", "fraction a session"),
        _number("z_5", "change of drawdown over 5 sessions in EWMA sigmas from before them", "sigma"),
        _number("acceleration", "velocity_5 - velocity_20", "fraction a session"),
        _number("mdd_severity", "maximum drawdown of 252 sessions over its expectation without drift", "1"),
        _number("cdar_95", "mean of the worst 5 % of the last 252 drawdowns", "fraction"),
        _of("text", "regime", "normal, defensive, risk_off or probation"),
        _of("text", "transition", "what changed the regime in this session, empty where nothing did"),
        _of("integer", "sessions_in_regime", "sessions since the regime was entered", "sessions"),
        _number("control_drawdown", "the drawdown that the regime's rules look at", "fraction"),
        _number("control_high_water_mark", "its mark, set on entering probation; null outside", "1"),
        _number("ewma_variance", "EWMA variance of daily returns, this session's included", "fraction^2"),
        _of("integer", "returns_seen", "daily returns so far", "sessions"),
        _number("seed_sum_squares", "sum of squares of the returns that seed the variance", "fraction^2"),
        REASON,
        MONTH,
    ),
    ("day", "portfolio"),
    "month",
)

STATE_POSITIONS = Table(
    "state_positions",
    "State of the accounting at the end of a saved day, by position: where one more day goes on from.",
    (
        DAY,
        *POSITION,
        _of("text", "currency", "currency of the position"),
        _of("decimal", "quantity", "open quantity", "units"),
        _number("average_cost", "average cost"),
        _number("realised_pnl", "cumulative realised P&L"),
        _number("fees", "cumulative fees"),
        _number("income", "cumulative dividends"),
        _number("stop_price", "stop in force"),
        _number("fill_price", "last fill price, in today's units"),
        _of("timestamp", "fill_ts", "time of that fill", "ns UTC"),
        _of("day", "first_day", "day of the first fill"),
        _of("timestamp", "trip_opened_at", "opening of the open round trip", "ns UTC"),
        _of("decimal", "trip_entry_quantity", "units entered in the open round trip", "units"),
        _number("trip_entry_value", "price times units entered"),
        _of("decimal", "trip_exit_quantity", "units left in the open round trip", "units"),
        _number("trip_exit_value", "price times units left"),
        _number("trip_realised", "P&L of the open round trip so far"),
        _number("trip_fees", "fees of the open round trip so far"),
        _of("text", "trip_row_id", "row id of its opening fill"),
        _of("text", "trip_template", "template of its opening fill"),
        _of("text", "trip_playbook", "playbook of its opening fill"),
    ),
    ("day", "portfolio", "strategy", "symbol", "currency"),
)

STATE_LOTS = Table(
    "state_lots",
    "Open FIFO lots at the end of a saved day.",
    (
        DAY,
        *POSITION,
        _of("text", "currency", "currency of the position"),
        _of("integer", "lot", "position of the lot in the queue, 0 the oldest"),
        _of("decimal", "quantity", "open quantity of the lot", "units"),
        _number("price", "entry price (after splits)"),
        _number("fee_per_unit", "entry fee for one unit (after splits)"),
        _of("timestamp", "opened_at", "time of its fill", "ns UTC"),
        TEMPLATE,
        PLAYBOOK,
        _of("text", "row_id", "row id of its fill"),
    ),
    ("day", "portfolio", "strategy", "symbol", "currency", "lot"),
)

STATE_MARKS = Table(
    "state_marks",
    "Last bar of every symbol at the end of a saved day.",
    (
        DAY,
        SYMBOL,
        _of("timestamp", "ts", "close of the bar", "ns UTC"),
        _number("close", "its close, as traded"),
    ),
    ("day", "symbol"),
)

PROGRESS = Table(
    "progress",
    "The builds of the derived tables: how far each went, from which day on it wrote, and what it rests on.",
    (
        _of("text", "name", "derived table, or the group of tables that are built together"),
        _of("integer", "generation", "counts the builds of this name"),
        _of("day", "built_until", "last day that is built"),
        _of("day", "changed_from", "earliest day that this build wrote"),
        _of("integer", "import_seq", "newest import it rests on"),
        _of("integer", "upstream_generation", "build of the tables upstream that it rests on, 0 where those are the facts"),
        _of("text", "policy_hash", "policy it was built under"),
        _of("text", "code_version", "version of the code that built it"),
    ),
    ("name", "generation"),
)

DERIVED: dict[str, Table] = {
    table.name: table
    for table in (
        LEDGER_SNAPSHOTS,
        LOT_EXPOSURES,
        CASH_BALANCES,
        PORTFOLIO_EQUITY,
        ROUND_TRIPS,
        CONCENTRATION_METRICS,
        CONCENTRATION_GROUPS,
        DRAWDOWN_STATE,
        STATE_POSITIONS,
        STATE_LOTS,
        STATE_MARKS,
        PROGRESS,
    )
}

TABLES: dict[str, Table] = {
    **{name: fact.table for name, fact in FACTS.items()},
    QUARANTINE.name: QUARANTINE,
    IMPORTS.name: IMPORTS,
    CONTESTED.name: CONTESTED,
    **DERIVED,
}
