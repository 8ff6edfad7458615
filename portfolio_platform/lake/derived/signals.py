"""The tables of the signal ledger: what became of each signal, and the record of each playbook."""

from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.derived.words import DAY, PLAYBOOK, PORTFOLIO, POSITION, REASON, TEMPLATE, number, of
from portfolio_platform.lake.facts import MONTH

_R = "initial risk"
REGIME = of("text", "regime", "regime label at emission")
PURPOSE = of("text", "purpose", "policy or research; the two are never mixed")
ENGINE = of("text", "engine_version", "version of the engine that emitted it; track records never mix versions")

SIGNAL_OUTCOMES = Table(
    "signal_outcomes",
    "What became of every signal, reconciled bar by bar after it: target, stop, expiry, or still open; and its fill, where it had one.",
    (
        of("text", "signal_id", "id of the signal"),
        of("text", "setup_id", "shared by repeats and scale-ins of one setup"),
        of("day", "day", "UTC day of the signal"),
        of("timestamp", "ts", "close of the bar it was seen on", "ns UTC"),
        *POSITION,
        of("text", "direction", "long or short"),
        of("text", "timeframe", "timeframe of the bar"),
        TEMPLATE,
        PLAYBOOK,
        REGIME,
        ENGINE,
        PURPOSE,
        of("flag", "qualified", "whether it passed the strategy's own bar"),
        of("text", "disposition", "what the strategy did with it"),
        of("text", "block_reason", "why it was not taken"),
        number("confidence", "stated confidence", "0..1"),
        number("entry_price", "price at emission"),
        number("stop_price", "initial stop"),
        number("target_price", "initial target"),
        of("integer", "expected_hold_bars", "expected holding time", "bars"),
        of("text", "outcome", "target_hit, stop_hit, expired, cancelled, or open"),
        of("timestamp", "outcome_ts", "close of the bar that decided it", "ns UTC"),
        of("day", "outcome_day", "UTC day of outcome_ts; null while open: what is known on a day is what has an earlier or equal one"),
        number("r_achieved", "result over initial risk; null without a stop", _R),
        number("mfe_r", "largest favourable excursion up to the outcome", _R),
        number("mae_r", "largest adverse excursion up to the outcome", _R),
        of("integer", "bars_held", "bars from the signal to the outcome", "bars"),
        of("flag", "ambiguous", "true where the deciding bar held both stop and target: counted as a stop"),
        of("text", "resolution", "timeframe of the bars it was reconciled on"),
        of("timestamp", "fill_ts", "first fill of the signal", "ns UTC"),
        number("fill_price", "its quantity-weighted entry price"),
        number("fill_latency_ms", "time from decision to first fill", "ms"),
        number("slippage_bps", "adverse positive, quantity-weighted over the entry's fills", "bps"),
        REASON,
        MONTH,
    ),
    ("signal_id",),
    "month",
)

PLAYBOOK_STATISTICS = Table(
    "playbook_statistics",
    "Record of each playbook by regime, engine version and purpose: a row for each day on which it changed; what was known on "
    "a day is the newest row up to it. Regime 'all' and engine version 'all' are sums over the others, of one purpose.",
    (
        DAY,
        PORTFOLIO,
        PURPOSE,
        ENGINE,
        TEMPLATE,
        PLAYBOOK,
        REGIME,
        of("integer", "n", "resolved qualified signals", "signals"),
        of("integer", "targets", "of them at their target", "signals"),
        of("integer", "stops", "of them at their stop", "signals"),
        of("integer", "expired", "of them at their expiry", "signals"),
        of("integer", "ambiguous", "of them decided inside a bar with both stop and target", "signals"),
        number("win_rate", "share with a positive result", "fraction"),
        number("win_rate_low", "lower end of its Wilson interval at 95 %", "fraction"),
        number("win_rate_high", "upper end", "fraction"),
        number("average_r", "mean result", _R),
        number("hold_bars_p50", "median holding time", "bars"),
        number("hold_bars_p90", "90th percentile of holding time", "bars"),
        number("mae_r_p50", "median adverse excursion", _R),
        number("mfe_r_p50", "median favourable excursion", _R),
        number("slippage_bps_p50", "median slippage of those that were filled", "bps"),
        MONTH,
    ),
    ("day", "portfolio", "purpose", "engine_version", "template", "playbook", "regime"),
    "month",
)

TRIP_PROFILES = Table(
    "trip_profiles",
    "How each closed trade went on its way: holding time, excursions and result in units of its initial risk, slippage.",
    (
        of("text", "round_trip_id", "id of the round trip; flat to flat"),
        of("day", "day", "UTC day of its close"),
        *POSITION,
        of("text", "direction", "long or short"),
        of("timestamp", "opened_at", "opening fill", "ns UTC"),
        of("timestamp", "closed_at", "closing fill", "ns UTC"),
        TEMPLATE,
        PLAYBOOK,
        REGIME,
        of("text", "signal_id", "signal of its opening fill"),
        of("integer", "hold_bars", "bars of the signal's timeframe from opening to closing", "bars"),
        number("initial_stop", "stop of its opening fill"),
        number("r", "result over initial risk, before fees; null without a stop", _R),
        number("mae_r", "largest adverse excursion", _R),
        number("mfe_r", "largest favourable excursion", _R),
        of("text", "resolution", "timeframe of the bars the excursions were read from"),
        number("entry_slippage_bps", "of the fills that opened or added, quantity-weighted, adverse positive", "bps"),
        number("exit_slippage_bps", "of the fills that reduced or closed", "bps"),
        number("net_pnl", "realised P&L after fees"),
        REASON,
        MONTH,
    ),
    ("round_trip_id",),
    "month",
)
