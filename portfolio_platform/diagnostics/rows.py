"""From derived tables to the diagnostics' arrays, and from their results to rows."""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.diagnostics import concentration as d2
from portfolio_platform.diagnostics.drawdown import DrawdownDay
from portfolio_platform.diagnostics.session_keys import codes_in, key_order
from portfolio_platform.lake import derived
from portfolio_platform.lake.arrays import assemble, named, number_column
from portfolio_platform.lake.facts import UNCLASSIFIED
from portfolio_platform.ledger.fixed_point import to_floats
from portfolio_platform.ledger.inputs import encode

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

GROSS, RISK = "gross", "risk"
CLASSIFIED = ("cohort", "sector")
POSITION_KEY = ("strategy", "symbol", "currency")
LOT_KEY = (*POSITION_KEY, "template", "playbook")
LOT_TEXTS = ("portfolio", *LOT_KEY)


@dataclass(frozen=True)
class Basis:
    """What is shared out, and how concentrated it is."""

    name: str
    given: d2.Exposures
    found: d2.Concentration


def exposures(lots: pa.Table, session: Int64, instruments: pa.Table) -> d2.Exposures:
    """Return lot exposures by session and group.

    ``lots`` are rows of `lot_exposures` in order (`session_keys.in_order`), ``session`` the session of each; ``instruments`` has
    symbol, cohort, sector.
    """
    listed = instruments.select(["symbol", *CLASSIFIED]).to_pylist()
    codes, names, unclassified = [], [], []
    symbol, symbols = encode(lots["symbol"])
    for dimension in d2.DIMENSIONS:
        if dimension in CLASSIFIED:
            classes = {row["symbol"]: row[dimension] for row in listed}
            of_symbol = [UNCLASSIFIED if classes.get(name) is None else classes[name] for name in symbols]
            groups = sorted(set(of_symbol))
            code = np.array([groups.index(name) for name in of_symbol], dtype=np.int64)[symbol] if symbols else symbol
        else:
            column = lots[dimension]
            code, groups = encode(pc.fill_null(column.cast(pa.string()), UNCLASSIFIED) if column.null_count else column)
        codes.append(code)
        names.append(tuple(groups))
        unclassified.append(groups.index(UNCLASSIFIED) if UNCLASSIFIED in groups else -1)
    return d2.Exposures(
        session=session,
        value=lots["market_value_base"].to_numpy().astype(np.float64),
        stale=lots["stale"].to_numpy(),
        group=np.stack(codes, axis=1),
        names=tuple(names),
        unclassified=tuple(unclassified),
    )


def risk_exposures(gross: d2.Exposures, lots: pa.Table, risks: pa.Table, risk_session: Int64) -> d2.Exposures:
    """Return the same rows with the signed risk of their positions instead of their exposure.

    ``risks`` are rows of `position_risk` in order, ``risk_session`` the session of each. The lots of a position have one
    mark, so that its risk is shared by their quantities as by their exposures. NaN where the position has no risk.
    """
    keys, position_keys = _position_keys(gross.session, lots, risk_session, risks)
    place = np.searchsorted(position_keys, keys)
    found = np.append(position_keys, -1)[place] == keys
    risk = np.append(risks["risk"].cast(pa.float64()).to_numpy().astype(np.float64), np.nan)
    quantity = to_floats(lots["quantity"])
    total = np.bincount(place, np.abs(quantity), minlength=len(position_keys) + 1) if place.size else np.empty(0)
    value = quantity / total[place] * np.where(found, risk[place], np.nan) if place.size else np.empty(0)
    return replace(gross, value=value)


def _position_keys(session: Int64, lots: pa.Table, risk_session: Int64, risks: pa.Table) -> tuple[Int64, Int64]:
    """Return one number for each row's position, equal in both tables for the same, ascending where the rows are in order."""
    left, right = session, risk_session
    for name in POSITION_KEY:
        names = sorted({*encode(lots[name])[1], *encode(risks[name])[1]})
        left, right = left * len(names) + codes_in(lots[name], names), right * len(names) + codes_in(risks[name], names)
    return left, right


def risk_concentration(risk: d2.Exposures, gross: d2.Concentration, equity: Float64) -> d2.Concentration:
    """Return concentration of risk. A session is null for the reason that its exposures are: a risk is null where they are."""
    found = d2.concentration(risk, equity)
    return replace(found, status=np.where(gross.status >= d2.STALE_MARK, gross.status, found.status))


