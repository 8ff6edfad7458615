"""Saving and loading the ledger's state: as rows of the lake, exactly."""

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.days import to_date, to_number
from portfolio_platform.lake import derived
from portfolio_platform.lake.arrays import assemble, day_column, named, number_column
from portfolio_platform.lake.store import Lake
from portfolio_platform.ledger import cash, layout
from portfolio_platform.ledger.accounting import Carried
from portfolio_platform.ledger.advance import LedgerState
from portfolio_platform.ledger.equity import WINDOW, History
from portfolio_platform.ledger.fixed_point import Float64, Int64
from portfolio_platform.ledger.inputs import Keys

POSITION = ("portfolio", "strategy", "symbol", "currency")
FLOATS = (
    "average_cost", "realised_pnl", "fees", "income", "stop_price", "fill_price",
    "trip_entry_value", "trip_exit_value", "trip_realised", "trip_fees",
)  # fmt: skip
QUANTITIES = ("quantity", "trip_entry_quantity", "trip_exit_quantity")


def state_rows(state: LedgerState) -> dict[str, pa.Table]:
    """Return the state as rows of `state_positions`, `state_lots` and `state_marks`.

    Cash and the equity series are not saved twice: their last rows are in their own tables.
    """
    carried = state.positions
    if carried is None:
        return {}
    size = carried.first_day.size
    keys = {name: pa.array(getattr(carried.keys, name), pa.string()) for name in POSITION}
    opened = carried.integers[:, layout.OPENED_TAG]
    is_open = np.diff(carried.lot_start) > 0
    row_ids = [*carried.row_ids.tolist(), None]
    quantities = {
        name: carried.quantities.take(pa.array(np.arange(size) * layout.STATE_QUANTITIES + place)) for place, name in enumerate(QUANTITIES)
    }
    positions = assemble(
        derived.STATE_POSITIONS,
        {
            "day": day_column(np.full(size, state.day, np.int64)),
            **keys,
            **quantities,
            **{name: number_column(carried.floats[:, place]) for place, name in enumerate(FLOATS)},
            "fill_ts": pa.array(carried.integers[:, layout.FILL_TS]),
            "first_day": day_column(carried.first_day),
            "trip_opened_at": pa.array(carried.integers[:, layout.OPENED_TS]),
            "trip_row_id": named(row_ids, np.where(is_open, carried.integers[:, layout.OPENED_ROW], len(row_ids) - 1)),
            "trip_template": named([tag[0] for tag in carried.keys.tags], opened),
            "trip_playbook": named([tag[1] for tag in carried.keys.tags], opened),
        },
    )
    owner = np.repeat(np.arange(size), np.diff(carried.lot_start))
    lots = assemble(
        derived.STATE_LOTS,
        {
            "day": day_column(np.full(owner.size, state.day, np.int64)),
            **{name: keys[name].take(pa.array(owner)) for name in POSITION},
            "lot": pa.array(np.arange(owner.size) - carried.lot_start[:-1][owner]),
            "quantity": carried.lot_quantity,
            "price": number_column(carried.lot_floats[:, layout.LOT_PRICE]),
            "fee_per_unit": number_column(carried.lot_floats[:, layout.LOT_FEE]),
            "opened_at": pa.array(carried.lot_integers[:, layout.LOT_TS]),
            "template": named([tag[0] for tag in carried.keys.tags], carried.lot_integers[:, layout.LOT_TAG]),
            "playbook": named([tag[1] for tag in carried.keys.tags], carried.lot_integers[:, layout.LOT_TAG]),
            "row_id": named(row_ids, carried.lot_integers[:, layout.LOT_ROW]),
        },
    )
    bars = state.bars
    days = day_column(np.full(len(bars), state.day, np.int64))
    columns = {"day": days, **{name: bars[name].combine_chunks() for name in ("symbol", "ts", "close")}}
    saved = assemble(derived.STATE_MARKS, columns)
    return {"state_positions": positions, "state_lots": lots, "state_marks": saved}


def newest_before(lake: Lake, first: date) -> LedgerState | None:
    """Return the newest saved state before a day, None where there is none."""
    days = lake.read(derived.STATE_POSITIONS, ["day"], pc.field("day") < first)["day"]
    newest = pc.max(days).as_py()
    if newest is None:
        return None
    where = pc.field("day") == newest
    by_key = [(name, "ascending") for name in POSITION]
    positions = lake.read(derived.STATE_POSITIONS, None, where).sort_by(by_key)
    lots = lake.read(derived.STATE_LOTS, None, where).sort_by([*by_key, ("lot", "ascending")])
    bars = lake.read(derived.STATE_MARKS, ["symbol", "ts", "close"], where).sort_by("symbol")
    money = lake.read(derived.CASH_BALANCES, None, pc.field("day") <= newest, to_month=newest.isoformat()[:7]).sort_by("day").to_pylist()
    carried = _carried(to_number(newest), positions, lots)
    return LedgerState(to_number(newest), carried, bars, _cash(money), _history(lake, newest, money))


