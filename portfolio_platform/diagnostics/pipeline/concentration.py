"""D2 as a stage: exposures of lots in, concentration by dimension out."""

import numpy as np
import pyarrow as pa

from portfolio_platform.diagnostics import concentration as d2
from portfolio_platform.diagnostics import rows
from portfolio_platform.diagnostics.pipeline.inputs import from_day, sessions
from portfolio_platform.home import Home
from portfolio_platform.lake import active, derived
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.facts import INSTRUMENTS
from portfolio_platform.lake.progress import Plan
from portfolio_platform.policy.assigned import Assigned
from portfolio_platform.stage import Stage


def compute(home: Home, policies: Assigned, plan: Plan) -> dict[Table, pa.Table]:
    """Return concentration of every session of the plan."""
    days = sessions(home, plan.first, ("equity",))
    lots = from_day(home, derived.LOT_EXPOSURES, plan.first)
    instruments = active.read(home.lake, INSTRUMENTS, ("symbol", "cohort", "sector"))
    given = rows.exposures(lots, days, instruments)
    equity = days["equity"].to_numpy().astype(np.float64)
    found = d2.concentration(given, equity)
    return {
        derived.CONCENTRATION_METRICS: rows.metric_rows(found, given, days, equity),
        derived.CONCENTRATION_GROUPS: rows.group_rows(found, given, days, equity),
    }


STAGE = Stage("concentration", (derived.CONCENTRATION_METRICS, derived.CONCENTRATION_GROUPS), ("ledger",), compute)
