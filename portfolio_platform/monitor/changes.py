"""What changed since the session before, in sentences."""

from collections.abc import Iterable
from datetime import date

from portfolio_platform.evidence.ids import evidence_id
from portfolio_platform.lake import derived
from portfolio_platform.monitor.inputs import Row, SessionInputs
from portfolio_platform.monitor.report import Change

NAMED = 12


def position_key(row: Row) -> tuple[str, str, str]:
    """Return what tells a portfolio's positions apart."""
    return row["strategy"], row["symbol"], row["currency"]


def changes(inputs: SessionInputs, base_currency: str) -> tuple[Change, ...]:
    """Return every change worth a sentence, gravest first."""
    portfolio, day = inputs.equity["portfolio"], inputs.equity["day"]
    return (
        *_regime(inputs, portfolio, day),
        *_high_water(inputs, portfolio, day),
        *_flow(inputs, portfolio, day, base_currency),
        *_positions(inputs, portfolio, day),
        *_concentration(inputs, portfolio, day),
        *_data(inputs, portfolio, day),
    )


def _regime(inputs: SessionInputs, portfolio: str, day: date) -> Iterable[Change]:
    if inputs.drawdown["transition"]:
        ids = tuple(evidence_id(derived.DRAWDOWN_STATE, portfolio, day, name) for name in ("regime", "control_drawdown", "z_5"))
        yield Change(kind="regime", sentence=f"Regime went from {inputs.drawdown['transition']}.", evidence_ids=ids)


def _high_water(inputs: SessionInputs, portfolio: str, day: date) -> Iterable[Change]:
    before, now = inputs.drawdown_before, inputs.drawdown
    if before and now["drawdown"] == 0.0 and before["under_water_days"] > 0:
        sentence = f"A new high-water mark after {before['under_water_days']} sessions under water."
        yield Change(
            kind="high_water_mark",
            sentence=sentence,
            evidence_ids=(evidence_id(derived.DRAWDOWN_STATE, portfolio, day, "high_water_mark"),),
        )


def _flow(inputs: SessionInputs, portfolio: str, day: date, base_currency: str) -> Iterable[Change]:
    flow = inputs.equity["net_flow"]
    if flow:
        verb = "came in" if flow > 0 else "went out"
        yield Change(
            kind="flow",
            sentence=f"{abs(flow):,.2f} {base_currency} {verb}; returns and drawdown do not count it.",
            evidence_ids=(evidence_id(derived.PORTFOLIO_EQUITY, portfolio, day, "net_flow"),),
        )


def _positions(inputs: SessionInputs, portfolio: str, day: date) -> Iterable[Change]:
    now = {position_key(row): row for row in inputs.positions}
    then = {position_key(row): row for row in inputs.positions_before}
    found: list[Change] = []
    for key in sorted(now.keys() | then.keys()):
        held = float(now[key]["quantity"]) if key in now else 0.0
        had = float(then[key]["quantity"]) if key in then else 0.0
        if held == had or ((held > 0) == (had > 0) and held != 0 and had != 0):
            continue
        side = "long" if held > 0 else "short"
        was = "long" if had > 0 else "short"
        what = f"{key[1]} by {key[0]}"
        sentence = f"Opened {side} {what}." if had == 0 else f"Closed {was} {what}." if held == 0 else f"Turned {was} to {side}: {what}."
        found.append(
            Change(
                kind="position",
                sentence=sentence,
                evidence_ids=(evidence_id(derived.LEDGER_SNAPSHOTS, portfolio, day, "quantity", *key),),
            )
        )
    yield from found[:NAMED]
    if len(found) > NAMED:
        yield Change(kind="position", sentence=f"And {len(found) - NAMED} more positions opened, closed or turned.")


def _concentration(inputs: SessionInputs, portfolio: str, day: date) -> Iterable[Change]:
    for dimension, row in sorted(inputs.metrics.items()):
        before = inputs.metrics_before.get(dimension)
        if not before or not row["top_group"] or not before["top_group"] or row["top_group"] == before["top_group"]:
            continue
        share = f" with {row['top_share']:.1%} of gross exposure" if row["top_share"] is not None else ""
        yield Change(
            kind="concentration",
            sentence=f"The largest {dimension} is now {row['top_group']}{share}; it was {before['top_group']}.",
            evidence_ids=(evidence_id(derived.CONCENTRATION_METRICS, portfolio, day, "top_group", dimension, row["basis"]),),
        )


def _data(inputs: SessionInputs, portfolio: str, day: date) -> Iterable[Change]:
    now, before = inputs.equity["stale_positions"], inputs.before["stale_positions"] if inputs.before else 0
    if now != before:
        yield Change(
            kind="data",
            sentence=f"{now} positions have a stale mark; {before} had the session before.",
            evidence_ids=(evidence_id(derived.PORTFOLIO_EQUITY, portfolio, day, "stale_positions"),),
        )
