"""The derived tables: what follows from the facts. These names and columns are a contract with their readers.

Amounts of a position are in the currency of its fills; columns that end in ``_base``, everything in `PORTFOLIO_EQUITY`,
`LOT_EXPOSURES` and the diagnostics is in the portfolio's base currency. A null always has a reason beside it.
"""

from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.derived.control import ALLOCATION_DECISIONS, CONSTRAINT_ENVELOPES, DECISION_HEADROOMS, LIMIT_UTILISATION
from portfolio_platform.lake.derived.evidence import DATA_QUALITY, SAMPLE_SUFFICIENCY
from portfolio_platform.lake.derived.ledger import (
    CASH_BALANCES,
    LEDGER_SNAPSHOTS,
    LOT_EXPOSURES,
    PNL_ATTRIBUTION,
    PORTFOLIO_EQUITY,
    ROUND_TRIPS,
)
from portfolio_platform.lake.derived.monitor import ALERT_STATES, DAY_INPUTS, PUBLISHED_INPUTS, RECOMMENDATION_STATES
from portfolio_platform.lake.derived.risk import (
    CONCENTRATION_DRIFT,
    CONCENTRATION_GROUPS,
    CONCENTRATION_METRICS,
    CORRELATION_BUCKETS,
    CORRELATION_STACKING,
    CROWDING,
    DRAWDOWN_STATE,
    ONE_SIDED,
    PORTFOLIO_HEAT,
    POSITION_RISK,
)
from portfolio_platform.lake.derived.signals import CALIBRATION, PLAYBOOK_STATISTICS, SIGNAL_OUTCOMES, TRIP_PROFILES
from portfolio_platform.lake.derived.state import PROGRESS, STATE_LOTS, STATE_MARKS, STATE_POSITIONS
from portfolio_platform.lake.derived.trading import (
    EXECUTION_FLAGS,
    EXECUTION_PROFILE,
    FAILURE_LABELS,
    FAILURE_MODES,
    IDLE_CAPITAL,
    SYMBOL_CHURN,
    TURNOVER_METRICS,
)
from portfolio_platform.lake.facts import CONTESTED, FACTS, IMPORTS, QUARANTINE

LEDGER = (LEDGER_SNAPSHOTS, LOT_EXPOSURES, CASH_BALANCES, PORTFOLIO_EQUITY, ROUND_TRIPS, PNL_ATTRIBUTION)
SIGNALS = (SIGNAL_OUTCOMES, PLAYBOOK_STATISTICS, TRIP_PROFILES, CALIBRATION)
DIAGNOSTICS = (
    POSITION_RISK,
    PORTFOLIO_HEAT,
    CROWDING,
    CONCENTRATION_METRICS,
    CONCENTRATION_GROUPS,
    CONCENTRATION_DRIFT,
    DATA_QUALITY,
    CORRELATION_STACKING,
    CORRELATION_BUCKETS,
    ONE_SIDED,
    DRAWDOWN_STATE,
    TURNOVER_METRICS,
    SYMBOL_CHURN,
    EXECUTION_PROFILE,
    EXECUTION_FLAGS,
    IDLE_CAPITAL,
    FAILURE_LABELS,
    FAILURE_MODES,
    SAMPLE_SUFFICIENCY,
)
MONITOR = (ALERT_STATES, RECOMMENDATION_STATES, DAY_INPUTS, PUBLISHED_INPUTS)
CONTROL = (ALLOCATION_DECISIONS, DECISION_HEADROOMS, CONSTRAINT_ENVELOPES, LIMIT_UTILISATION)
STATE = (STATE_POSITIONS, STATE_LOTS, STATE_MARKS, PROGRESS)

DERIVED: dict[str, Table] = {table.name: table for table in (*LEDGER, *SIGNALS, *DIAGNOSTICS, *MONITOR, *CONTROL, *STATE)}

TABLES: dict[str, Table] = {
    **{name: fact.table for name, fact in FACTS.items()},
    QUARANTINE.name: QUARANTINE,
    IMPORTS.name: IMPORTS,
    CONTESTED.name: CONTESTED,
    **DERIVED,
}
