"""What idle capital, failures and the record of signals rest on: setups, answers of the allocator, trades, bars."""

from collections.abc import Iterable
from datetime import date

from portfolio_platform.days import end_of_day_ns
from portfolio_platform.evidence.ids import Address
from portfolio_platform.explain.cells import by_session, cell, cells, explains, plain, rows_of
from portfolio_platform.explain.resolve import at_evidence_id, set_aside
from portfolio_platform.explain.sources import Row, Sources
from portfolio_platform.explain.tables.facts import fact_line, fact_lines
from portfolio_platform.explain.tables.ledger import equity_of, fills_between, mark_bar
from portfolio_platform.explain.tables.risk import policy_value
from portfolio_platform.explain.tree import Draft, listing
from portfolio_platform.lake import derived
from portfolio_platform.lake.facts import BARS, FILLS, INTENTS, QUARANTINE, SIGNALS, UNCLASSIFIED

IDLE = {
    "idle": "mean over 20 sessions of 1 - use of the heat cap, at least 0",
    "idle_cash_pct": "(cash - buffer - reserved risk - cost of covering shorts) / equity, at least 0",
    "setups": "distinct setups of qualified signals of the window's sessions",
    "opportunity_rate": "setups / sessions",
    "missed": "setups that had no fill and were refused for capacity",
    "missed_rate": "missed / setups",
    "feasible_use": "setups a session x mean hold x mean risk / mean budget, at most 1 (Little's law)",
    "mean_hold": "mean number of closes that trades of the trade window were held over",
    "mean_risk": "mean risk granted over the trade window",
    "rejection_rate": "rejected / intents of the recent sessions",
    "rejection_baseline": "rejected / intents of the sessions before those",
    "rejection_excess": "lower end of the rejection rate's interval - baseline",
}
OF_SETUPS = ("setups", "missed", "blocked", "not_taken", "opportunity_rate", "missed_rate", "missed_low", "missed_high")


