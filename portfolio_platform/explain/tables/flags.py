"""What the orders beyond a limit and the one-sidedness of a portfolio rest on: the order's fills, the symbols held."""

from collections.abc import Iterable

from portfolio_platform.days import end_of_day_ns
from portfolio_platform.explain.cells import by_session, by_size, explains, rows_of
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


@explains(derived.ONE_SIDED, {"lasting_share": "smallest share of the symbols held that were on the side, over the window"})
def one_sided(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """A side is the symbols held on it; what lasts is the window's weakest session."""
    if column.endswith("_symbols"):
        own = {"dimension": "symbol", "basis": "gross"}
        held = by_size(of.rows(derived.CONCENTRATION_GROUPS, row.portfolio, row.day, row.day, **own), "net_exposure")
        return [rows_of(of, "symbols held", lambda: held, "net_exposure", lambda group: str(group["group"]))]
    days = of.window(row.portfolio, row.day, of.policy(row.portfolio).correlation.one_sided_window)
    rows = of.rows(derived.ONE_SIDED, row.portfolio, days[0], days[-1])
    return [by_session(of, f"symbols {side} from {days[0]}", lambda: rows, f"{side}_symbols") for side in ("long", "short")]
