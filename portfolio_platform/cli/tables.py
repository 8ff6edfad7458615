"""Reading a table for a person, and printing it as table, CSV, JSON or Parquet."""

import csv
import difflib
import io
import sys
from collections.abc import Collection
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from rich.table import Table as RichTable

from portfolio_platform.cli.options import TableFormat, err, out, plain, print_json
from portfolio_platform.days import end_of_day_ns, format_timestamp, nanoseconds, to_date, to_number
from portfolio_platform.errors import WrongUse
from portfolio_platform.lake import active
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.derived import TABLES
from portfolio_platform.lake.facts import FACTS

if TYPE_CHECKING:
    from portfolio_platform.home import Home

NAMED = 8
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def list_tables(wanted: TableFormat) -> None:
    """Print the names of the tables and what they are."""
    if wanted is TableFormat.json:
        print_json([{"name": table.name, "description": table.description, "columns": table.column_names} for table in TABLES.values()])
        return
    listing = RichTable("table", "what it holds", title="Tables of the lake", title_justify="left")
    for table in TABLES.values():
        listing.add_row(table.name, table.description)
    out.print(listing)


def read_for_show(home: "Home", name: str, portfolio: str | None, first: date | None, last: date | None) -> tuple[Table, pa.Table]:
    """Return a table's rows within the filters, sorted by key; of a fact, the rows in force."""
    declared = TABLES.get(name)
    if declared is None:
        near = difflib.get_close_matches(name, TABLES, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "`portfolio show tables` lists them"
        raise WrongUse(f"there is no table {name!r}; {hint}")
    if first is not None and last is not None and first > last:
        raise WrongUse(f"--from {first} is after --to {last}; swap them")
    where: Any = _until_now(home, declared)
    names = declared.column_names
    if portfolio is not None:
        if "portfolio" not in names:
            raise WrongUse(f"{name} has no portfolios; leave --portfolio out")
        mine = pc.field("portfolio") == portfolio
        where = mine if where is None else where & mine
    if first is not None or last is not None:
        bounds = _bounds(declared, first, last)
        where = bounds if where is None else where & bounds
    if name in FACTS:
        columns = (*(column.name for column in FACTS[name].columns), "row_id", "revision", "import_seq", "source_file", "source_line")
        rows = active.read(home.lake, FACTS[name], columns)
        rows = rows if where is None else rows.filter(where)
    else:
        rows = home.lake.read(declared, [column for column in names if column != "month"], where)
    keys = [key for key in (*(("ts",) if "ts" in rows.column_names else ()), *declared.key) if key in rows.column_names]
    if portfolio is not None and not len(rows):
        known_portfolio(home, portfolio)
    return declared, rows.sort_by([(key, "ascending") for key in keys])


def _until_now(home: "Home", declared: Table) -> Any:
    """Return what leaves out the rows after the as-of time; bookkeeping (imports, quarantine, builds) is shown whole."""
    if "day" in declared.column_names:
        return pc.field("day") <= home.today
    if declared.name in FACTS and "ts" in declared.column_names:
        return pc.field("ts") <= nanoseconds(home.clock.now())
    return None


def known_portfolio(home: "Home", name: str, others: Collection[str | None] = ()) -> None:
    """Raise `WrongUse`, with near matches, for a portfolio that no fact and none of the ``others`` names."""
    found = {other for other in others if other is not None}
    for fact in FACTS.values():
        if "portfolio" in fact.table.column_names:
            found |= set(home.lake.read(fact.table, ["portfolio"])["portfolio"].unique().to_pylist())
    if name in found:
        return
    near = difflib.get_close_matches(name, found, n=3)
    listed = f"there is {', '.join(sorted(found)[:NAMED])}" if found else "nothing is imported yet"
    hint = f"did you mean {' or '.join(near)}?" if near else listed
    raise WrongUse(f"there is no portfolio {name!r}; {hint}")


def _bounds(declared: Table, first: date | None, last: date | None) -> Any:
    by_day = "day" in declared.column_names
    if not by_day and "ts" not in declared.column_names:
        raise WrongUse(f"{declared.name} has no days; leave --from and --to out")
    out_: Any = None
    if first is not None:
        out_ = pc.field("day") >= first if by_day else pc.field("ts") > end_of_day_ns(to_date(to_number(first) - 1))
    if last is not None:
        upper = pc.field("day") <= last if by_day else pc.field("ts") <= end_of_day_ns(last)
        out_ = upper if out_ is None else out_ & upper
    return out_


def _texts(declared: Table, rows: pa.Table) -> list[dict[str, Any]]:
    """Return rows with times as ISO text, and decimals without trailing zeros."""
    times = {column.name for column in declared.columns if column.kind == "timestamp"}
    texts: list[dict[str, Any]] = rows.to_pylist()
    for row in texts:
        for name, value in row.items():
            if value is None:
                continue
            if name in times:
                row[name] = format_timestamp(value)
            elif isinstance(value, Decimal):
                row[name] = format(value.normalize(), "f")
    return texts


def print_table(declared: Table, rows: pa.Table, limit: int) -> None:
    """Print the newest rows; columns that do not fit the terminal follow below, beside the key again."""
    if not len(rows):
        out.print(f"{declared.name}: no rows")
        return
    shown = rows.slice(max(0, len(rows) - limit)) if limit else rows
    numeric = {column.name for column in declared.columns if column.kind in ("number", "decimal", "integer")}
    cells = [[_cell(value) for value in row.values()] for row in _texts(declared, shown)]
    widths = [max([len(name), *(len(row[place]) for row in cells)]) + 3 for place, name in enumerate(rows.column_names)]
    title: str | None = f"{declared.name}: {len(shown):,} of {len(rows):,} rows"
    for block in _blocks(rows.column_names, widths, declared.key, out.width - 1):
        table = RichTable(title=title, title_justify="left")
        for place in block:
            name = rows.column_names[place]
            table.add_column(name, justify="right" if name in numeric else "left", overflow="fold")
        for row in cells:
            table.add_row(*(row[place] for place in block))
        out.print(table)
        title = None
    if len(shown) < len(rows):
        err.print(f"[dim]{len(rows) - len(shown):,} older rows are not shown; use --limit, --from, or --format csv[/]")


def _blocks(names: list[str], widths: list[int], key: tuple[str, ...], room: int) -> list[list[int]]:
    """Return the columns of each block, by place: the key, and as many others as fit."""
    keys = [names.index(name) for name in key if name in names]
    others = [place for place in range(len(names)) if place not in keys]
    blocks, current, used = [], [*keys], sum(widths[place] for place in keys)
    for place in others:
        if used + widths[place] > room and len(current) > len(keys):
            blocks.append(current)
            current, used = [*keys], sum(widths[place] for place in keys)
        current.append(place)
        used += widths[place]
    return [*blocks, current]


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) >= 1000 else f"{value:.6g}"
    return plain(value)


