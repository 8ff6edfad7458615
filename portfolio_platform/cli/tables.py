"""Reading a table for a person, and printing it as table, CSV, JSON or Parquet."""

import csv
import difflib
import io
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from rich.markup import escape
from rich.table import Table as RichTable

from portfolio_platform.cli.options import TableFormat, err, out, print_json
from portfolio_platform.days import end_of_day_ns, format_timestamp, to_date, to_number
from portfolio_platform.errors import WrongUse
from portfolio_platform.lake import active
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.derived import TABLES
from portfolio_platform.lake.facts import FACTS

if TYPE_CHECKING:
    from portfolio_platform.home import Home

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
        raise WrongUse(f"there is no table {name!r}; {'did you mean ' + ' or '.join(near) if near else '`portfolio show tables` lists them'}")
    where: Any = None
    names = declared.column_names
    if portfolio is not None:
        if "portfolio" not in names:
            raise WrongUse(f"{name} has no portfolios; leave --portfolio out")
        where = pc.field("portfolio") == portfolio
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
    return declared, rows.sort_by([(key, "ascending") for key in keys])


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
    plain = rows.to_pylist()
    for row in plain:
        for name, value in row.items():
            if value is None:
                continue
            if name in times:
                row[name] = format_timestamp(value)
            elif isinstance(value, Decimal):
                row[name] = format(value.normalize(), "f")
    return plain


def print_table(declared: Table, rows: pa.Table, limit: int) -> None:
    """Print the newest rows; columns that do not fit the terminal follow below, beside the key again."""
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
    return escape(str(value))


def write_table(declared: Table, rows: pa.Table, wanted: TableFormat, output: Path | None, *, raw: bool) -> None:
    """Write rows as CSV, JSON or Parquet, to a file or to standard output."""
    if wanted is TableFormat.parquet:
        _write_parquet(rows, output)
        return
    if wanted is TableFormat.json:
        plain = _texts(declared, rows)
        if output is None:
            print_json(plain)
            return
        import json

        output.write_text(json.dumps(plain, indent=2, ensure_ascii=False, default=str) + "\n", encoding="utf-8")
        return
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(rows.column_names)
    texts = {column.name for column in declared.columns if column.kind == "text"}
    for row in _texts(declared, rows):
        writer.writerow(["" if value is None else value if raw or name not in texts else neutral(str(value)) for name, value in row.items()])
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
