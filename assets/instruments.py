"""The instruments' assets: what the screener sees, what every symbol's workflow is doing, and what paper portfolios brought the ledger.

What belongs here: what is run and what a person sees of it. Screener and workflows are in `portfolio_platform.instruments`, the loop that
runs a whole portfolio on paper in `portfolio_platform.paper`.
"""

import dagster as dg

from assets.metadata import OWNERS, schema_of
from resources.platform import Platform

GROUP = "instruments"
BOOK = {"python", "sqlalchemy"}
WORKFLOWS = dg.DynamicPartitionsDefinition(name="instruments")
"""One partition for each workflow that runs, ``portfolio|symbol``, escaped; the sensor `instrument_closes` adds and retires them."""


@dg.asset(
    deps=["bars", "corporate_actions"],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "numpy"},
    description="A pass of the screener over all bars up to the last day that is over: every symbol's compression, expansion and "
    "composite score, the candidates, the template that the rule suggests for each, and the weights used. The passes that a portfolio "
    "acted on are in its own streams: `portfolio instruments why SYMBOL` works the one behind an entry out again.",
    metadata=schema_of(
        rank="int64: 1 is the highest composite",
        symbol="string: of what",
        candidate="bool: among the best, and good enough",
        template="string: suggested; empty for none",
        compression="decimal: how quiet it is, 0 to 1",
        expansion="decimal: how lively it is, 0 to 1",
        composite="decimal: both by the weights",
        why="string: the rule in words, or why it is not scored",
    ),
)
def screener_candidates(platform: Platform) -> dg.MaterializeResult:
    """Let the screener pass over the lake's bars, and show what it says."""
    from assets.instruments_shown import candidates_shown

    return dg.MaterializeResult(metadata=candidates_shown(platform.open()))


@dg.asset(
    deps=["screener_candidates", "constraint_envelopes"],
    partitions_def=WORKFLOWS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name=GROUP,
    owners=OWNERS,
    kinds=BOOK,
    description="What every instrument's workflow is doing, a partition for each. A run brings all paper portfolios that are behind the "
    "bars up to them, with every due symbol at once: only the close of a bar advances a symbol. Nothing new: nothing is recorded. "
    "`portfolio instruments show SYMBOL` shows the same, `why` explains an entry.",
    metadata=schema_of(
        asked="string: when risk was asked for",
        wanted="decimal: what plan, judge and equity came to",
        requested="decimal: within envelope and limits",
        got="decimal: granted",
        answer="string: the control plane's code",
        became="string: what the workflow made of it",
    ),
)
def instrument_states(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """Advance the portfolios that are behind, and show the state of each workflow that the run is for."""
    from assets.instruments_shown import state_shown
    from portfolio_platform.paper.resuming import advance

    home = platform.open()
    for one in advance(home, context.log.info):
        context.log.info(f"{one.portfolio}: {one.sessions} sessions up to {one.last}, {one.findings} findings")
    for key in context.partition_keys:
        context.add_asset_metadata(state_shown(home, key), partition_key=key)
    return dg.MaterializeResult()


@dg.asset(
    deps=["instrument_states"],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "deltalake"},
    description="What paper portfolios brought the ledger: their fills, signals and funding go through the import that every source goes "
    "through, their decisions with the control plane's. The next refresh accounts for them like any others, and reports speak of them; "
    "an arrow back to `fills` is left out, for it would close a circle.",
    metadata=schema_of(
        portfolio="string: the paper portfolio",
        last="date: its newest session",
        equity="decimal: in its currency",
        drawdown="decimal: from the highest equity so far",
        workflows="int64: that run",
        positions="int64: open",
        rows="int64: new in the lake",
    ),
)
def paper_ledger(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """Import what the paper portfolios brought, write their pages, and show how they stand."""
    from assets.instruments_shown import portfolios_shown
    from portfolio_platform.paper.resuming import publish

    home = platform.open()
    rows = publish(home, context.log.debug)
    return dg.MaterializeResult(metadata=portfolios_shown(home, rows))


ASSETS = [screener_candidates, instrument_states, paper_ledger]
