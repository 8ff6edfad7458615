"""From derived tables to the diagnostics' arrays, and from their results to rows."""

from dataclasses import fields
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.diagnostics import concentration as d2
from portfolio_platform.diagnostics.drawdown import DrawdownDay
from portfolio_platform.lake import derived
from portfolio_platform.lake.arrays import assemble, named, number_column
from portfolio_platform.lake.facts import UNCLASSIFIED

GROSS = "gross"
CLASSIFIED = ("cohort", "sector")


def exposures(lots: pa.Table, sessions: pa.Table, instruments: pa.Table) -> d2.Exposures:
    """Return lot exposures by session and group.

    ``sessions`` has portfolio and day in the order that numbers them; ``lots`` are rows of `lot_exposures`;
    ``instruments`` has symbol, cohort, sector.
    """
    keyed = sessions.select(["portfolio", "day"]).append_column("session", pa.array(np.arange(len(sessions))))
    joined = lots.join(keyed, ["portfolio", "day"], join_type="inner").join(
        instruments.select(["symbol", *CLASSIFIED]), "symbol", join_type="left outer"
    )
    order = [(name, "ascending") for name in ("session", "strategy", "symbol", "currency", "template", "playbook")]
    joined = joined.sort_by(order)
    codes, names, unclassified = [], [], []
    for dimension in d2.DIMENSIONS:
        column = pc.fill_null(joined[dimension], UNCLASSIFIED).combine_chunks()
        groups = sorted(pc.unique(column).to_pylist())
        codes.append(pc.index_in(column, pa.array(groups, pa.string())).to_numpy(zero_copy_only=False).astype(np.int64))
        names.append(tuple(groups))
        unclassified.append(groups.index(UNCLASSIFIED) if UNCLASSIFIED in groups else -1)
    return d2.Exposures(
        session=joined["session"].to_numpy(),
        value=joined["market_value_base"].to_numpy().astype(np.float64),
        stale=joined["stale"].to_numpy(),
        group=np.stack(codes, axis=1),
        names=tuple(names),
        unclassified=tuple(unclassified),
    )


def metric_rows(found: d2.Concentration, given: d2.Exposures, sessions: pa.Table, equity: np.ndarray) -> pa.Table:
    """Return `concentration_metrics`: a row for each session and dimension."""
    size, dims = found.top.shape
    session, dimension = np.divmod(np.arange(size * dims), dims)
    figures = found.figures.reshape(-1, d2.FIGURES)
    top_names: list[str | None] = []
    for code, place in zip(found.top.ravel().tolist(), dimension.tolist(), strict=True):
        top_names.append(given.names[place][code] if code >= 0 else None)
    without = np.where(np.isnan(equity), d2.MISSING_RATE, np.where(equity > 0.0, d2.OK, len(d2.REASONS)))
    reason = np.where(found.status[session] > 0, found.status[session], without[session])
    columns = {
        "day": sessions["day"].combine_chunks().take(pa.array(session)),
        "portfolio": sessions["portfolio"].combine_chunks().take(pa.array(session)),
        "dimension": named(d2.DIMENSIONS, dimension),
        "basis": pa.array([GROSS] * session.size, pa.string()),
        "hhi": number_column(figures[:, d2.HHI]),
        "hhi_normalised": number_column(figures[:, d2.NORMALISED]),
        "effective_n": number_column(figures[:, d2.EFFECTIVE]),
        "groups": pa.array(found.groups.ravel()),
        "cr1": number_column(figures[:, d2.CR1]),
        "cr3": number_column(figures[:, d2.CR3]),
        "coverage": number_column(figures[:, d2.COVERAGE]),
        "top_group": pa.array(top_names, pa.string()),
        "top_share": number_column(figures[:, d2.TOP_SHARE]),
        "top_exposure_pct": number_column(figures[:, d2.TOP_EXPOSURE]),
        "top_share_worst_case": number_column(figures[:, d2.WORST_CASE]),
        "reason": named([*d2.REASONS, "equity_not_positive"], reason),
        "month": sessions["month"].combine_chunks().take(pa.array(session)),
    }
    return _sorted(assemble(derived.CONCENTRATION_METRICS, columns), derived.CONCENTRATION_METRICS.key)


def group_rows(found: d2.Concentration, given: d2.Exposures, sessions: pa.Table, equity: np.ndarray) -> pa.Table:
    """Return `concentration_groups`: a row for each session, dimension and group with exposure."""
    session, dimension = found.group_session, found.group_dimension.astype(np.int64)
    offsets = np.cumsum([0, *(len(names) for names in given.names)])
    all_names = [name for names in given.names for name in names]
    sound = found.status[session] == 0
    gross = np.where(sound, found.gross[session], np.nan)
    capital = np.where(sound & (equity[session] > 0.0), equity[session], np.nan)
    columns = {
        "day": sessions["day"].combine_chunks().take(pa.array(session)),
        "portfolio": sessions["portfolio"].combine_chunks().take(pa.array(session)),
        "dimension": named(d2.DIMENSIONS, dimension),
        "basis": pa.array([GROSS] * session.size, pa.string()),
        "group": named(all_names, offsets[dimension] + found.group_code),
        "exposure": number_column(found.group_exposure),
        "net_exposure": number_column(found.group_net),
        "share": number_column(found.group_exposure / gross),
        "exposure_pct": number_column(found.group_exposure / capital),
        "month": sessions["month"].combine_chunks().take(pa.array(session)),
    }
    return _sorted(assemble(derived.CONCENTRATION_GROUPS, columns), derived.CONCENTRATION_GROUPS.key)


def drawdown_rows(days: list[DrawdownDay], sessions: pa.Table) -> pa.Table:
    """Return `drawdown_state`: one row for each session, in the same order."""
    table = derived.DRAWDOWN_STATE
    columns: dict[str, pa.Array] = {name: sessions[name].combine_chunks() for name in ("day", "portfolio", "month")}
    kinds = {column.name: column.kind for column in table.columns}
    for field in fields(DrawdownDay):
        values = [getattr(day, field.name) for day in days]
        is_number = kinds[field.name] == "number"
        columns[field.name] = number_column(np.array(values, np.float64)) if is_number else pa.array(values)
    return _sorted(assemble(table, columns), table.key)


def drawdown_days(rows: pa.Table) -> list[DrawdownDay]:
    """Return stored rows as the diagnostic knows them: null is NaN."""
    names = [field.name for field in fields(DrawdownDay)]
    kinds = {column.name: column.kind for column in derived.DRAWDOWN_STATE.columns}

    def known(row: dict[str, Any]) -> dict[str, Any]:
        return {name: np.nan if row[name] is None and kinds[name] == "number" else row[name] for name in names}

    return [DrawdownDay(**known(row)) for row in rows.select(names).to_pylist()]


def _sorted(table: pa.Table, key: tuple[str, ...]) -> pa.Table:
    return table.sort_by([(name, "ascending") for name in key])
