"""Round trips, rolling figures and drawdown against pyfolio-reloaded and empyrical-reloaded, equal results first.

Whether results are equal on the sample, and where they differ by definition, is tested in `tests/peers/`. Here both sides
get the same generated fills and returns.
"""

import os
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.measure import alternate, seconds
from benchmarks.platform_run import before_first, last_day, read_facts
from benchmarks.registry import Bench, Row, benchmark
from portfolio_platform.diagnostics.drawdown import Trail, drawdowns
from portfolio_platform.ledger import accounting, layout
from portfolio_platform.ledger.accounting import Account
from portfolio_platform.ledger.advance import Facts, advance
from portfolio_platform.ledger.equity import WINDOW, rolling_moments
from portfolio_platform.ledger.inputs import read_actions
from portfolio_platform.policy.model import AccountingPolicy, DrawdownPolicy

GOAL, TOLERANCE, YEAR = 10.0, 1e-9, 252


def _row(work: str, ours: float, reference: str, theirs: float, apart: float, note: str = "", *, faster: float | None = None) -> Row:
    same = apart <= TOLERANCE
    told = f"results equal to {apart:.0e}" if same else f"RESULTS DIFFER by {apart:.1e}"
    goal = f"faster {faster:g} times" if faster else f"equal to {TOLERANCE:g}"
    met = same and (faster is None or theirs >= faster * ours)
    return Row(work, seconds(ours), reference, seconds(theirs), theirs / ours, goal, met, f"{told}{note}")


def _apart(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the largest difference relative to the larger of the two; null in one alone counts as infinite."""
    known = np.isfinite(ours)
    if (known != np.isfinite(theirs)).any():
        return float("inf")
    scale = np.maximum(np.maximum(np.abs(ours[known]), np.abs(theirs[known])), 1e-3)
    return float(np.max(np.abs(ours[known] - theirs[known]) / scale, initial=0.0))


def closed_whole_fills(facts: Facts) -> tuple[pa.Table, pd.DataFrame]:
    """Return the fills that both can match: whole units, of each position up to the last time it was flat."""
    names = ["portfolio", "strategy", "symbol", "side", "ts", "row_id"]
    frame = facts.fills.select(names).to_pandas()
    frame["quantity"], frame["price"] = (facts.fills[name].cast(pa.float64()).to_numpy() for name in ("quantity", "price"))
    frame["amount"] = frame["quantity"].where(frame["side"] == "buy", -frame["quantity"])
    frame["position"] = frame["portfolio"].astype(str) + "/" + frame["strategy"].astype(str) + "/" + frame["symbol"].astype(str)
    frame = frame.sort_values(["ts", "row_id"])
    frame = frame[frame["amount"].mod(1.0).eq(0.0).groupby(frame["position"]).transform("all")]
    flat = frame.groupby("position")["amount"].cumsum() == 0.0
    frame = frame[flat[::-1].groupby(frame["position"][::-1]).cummax()[::-1]]
    transactions = frame[["amount", "price"]].assign(symbol=frame["position"]).set_index(pd.DatetimeIndex(pd.to_datetime(frame["ts"])))
    return facts.fills.take(pa.array(frame.index.to_numpy())), transactions


def _fifo_profits(account: Account) -> pd.Series:
    integers, positions = account.trip_integers, account.positions
    fifo = integers[:, layout.TRIP_METHOD] == layout.FIFO
    labels = positions.portfolio + "/" + positions.strategy + "/" + positions.symbol
    return pd.Series(account.trip_floats[fifo, layout.TRIP_PNL]).groupby(labels[integers[fifo, layout.TRIP_POSITION]]).sum()


def _round_trips(folder: Path, size: str) -> Row:
    from pyfolio.round_trips import extract_round_trips

    facts = read_facts(folder)
    fills, transactions = closed_whole_fills(facts)
    none = read_actions(facts.corporate_actions, after_ts=-1, until_ts=-1)
    ours = _fifo_profits(accounting.run(fills, none, facts.reference, None))
    theirs = extract_round_trips(transactions).groupby("symbol")["pnl"].sum()
    fast, slow = alternate(lambda: accounting.run(fills, none, facts.reference, None), lambda: extract_round_trips(transactions), runs=2)
    apart = _apart(ours.sort_index().to_numpy(), theirs.sort_index().to_numpy())
    work, note = f"round trips of {len(fills):,} fills, {size}", "; ours is the whole accounting pass"
    return _row(work, fast, "pyfolio.extract_round_trips", slow, apart, note, faster=GOAL)


def _returns(folder: Path) -> pd.DataFrame:
    step = advance(before_first(), read_facts(folder), AccountingPolicy(), last_day(folder))
    equity = step.equity.to_pandas()
    return equity[equity["portfolio"] == "core"].reset_index(drop=True)


def _rolling(equity: pd.DataFrame) -> Row:
    import empyrical

    returns = equity["daily_return"]
    values, periods = returns.to_numpy(), np.full(len(returns), YEAR)

    def theirs() -> tuple[pd.Series, pd.Series]:
        volatility = empyrical.roll_annual_volatility(returns, window=WINDOW, annualization=YEAR)
        return volatility, empyrical.roll_sharpe_ratio(returns, window=WINDOW, annualization=YEAR)

    one, two = rolling_moments(values, (), periods), theirs()
    apart = max(_apart(mine[WINDOW - 1 :], other.to_numpy()) for mine, other in zip(one, two, strict=True))
    fast, slow = alternate(lambda: rolling_moments(values, (), periods), theirs, runs=3)
    return _row(f"rolling volatility and Sharpe, {len(returns):,} sessions", fast, "empyrical.roll_*", slow, apart)


def _drawdown(equity: pd.DataFrame) -> Row:
    import empyrical

    returns = equity["daily_return"]
    units, values, reasons, policy = equity["unit_value"].tolist(), returns.tolist(), [""] * len(returns), DrawdownPolicy()
    days = drawdowns(units, values, reasons, Trail(), policy)
    apart = _apart(np.array([max(day.drawdown for day in days)]), np.array([-empyrical.max_drawdown(returns)]))
    fast, slow = alternate(
        lambda: drawdowns(units, values, reasons, Trail(), policy),
        lambda: empyrical.roll_max_drawdown(returns, window=policy.window),
        runs=3,
    )
    work = f"drawdown state (velocity, severity, regime), {len(returns):,} sessions"
    note = "; ours is the whole state, theirs the rolling maximum drawdown of 252 sessions alone"
    return _row(work, fast, "empyrical.roll_max_drawdown", slow, apart, note)


@benchmark("peers", sizes=("S",), order=50)
def peers(bench: Bench, size: str) -> Iterator[Row]:
    """Compare with what is installed; say so where it is not."""
    os.environ.setdefault("MPLBACKEND", "Agg")  # pyfolio imports matplotlib's pyplot
    if find_spec("pyfolio") is None or find_spec("empyrical") is None:
        yield Row("pyfolio-reloaded, empyrical-reloaded", "not installed", note="pip install -e '.[peers]'")
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield _round_trips(bench.facts(size), size)
        equity = _returns(bench.facts("M"))
        yield _rolling(equity)
        yield _drawdown(equity)
