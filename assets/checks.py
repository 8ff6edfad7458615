"""Asset checks: a suite of expectations for each fact, and the identities of the accounting. All of them block.

The suites are pure functions beside the tables they check; here they are run and shown.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.ledger import FACTS
from resources.platform import Platform

if TYPE_CHECKING:
    from portfolio_platform.lake.expectations import Validation

IDENTITIES = {"cash": "portfolio_equity", "nav": "portfolio_equity", "pnl": "ledger_snapshots"}
SAID = {
    "cash": "Cash equals flows and income and trades less fees, for every portfolio, currency and session.",
    "nav": "Equity equals cash and the marked value of all positions, on every session.",
    "pnl": "Realised and unrealised P&L, income and flows less fees equal equity, on every session.",
}


@dg.multi_asset_check(
    name="expectations",
    can_subset=True,
    specs=[
        dg.AssetCheckSpec(
            "expectations", asset=fact.name, blocking=True, description=f"What must hold of every row of {fact.name} that is in force."
        )
        for fact in FACTS
    ],
)
def expectations(context: dg.AssetCheckExecutionContext, platform: Platform) -> Iterator[dg.AssetCheckResult]:
    """Run each fact's suite over its rows in force."""
    from portfolio_platform.days import nanoseconds
    from portfolio_platform.lake.expectations import read_references, validate_lake

    home = platform.open()
    references = read_references(home.lake, nanoseconds(home.clock.now()), home.timeline().accounting.default_currency)
    selected = {key.asset_key.to_user_string() for key in context.selected_asset_check_keys}
    for fact in (fact for fact in FACTS if fact.name in selected):
        validation = validate_lake(home.lake, fact, references)
        yield dg.AssetCheckResult(
            asset_key=fact.name,
            check_name="expectations",
            passed=validation.success,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata=_shown(validation),
        )


def _shown(validation: "Validation") -> dict[str, Any]:
    """Return how each expectation went, as a table, and what only deserves a warning."""
    columns = ("expectation", "column", "severity", "held", "unexpected", "examples")
    rows = [
        (item.name, item.column, item.severity, item.success, item.unexpected_count, item.crashed or ", ".join(item.examples))
        for item in validation.results
    ]
    records = [dg.TableRecord(dict(zip(columns, row, strict=True))) for row in rows]
    shown: dict[str, Any] = {"rows": validation.rows, "warnings": len(validation.warnings)}
    return shown | ({"results": dg.MetadataValue.table(records)} if records else {})


@dg.multi_asset_check(
    name="identities",
    can_subset=True,
    specs=[dg.AssetCheckSpec(f"{name}_identity", asset=asset, blocking=True, description=SAID[name]) for name, asset in IDENTITIES.items()],
)
def identities(context: dg.AssetCheckExecutionContext, platform: Platform) -> Iterator[dg.AssetCheckResult]:
    """Check the accounting's identities over every session."""
    from portfolio_platform.ledger.checking import check_identities

    selected = {key.name for key in context.selected_asset_check_keys}
    for name, result in check_identities(platform.open()).items():
        if f"{name}_identity" not in selected:
            continue
        shown: dict[str, Any] = {
            "checked": result.checked,
            "skipped": result.skipped,
            "worst_difference": result.worst_difference,
            "tolerance": result.tolerance,
        }
        if result.failures:
            shown["failures"] = dg.MetadataValue.md("\n".join(f"- {text}" for text in result.failures))
        yield dg.AssetCheckResult(asset_key=IDENTITIES[name], check_name=f"{name}_identity", passed=result.success, metadata=shown)


@dg.asset_check(
    asset="sample_sufficiency",
    name="sample_gates",
    description="Whether the samples of the newest sessions suffice, by gate class, and whether every verdict is what its expectations "
    "say. It warns: a gate that fails makes what rests on it monitor-only, and stops nothing.",
)
def sample_gates(platform: Platform) -> dg.AssetCheckResult:
    """Run the gates' suites over the newest sessions; every day's verdicts are rows of the asset."""
    from portfolio_platform.diagnostics.pipeline.gates import check_newest

    checked = check_newest(platform.open())
    rows: list[dict[str, Any]] = [
        {"gate class": item.kind, "gate": item.gate, "metric": item.metric, "stopped": item.stopped} for item in checked.counts
    ]
    shown: dict[str, Any] = {"verdicts": checked.rows, "stopped": checked.stopped, "disagreements": len(checked.disputed)}
    if rows:
        shown["by_gate"] = dg.MetadataValue.table([dg.TableRecord(row) for row in rows])
    passed = checked.success
    severity = dg.AssetCheckSeverity.ERROR if checked.disputed else dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(passed=passed, severity=severity, metadata=shown)
