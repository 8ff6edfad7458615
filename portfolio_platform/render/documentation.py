"""The pictures of docs/metrics.md, drawn from a home that has the sample: `python -m portfolio_platform.render.documentation`.

The home is the one that `PORTFOLIO_HOME` names, or the first argument; `make run` makes one. Pictures are of the sample's
portfolios on given days, so the same facts, policy and code give the same bytes.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home
from portfolio_platform.render.chart_rows import chart_data
from portfolio_platform.render.charts import ChartName, png
from portfolio_platform.render.pipeline import newest_sessions

FOLDER = Path("docs") / "images"
LAST = date(2010, 12, 31)


@dataclass(frozen=True)
class Picture:
    """A picture of the page: which chart, of which portfolio, up to which day; ``file`` is its name in docs/images."""

    file: str
    chart: ChartName
    portfolio: str
    until: date = LAST


PICTURES: tuple[Picture, ...] = (
    Picture("metrics-heat.png", "heat", "core"),
    Picture("metrics-exposure.png", "exposure", "core"),
    Picture("metrics-concentration.png", "concentration", "core"),
    Picture("metrics-correlation.png", "correlation", "core", date(2009, 9, 28)),
    Picture("metrics-stack.png", "stack", "core"),
    Picture("metrics-equity.png", "equity", "macro"),
    Picture("metrics-underwater.png", "underwater", "macro"),
    Picture("metrics-turnover.png", "turnover", "core"),
    Picture("metrics-execution.png", "execution", "core"),
    Picture("metrics-idle.png", "idle", "core"),
    Picture("metrics-failures.png", "failures", "core", date(2010, 8, 31)),
    Picture("metrics-calibration.png", "calibration", "core"),
    Picture("metrics-gates.png", "gates", "core"),
    Picture("metrics-pnl.png", "pnl", "core"),
)


def drawn(home: Home) -> Iterator[tuple[Picture, bytes]]:
    """Yield each picture with its PNG; `WrongUse` where the home has not the sample up to its last day."""
    sessions = newest_sessions(home, LAST)
    lacking = sorted({picture.portfolio for picture in PICTURES if sessions.get(picture.portfolio) != LAST})
    if lacking:
        raise WrongUse(f"{home.root} has no session of {', '.join(lacking)} on {LAST}: import sample_data and run `portfolio build`")
    for picture in PICTURES:
        data = chart_data(home, picture.chart, {picture.portfolio: picture.until})[picture.portfolio]
        yield picture, png(picture.chart, data)


def draw_into(home: Home, folder: Path) -> dict[str, int]:
    """Write every picture into a folder; return the bytes of each by its name."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {}
    for picture, content in drawn(home):
        (folder / picture.file).write_bytes(content)
        sizes[picture.file] = len(content)
    return sizes


def main(arguments: list[str]) -> None:
    """Draw the pictures of the home that is named, and say how large each is."""
    home = Home(Path(arguments[0])) if arguments else Home.from_environment()
    try:
        for name, size in draw_into(home.require(), FOLDER).items():
            sys.stdout.write(f"{FOLDER / name}: {size / 1024:.0f} KB\n")
    finally:
        home.book.close()


if __name__ == "__main__":
    main(sys.argv[1:])
