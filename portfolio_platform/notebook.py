"""A home in a notebook: every table as a frame, reports as models, and why a number is what it is. Reads only.

`portfolio_platform.open` is the way in; see docs/notebook.md.
"""

import html
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from portfolio_platform.explain.tree import Node
    from portfolio_platform.lake.columns import Table
    from portfolio_platform.monitor.report import PortfolioMonitorReport

Decimals = Literal["float", "exact"]
Day = date | str
SHOWN_SCOPES = 8


def opened(home: Path | str | None = None) -> "Platform":
    """Open a home: the given folder, or the one that the environment names. Raises `WrongUse` where there is none."""
    return Platform(Home.from_environment(Path(home) if home is not None else None).require())


@dataclass(frozen=True)
class Explanation:
    """Why a number is what it is: the tree, as text and for a page. ``tree`` is the tree itself."""

    tree: "Node"

    def __str__(self) -> str:
        """Return the tree as text, two spaces a level."""
        return "\n".join(_lines(self.tree, 0))

    def _repr_html_(self) -> str:
        """Return the tree for a notebook: levels open with a click."""
        return _as_html(self.tree, unfolded=True)


class Tables:
    """The tables of a lake by attribute: ``p.tables.portfolio_equity`` is a frame. Iterating yields their names."""

    def __init__(self, platform: "Platform") -> None:
        """Remember whose tables they are; nothing is read yet."""
        self._platform = platform

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the tables."""
        from portfolio_platform.lake.derived import TABLES

        return iter(TABLES)

    def __dir__(self) -> list[str]:
        """Return the names, for completion."""
        return list(self)

    def __getattr__(self, name: str) -> "pd.DataFrame":
        """Return a table as a frame. Raises `AttributeError` where there is none of that name."""
        if name.startswith("_") or name not in set(self):
            raise AttributeError(f"there is no table {name!r}; list(p.tables) names them")
        return self._platform.table(name)

    def _repr_html_(self) -> str:
        from portfolio_platform.lake.derived import TABLES

        rows = "".join(
            f"<tr><td><code>{html.escape(t.name)}</code></td><td>{html.escape(t.description)}</td></tr>" for t in TABLES.values()
        )
        return f"<table><tr><th>table</th><th>what it holds</th></tr>{rows}</table>"


class Platform:
    """An open home. Nothing that is called here writes anything."""

    def __init__(self, home: Home) -> None:
        """Take a home; nothing is read yet."""
        self.home = home

    def __repr__(self) -> str:
        """Name the home and its portfolios."""
        return f"Platform({str(self.home.root)!r}, portfolios={self.portfolios})"

    def _repr_html_(self) -> str:
        """Return a short listing: portfolios with their sessions, and the tables that have rows."""
        from portfolio_platform.lake.derived import TABLES

        days = {name: self.days(name) for name in self.portfolios}
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{len(found):,}</td><td>{found[0]}</td><td>{found[-1]}</td></tr>"
            for name, found in days.items()
        )
        sizes = [(table.name, self.home.lake.row_count(table)) for table in TABLES.values()]
        filled = ", ".join(f"<code>{name}</code> {size:,}" for name, size in sizes if size)
        head = "<tr><th>portfolio</th><th>sessions</th><th>first</th><th>last</th></tr>"
        return f"<p><b>{html.escape(str(self.home.root))}</b></p><table>{head}{rows}</table><p>rows by table: {filled}</p>"

    @property
    def tables(self) -> Tables:
        """Return the tables by attribute."""
        return Tables(self)

    @property
    def portfolios(self) -> list[str]:
        """Return the portfolios that have a session, by name."""
        from portfolio_platform.explain.sources import Sources

        return Sources(self.home).portfolios

    def days(self, portfolio: str) -> list[date]:
        """Return the days of a portfolio's sessions, ascending."""
        from portfolio_platform.explain.sources import Sources

        return Sources(self.home).days(self._known(portfolio))

    def table(
        self,
        name: str,
        *,
        portfolio: str | None = None,
        first: Day | None = None,
        last: Day | None = None,
        decimals: Decimals = "float",
    ) -> "pd.DataFrame":
        """Return a table as a frame, sorted by key: of one portfolio, from ``first`` to ``last``, both included.

        Of facts the rows in force. Times come as UTC timestamps, days as timestamps without a zone, exact decimals as
        floats or, with ``decimals="exact"``, as `decimal.Decimal`. Raises `WrongUse` for an unknown table.
        """
        if decimals not in ("float", "exact"):
            raise WrongUse(f"decimals={decimals!r} is neither 'float' nor 'exact'")
        declared = _declared(name)
        if portfolio is not None and "portfolio" not in declared.column_names:
            raise WrongUse(f"{name} has no portfolios; leave portfolio out")
        mine = self._known(portfolio) if portfolio is not None else None
        return _frame(declared, _read(self.home, declared, mine, _day(first), _day(last)), decimals)

    def metric(self, name: str, portfolio: str, scope: str | None = None) -> "pd.Series[float]":
        """Return a metric session by session, as a series by day; NaN where it is null.

        ``name`` is a metric of `sample_sufficiency` (heat, stack_ratio, ...) or a figure of the report (equity, unit_value,
        ...). A metric of symbols, templates, ... wants a ``scope``; the error names those there are.
        """
        import pandas as pd
        import pyarrow.compute as pc

        from portfolio_platform.evidence.catalogue import BY_NAME
        from portfolio_platform.lake.derived import SAMPLE_SUFFICIENCY

        mine = pc.field("portfolio") == self._known(portfolio)
        if name in BY_NAME:
            rows = self.home.lake.read(SAMPLE_SUFFICIENCY, ["day", "scope", "value"], mine & (pc.field("metric") == name)).sort_by("day")
            scopes = sorted(rows["scope"].unique().to_pylist())
            if scope is None and scopes not in ([""], []):
                raise WrongUse(
                    f"{name} wants a scope, one of {', '.join(scopes[:SHOWN_SCOPES])}{', ...' if len(scopes) > SHOWN_SCOPES else ''}"
                )
            if scope is not None and scope not in scopes:
                raise WrongUse(f"{name} of {portfolio} has no scope {scope!r}; there is {', '.join(scopes[:SHOWN_SCOPES]) or 'none'}")
            values, rows = "value", rows.filter(pc.field("scope") == (scope or ""))
        else:
            values, rows = name, self._quoted(name, mine)
        index = pd.DatetimeIndex(rows["day"].to_pandas(), name="day")
        return pd.Series(rows[values].to_pandas().to_numpy(float), index=index, name=f"{name} {scope}" if scope else name)

    def _quoted(self, name: str, mine: "pa.compute.Expression") -> "pa.Table":
        from portfolio_platform.explain.why import quoted_in

        table = quoted_in(name)
        if table is None:
            raise WrongUse(f"there is no metric {name!r}; p.table('sample_sufficiency')['metric'].unique() lists those there are")
        return self.home.lake.read(table, ["day", name], mine).sort_by("day")

    def report(self, portfolio: str, day: Day | None = None) -> "PortfolioMonitorReport":
        """Return the report of a session, the newest where no day is given.

        As it was published last; a session that was never published is composed from the tables, and stored nowhere.
        Raises `WrongUse` where the day is no session.
        """
        days = self.days(portfolio)
        wanted = _day(day) or days[-1]
        if wanted not in days:
            raise WrongUse(f"{wanted} was no session of {portfolio}; p.days({portfolio!r}) lists them")
        return self.reports(portfolio, wanted, wanted)[0]

    def reports(self, portfolio: str, first: Day | None = None, last: Day | None = None) -> "list[PortfolioMonitorReport]":
        """Return the reports of the sessions from ``first`` to ``last``, both included, by day; each as `report` returns it."""
        from portfolio_platform.book.reports import history
        from portfolio_platform.monitor.pipeline.contents import compose_reports
        from portfolio_platform.monitor.report import PortfolioMonitorReport

        begin, end = _day(first) or date.min, _day(last) or date.max
        days = [day for day in self.days(portfolio) if begin <= day <= end]
        with self.home.book.reading() as connection:
            stored = history(connection, portfolio, day_from=_day(first), day_to=_day(last))
        found = {item.day: PortfolioMonitorReport.from_bytes(item.content) for item in stored}
        missing = [day for day in days if day not in found]
        found |= {item.day: item for item in compose_reports(self.home, missing) if item.portfolio == portfolio}
        return [found[day] for day in sorted(found)]

    def alerts(self, portfolio: str | None = None, *, all: bool = False) -> "pd.DataFrame":
        """Return the open alerts of the book, or all that there were; the sessions of each are in ``alert_states``."""
        import pandas as pd

        from portfolio_platform.book.alerts import Alert, listed, open_alerts

        with self.home.book.reading() as connection:
            found = listed(connection, portfolio) if all else open_alerts(connection, portfolio)
        rows = [{**asdict(alert), "sentence": alert.said.get("sentence", "")} for alert in found]
        names = [*(name for name in Alert.__dataclass_fields__ if name != "content"), "sentence"]
        return pd.DataFrame(rows, columns=names)

    def recommendations(self, portfolio: str | None = None, *, all: bool = False) -> "pd.DataFrame":
        """Return the recommendations of the book that hold or wait, or all that there were; ``content`` is a dict."""
        import pandas as pd

        from portfolio_platform.book.recommendations import OPEN, Recommendation, listed

        with self.home.book.reading() as connection:
            found = listed(connection, portfolio, () if all else OPEN)
        rows = [{**asdict(one), "content": one.said} for one in found]
        return pd.DataFrame(rows, columns=list(Recommendation.__dataclass_fields__))

    def why(self, identity: str, *, depth: int | None = None, rows: int | None = None) -> Explanation:
        """Return why: of an alert, a recommendation, a report, a metric (``heat core 2010-12-31``), a number or a row."""
        from portfolio_platform.explain.why import ROWS, why

        return Explanation(why(self.home, identity, depth=depth, rows=ROWS if rows is None else rows))

    def _known(self, portfolio: str) -> str:
        known = self.portfolios
        if portfolio not in known:
            raise WrongUse(f"there is no portfolio {portfolio!r}; there is {', '.join(known) or 'none yet: import and build first'}")
        return portfolio