def _carried(day: int, positions: pa.Table, lots: pa.Table) -> Carried:
    names = {name: np.array(positions[name].to_pylist(), dtype=object) for name in POSITION}
    pairs = [list(zip(table[a].to_pylist(), table[b].to_pylist(), strict=True)) for table, a, b in
             ((positions, "trip_template", "trip_playbook"), (lots, "template", "playbook"))]  # fmt: skip
    tags = tuple(sorted({*pairs[0], *pairs[1]}))
    rank = {tag: place for place, tag in enumerate(tags)}
    row_ids = sorted({*positions["trip_row_id"].drop_null().to_pylist(), *lots["row_id"].to_pylist()})
    at = {row_id: place for place, row_id in enumerate(row_ids)}
    opened_row = np.array([at.get(row_id, 0) for row_id in positions["trip_row_id"].to_pylist()], dtype=np.int64)
    opened_tag = np.array([rank[pair] for pair in pairs[0]], dtype=np.int64)
    columns = [positions[name].combine_chunks() for name in QUANTITIES]
    size = len(positions)
    interleaved = pa.concat_arrays(columns).take(pa.array((np.arange(3)[None, :] * size + np.arange(size)[:, None]).ravel()))
    position_of = {key: place for place, key in enumerate(zip(*(names[name].tolist() for name in POSITION), strict=True))}
    owner = [position_of[key] for key in zip(*(lots[name].to_pylist() for name in POSITION), strict=True)]
    counts = np.bincount(np.array(owner, np.int64), minlength=size) if size else np.zeros(0, np.int64)
    return Carried(
        day=day,
        keys=Keys(names["portfolio"], names["strategy"], names["symbol"], names["currency"], tags),
        quantities=interleaved,
        floats=np.stack([_floats(positions, name) for name in FLOATS], axis=1),
        integers=np.stack([positions["fill_ts"].to_numpy(), positions["trip_opened_at"].to_numpy(), opened_row, opened_tag], axis=1),
        first_day=positions["first_day"].cast(pa.int32()).to_numpy().astype(np.int64),
        lot_start=np.concatenate(([0], np.cumsum(counts))),
        lot_quantity=lots["quantity"].combine_chunks(),
        lot_floats=np.stack([_floats(lots, "price"), _floats(lots, "fee_per_unit")], axis=1),
        lot_integers=_lot_integers(lots, [rank[pair] for pair in pairs[1]], [at[row_id] for row_id in lots["row_id"].to_pylist()]),
        row_ids=np.array(row_ids, dtype=object),
    )


def _lot_integers(lots: pa.Table, tags: list[int], row_numbers: list[int]) -> Int64:
    return np.stack([lots["opened_at"].to_numpy(), np.array(tags, np.int64), np.array(row_numbers, np.int64)], axis=1)


def _floats(table: pa.Table, name: str) -> Float64:
    values: Float64 = table[name].to_numpy().astype(np.float64)
    return values


def _cash(rows: list[dict[str, Any]]) -> cash.CarriedCash:
    """Return each account's balance at its last session, from the rows of `cash_balances` in day order."""
    balances, last_session = {}, {}
    for row in rows:
        values = np.zeros(cash.COLUMNS)
        for place, name in (
            (cash.CASH, "cash"),
            (cash.FLOWS, "flows"),
            (cash.INCOME, "income"),
            (cash.TRADES, "trades"),
            (cash.FEES, "fees"),
        ):
            values[place] = row[name]
        balances[(row["portfolio"], row["currency"])] = values
        last_session[row["portfolio"]] = to_number(row["day"])
    return cash.CarriedCash(balances, last_session)


def _history(lake: Lake, day: date, money: list[dict[str, Any]]) -> dict[str, History]:
    """Return what each portfolio's equity series goes on from; ``money`` are rows of `cash_balances`."""
    columns = ["day", "portfolio", "equity", "unit_value", "daily_return", "session"]
    rows = lake.read(derived.PORTFOLIO_EQUITY, columns, pc.field("day") <= day, to_month=day.isoformat()[:7]).sort_by("day").to_pylist()
    out: dict[str, History] = {}
    for row in rows:
        before = out.get(row["portfolio"], History())
        known = before.returns if row["daily_return"] is None else (*before.returns, row["daily_return"])[-(WINDOW - 1) :]
        valued = row["equity"] is not None
        equity = row["equity"] if valued else before.equity
        out[row["portfolio"]] = History(equity, row["unit_value"], row["session"] + 1, known, {}, not valued)
    last_valued = {row["portfolio"]: row["day"] for row in rows if row["equity"] is not None}
    flows: dict[str, dict[str, float]] = {}
    for row in money:
        if last_valued.get(row["portfolio"]) == row["day"]:
            flows.setdefault(row["portfolio"], {})[row["currency"]] = row["flows"]
    return {name: replace(history, flows=flows.get(name, {})) for name, history in out.items()}


def is_kept(day: int, last: int) -> bool:
    """Say whether a state is worth saving: the newest, and each year's last."""
    following = to_date(day + 1)
    return day == last or (following.month == 1 and following.day == 1)
