"""What a paper run brought, as the files that the normal import takes: fills, signals, the funding, and what the working lake needs."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal

from portfolio_platform.broker.model import Bar, Filled
from portfolio_platform.broker.rows import fills_csv
from portfolio_platform.control.model import MILLION
from portfolio_platform.control.money import QUANTITY_PLACES, major
from portfolio_platform.days import end_of_day_ns, format_timestamp, to_number
from portfolio_platform.instruments.model import Expectation
from portfolio_platform.lake.facts import CASH_FLOWS, PORTFOLIOS, SIGNALS
from portfolio_platform.paper.market import Market
from portfolio_platform.paper.model import PaperOptions, SignalSaid

Files = dict[str, bytes]
"""Contents by file name."""


def funded_at(first: date) -> int:
    """Return when the account is funded: just as the first day begins."""
    return end_of_day_ns(first) - 86_400_000_000_000 + 1


def funding(options: PaperOptions, market: Market, first: date) -> Files:
    """Return the initial cash and the portfolio itself."""
    flow = {
        "flow_id": f"{options.portfolio}-funding",
        "ts": format_timestamp(funded_at(first)),
        "portfolio": options.portfolio,
        "amount": f"{major(options.cash, market.digits):f}",
        "currency": market.currency,
        "kind": "initial_funding",
        "account": options.portfolio,
    }
    row = {
        "portfolio": options.portfolio,
        "mode": "paper",
        "base_currency": market.currency,
        "policy": options.policy,
        "account": options.portfolio,
    }
    flows = [column.name for column in CASH_FLOWS.columns]
    names = [column.name for column in PORTFOLIOS.columns]
    return {"cash_flows-paper.csv": _csv(flows, [flow]), "portfolios-paper.csv": _csv(names, [row])}


def fills(executions: Iterable[Filled], digits: int, name: str = "fills-paper.csv") -> Files:
    """Return executions as a file; none where there were none."""
    listed = list(executions)
    return {name: fills_csv(listed, digits)} if listed else {}


def signals(
    said: Iterable[tuple[int, SignalSaid]], options: PaperOptions, known: Mapping[str, int], name: str = "signals-paper.csv"
) -> tuple[Files, dict[str, int]]:
    """Return signals as a file, the newest statement of each, and the revision of each that is stated in it.

    Args:
        said: in the order of time, each with the time of its session; one that was stated before is a correction.
        options: whose portfolio and strategy they are of.
        known: by id the revision that the lake has.
        name: of the file.
    """
    newest: dict[str, SignalSaid] = {}
    for _, one in said:
        newest[one.signal.signal_id] = one
    stated = {identity: known.get(identity, -1) + 1 for identity in newest}
    rows = [_signal(newest[identity], options, stated[identity]) for identity in sorted(newest)]
    columns = [*(column.name for column in SIGNALS.columns), "revision"]
    return ({name: _csv(columns, rows)} if rows else {}), stated


def bars(listed: Sequence[Bar], name: str = "bars-paper.csv") -> Files:
    """Return bars as a file."""
    rows = [
        {
            "symbol": one.symbol,
            "ts": format_timestamp(one.ts),
            "open": decimal(one.open),
            "high": decimal(one.high),
            "low": decimal(one.low),
            "close": decimal(one.close),
            "volume": "" if one.volume is None else decimal(one.volume),
        }
        for one in listed
    ]
    return {name: _csv(["symbol", "ts", "open", "high", "low", "close", "volume"], rows)} if rows else {}


def expectations(stated: Mapping[tuple[str, str], Sequence[Expectation]], name: str = "playbook_expectations-paper.csv") -> Files:
    """Return what playbooks expect of themselves, by template and playbook; what rests on no trade is no fact."""
    rows = [
        {
            "template": template,
            "playbook": playbook,
            "regime": one.regime,
            "n": str(one.n),
            "win_rate": share(one.win_rate),
            "avg_r": share(one.mean_r),
            "hold_bars_p50": str(one.hold_p50),
            "hold_bars_p90": str(one.hold_p90),
            "mae_r_p50": share(one.mae_p50),
            "mfe_r_p50": share(one.mfe_p50),
        }
        for (template, playbook), listed in sorted(stated.items())
        for one in listed
        if one.n
    ]
    columns = ["template", "playbook", "regime", "n", "win_rate", "avg_r", "hold_bars_p50", "hold_bars_p90", "mae_r_p50", "mfe_r_p50"]
    return {name: _csv(columns, rows)} if rows else {}


def decimal(units: int) -> str:
    """Return units of 1e-18 as a decimal without trailing zeros."""
    sign, size = ("-" if units < 0 else ""), abs(units)
    whole, rest = divmod(size, 10**QUANTITY_PLACES)
    return f"{sign}{whole}.{rest:018d}".rstrip("0").rstrip(".")


def share(parts: int) -> str:
    """Return parts per million as a decimal."""
    return f"{Decimal(parts) / MILLION:f}"


def _signal(said: SignalSaid, options: PaperOptions, revision: int) -> dict[str, str]:
    one = said.signal
    return {
        "signal_id": one.signal_id,
        "setup_id": one.setup_id,
        "ts": format_timestamp(one.at),
        "portfolio": options.portfolio,
        "strategy": "instruments",
        "symbol": said.symbol,
        "direction": one.direction,
        "timeframe": one.timeframe,
        "template": one.template,
        "playbook": one.playbook,
        "engine_version": said.engine,
        "entry_price": decimal(one.entry_price),
        "stop_price": decimal(one.stop_price) if one.stop_price else "",
        "target_price": decimal(one.target_price) if one.target_price else "",
        "expected_hold_bars": str(one.expected_hold_bars),
        "valid_until": format_timestamp(one.valid_until) if one.valid_until else "",
        "confidence": share(one.confidence_ppm),
        "regime": one.regime,
        "qualified": "true" if one.qualified else "false",
        "disposition": one.disposition,
        "block_reason": one.block_reason,
        "thesis": one.thesis,
        "trigger_id": one.trigger_id,
        "screener_rank": str(one.screener_rank) if one.screener_rank > 0 else "",
        "snapshot_hash": one.snapshot_hash,
        "purpose": "policy",
        "revision": str(revision),
    }


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def day_before(first: date) -> int:
    """Return the day number before a day."""
    return to_number(first) - 1