def _day(day: Day | None) -> date | None:
    if day is None or isinstance(day, date):
        return day
    try:
        return date.fromisoformat(day)
    except ValueError as error:
        raise WrongUse(f"{day!r} is no day; write YYYY-MM-DD") from error


def _declared(name: str) -> "Table":
    from difflib import get_close_matches

    from portfolio_platform.lake.derived import TABLES

    if name not in TABLES:
        near = get_close_matches(name, TABLES, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "list(p.tables) names them"
        raise WrongUse(f"there is no table {name!r}; {hint}")
    return TABLES[name]


def _read(home: Home, table: "Table", portfolio: str | None, first: date | None, last: date | None) -> "pa.Table":
    """Return the rows of a table within the filters, sorted by key; of a fact, those in force."""
    import pyarrow.compute as pc

    from portfolio_platform.days import end_of_day_ns
    from portfolio_platform.lake import active
    from portfolio_platform.lake.facts import FACTS

    where = pc.scalar(True) if portfolio is None else pc.field("portfolio") == portfolio
    dated = "day" if "day" in table.column_names else "ts" if "ts" in table.column_names else ""
    if not dated and (first is not None or last is not None):
        raise WrongUse(f"{table.name} has no days; leave first and last out")
    for bound, after in ((first, True), (last, False)):
        if bound is not None and dated == "day":
            where = where & ((pc.field("day") >= bound) if after else (pc.field("day") <= bound))
        elif bound is not None:
            edge = end_of_day_ns(bound - timedelta(days=1) if after else bound)
            where = where & ((pc.field("ts") > edge) if after else (pc.field("ts") <= edge))
    if table.name in FACTS:
        fact = FACTS[table.name]
        columns = (*(column.name for column in fact.columns), "row_id", "revision", "import_seq", "source_file", "source_line")
        rows = active.read(home.lake, fact, columns).filter(where)
    else:
        months = (first.isoformat()[:7] if first else None, last.isoformat()[:7] if last else None)
        names = [name for name in table.column_names if name != "month"]
        rows = home.lake.read(table, names, where, from_month=months[0], to_month=months[1])
    keys = [name for name in (dated, *table.key) if name in rows.column_names]
    return rows.sort_by([(name, "ascending") for name in dict.fromkeys(keys)])


def _frame(table: "Table", rows: "pa.Table", decimals: Decimals) -> "pd.DataFrame":
    """Return rows as a frame: times and days as timestamps, decimals as asked for."""
    import pyarrow as pa

    for column in table.columns:
        if column.name not in rows.column_names:
            continue
        place, held = rows.column_names.index(column.name), rows[column.name]
        if column.kind == "timestamp":
            rows = rows.set_column(place, column.name, held.cast(pa.timestamp("ns", "UTC")))
        elif column.kind == "day":
            rows = rows.set_column(place, column.name, held.cast(pa.timestamp("ns")))
        elif column.kind == "decimal" and decimals == "float":
            rows = rows.set_column(place, column.name, held.cast(pa.float64()))
    frame: pd.DataFrame = rows.to_pandas()
    return frame


def _lines(node: "Node", level: int) -> Iterator[str]:
    value = f": {node.text}" if node.text else ""
    words = f"  ({node.words})" if node.words else ""
    yield f"{'  ' * level}{node.title}{value}{words}{' ...' if node.deeper else ''}"
    for child in node.children:
        yield from _lines(child, level + 1)
    if node.more:
        yield f"{'  ' * (level + 1)}and {node.more:,} more"


def _as_html(node: "Node", *, unfolded: bool = False) -> str:
    label = f"<b>{html.escape(node.title)}</b> {html.escape(node.text)} <small>{html.escape(node.words)}</small>"
    if node.deeper and node.evidence_id:
        label += f" <code>{html.escape(node.evidence_id)}</code>"
    more = f"<li>and {node.more:,} more</li>" if node.more else ""
    below = "".join(f"<li>{_as_html(child)}</li>" for child in node.children) + more
    if not below:
        return label
    return f"<details{' open' if unfolded else ''}><summary>{label}</summary><ul>{below}</ul></details>"
