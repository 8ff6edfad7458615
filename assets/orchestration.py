"""The orchestrator's assets: what a portfolio document asks, the trades, the dry run, the plans for a person, and what was executed.

What belongs here: what is run and what a person sees of it. Planning is in `portfolio_platform.orchestrator`, its records in `desk`.
"""

from typing import Any

import dagster as dg

from assets.metadata import OWNERS, schema_of
from portfolio_platform.home import Home
from resources.platform import Platform

GROUP = "orchestration"
PURE = {"python", "markdown"}
BOOK = {"python", "sqlalchemy"}


class PlanConfig(dg.Config):
    """What is planned. An empty portfolio is the ledger's only one; the document is that of the home."""

    portfolio: str = ""
    profile: str = "v8.1.1"


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds=PURE,
    description="What the home's portfolio document asks of its sectors (its ACTION PLAN, v8.1.1 STEP 0), with every line that was not "
    "understood and why. Nothing is guessed: such a line becomes a condition of the plan. Without a document it says so.",
    metadata=schema_of(
        sector="string: sector that is asked for something",
        kind="string: reduce, increase, add, hold, set or cash",
        says="string: the directive in the specification's words",
        line="int64: line of the document, from 1",
    ),
)
def rebalancing_directives(platform: Platform) -> dg.MaterializeResult:
    """Read the document of the home."""
    from assets.orchestration_shown import directives_shown

    return dg.MaterializeResult(metadata=directives_shown(platform.open()))


@dg.asset(
    deps=["rebalancing_directives", "ledger_snapshots"],
    group_name=GROUP,
    owners=OWNERS,
    kinds=BOOK,
    description="A plan of the directives on the portfolio as the ledger has it now: sells by unrealised gain, buys by the sector's "
    "ranked picks, in the order of execution, with the cash after each. The plan is recorded in the book and its folder written; an older "
    "one that nobody approved is superseded. Say whose plan it is in the run's configuration where the ledger has several portfolios.",
    metadata=schema_of(
        sequence="int64: place in the order of execution",
        trade="string: id, side and symbol",
        account="string: where",
        quantity="decimal: shares",
        limit_price="decimal: sell no lower, buy no higher",
        amount="decimal: proceeds or cost without the fee, in the portfolio's currency",
        cash_after="decimal: cash of the portfolio after it",
    ),
)
def trade_list(context: dg.AssetExecutionContext, platform: Platform, config: PlanConfig) -> dg.MaterializeResult:
    """Make a plan of the home's document, record it, and write its folder."""
    from assets.orchestration_shown import nothing_planned, trades_shown
    from portfolio_platform.desk.prepare import prepare
    from portfolio_platform.desk.sources import Asked
    from portfolio_platform.errors import WrongUse

    home = platform.open()
    try:
        made = prepare(home, Asked(portfolio=config.portfolio, profile=config.profile))
    except WrongUse as error:
        context.log.warning(str(error))
        return dg.MaterializeResult(metadata=nothing_planned(str(error)))
    return dg.MaterializeResult(metadata=trades_shown(made.papers, made.folder))


def _newest(platform: Platform, shown: Any) -> dg.MaterializeResult:
    from assets.orchestration_shown import newest_plan, nothing_planned

    home: Home = platform.open()
    found = newest_plan(home)
    return dg.MaterializeResult(metadata=nothing_planned() if found is None else shown(home, *found))


@dg.asset(
    deps=["trade_list"],
    group_name=GROUP,
    owners=OWNERS,
    kinds=PURE | {"matplotlib"},
    description="The portfolio before and after all trades of the newest plan, the six constraints, the worst case with adverse slippage "
    "and the highest fees, and the cash after every trade (v8.1.1 STEP 2), as table, chart and report.",
    metadata=schema_of(
        sector="string: sector, or cash",
        before="decimal: percent of the portfolio before the plan",
        after="decimal: percent after it",
        target="decimal: percent that is aimed at",
        cap="decimal: percent that it may be at most",
    ),
)
def dry_run(platform: Platform) -> dg.MaterializeResult:
    """Show the dry run of the newest plan."""
    from assets.orchestration_shown import dry_run_shown

    return _newest(platform, dry_run_shown)


@dg.asset(
    deps=["dry_run"],
    group_name=GROUP,
    owners=OWNERS,
    kinds=BOOK,
    description="Every plan that is open, approved or being executed: its verdict (SAFE, CONDITIONAL or BLOCKED, with every reason and "
    "condition), until when it may be executed, and its folder with the page a trader works from. `portfolio orchestrate approve` "
    "approves one; nothing here sends an order.",
    metadata=schema_of(
        plan="string: execution id",
        portfolio="string: whose",
        kind="string: rebalancing, stock or queue",
        verdict="string: SAFE, CONDITIONAL or BLOCKED",
        status="string: open, blocked, approved, executing or expired",
        trades="int64: how many",
        expires="string: until when it may be begun, UTC",
    ),
)
def trade_recommendations(platform: Platform) -> dg.MaterializeResult:
    """Show the plans of the book, and the newest one's report."""
    from assets.orchestration_shown import plans_shown

    return dg.MaterializeResult(metadata=plans_shown(platform.open()))


@dg.asset(
    deps=["trade_recommendations"],
    group_name=GROUP,
    owners=OWNERS,
    kinds=BOOK,
    description="What people did of approved plans, fill by fill, with the buffer after each (v8.0.3 STEP 3F), what is left, and what was "
    "flagged. `portfolio execution report` is how it gets here; the same fills are in the ledger.",
    metadata=schema_of(
        time="string: of the fill, UTC",
        plan="string: execution id",
        trade="string: of the plan; empty for what is beyond it",
        fill="string: side, quantity and symbol",
        price="decimal: of one share",
        fee="decimal: of the fill",
        cash_after="decimal: cash of the portfolio after it",
        buffer="string: cash as a share of the portfolio, and its state",
    ),
)
def execution_log(platform: Platform) -> dg.MaterializeResult:
    """Show what was reported."""
    from assets.orchestration_shown import executions_shown

    return dg.MaterializeResult(metadata=executions_shown(platform.open()))


ASSETS = [rebalancing_directives, trade_list, dry_run, trade_recommendations, execution_log]
