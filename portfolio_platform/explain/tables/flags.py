"""What the orders beyond a limit rest on: their executions."""

from collections.abc import Iterable

from portfolio_platform.days import end_of_day_ns
from portfolio_platform.explain.cells import explains
from portfolio_platform.explain.sources import Row, Sources
from portfolio_platform.explain.tables.facts import fact_lines
from portfolio_platform.explain.tree import Draft
from portfolio_platform.lake import derived
from portfolio_platform.lake.facts import FILLS


@explains(
    derived.EXECUTION_FLAGS,
    {"slippage_bps": "(fill price - decision price) / decision price in bps, adverse positive", "minutes": "first execution - decision"},
)
def execution_flags(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """An order is its executions of the day."""

    def found() -> list[Row]:
        own = {name: row[name] for name in ("strategy", "symbol", "side")}
        fills = of.facts(FILLS, after=of.since(row.portfolio, row.day), until=end_of_day_ns(row.day), portfolio=row.portfolio, **own)
        return [fill for fill in fills if row["order_id"] in (fill["order_id"], fill["row_id"])]

    return [fact_lines(of, "executions of the order", found)]
