"""The pictures of docs/metrics.md and its table of what is usual, from a home that has the sample.

`python -m portfolio_platform.render.documentation [HOME]` draws and writes both; the home is the one that is named, or that of
`PORTFOLIO_HOME`, and `make run` makes one. Pictures are of the sample's portfolios on given days, so the same facts, policy and
code give the same bytes, and a test holds the table to the sample.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from portfolio_platform.errors import WrongUse
from portfolio_platform.evidence.catalogue import BY_NAME
from portfolio_platform.evidence.gates import required_of
from portfolio_platform.evidence.metric import Metric
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.policy.load import default_policy
from portfolio_platform.policy.model import Policy
from portfolio_platform.render import formats
from portfolio_platform.render.chart_rows import chart_data
from portfolio_platform.render.charts import ChartName, png
from portfolio_platform.render.pipeline import newest_sessions

if TYPE_CHECKING:
    import pyarrow as pa

PAGE = Path("docs") / "metrics.md"
FOLDER = PAGE.parent / "images"
BEGIN, END = "<!-- written by portfolio_platform.render.documentation -->\n", "<!-- end of what is written -->\n"
LAST = date(2010, 12, 31)
PORTFOLIOS = ("core", "macro")
SHARES = (0.1, 0.5, 0.9)
"""The quantiles over sessions (and scopes) that the table shows: eight of ten sessions lie between the outer two."""


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


def require_sample(home: Home) -> Home:
    """Return the home; `WrongUse` where it has not the sample up to its last day."""
    sessions = newest_sessions(home.require(), LAST)
    lacking = [name for name in PORTFOLIOS if sessions.get(name) != LAST]
    if lacking:
        raise WrongUse(f"{home.root} has no session of {', '.join(lacking)} on {LAST}: import sample_data and run `portfolio build`")
    return home


def drawn(home: Home) -> Iterator[tuple[Picture, bytes]]:
    """Yield each picture with its PNG."""
    for picture in PICTURES:
        data = chart_data(home, picture.chart, {picture.portfolio: picture.until})[picture.portfolio]
        yield picture, png(picture.chart, data)


def usual_table(home: Home) -> str:
    """Return the table of every metric: its cell, what is usual in the sample, what its gate asks for, which rules look at it."""
    policy = default_policy()
    rows = home.lake.read(derived.SAMPLE_SUFFICIENCY, ["portfolio", "metric", "value"], pc.field("day") <= LAST)
    lines = [f"| metric | cell | {' | '.join(PORTFOLIOS)} | gate | rules: warning / critical |", "| --- | --- | --- | --- | --- | --- |"]
    for metric in BY_NAME.values():
        usual = (_usual(rows, metric, portfolio) for portfolio in PORTFOLIOS)
        parts = (f"`{metric.name}`", f"`{metric.table.name}.{metric.column}`", *usual, _gate(policy, metric), _rules(policy, metric))
        lines.append(f"| {' | '.join(parts)} |")
    return "\n".join([*lines, ""])


def _usual(rows: "pa.Table", metric: Metric, portfolio: str) -> str:
    mine = rows.filter((pc.field("metric") == metric.name) & (pc.field("portfolio") == portfolio))
    values = np.asarray(mine["value"].drop_null(), dtype=np.float64)
    if not values.size:
        return formats.NULL
    texts = [formats.measured(float(value), metric.unit) for value in np.quantile(values, SHARES, method="inverted_cdf")]
    return texts[0] if len(set(texts)) == 1 else " · ".join(texts)


def _gate(policy: Policy, metric: Metric) -> str:
    wanted = required_of(policy, metric.name)
    return metric.gate if wanted <= 1 else f"{metric.gate}, {wanted}"


def _rules(policy: Policy, metric: Metric) -> str:
    found = []
    for name, rule in policy.alerts.rules.items():
        limits = [formats.measured(limit, metric.unit) for limit in (rule.warning, rule.critical) if limit is not None]
        if rule.metric == metric.name:
            found.append(f"`{name}` {rule.comparison} {' / '.join(limits)}")
        found += [
            f"beside `{name}` {also.comparison} {formats.measured(also.value, metric.unit)}"
            for also in rule.also
            if also.metric == metric.name
        ]
    return "; ".join(found)


def with_table(page: str, table: str) -> str:
    """Return the page with the table between its two marks. Raises `ValueError` where a mark is missing."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}{table}{END}{after}"


def main(arguments: list[str]) -> None:
    """Draw the pictures and write the table of the home that is named, and say how large each picture is."""
    home = Home(Path(arguments[0])) if arguments else Home.from_environment()
    try:
        require_sample(home)
        FOLDER.mkdir(parents=True, exist_ok=True)
        for picture, content in drawn(home):
            (FOLDER / picture.file).write_bytes(content)
            sys.stdout.write(f"{FOLDER / picture.file}: {len(content) / 1024:.0f} KB\n")
        PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), usual_table(home)), encoding="utf-8")
    finally:
        home.book.close()


if __name__ == "__main__":
    main(sys.argv[1:])