def metric_rows(bases: tuple[Basis, ...], sessions: pa.Table, equity: Float64) -> pa.Table:
    """Return `concentration_metrics`: a row for each session, dimension and basis. Sessions come by day and portfolio."""
    size, dims = bases[0].found.top.shape
    session, dimension = np.divmod(np.arange(size * dims), dims)
    place, order = _by_key([(session, dimension, np.zeros(session.size, np.int64)) for _ in bases], bases)
    session, dimension = np.tile(session, len(bases))[order], np.tile(dimension, len(bases))[order]
    figures, top, groups, status = (
        np.concatenate(parts)[order]
        for parts in (
            [basis.found.figures.reshape(-1, d2.FIGURES) for basis in bases],
            [basis.found.top.ravel() for basis in bases],
            [basis.found.groups.ravel() for basis in bases],
            [basis.found.status[np.arange(size * dims) // dims] for basis in bases],
        )
    )
    all_names, offsets = _names(bases)
    without = np.where(np.isnan(equity), d2.MISSING_RATE, np.where(equity > 0.0, d2.OK, len(d2.REASONS)))
    columns = {
        **_key_columns(bases, sessions, session, dimension, place),
        "hhi": number_column(figures[:, d2.HHI]),
        "hhi_normalised": number_column(figures[:, d2.NORMALISED]),
        "effective_n": number_column(figures[:, d2.EFFECTIVE]),
        "groups": pa.array(groups),
        "cr1": number_column(figures[:, d2.CR1]),
        "cr3": number_column(figures[:, d2.CR3]),
        "coverage": number_column(figures[:, d2.COVERAGE]),
        "top_group": named([*all_names, None], np.where(top >= 0, offsets[dimension] + top, len(all_names))),
        "top_share": number_column(figures[:, d2.TOP_SHARE]),
        "top_exposure_pct": number_column(figures[:, d2.TOP_EXPOSURE]),
        "top_share_worst_case": number_column(figures[:, d2.WORST_CASE]),
        "reason": named([*d2.REASONS, "equity_not_positive"], np.where(status > 0, status, without[session])),
    }
    return assemble(derived.CONCENTRATION_METRICS, columns)


def group_rows(bases: tuple[Basis, ...], sessions: pa.Table, equity: Float64) -> pa.Table:
    """Return `concentration_groups`: a row for each session, dimension, basis and group. Sessions come by day and portfolio."""
    keys = [(basis.found.group_session, basis.found.group_dimension.astype(np.int64), basis.found.group_code) for basis in bases]
    place, order = _by_key(keys, bases)
    session, dimension, code = (np.concatenate([key[column] for key in keys])[order] for column in range(3))
    exposure = np.concatenate([basis.found.group_exposure for basis in bases])[order]
    net = np.concatenate([basis.found.group_net for basis in bases])[order]
    sound = np.stack([basis.found.status == d2.OK for basis in bases])[place, session]
    gross = np.where(sound, np.stack([basis.found.gross for basis in bases])[place, session], np.nan)
    capital = np.where(sound & (equity[session] > 0.0), equity[session], np.nan)
    all_names, offsets = _names(bases)
    columns = {
        **_key_columns(bases, sessions, session, dimension, place),
        "group": named(all_names, offsets[dimension] + code),
        "exposure": number_column(exposure),
        "net_exposure": number_column(net),
        "share": number_column(exposure / gross),
        "exposure_pct": number_column(exposure / capital),
    }
    return assemble(derived.CONCENTRATION_GROUPS, columns)


def _names(bases: tuple[Basis, ...]) -> tuple[list[str], Int64]:
    """Return the groups of all dimensions, which every basis shares, and where each dimension's begin."""
    names = bases[0].given.names
    return [name for group in names for name in group], np.cumsum([0, *(len(group) for group in names)])


def _key_columns(bases: tuple[Basis, ...], sessions: pa.Table, session: Int64, dimension: Int64, basis: Int64) -> dict[str, pa.Array]:
    at = pa.array(session)
    columns = {name: sessions[name].combine_chunks().take(at) for name in ("day", "portfolio", "month")}
    return {**columns, "dimension": named(d2.DIMENSIONS, dimension), "basis": named([each.name for each in bases], basis)}


def _by_key(keys: list[tuple[Int64, Int64, Int64]], bases: tuple[Basis, ...]) -> tuple[Int64, Int64]:
    """Return the basis of each row in order, and the order of all bases' rows: by session, dimension's name, basis, group."""
    by_name = np.argsort(np.argsort(d2.DIMENSIONS))
    rank = np.argsort(np.argsort([basis.name for basis in bases]))
    basis = np.repeat(np.arange(len(bases)), [key[0].size for key in keys])
    session, dimension, group = (np.concatenate([key[column] for key in keys]) for column in range(3))
    sizes = [max(len(names), 1) for names in bases[0].given.names]
    order = key_order(
        [
            (session, int(session.max(initial=0)) + 1),
            (by_name[dimension], len(d2.DIMENSIONS)),
            (rank[basis], len(bases)),
            (group, max(sizes)),
        ]
    )
    return basis[order], order


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
