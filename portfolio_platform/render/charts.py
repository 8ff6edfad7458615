"""The charts by name: each of the sessions of one portfolio, as SVG for a page and as PNG; the same input gives the same bytes.

Where there is nothing to draw, the picture says so. Names of symbols and strategies are drawn as shapes, never written as text.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, get_args

from portfolio_platform.render import ledger_charts, risk_charts, trading_charts
from portfolio_platform.render import svg as drawing
from portfolio_platform.render.chart_data import Data

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ChartName = Literal[
    "equity",
    "underwater",
    "exposure",
    "concentration",
    "heat",
    "stack",
    "correlation",
    "turnover",
    "execution",
    "idle",
    "failures",
    "calibration",
    "gates",
    "pnl",
]
NAMES: tuple[ChartName, ...] = get_args(ChartName)
PAGE: tuple[ChartName, ...] = ("equity", "underwater", "heat", "stack", "turnover", "correlation")
HISTORY: tuple[ChartName, ...] = ("equity", "underwater", "exposure", "concentration")
TITLES: dict[ChartName, str] = {
    "equity": "Equity and high-water mark",
    "underwater": "Under water, and the drawdown regime",
    "exposure": "Gross and net exposure",
    "concentration": "Concentration",
    "heat": "Heat against its cap",
    "stack": "How many times fewer bets than positions",
    "correlation": "Correlations of what is held",
    "turnover": "Turnover against what is usual",
    "execution": "Slippage against expectation",
    "idle": "Idle capital, missed and rejected",
    "failures": "How losing trades failed",
    "calibration": "Stated confidence against what came true",
    "gates": "Samples that suffice",
    "pnl": "P&L by strategy",
}
_DRAW: dict[ChartName, Callable[[Any, "Figure"], None]] = {
    "equity": ledger_charts.equity,
    "underwater": ledger_charts.underwater,
    "exposure": ledger_charts.exposure,
    "concentration": ledger_charts.concentration,
    "pnl": ledger_charts.pnl,
    "heat": risk_charts.heat,
    "stack": risk_charts.stack,
    "correlation": risk_charts.correlation,
    "turnover": trading_charts.turnover,
    "execution": trading_charts.execution,
    "idle": trading_charts.idle,
    "failures": trading_charts.failures,
    "calibration": trading_charts.calibration,
    "gates": trading_charts.gates,
}
_SIZES: dict[ChartName, tuple[tuple[float, float], tuple[float, float]]] = {
    "correlation": ((5.8, 3.1), (9.0, 4.8)),
    "turnover": ((5.8, 3.1), drawing.PNG_SIZE),
}


def chart_name(name: str) -> ChartName:
    """Return the name of a chart as such; `ValueError` where there is none of that name."""
    for known in NAMES:
        if known == name:
            return known
    raise ValueError(f"there is no chart {name!r}; there is {', '.join(NAMES)}")


def chart(name: ChartName, data: Data) -> str:
    """Return a chart as an SVG element; where there is nothing to draw it says so."""
    size = _SIZES[name][0] if name in _SIZES else drawing.SVG_SIZE
    return drawing.svg(lambda figure: draw(name, data, figure), name, TITLES[name], size)


def png(name: ChartName, data: Data) -> bytes:
    """Return a chart as a PNG of 900 by 320 pixels; the matrix of correlations is 480 high."""
    size = _SIZES[name][1] if name in _SIZES else drawing.PNG_SIZE
    return drawing.png(lambda figure: draw(name, data, figure), name, size)


def draw(name: ChartName, data: Data, figure: "Figure") -> None:
    """Draw a chart on an empty figure."""
    _DRAW[name](data, figure)
