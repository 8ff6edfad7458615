"""Building every derived table, in order, without Dagster: the same pipelines as its assets."""

from collections.abc import Callable
from datetime import date

from portfolio_platform.home import Home
from portfolio_platform.lake.built import Built


def build_all(
    home: Home, *, until: date | None = None, restate_from: date | None = None, report: Callable[[str], None] = lambda text: None
) -> dict[str, Built]:
    """Bring the ledger and every diagnostic up to date, under one writer lock; return what each build did."""
    from portfolio_platform.diagnostics import pipeline as diagnostics
    from portfolio_platform.ledger import pipeline as ledger

    with home.lake.writing():
        done = {"ledger": ledger.build(home, until=until, restate_from=restate_from, report=report)}
        report("concentration")
        done["concentration"] = diagnostics.build_concentration(home, restate_from=restate_from)
        report("drawdown")
        done["drawdown"] = diagnostics.build_drawdown(home, restate_from=restate_from)
    return done
