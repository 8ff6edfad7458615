"""The ledger's assets: the facts as imported, and what the accounting makes of them.

What belongs here: facts from the inbox, positions, equity, round trips. What a portfolio does with its risk is in
`assets.diagnostics`.
"""

from collections.abc import Iterator

import dagster as dg

from assets.metadata import CONSTANT, newest, preview, spec, table_metadata
from assets.pictures import pictures
from assets.stages import StageAsset, stage_assets
from portfolio_platform.lake import derived
from portfolio_platform.lake.facts import (
    BARS,
    CASH_FLOWS,
    CORPORATE_ACTIONS,
    FILLS,
    FX_RATES,
    INSTRUMENTS,
    INTENTS,
    PLAYBOOK_EXPECTATIONS,
    PORTFOLIOS,
    SIGNALS,
    Fact,
)
from resources.platform import Platform

GROUP = "ledger"
SIGNAL_FACTS = (SIGNALS, INTENTS, PLAYBOOK_EXPECTATIONS)
FACTS = (FILLS, CASH_FLOWS, BARS, INSTRUMENTS, PORTFOLIOS, FX_RATES, CORPORATE_ACTIONS, *SIGNAL_FACTS)
NEWEST = {
    derived.LEDGER_SNAPSHOTS: ["day", "portfolio", "strategy", "symbol", "quantity", "mark", "market_value", "unrealised_pnl"],
    derived.PORTFOLIO_EQUITY: ["day", "portfolio", "equity", "daily_return", "unit_value", "gross_exposure_pct"],
    derived.ROUND_TRIPS: ["day", "portfolio", "strategy", "symbol", "direction", "realised_pnl", "fees", "method"],
}
PRICED = ["fills", "bars", "instruments", "portfolios", "fx_rates", "corporate_actions"]


def group_of(fact: Fact) -> str:
    """Return the group that a fact is shown in."""
    return "signals" if fact in SIGNAL_FACTS else GROUP


@dg.multi_asset(name="facts", specs=[spec(fact.table, group_of(fact), {"csv", "deltalake"}) for fact in FACTS])
def facts(platform: Platform) -> Iterator[dg.MaterializeResult]:
    """Import what waits in the inbox; each fact then says how many rows it has."""
    from portfolio_platform.sources.inbox import import_inbox

    home = platform.open()
    result = import_inbox(home)
    done = {fact.fact: fact for fact in result.facts} if result else {}
    for fact in FACTS:
        item = done.get(fact.name)
        counts = {"imported": item.imported, "known_already": item.known, "set_aside": item.quarantined + item.disputed} if item else {}
        yield dg.MaterializeResult(fact.name, metadata=table_metadata(home, fact.table) | counts, data_version=CONSTANT)


@dg.multi_asset(
    name="accounting",
    specs=[
        spec(derived.LEDGER_SNAPSHOTS, GROUP, {"python", "numba", "deltalake"}, deps=PRICED),
        spec(derived.PORTFOLIO_EQUITY, GROUP, {"python", "deltalake"}, deps=["ledger_snapshots", "cash_flows", "fx_rates"]),
        spec(derived.ROUND_TRIPS, GROUP, {"python", "numba", "deltalake"}, deps=["fills", "corporate_actions"]),
    ],
)
def accounting(context: dg.AssetExecutionContext, platform: Platform) -> Iterator[dg.MaterializeResult]:
    """Account for the fills in one pass, from the first day that changed."""
    from portfolio_platform.ledger.pipeline import build

    home = platform.open()
    built = build(home, report=context.log.info)
    for table, shown in NEWEST.items():
        metadata = table_metadata(home, table) | {"built": built.sentence, "newest": preview(newest(home, table), shown)}
        if table is derived.PORTFOLIO_EQUITY:
            metadata |= pictures(home, "equity")
        yield dg.MaterializeResult(table.name, metadata=metadata, data_version=CONSTANT)


DECLARED = (
    StageAsset(
        derived.PNL_ATTRIBUTION,
        ("attribution",),
        ("ledger_snapshots", "portfolio_equity", "round_trips"),
        ("day", "portfolio", "strategy", "symbol", "template", "realised", "unrealised", "fees", "total"),
        charts=("pnl",),
        words="Where a day's change of equity came from.",
    ),
)

ASSETS = [facts, accounting, *stage_assets(GROUP, DECLARED)]