def write_table(declared: Table, rows: pa.Table, wanted: TableFormat, output: Path | None, *, raw: bool) -> None:
    """Write rows as CSV, JSON or Parquet, to a file or to standard output."""
    if wanted is TableFormat.parquet:
        _write_parquet(rows, output)
        return
    if wanted is TableFormat.json:
        texts = _texts(declared, rows)
        if output is None:
            print_json(texts)
            return
        import json

        output.write_text(json.dumps(texts, indent=2, ensure_ascii=False, default=str) + "\n", encoding="utf-8")
        return
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(rows.column_names)
    text_columns = {column.name for column in declared.columns if column.kind == "text"}
    for row in _texts(declared, rows):
        guarded = {name: neutral(value) for name, value in row.items() if name in text_columns and value is not None and not raw}
        writer.writerow(["" if value is None else guarded.get(name, value) for name, value in row.items()])
    if output is None:
        sys.stdout.write(buffer.getvalue())
    else:
        output.write_text(buffer.getvalue(), encoding="utf-8")


def neutral(text: str) -> str:
    """Return text that a spreadsheet shows instead of running it."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _write_parquet(rows: pa.Table, output: Path | None) -> None:
    import pyarrow.parquet as pq

    if output is not None:
        pq.write_table(rows, output)
        return
    if sys.stdout.isatty():
        raise WrongUse("Parquet is not for a terminal; give --output FILE")
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink)
    sys.stdout.buffer.write(sink.getvalue().to_pybytes())
