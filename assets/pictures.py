"""Charts of every portfolio for the metadata of assets."""

from typing import TYPE_CHECKING, Any

from assets.metadata import picture
from portfolio_platform.home import Home

if TYPE_CHECKING:
    from portfolio_platform.render.charts import ChartName


def pictures(home: Home, chart: "ChartName") -> dict[str, Any]:
    """Return a chart of each portfolio: equity, underwater, exposure or concentration."""
    from portfolio_platform.render import charts
    from portfolio_platform.render.pipeline import histories, newest_sessions

    drawn = {}
    for portfolio, series in histories(home, newest_sessions(home, home.today)).items():
        drawn[f"{chart} of {portfolio}"] = picture(charts.png(chart, series), f"{chart} of {portfolio}")
    return drawn
