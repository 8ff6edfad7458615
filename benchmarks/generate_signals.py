"""Seeded signals, intents and expectations for generated trades: what D6 to D8 read beside fills and bars.

Every second campaign followed a signal, seen at the close before its first fill; a third as many signals led to no trade.
Regimes come in stretches of weeks that all symbols share, as a market's do.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.text import numbered
from portfolio_platform.days import NANOSECONDS_PER_DAY, NANOSECONDS_PER_SECOND, day_number
from portfolio_platform.lake.arrays import assemble, named
from portfolio_platform.lake.facts import FACTS
from portfolio_platform.ledger.fixed_point import to_decimals

if TYPE_CHECKING:
    from benchmarks.generate import Market, Trades

Int64 = npt.NDArray[np.int64]

FOLLOWED = 2  # of so many campaigns, one followed a signal
REGIMES = tuple(f"{trend}_vol_{level}" for trend in ("bear", "bull", "range") for level in ("high", "low", "mid"))
STRETCH = 25  # days, on average, that a regime lasts
VALID_DAYS = 6
DISPOSITIONS = ("taken", "blocked", "rejected")
REASONS = (None, "insufficient_capital", "rejected_heat", "rejected_cohort", "cooldown_after_stop")
CODES = ("approved_full", "approved_clipped", "rejected_heat", "rejected_cohort")
CENT, STOP_AWAY, TARGET_AWAY = 100, 0.03, 0.06


@dataclass(frozen=True)
class Seen:
    """Signals in order of time: whose, on what, at which day's close (its place in the market's days), and whether it was traded.

    ``number`` is the campaign that followed it, beyond all campaigns where none did; ``reason`` is a place in `REASONS`.
    """

    number: Int64
    owner: Int64
    symbol: Int64
    day: Int64
    ts: Int64
    side: Int64
    tag: Int64
    reason: Int64
    risk: Int64


def of_campaign(campaign: Int64, prefix: str) -> pa.Array:
    """Return the id of what each fill followed, null where its campaign followed nothing."""
    ids = numbered(prefix, campaign, 8)
    return pa.compute.if_else(pa.array(campaign % FOLLOWED == 0), ids, pa.nulls(campaign.size, pa.string()))


def _close_ns(market: "Market", symbol: Int64, day: Int64) -> Int64:
    from benchmarks.generate import CLOSE_NS

    return (market.first + day) * NANOSECONDS_PER_DAY + np.where(market.continuous[symbol], NANOSECONDS_PER_DAY, CLOSE_NS)


def draw_signals(trades: "Trades", market: "Market", tags: int, rng: np.random.Generator) -> Seen:
    """Draw the signals behind campaigns, and others that were blocked or refused."""
    number, first = np.unique(trades.campaign, return_index=True)
    followed = number % FOLLOWED == 0
    number, first = number[followed], first[followed]
    owner, symbol = trades.owner[first], trades.symbol[first]
    days = np.arange(market.traded.shape[1])
    newest = np.maximum.accumulate(np.where(market.traded, days, -1), axis=1)
    before = newest[symbol, np.maximum(day_number(trades.ts[first]) - market.first - 1, 0)]
    # a campaign of the first day had no bar to be seen on
    known = (before >= 0) & (day_number(trades.ts[first]) > market.first)
    number, first, owner, symbol, before = (column[known] for column in (number, first, owner, symbol, before))
    more = number.size // 3
    pick = rng.integers(0, number.size, more)
    day = newest[symbol[pick], rng.integers(10, days.size, more)]
    day = np.where(day >= 0, day, before[pick])
    columns = (
        (number, int(trades.campaign.max()) + 1 + np.arange(more)),
        (owner, owner[pick]),
        (symbol, symbol[pick]),
        (before, day),
        (_close_ns(market, symbol, before), _close_ns(market, symbol[pick], day)),
        (np.sign(trades.quantity[first]), np.where(rng.random(more) < 0.62, 1, -1)),
        (trades.tag[first], rng.integers(0, tags, more)),
        (np.zeros(number.size, np.int64), rng.integers(1, len(REASONS), more)),
        (rng.integers(200 * CENT, 1_500 * CENT, number.size), rng.integers(200 * CENT, 1_500 * CENT, more)),
    )
    found = [np.concatenate(pair).astype(np.int64) for pair in columns]
    order = np.lexsort((found[0], found[4]))
    return Seen(*(column[order] for column in found))


def signal_rows(seen: Seen, market: "Market", rng: np.random.Generator) -> pa.Table:
    """Return signals as rows of the fact table."""
    from benchmarks.generate import PORTFOLIOS, PRICE_PLACES, STRATEGIES, TAGS, bookkeeping

    rows = seen.ts.size
    places, price = np.full(rows, PRICE_PLACES), market.close[seen.symbol, seen.day]
    stretches = np.cumsum(rng.random(market.traded.shape[1]) < 1.0 / STRETCH)
    regime = rng.integers(0, len(REGIMES), int(stretches[-1]) + 1)[stretches]
    ids, nothing = numbered("SIG-", seen.number, 8), pa.nulls(rows, pa.string())

    def away(fraction: float) -> pa.Array:
        return to_decimals(np.maximum(np.rint(price * (1.0 + fraction * seen.side)), 1).astype(np.int64), places)

    columns = {
        "signal_id": ids,
        "setup_id": numbered("SET-", seen.number, 8),
        "ts": pa.array(seen.ts),
        "portfolio": named(PORTFOLIOS, seen.owner // len(STRATEGIES)),
        "strategy": named(STRATEGIES, seen.owner % len(STRATEGIES)),
        "symbol": named(market.names, seen.symbol),
        "direction": named(("short", "long"), (seen.side > 0).astype(np.int64)),
        "timeframe": named(["1d"], np.zeros(rows, np.int64)),
        "template": named([template for template, _ in TAGS], seen.tag),
        "playbook": named([playbook for _, playbook in TAGS], seen.tag),
        "engine_version": named(["1.0.0"], np.zeros(rows, np.int64)),
        "entry_price": to_decimals(price, places),
        "stop_price": away(-STOP_AWAY),
        "target_price": away(TARGET_AWAY),
        "expected_hold_bars": pa.array(rng.integers(3, 15, rows)),
        "valid_until": pa.array(seen.ts + VALID_DAYS * NANOSECONDS_PER_DAY),
        "confidence": to_decimals(rng.integers(5_000, 10_000, rows), np.full(rows, 4)),
        "regime": named(REGIMES, regime[seen.day]),
        "qualified": pa.array((seen.reason == 0) | (rng.random(rows) < 0.8)),
        "disposition": named(DISPOSITIONS, np.where(seen.reason == 0, 0, 1 + (seen.reason > 1))),
        "block_reason": named(REASONS, seen.reason),
        "thesis": nothing,
        "trigger_id": nothing,
        "screener_rank": pa.nulls(rows, pa.int64()),
        "snapshot_hash": nothing,
        "purpose": named(["policy"], np.zeros(rows, np.int64)),
    }
    return assemble(FACTS["signals"].table, columns | bookkeeping("signals", rows, 0, ids, seen.ts, rng))


def intent_rows(seen: Seen, market: "Market", rng: np.random.Generator) -> pa.Table:
    """Return a request for each signal that was not blocked before it, a minute later, and its answer, as rows of the fact table."""
    from benchmarks.generate import PORTFOLIOS, STRATEGIES, TAGS, bookkeeping

    asked = np.isin(seen.reason, (0, REASONS.index("rejected_heat"), REASONS.index("rejected_cohort")))
    some = Seen(*(column[asked] for column in vars(seen).values()))
    rows = some.ts.size
    refused = some.reason > 0
    clipped = (rng.random(rows) < 0.12) & ~refused
    two = np.full(rows, 2)
    ids, ts = numbered("INT-", some.number, 8), some.ts + 60 * NANOSECONDS_PER_SECOND
    code = np.where(refused, some.reason, clipped.astype(np.int64))
    columns = {
        "intent_id": ids,
        "ts": pa.array(ts),
        "portfolio": named(PORTFOLIOS, some.owner // len(STRATEGIES)),
        "strategy": named(STRATEGIES, some.owner % len(STRATEGIES)),
        "symbol": named(market.names, some.symbol),
        "side": named(("sell", "buy"), (some.side > 0).astype(np.int64)),
        "template": named([template for template, _ in TAGS], some.tag),
        "playbook": named([playbook for _, playbook in TAGS], some.tag),
        "requested_risk": to_decimals(some.risk, two),
        "requested_notional": to_decimals((some.risk / STOP_AWAY).astype(np.int64), two),
        "approved_risk": to_decimals(np.where(refused, 0, np.where(clipped, some.risk // 2, some.risk)), two),
        "decision_code": named(CODES, code),
        "reasons": pa.nulls(rows, pa.string()),
    }
    return assemble(FACTS["intents"].table, columns | bookkeeping("intents", rows, 0, ids, ts, rng))


def expectation_rows(rng: np.random.Generator) -> pa.Table:
    """Return what each playbook expects of itself, over all regimes and in each, as rows of the fact table."""
    from benchmarks.generate import TAGS, bookkeeping

    regimes = ("all", *REGIMES)
    rows = len(TAGS) * len(regimes)
    tag, regime = np.divmod(np.arange(rows), len(regimes))
    ids = pa.array([f"{TAGS[t][0]}|{TAGS[t][1]}|{regimes[r]}" for t, r in zip(tag.tolist(), regime.tolist(), strict=True)])

    def drawn(low: float, high: float) -> pa.Array:
        return to_decimals(np.rint(rng.uniform(low, high, rows) * 1e4).astype(np.int64), np.full(rows, 4))

    columns = {
        "template": named([template for template, _ in TAGS], tag),
        "playbook": named([playbook for _, playbook in TAGS], tag),
        "regime": named(regimes, regime),
        "n": pa.array(rng.integers(10, 200, rows)),
        "win_rate": drawn(0.35, 0.6),
        "avg_r": drawn(0.01, 0.3),
        "hold_bars_p50": drawn(4.0, 20.0),
        "hold_bars_p90": drawn(20.0, 60.0),
        "mae_r_p50": drawn(0.4, 1.2),
        "mfe_r_p50": drawn(0.5, 1.8),
        "slippage_bps_p50": drawn(1.0, 6.0),
    }
    known = bookkeeping("playbook_expectations", rows, 0, ids, np.ones(rows, np.int64), rng)
    known.pop("month")
    return assemble(FACTS["playbook_expectations"].table, columns | known)


def write_signals(trades: "Trades", market: "Market", tags: int, folder: Path, rng: np.random.Generator) -> None:
    """Write signals, intents and expectations as Parquet files of a folder."""
    seen = draw_signals(trades, market, tags, rng)
    pq.write_table(signal_rows(seen, market, rng), folder / "signals.parquet")
    pq.write_table(intent_rows(seen, market, rng), folder / "intents.parquet")
    pq.write_table(expectation_rows(rng), folder / "playbook_expectations.parquet")
