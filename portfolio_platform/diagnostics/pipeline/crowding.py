"""Crowding as a stage: lots of positions in, strategies on one side of a symbol or template out."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.diagnostics import crowding as crowds
from portfolio_platform.diagnostics import rows
from portfolio_platform.diagnostics.pipeline.inputs import sessions
from portfolio_platform.diagnostics.session_keys import in_order, key_order
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.arrays import assemble, named, number_column
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.facts import UNCLASSIFIED
from portfolio_platform.lake.progress import Plan
from portfolio_platform.ledger.fixed_point import to_floats
from portfolio_platform.ledger.inputs import encode
from portfolio_platform.policy.assigned import Assigned
from portfolio_platform.stage import Stage

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

KINDS = ("symbol", "template")
OK, STALE_MARK, MISSING_RATE, NO_EQUITY = range(4)
REASONS = ("", "stale_mark", "missing_fx_rate", "equity_not_positive")


def compute(home: Home, policies: Assigned, plan: Plan) -> dict[Table, pa.Table]:
    """Return the crowded symbols and templates of every session of the plan."""
    # numbered as the rows are sorted: by day, then portfolio
    days = sessions(home, plan.first, ("equity",), until=plan.until).sort_by([("day", "ascending"), ("portfolio", "ascending")])
    where = (pc.field("day") >= plan.first) & (pc.field("day") <= plan.until)
    lots = home.lake.read(
        derived.LOT_EXPOSURES,
        ("day", *rows.LOT_TEXTS, "quantity", "market_value_base", "stale"),
        where,
        from_month=plan.first.isoformat()[:7],
        to_month=plan.until.isoformat()[:7],
        dictionaries=rows.LOT_TEXTS,
    )
    return {derived.CROWDING: crowding_rows(*in_order(lots, days, rows.LOT_KEY), days)}


def crowding_rows(lots: pa.Table, session: Int64, days: pa.Table) -> pa.Table:
    """Return `crowding`; ``lots`` are rows of `lot_exposures` by session and key, ``days`` the sessions by day and portfolio.

    Lots without a template share none, so that they crowd no template. Exposure is null where one of its marks is stale or
    has no rate; what rests on equity, where any of the portfolio's is. The count stands either way.
    """
    exposure = np.abs(lots["market_value_base"].cast(pa.float64()).to_numpy().astype(np.float64))
    side = np.where(to_floats(lots["quantity"]) > 0.0, crowds.LONG, crowds.SHORT).astype(np.int64)
    strategy, strategies = encode(lots["strategy"])
    equity = days["equity"].cast(pa.float64()).to_numpy().astype(np.float64)
    status = np.where(np.isnan(exposure), MISSING_RATE, np.where(lots["stale"].to_numpy(), STALE_MARK, OK)).astype(np.int64)
    sound = np.where(status == OK, exposure, np.nan)
    of_session = _session_status(session, status, equity)
    parts, keys = [], []
    for kind, name in enumerate(KINDS):
        group, names = encode(lots[name])
        if name == "template" and UNCLASSIFIED in names:
            group = np.where(group == names.index(UNCLASSIFIED), -1, group)
        found = crowds.crowds(crowds.Holdings(session, group, side, strategy, sound), len(strategies))
        base = np.where(of_session[found.session] == OK, equity[found.session], np.nan)
        columns = {
            "day": days["day"].combine_chunks().take(pa.array(found.session)),
            "portfolio": days["portfolio"].combine_chunks().take(pa.array(found.session)),
            "kind": pa.array([name] * found.session.size, pa.string()),
            "group": named(names, found.group),
            "side": named(crowds.SIDES, found.side),
            "strategies": pa.array(found.strategies.astype(np.int64)),
            "members": named(crowds.member_names(found, strategies), found.crowd),
            "exposure": number_column(found.exposure),
            "exposure_pct": number_column(found.exposure / base),
            "reason": named(REASONS, of_session[found.session]),
            "month": days["month"].combine_chunks().take(pa.array(found.session)),
        }
        parts.append(assemble(derived.CROWDING, columns))
        # long comes before short in the alphabet
        keys.append((found.session, np.full(found.session.size, kind), found.group * 2 + crowds.LONG - found.side))
    together = [np.concatenate([key[place] for key in keys]) for place in range(3)]
    order = key_order([(codes, int(codes.max(initial=0)) + 1) for codes in together])
    return pa.concat_tables(parts).combine_chunks().take(pa.array(order))


def _session_status(session: Int64, status: Int64, equity: Float64) -> Int64:
    """Return why each session's figures over equity are null, `OK` where they are not."""
    out = np.zeros(equity.size, np.int64)
    np.maximum.at(out, session, status)
    out[np.isnan(equity)] = MISSING_RATE
    return np.where((out == OK) & ~(equity > 0.0), NO_EQUITY, out)


STAGE = Stage("crowding", (derived.CROWDING,), ("ledger",), compute, judges=False)
