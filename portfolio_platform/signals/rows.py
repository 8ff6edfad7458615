"""From signals, bars and fills to rows of `signal_outcomes`, sorted by id."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.days import day_number
from portfolio_platform.lake import derived
from portfolio_platform.lake.arrays import assemble, day_column, month_column, named, number_column
from portfolio_platform.ledger.fixed_point import to_floats
from portfolio_platform.signals import outcomes
from portfolio_platform.signals.bars import Bars
from portfolio_platform.signals.entries import NONE, Entries, Fills, entries
from portfolio_platform.signals.reasons import joined

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
STATED = (
    "signal_id",
    "setup_id",
    "ts",
    "portfolio",
    "strategy",
    "symbol",
    "direction",
    "timeframe",
    "template",
    "playbook",
    "regime",
    "engine_version",
    "purpose",
    "qualified",
    "disposition",
    "block_reason",
    "expected_hold_bars",
)
PRICES = ("entry_price", "stop_price", "target_price", "confidence")
SIGNAL_COLUMNS = (*STATED, *PRICES, "valid_until")
CANCELLED = ("cancelled", "canceled")


def _integers(column: pa.ChunkedArray, missing: int) -> Int64:
    return np.asarray(column.fill_null(missing).to_numpy(), np.int64)


def _paper(signals: pa.Table, bars: Bars, sign: Float64) -> tuple[outcomes.Paper, Flags, Flags]:
    """Return the paper trades in the bars' units, and where a stated stop or target is on the wrong side of the entry.

    Such a stop or target would be reached before anything happened: it is left out.
    """
    symbol, ts = bars.codes(signals["symbol"]), signals["ts"].to_numpy()
    factor = bars.splits.at(symbol, ts)
    entry, stop, target = (to_floats(signals[name]) * factor for name in PRICES[:3])
    wrong_stop, wrong_target = sign * (entry - stop) <= 0.0, sign * (target - entry) <= 0.0
    paper = outcomes.Paper(
        symbol=symbol,
        ts=ts,
        entry=entry,
        stop=np.where(wrong_stop, np.nan, stop),
        target=np.where(wrong_target, np.nan, target),
        sign=sign,
        hold=_integers(signals["expected_hold_bars"], 0),
        valid_until=_integers(signals["valid_until"], outcomes.NONE),
    )
    return paper, wrong_stop, wrong_target


def _end(walked: outcomes.Walked, signals: pa.Table) -> tuple[npt.NDArray[np.int8], Int64]:
    """Return outcomes and their times, those that the source cancelled included: known from the signal's own time on."""
    said = pc.is_in(pc.fill_null(signals["disposition"], ""), pa.array(CANCELLED)).to_numpy()
    outcome = np.where(said, outcomes.CANCELLED, walked.outcome).astype(np.int8)
    return outcome, np.where(said, signals["ts"].to_numpy(), walked.ts)


def _fill_columns(entered: Entries) -> dict[str, pa.Array]:
    return {
        "fill_ts": pa.array(entered.first, mask=entered.first == NONE),
        "last_fill_ts": pa.array(entered.last, mask=entered.last == NONE),
        "fill_price": number_column(entered.price),
        "fill_latency_ms": number_column(entered.latency / 1e6),
        "slippage_bps": number_column(entered.slippage),
        "slippage_at_outcome_bps": number_column(entered.slippage_known),
    }


def outcome_rows(signals: pa.Table, bars: Bars, fills: Fills, until: int) -> pa.Table:
    """Return `signal_outcomes` of signals (`SIGNAL_COLUMNS`) as known at ``until`` (ns UTC), sorted by id.

    ``bars`` hold those after the signals, ``fills`` those of the signals; later ones than ``until`` are not looked at.
    """
    signals = signals.sort_by("signal_id").combine_chunks()
    sign = np.where(pc.equal(signals["direction"], "long").to_numpy(), 1.0, -1.0)
    paper, wrong_stop, wrong_target = _paper(signals, bars, sign)
    walked = outcomes.walk(bars, paper, until)
    outcome, ended = _end(walked, signals)
    resolved, cancelled = outcome != outcomes.OPEN, outcome == outcomes.CANCELLED
    outcome_day = day_number(np.where(resolved, ended, until))
    place = pc.fill_null(pc.index_in(fills.signal_id, signals["signal_id"].combine_chunks(), skip_nulls=True), -1)
    of = np.where(fills.ts <= until, place.to_numpy(zero_copy_only=False), -1).astype(np.int64)
    entered = entries(fills, of, paper.ts, sign, outcome_day)
    risk, seen = sign * (paper.entry - paper.stop), (walked.bars > 0) & ~cancelled
    reasons = {
        "open": ~resolved,
        "cancelled": cancelled,
        "no_stop": signals["stop_price"].is_null().to_numpy(),
        "stop_not_beyond_entry": wrong_stop,
        "target_not_beyond_entry": wrong_target,
        "no_bars": ~seen & ~cancelled,
        "no_fill": ~entered.filled,
        "no_decision_price": entered.filled & np.isnan(entered.slippage),
    }
    day = day_number(paper.ts)
    columns = {
        **{name: signals[name].combine_chunks() for name in STATED},
        **{name: number_column(to_floats(signals[name])) for name in PRICES},
        **_fill_columns(entered),
        "day": day_column(day),
        "outcome": named(outcomes.OUTCOMES, outcome.astype(np.int64)),
        "outcome_ts": pa.array(ended, mask=~resolved),
        "outcome_day": pc.if_else(pa.array(resolved), day_column(outcome_day), pa.scalar(None, pa.date32())),
        "r_achieved": number_column(np.where(seen, sign * (walked.price - paper.entry) / risk, np.nan)),
        "mfe_r": number_column(np.where(seen, walked.favourable / risk, np.nan)),
        "mae_r": number_column(np.where(seen, walked.adverse / risk, np.nan)),
        "bars_held": pa.array(np.where(cancelled, 0, walked.bars)),
        "ambiguous": pa.array(walked.ambiguous & ~cancelled),
        "resolution": bars.resolutions(paper.symbol),
        "reason": joined(reasons),
        "month": month_column(day),
    }
    return assemble(derived.SIGNAL_OUTCOMES, columns)
