"""D2 as a stage: exposures of lots and risks of positions in, concentration by dimension and basis out."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.diagnostics import concentration as d2
from portfolio_platform.diagnostics import rows
from portfolio_platform.diagnostics.pipeline.inputs import sessions
from portfolio_platform.diagnostics.session_keys import in_order
from portfolio_platform.home import Home
from portfolio_platform.lake import active, derived
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.facts import INSTRUMENTS
from portfolio_platform.lake.progress import Plan
from portfolio_platform.policy.assigned import Assigned
from portfolio_platform.stage import Stage

RISK_TEXTS = ("portfolio", *rows.POSITION_KEY)


def compute(home: Home, policies: Assigned, plan: Plan) -> dict[Table, pa.Table]:
    """Return concentration of every session of the plan, over gross exposure and over risk."""
    # numbered as the rows are sorted: by day, then portfolio
    days = sessions(home, plan.first, ("equity",), until=plan.until).sort_by([("day", "ascending"), ("portfolio", "ascending")])
    lots, session = in_order(
        _read(home, derived.LOT_EXPOSURES, plan, ("quantity", "market_value_base", "stale"), rows.LOT_TEXTS), days, rows.LOT_KEY
    )
    risks, risk_session = in_order(_read(home, derived.POSITION_RISK, plan, ("risk",), RISK_TEXTS), days, rows.POSITION_KEY)
    instruments = active.read(home.lake, INSTRUMENTS, ("symbol", "cohort", "sector"))
    equity = days["equity"].to_numpy().astype(np.float64)
    gross = rows.exposures(lots, session, instruments)
    over_gross = d2.concentration(gross, equity)
    risk = rows.risk_exposures(gross, lots, risks, risk_session)
    bases = (rows.Basis(rows.GROSS, gross, over_gross), rows.Basis(rows.RISK, risk, rows.risk_concentration(risk, over_gross, equity)))
    return {
        derived.CONCENTRATION_METRICS: rows.metric_rows(bases, days, equity),
        derived.CONCENTRATION_GROUPS: rows.group_rows(bases, days, equity),
    }


def _read(home: Home, table: Table, plan: Plan, columns: tuple[str, ...], texts: tuple[str, ...]) -> pa.Table:
    """Return columns of a derived table over the plan's days, texts as dictionaries."""
    where = (pc.field("day") >= plan.first) & (pc.field("day") <= plan.until)
    months = (plan.first.isoformat()[:7], plan.until.isoformat()[:7])
    return home.lake.read(table, ("day", *texts, *columns), where, from_month=months[0], to_month=months[1], dictionaries=texts)


STAGE = Stage("concentration", (derived.CONCENTRATION_METRICS, derived.CONCENTRATION_GROUPS), ("heat",), compute, judges=False)
