"""Charts of every portfolio for the metadata of assets."""

from typing import TYPE_CHECKING, Any

from assets.metadata import picture
from portfolio_platform.home import Home

if TYPE_CHECKING:
    from portfolio_platform.render.charts import ChartName


def pictures(home: Home, chart: "ChartName | str") -> dict[str, Any]:
    """Return a chart of each portfolio, of those that `charts.NAMES` lists; where there is no data the picture says so."""
    from portfolio_platform.render import charts
    from portfolio_platform.render.chart_rows import chart_data
    from portfolio_platform.render.pipeline import newest_sessions
    from portfolio_platform.render.text import markdown_text, one_line

    name = charts.chart_name(chart)
    drawn: dict[str, Any] = {}
    for portfolio, data in chart_data(home, name, newest_sessions(home, home.today)).items():
        label = f"{name} of {one_line(portfolio)}"
        drawn[label] = picture(charts.png(name, data), markdown_text(label))
    return drawn or {name: "No portfolio has had a session yet: nothing to draw."}
