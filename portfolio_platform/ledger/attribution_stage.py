"""The attribution of profit as a stage: the ledger's tables in, `pnl_attribution` out."""

import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.days import to_number
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.progress import Plan
from portfolio_platform.ledger import attribution
from portfolio_platform.policy.assigned import Assigned
from portfolio_platform.stage import Stage


def compute(home: Home, policies: Assigned, plan: Plan) -> dict[Table, pa.Table]:
    """Return the attribution of every session of the plan, each against its portfolio's session before."""
    sessions = home.lake.read(derived.PORTFOLIO_EQUITY, ["portfolio", "day"], pc.field("day") <= plan.until)
    before = sessions.filter(pc.field("day") < plan.first).group_by("portfolio").aggregate([("day", "max")])
    wanted = pc.unique(sessions.filter(pc.field("day") >= plan.first)["portfolio"])
    # a portfolio that has no session any more must not make the others read from its last one on
    since = pc.min(before.filter(pc.is_in(before["portfolio"], wanted))["day_max"]).as_py() or plan.first
    where = (pc.field("day") >= since) & (pc.field("day") <= plan.until)

    def read(table: Table, columns: tuple[str, ...], texts: tuple[str, ...]) -> pa.Table:
        months = {"from_month": since.isoformat()[:7], "to_month": plan.until.isoformat()[:7]}
        return home.lake.read(table, columns, where, dictionaries=texts, **months)

    tagged = (*attribution.KEY, "template", "playbook")
    tables = attribution.Tables(
        sessions=sessions.filter(pc.field("day") >= since),
        snapshots=read(derived.LEDGER_SNAPSHOTS, attribution.SNAPSHOT_COLUMNS, attribution.KEY),
        lots=read(derived.LOT_EXPOSURES, attribution.LOT_COLUMNS, tagged),
        trips=read(derived.ROUND_TRIPS, attribution.TRIP_COLUMNS, tagged),
        cash=read(derived.CASH_BALANCES, attribution.CASH_COLUMNS, attribution.ACCOUNT),
    )
    return {derived.PNL_ATTRIBUTION: attribution.attribution(tables, to_number(plan.first))}


STAGE = Stage("attribution", (derived.PNL_ATTRIBUTION,), ("ledger",), compute, judges=False)