@explains(derived.IDLE_CAPITAL, IDLE)
def idle_capital(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """Idle is what the cap leaves unused; opportunity, the setups that there were; refusals, the allocator's answers."""
    policy, portfolio, day = of.policy(row.portfolio, row.day).idle, row.portfolio, row.day
    if column in ("idle", "sessions"):
        days = of.window(portfolio, day, policy.window)
        counted = _counted(of, portfolio, days)
        rows = [item for item in of.rows(derived.PORTFOLIO_HEAT, portfolio, days[0], day) if item.day in counted]
        words = "sessions in which the drawdown regime allows nothing new are left out"
        return [by_session(of, f"use of the cap from {days[0]} to {day}", lambda: reversed(rows), "use", words)]
    if column == "mean_gross_exposure":
        days = of.window(portfolio, day, policy.exposure_window)
        rows = of.rows(derived.PORTFOLIO_EQUITY, portfolio, days[0], day)
        return [by_session(of, f"gross exposure from {days[0]} to {day}", lambda: reversed(rows), "gross_exposure_pct")]
    if column == "idle_cash_pct":
        heat = of.row(derived.PORTFOLIO_HEAT, portfolio, day)
        reserved = [cell(of, heat, "reserved_risk", title="reserved risk")] if heat is not None else []
        figures = [draft for name in ("cash", "short_exposure", "equity") for draft in equity_of(of, portfolio, day, name)]
        return [*figures, *reserved, policy_value(of, portfolio, day, "idle.cash_buffer", policy.cash_buffer)]
    if column == "feasible_use":
        return cells(of, row, ("opportunity_rate", "mean_hold", "mean_risk", "sessions"))
    if column in OF_SETUPS:
        figures = cells(of, row, {"missed_rate": ("missed", "setups"), "opportunity_rate": ("setups", "sessions")}.get(column, ()))
        return [*figures, listing("setups of the window", lambda: _setups(of, row, only_missed=column.startswith("missed")))]
    if column == "mean_hold":
        days = of.window(portfolio, day, policy.trade_window)
        trips = of.rows(derived.ROUND_TRIPS, portfolio, days[0], day, method="flat_to_flat")
        return [
            rows_of(
                of, "trades closed in the trade window", lambda: reversed(trips), "holding_seconds", lambda trip: str(trip["round_trip_id"])
            )
        ]
    if column == "rejection_excess":
        return cells(of, row, ("rejection_low", "rejection_baseline"))
    return [_intents(of, row, column)]


def setups_of(of: Sources, row: Row) -> dict[str, list[Row]]:
    """Return the qualified signals of the window's counted sessions by setup, the newest setup first."""
    policy = of.policy(row.portfolio, row.day).idle
    days = of.window(row.portfolio, row.day, policy.window)
    after = of.since(row.portfolio, days[0])
    counted, found = _counted(of, row.portfolio, days), dict[str, list[Row]]()
    for signal in reversed(of.facts(SIGNALS, after=after, until=end_of_day_ns(row.day), portfolio=row.portfolio, purpose="policy")):
        session = next(day for day in days if day >= signal.day)
        if signal["qualified"] and session in counted:
            found.setdefault(signal["setup_id"] or signal["signal_id"], []).append(signal)
    return found


def _counted(of: Sources, portfolio: str, days: list[date]) -> set[date]:
    """Return the sessions that are observations of the cap's use: there is a cap, and the drawdown regime allows something new."""
    heats = of.rows(derived.PORTFOLIO_HEAT, portfolio, days[0], days[-1])
    allowed = {row.day for row in of.rows(derived.DRAWDOWN_STATE, portfolio, days[0], days[-1]) if row["size_multiplier"] != 0.0}
    return {row.day for row in heats if row["heat"] is not None and row.number("cap") > 0.0} & allowed


def _setups(of: Sources, row: Row, *, only_missed: bool) -> list[Draft]:
    capacity = of.policy(row.portfolio, row.day).idle.capacity_reasons
    lines = []
    for setup, signals in setups_of(of, row).items():
        said = [str(signal[name]) for signal in signals for name in ("block_reason", "disposition") if signal[name]]
        if only_missed and not any(text.startswith(capacity) for text in said):
            continue
        words = (
            f"{signals[0]['strategy']} {signals[0]['direction']} {signals[0]['symbol']}: {', '.join(dict.fromkeys(said)) or 'nothing said'}"
        )
        lines.append(listing(f"setup {setup}", lambda mine=signals: [fact_line(of, signal) for signal in mine], words))  # type: ignore[misc]
    return lines


def _intents(of: Sources, row: Row, column: str) -> Draft:
    policy = of.policy(row.portfolio, row.day).idle
    size, lag = policy.rejection_window, 0
    if "baseline" in column:
        size, lag = policy.rejection_baseline, policy.rejection_window
    elif column == "mean_risk":
        size = policy.trade_window
    days = of.window(row.portfolio, row.day, size, lag=lag)
    if not days:
        return Draft("no session is in that window")

    def found() -> list[Row]:
        after = of.since(row.portfolio, days[0])
        intents = of.facts(INTENTS, after=after, until=end_of_day_ns(days[-1]), portfolio=row.portfolio)
        refused = [intent for intent in intents if str(intent["decision_code"] or "").startswith("rejected")]
        if column == "mean_risk":
            return [intent for intent in intents if intent not in refused and intent["approved_risk"]]
        return refused if column in ("recent_rejected", "rejection_codes") else intents

    return fact_lines(of, f"intents of {len(days)} sessions from {days[0]} to {days[-1]}", found)


MODES = {
    "cases": "losing trades of the key in the window",
    "trades": "closed trades of the same template, regime and side in the window",
    "share": "cases / trades",
    "baseline_share": "cases / trades before the window",
    "p_value": "chance of at least so many cases at the baseline's rate, binomial",
    "p_adjusted": "p-value after Benjamini-Hochberg over all keys of the session",
    "loss_share": "loss of the cases / loss of all losing trades in the window",
    "recurring": "adjusted p-value, cases, symbols and share of the loss all beyond the policy's limits",
}


@explains(derived.FAILURE_MODES, MODES)
def failure_modes(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """A failure that comes back is its cases, against the trades there were."""
    figures = {
        "recurring": ("p_adjusted", "cases", "symbols", "loss_share"),
        "p_adjusted": ("p_value", "share", "share_low", "share_high"),
        "p_value": ("cases", "trades", "baseline_cases", "baseline_trades"),
        "share": ("cases", "trades"),
        "baseline_share": ("baseline_cases", "baseline_trades"),
    }.get(column, ())
    found = cells(of, row, figures)
    if column in ("trades", "baseline_trades"):
        return [*found, rows_of(of, "trades", lambda: trades_of(of, row, column), "net_pnl", lambda trip: str(trip["round_trip_id"]))]
    return [*found, rows_of(of, "cases", lambda: cases_of(of, row, column), "net_pnl", lambda label: str(label["round_trip_id"]))]


def _span(of: Sources, row: Row, column: str) -> tuple[date, date] | None:
    if not column.startswith("baseline"):
        return row["window_start"], row.day
    before = of.before(row.portfolio, row["window_start"])
    return (of.days(row.portfolio)[0], before) if before else None


def cases_of(of: Sources, row: Row, column: str = "cases") -> list[Row]:
    """Return the losing trades of a key, in the window or before it, the newest first."""
    span = _span(of, row, column)
    names = ("failure_mode", "template", "regime", "side")
    rows = of.rows(derived.FAILURE_LABELS, row.portfolio, *span) if span else []
    mine = [label for label in rows if all((label[name] or UNCLASSIFIED) == row[name] for name in names)]
    return sorted(mine, key=lambda label: (label["day"], label["round_trip_id"]), reverse=True)


def trades_of(of: Sources, row: Row, column: str = "trades") -> list[Row]:
    """Return the closed trades that a key's cases are counted among, in the window or before it, the newest first."""
    span = _span(of, row, column)
    rows = of.rows(derived.TRIP_PROFILES, row.portfolio, *span) if span else []
    mine = [
        trip
        for trip in rows
        if (trip["template"], trip["regime"] or UNCLASSIFIED, trip["direction"]) == (row["template"], row["regime"], row["side"])
    ]
    return sorted(mine, key=lambda trip: (trip["day"], trip["round_trip_id"]), reverse=True)


@explains(derived.FAILURE_LABELS, {"failure_mode": "the first rule of the taxonomy that holds"})
def failure_labels(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """A label is the facts that its rule saw, of a losing trade."""
    said = [plain(row, name) for name in ("failure_mode", "also", "facts") if row[name]]
    return [*said, *_trip(of, row)]


def _trip(of: Sources, row: Row) -> list[Draft]:
    """Return the profile of a row's round trip, and its signal."""
    profile = of.by_id(derived.TRIP_PROFILES, row["round_trip_id"], day=row.day)
    return [cell(of, profile, "net_pnl", title="the trade's profit after fees")] if profile is not None else []


def _signal(of: Sources, identity: str | None) -> list[Draft]:
    return [fact_lines(of, "signal", lambda: of.facts(SIGNALS, signal_id=identity))] if identity else []


def _bars(of: Sources, symbol: str, after: int, until: int | None) -> Draft:
    words = "after the first moment, up to the last"
    return fact_lines(of, f"bars of {symbol}", lambda: of.facts(BARS, after=after, until=until, symbol=symbol), words, newest=False)


PROFILES = {
    "net_pnl": "realised profit - fees",
    "r": "result / initial risk, before fees",
    "mae_r": "largest move against it on its way / initial risk",
    "mfe_r": "largest move for it on its way / initial risk",
    "hold_bars": "bars after the opening fill, up to the closing one",
}


@explains(derived.TRIP_PROFILES, PROFILES)
def trip_profiles(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """A trade's way is its fills, its signal, and the bars between."""
    trip = of.by_id(derived.ROUND_TRIPS, row["round_trip_id"], day=row.day)
    result = [cell(of, trip, name, title=name.replace("_", " ")) for name in ("realised_pnl", "fees")] if trip is not None else []
    stop = [plain(row, "initial_stop")] if row["initial_stop"] is not None else []
    fills = fact_lines(of, "fills", lambda: fills_between(of, row), newest=False)
    bars = [_bars(of, row["symbol"], row["opened_at"], row["closed_at"])] if column not in ("net_pnl",) else []
    return [*(result if column in ("net_pnl", "r") else []), *stop, fills, *_signal(of, row["signal_id"]), *bars]


OUTCOMES = {
    "outcome": "the first of stop, target and expiry that a bar after the signal reached; a bar with both is a stop",
    "r_achieved": "result / initial risk",
    "slippage_bps": "(fill price - decision price) / decision price, adverse positive, weighted by quantity",
}


@explains(derived.SIGNAL_OUTCOMES, OUTCOMES)
def signal_outcomes(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """An outcome is the signal and the bars after it, until one decided."""
    until = row["outcome_ts"]
    decided = [plain(row, name) for name in ("outcome", "entry_price", "stop_price", "target_price", "bars_held") if row[name] is not None]
    fills = fact_lines(of, "fills that name it", lambda: of.facts(FILLS, after=row["ts"] - 1, signal_id=row["signal_id"]), newest=False)
    return [*decided, *_signal(of, row["signal_id"]), _bars(of, row["symbol"], row["ts"], until), fills]


@explains(derived.PLAYBOOK_STATISTICS, {"average_r": "mean result of the resolved signals", "win_rate": "share with a result above 0"})
def playbook_statistics(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """A record is the signals that were resolved by then."""
    quoted = {"hold": "bars_held", "mae_": "mae_r", "mfe_": "mfe_r", "slip": "slippage_at_outcome_bps"}.get(column[:4], "r_achieved")
    return [rows_of(of, "resolved signals", lambda: resolved_of(of, row), quoted, _outcome_name)]


def _outcome_name(row: Row) -> str:
    return f"{row['outcome_day']} {row['signal_id']} {row['outcome']}"


def resolved_of(of: Sources, row: Row) -> list[Row]:
    """Return the signals that a record counts, the newest first."""
    equal = {name: row[name] for name in ("purpose", "template", "playbook")}
    rows = of.rows(derived.SIGNAL_OUTCOMES, row.portfolio, date.min, row.day, qualified=True, **equal)
    rows = [item for item in rows if item["outcome"] in ("target_hit", "stop_hit", "expired") and item["r_achieved"] is not None]
    rows = [item for item in rows if item["outcome_day"] <= row.day]
    for name in ("engine_version", "regime"):
        if row[name] != "all":
            rows = [item for item in rows if (item[name] or UNCLASSIFIED) == row[name]]
    return sorted(rows, key=lambda item: (item["outcome_day"], item["ts"], item["signal_id"]), reverse=True)


@explains(derived.CALIBRATION, {"gap": "mean confidence - hit rate", "brier": "mean of (confidence - came true) squared"})
def calibration(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """Calibration is the signals resolved in the window: what was stated, and what came true."""
    figures = cells(of, row, ("confidence", "hit_rate")) if column == "gap" else []

    def found() -> list[Row]:
        rows = of.rows(derived.SIGNAL_OUTCOMES, row.portfolio, date.min, row.day, qualified=True, purpose="policy")
        start = row["window_start"] or row.day
        known = [item for item in rows if item["outcome_day"] is not None and start <= item["outcome_day"] <= row.day]
        return sorted((item for item in known if item["confidence"] is not None), key=lambda item: item["outcome_day"], reverse=True)

    quoted = "r_achieved" if column == "hit_rate" else "confidence"
    return [*figures, rows_of(of, "signals resolved in the window", found, quoted, _outcome_name)]


@explains(derived.DATA_QUALITY, {"late_sessions": "sessions without a row where the source used to have one each session"})
def data_quality(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """Silence is the newest row that there is; what is set aside is in quarantine."""
    if column.startswith("set_aside"):
        return [set_aside(of, Address(QUARANTINE, row.portfolio, row.day, (), "rows"))]
    if column.startswith("new_version"):
        after = of.since(row.portfolio, row.day)
        until = end_of_day_ns(row.day)
        spoken = of.facts(SIGNALS, after=after, until=until, portfolio=row.portfolio)
        return [fact_lines(of, "signals of the session", lambda: spoken)]
    symbols = [name for name in (row["late_symbols"] or "").split(", ") if name]
    last = [plain(row, "last_seen")] if row["last_seen"] is not None else []
    return [*last, *(mark_bar(of, symbol, row.day) for symbol in symbols)]


@explains(derived.ALERT_STATES)
def alert_states(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """An alert in a session is a metric against a threshold: the cells it rests on."""
    said = [plain(row, name) for name in ("sentence", "observed", "threshold", "first_seen", "sessions_firing") if row[name] is not None]
    return [*said, *(at_evidence_id(of, name) for name in row["evidence_ids"].split(", ") if name)]
