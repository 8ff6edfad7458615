"""The same work in plain pandas: fills to daily snapshots, and their concentration by symbol, template and strategy.

What a good pandas user writes: columns as floats, one loop over the fills for what no column operation can do (average
cost, FIFO lots by template), merges and group-bys for all the rest. Quantities are rounded to 8 places, so that flat is
flat. It knows one currency, multipliers of 1 and no corporate actions, which is what the generator draws.
"""

from collections import deque
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS = ["row_id", "ts", "portfolio", "strategy", "symbol", "side", "quantity", "price", "fee", "template"]
KEY = ["portfolio", "strategy", "symbol"]
DAY_NS = 86_400_000_000_000
PLACES = 8


@dataclass(frozen=True)
class PandasResults:
    """Daily snapshots, and a row for each portfolio, day, dimension with its Herfindahl index and largest share."""

    snapshots: pd.DataFrame
    concentration: pd.DataFrame


def read_frame(path: Path, columns: list[str]) -> pd.DataFrame:
    """Read columns of a Parquet file, decimals as floats (as Python decimals they would take ten times as long)."""
    table = pq.read_table(path, columns=columns)
    for place, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type):
            table = table.set_column(place, field.name, table[field.name].cast(pa.float64()))
    return table.to_pandas()


def _state_after_each_day(day: list, quantity: list, price: list, fee: list, template: list) -> list[tuple]:
    """Return (day, quantity, average cost, realised, fees, {template: open quantity}) for each day with fills."""
    out = []
    held = average = realised = fees = 0.0
    lots: deque = deque()
    for i in range(len(day)):
        traded, at = quantity[i], price[i]
        fees += fee[i]
        if held * traded < 0.0:
            closed = min(abs(traded), abs(held))
            sign = 1.0 if held > 0.0 else -1.0
            realised += (at - average) * closed * sign
            left = closed
            while left > 0.0 and lots:
                size = lots[0][1]
                matched = min(abs(size), left)
                left = round(left - matched, PLACES)
                lots[0][1] = round(size - matched * sign, PLACES)
                if lots[0][1] == 0.0:
                    lots.popleft()
            held = round(held - closed * sign, PLACES)
            traded = round(traded + closed * sign, PLACES)
        if traded != 0.0:
            average = at if held == 0.0 else (average * abs(held) + at * abs(traded)) / (abs(held) + abs(traded))
            held = round(held + traded, PLACES)
            lots.append([template[i], traded])
        if i + 1 == len(day) or day[i + 1] != day[i]:
            by_template: dict = {}
            for name, size in lots:
                by_template[name] = round(by_template.get(name, 0.0) + size, PLACES)
            out.append((day[i], held, average if held else 0.0, realised, fees, by_template))
    return out


def _changes(fills: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return each position's state on the days it changed, and its open quantity by template on these days."""
    fills = fills.assign(length=fills["row_id"].str.len()).sort_values([*KEY, "ts", "length", "row_id"])
    fills["day"] = (fills["ts"] - 1) // DAY_NS
    fills["signed"] = fills["quantity"].where(fills["side"] == "buy", -fills["quantity"])
    states, lots = [], []
    for key, group in fills.groupby(KEY, sort=True):
        columns = (group[name].tolist() for name in ("day", "signed", "price", "fee", "template"))
        for day, held, average, realised, fees, by_template in _state_after_each_day(*columns):
            states.append((*key, day, held, average, realised, fees))
            lots.extend((*key, day, template, size) for template, size in by_template.items())
    names = [*KEY, "changed"]
    return (
        pd.DataFrame(states, columns=[*names, "quantity", "average_cost", "realised_pnl", "fees"]),
        pd.DataFrame(lots, columns=[*names, "template", "lot_quantity"]),
    )


def _sessions(fills: pd.DataFrame, bars: pd.DataFrame, first_flow: pd.Series) -> pd.DataFrame:
    """Return the sessions of each portfolio: days with a bar of what it has traded by then, days of fills, the first flow's."""
    traded = fills.assign(day=(fills["ts"] - 1) // DAY_NS).groupby(["portfolio", "symbol"])["day"].min().rename("since").reset_index()
    held = traded.merge(bars[["symbol", "day"]], on="symbol")
    held = held.loc[held["day"] >= held["since"], ["portfolio", "day"]]
    flows = first_flow.rename("day").reset_index()
    days = fills[["portfolio"]].assign(day=(fills["ts"] - 1) // DAY_NS)
    return pd.concat([held, days, flows]).drop_duplicates().sort_values(["portfolio", "day"], ignore_index=True)


def _snapshots(states: pd.DataFrame, sessions: pd.DataFrame, bars: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each session and position from its first fill on, carried forward and marked at the newest close."""
    first = states.groupby(KEY)["changed"].min().rename("since").reset_index()
    rows = first.merge(sessions, on="portfolio")
    rows = rows[rows["day"] >= rows["since"]].drop(columns="since").sort_values("day")
    rows = pd.merge_asof(rows, states.sort_values("changed"), left_on="day", right_on="changed", by=KEY)
    rows = pd.merge_asof(rows, bars[["symbol", "day", "close"]].sort_values("day"), on="day", by="symbol")
    rows["market_value"] = rows["quantity"] * rows["close"]
    rows["unrealised_pnl"] = rows["quantity"] * (rows["close"] - rows["average_cost"])
    return rows.sort_values(["portfolio", "day", "strategy", "symbol"], ignore_index=True)


def _concentration(exposures: pd.DataFrame, dimension: str) -> pd.DataFrame:
    gross = exposures.assign(gross=exposures["value"].abs()).groupby(["portfolio", "day", dimension])["gross"].sum()
    gross = gross[gross > 0.0]
    by_session = ["portfolio", "day"]
    share = gross / gross.groupby(by_session).transform("sum")
    figures = pd.DataFrame({"hhi": (share**2).groupby(by_session).sum(), "top_share": share.groupby(by_session).max()})
    figures["effective_n"] = 1.0 / figures["hhi"]
    return figures.reset_index().assign(dimension=dimension)


def fills_to_concentration(folder: Path) -> PandasResults:
    """Read generated facts and return their daily snapshots and concentration."""
    fills = read_frame(folder / "fills.parquet", COLUMNS)
    bars = read_frame(folder / "bars.parquet", ["symbol", "ts", "close"])
    flows = read_frame(folder / "cash_flows.parquet", ["portfolio", "ts"])
    bars["day"] = (bars["ts"] - 1) // DAY_NS
    first_flow = ((flows["ts"] - 1) // DAY_NS).groupby(flows["portfolio"]).min()
    states, lots = _changes(fills)
    snapshots = _snapshots(states, _sessions(fills, bars, first_flow), bars)
    held = snapshots.loc[snapshots["quantity"] != 0.0, [*KEY, "day", "changed", "close"]]
    exposures = held.merge(lots[lots["lot_quantity"] != 0.0], on=[*KEY, "changed"])
    exposures["value"] = exposures["lot_quantity"] * exposures["close"]
    figures = [_concentration(exposures, dimension) for dimension in ("symbol", "template", "strategy")]
    return PandasResults(snapshots, pd.concat(figures, ignore_index=True))


def largest_difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the largest difference relative to the larger of the two, and of 1; NaN counts as equal to NaN."""
    both = np.isnan(ours) & np.isnan(theirs)
    scale = np.maximum(np.maximum(np.abs(ours), np.abs(theirs)), 1.0)
    return float(np.max(np.where(both, 0.0, np.abs(ours - theirs) / scale), initial=0.0))
