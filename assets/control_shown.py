"""What the control plane's assets show: decisions by code, newest envelopes, what a cycle did, and how an audit went."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.metadata import newest, picture, preview, table_metadata
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.render.text import markdown_text, one_line

if TYPE_CHECKING:
    from portfolio_platform.alerts.cycle import Cycled
    from portfolio_platform.control.pipeline.auditing import HomeAudit

DECISIONS = ("decision", "strategy", "symbol", "code", "requested_risk", "approved_risk", "mode", "reasons")
ENVELOPES = ("portfolio", "symbol", "version", "mode", "force_flatten_only", "max_new_risk", "symbol_max_risk", "binding", "ends")
NEXT = "`portfolio control state PORTFOLIO` shows what is in force now; `portfolio control why INTENT` explains a decision."


def cycle_shown(cycled: "Cycled") -> dict[str, Any]:
    """Return what a cycle did, in counts, and what it left alone."""
    done, copied = cycled.done, cycled.copied
    shown: dict[str, Any] = {
        "new fills": sum(one.fills for one in done.fed.portfolios),
        "new sessions": sum(one.sessions for one in done.fed.portfolios),
        "recommendations applied": len(done.carried.applied),
        "orders ended": len(done.carried.ended),
        "new decisions": copied.decisions,
        "new envelopes": copied.envelopes,
        "open alerts about the log": len(cycled.alerts),
        "next": dg.MetadataValue.md(NEXT),
    }
    if done.carried.applied:
        lines = [f"- `{one.recommendation}`: {', '.join(one.commands) or 'nothing to change'}" for one in done.carried.applied]
        shown["applied"] = dg.MetadataValue.md("\n".join(lines))
    if done.carried.left:
        shown["left alone"] = dg.MetadataValue.md("\n".join(f"- `{one.recommendation}`: {one.because}" for one in done.carried.left))
    return shown


def decisions_shown(home: Home) -> dict[str, Any]:
    """Return size and place of the decisions, how many there are of each code, the newest, and a picture of each portfolio."""
    import pyarrow.compute as pc

    from portfolio_platform.control.log import opened_portfolios
    from portfolio_platform.render.control_charts import decisions_png

    table = derived.ALLOCATION_DECISIONS
    metadata = table_metadata(home, table) | {"rows of decision_headrooms": home.lake.row_count(derived.DECISION_HEADROOMS)}
    with home.book.reading() as connection:
        opened = opened_portfolios(connection)
    metadata["portfolios under control"] = ", ".join(opened) or "none"
    if metadata["dagster/row_count"]:
        counts = home.lake.read(table, ["code"])["code"].value_counts().to_pylist()
        metadata |= {one["values"]: one["counts"] for one in sorted(counts, key=lambda one: str(one["values"]))}
        metadata["newest"] = preview(newest(home, table).sort_by("seq"), DECISIONS)
        told = home.lake.read(table, ["portfolio"])["portfolio"]
        drawn = {name: decisions_png(home, name) for name in opened if pc.any(pc.equal(told, name)).as_py()}
        metadata |= _pictures("decisions", drawn)
    return metadata


def use_shown(home: Home) -> dict[str, Any]:
    """Return how many limits are used up in each portfolio's newest session, and a picture of their use over time."""
    from portfolio_platform.render.control_charts import limits_png, use_of_limits
    from portfolio_platform.render.pipeline import newest_sessions

    drawn, shown = {}, {}
    rows = newest(home, derived.LIMIT_UTILISATION).to_pylist()
    for name, day in newest_sessions(home, home.today).items():
        mine = [row for row in rows if (row["portfolio"], row["day"]) == (name, day)]
        full = sorted(f"{row['rule']} {row['scope']}".strip() for row in mine if row["headroom"] is not None and row["headroom"] <= 0)
        shown[f"used up in {one_line(name)}"] = ", ".join(full) or "nothing"
        drawn[name] = limits_png(use_of_limits(home, name))
    return shown | _pictures("use of limits", drawn)


def _pictures(what: str, drawn: Mapping[str, bytes]) -> dict[str, Any]:
    labels = {name: f"{what} of {one_line(name)}" for name in drawn}
    return {label: picture(drawn[name], markdown_text(label)) for name, label in labels.items()}


def envelopes_shown(home: Home) -> dict[str, Any]:
    """Return size and place of the envelopes, and the newest of each symbol as a live table."""
    from portfolio_platform.control.views import instant

    table = derived.CONSTRAINT_ENVELOPES
    metadata = table_metadata(home, table)
    if metadata["dagster/row_count"]:
        rows = home.lake.read(table).sort_by("seq").to_pylist()
        live = {(row["portfolio"], row["symbol"]): row | {"ends": instant(row["expires_at"])} for row in rows}
        records = [dg.TableRecord({name: _shown(live[key][name]) for name in ENVELOPES}) for key in sorted(live)]
        schema = dg.TableSchema(columns=[dg.TableColumn(name, "string") for name in ENVELOPES])
        metadata["live"] = dg.MetadataValue.table(records=records, schema=schema)
    return metadata


def _shown(value: Any) -> str:
    from decimal import Decimal

    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,.2f}" if isinstance(value, Decimal) else str(value)


def audit_shown(audited: "HomeAudit") -> dict[str, Any]:
    """Return what was audited, portfolio by portfolio, and the signed end of the log."""
    from portfolio_platform.control.views import money

    states = [(one, one.replayed.state) for one in audited.portfolios]
    records = [
        dg.TableRecord(
            {
                "portfolio": one.portfolio,
                "events": one.replayed.events,
                "decisions": one.replayed.decisions,
                "envelopes": one.replayed.envelopes,
                "active_risk": money(state.active_risk, state.digits) or "–",
                "reserved_risk": money(state.reserved_risk, state.digits) or "–",
            }
        )
        for one, state in states
    ]
    shown: dict[str, Any] = {
        "dagster/row_count": len(records),
        "events in the chain": audited.verdict.chain.events,
        "checkpoints": audited.verdict.checkpoints,
        "covered until event": audited.verdict.covered,
    }
    if audited.checkpoint is not None:
        shown["signed"] = f"event {audited.checkpoint.seq} at {audited.checkpoint.at} with key {audited.checkpoint.key_id}"
    return shown | ({"portfolios": dg.MetadataValue.table(records)} if records else {})


def check_results(audited: "HomeAudit") -> list[dg.AssetCheckResult]:
    """Return how each check went; one that failed names the first event that does not fit."""
    return [
        dg.AssetCheckResult(check_name=name, passed=not fault, severity=dg.AssetCheckSeverity.ERROR, description=fault or None)
        for name, fault in audited.faults.items()
    ]
