"""The diagnostics' assets: a table each, computed from the ledger's from the first day that changed."""

import dagster as dg

from assets.metadata import CONSTANT, OWNERS, column_schema, newest, preview, table_metadata
from assets.pictures import pictures
from portfolio_platform.lake import derived
from portfolio_platform.lake.columns import Table
from resources.platform import Platform

GROUP = "diagnostics"


def _declared(table: Table) -> dict[str, dg.TableSchema | str]:
    return {"dagster/column_schema": column_schema(table), "dagster/table_name": table.name}


@dg.asset(
    deps=["ledger_snapshots", "portfolio_equity", "instruments"],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "numba", "deltalake"},
    description=derived.CONCENTRATION_METRICS.description + " Every group behind it is in `concentration_groups`.",
    metadata=_declared(derived.CONCENTRATION_METRICS),
)
def concentration_metrics(platform: Platform) -> dg.MaterializeResult:
    """D2: how few things the exposure rests on."""
    from portfolio_platform.diagnostics.pipeline import concentration
    from portfolio_platform.stage import build_stage

    home = platform.open()
    built = build_stage(home, concentration.STAGE)
    shown = ["day", "portfolio", "dimension", "hhi", "effective_n", "top_group", "top_share", "top_exposure_pct"]
    metadata = table_metadata(home, derived.CONCENTRATION_METRICS) | {"built": built.sentence}
    metadata |= {"newest": preview(newest(home, derived.CONCENTRATION_METRICS), shown)} | pictures(home, "concentration")
    return dg.MaterializeResult(metadata=metadata, data_version=CONSTANT)


@dg.asset(
    deps=["portfolio_equity"],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "deltalake"},
    description=derived.DRAWDOWN_STATE.description,
    metadata=_declared(derived.DRAWDOWN_STATE),
)
def drawdown_state(platform: Platform) -> dg.MaterializeResult:
    """D4: how deep, how fast, how unusual, and which regime it calls for."""
    from portfolio_platform.diagnostics.pipeline import drawdown
    from portfolio_platform.stage import build_stage

    home = platform.open()
    built = build_stage(home, drawdown.STAGE)
    shown = ["day", "portfolio", "drawdown", "under_water_days", "z_5", "regime", "transition"]
    metadata = table_metadata(home, derived.DRAWDOWN_STATE) | {"built": built.sentence}
    metadata |= {"newest": preview(newest(home, derived.DRAWDOWN_STATE), shown)} | pictures(home, "underwater")
    return dg.MaterializeResult(metadata=metadata, data_version=CONSTANT)
