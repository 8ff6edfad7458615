"""Asset checks: a suite of expectations for each fact, and the identities of the accounting. All of them block.

The suites are pure functions beside the tables they check; here they are run and shown.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.ledger import FACTS
from resources.platform import Platform

IDENTITIES = {"cash": "portfolio_equity", "nav": "portfolio_equity", "pnl": "ledger_snapshots"}
SAID = {
    "cash": "Cash equals flows and income and trades less fees, for every portfolio, currency and session.",
    "nav": "Equity equals cash and the marked value of all positions, on every session.",
    "pnl": "Realised and unrealised P&L, income and flows less fees equal equity, on every session.",
}


@dg.multi_asset_check(
    name="expectations",
    specs=[
        dg.AssetCheckSpec(
            "expectations", asset=fact.name, blocking=True, description=f"What must hold of every row of {fact.name} that is in force."
        )
        for fact in FACTS
    ],
)
def expectations(platform: Platform) -> Iterator[dg.AssetCheckResult]:
    """Run each fact's suite over its rows in force."""
    from portfolio_platform.lake.expectations import validate_all

    for fact, validation in validate_all(platform.open(), FACTS).items():
        rows = [
            dg.TableRecord({"expectation": item.name, "column": item.column, "held": item.success, "unexpected": item.unexpected_count})
            for item in validation.results
        ]
        yield dg.AssetCheckResult(
            asset_key=fact,
            check_name="expectations",
            passed=validation.success,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={"results": dg.MetadataValue.table(rows)} if rows else {},
        )


@dg.multi_asset_check(
    name="identities",
    specs=[dg.AssetCheckSpec(f"{name}_identity", asset=asset, blocking=True, description=SAID[name]) for name, asset in IDENTITIES.items()],
)
def identities(platform: Platform) -> Iterator[dg.AssetCheckResult]:
    """Check the accounting's identities over every session."""
    from portfolio_platform.ledger.identities import check_identities

    for result in check_identities(platform.open()):
        shown: dict[str, Any] = {"checked": result.checked, "worst_difference": result.worst_difference, "tolerance": result.tolerance}
        if result.failures:
            shown["failures"] = dg.MetadataValue.md("\n".join(f"- {text}" for text in result.failures))
        yield dg.AssetCheckResult(
            asset_key=IDENTITIES[result.name], check_name=f"{result.name}_identity", passed=result.success, metadata=shown
        )


