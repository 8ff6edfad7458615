"""Rows of facts as nodes: what the source said, in a line, and the import that brought it."""

from collections.abc import Callable, Iterable
from typing import Any

import pyarrow.compute as pc

from portfolio_platform.days import format_timestamp
from portfolio_platform.explain.cells import QUIET, decimal
from portfolio_platform.explain.shown import shown
from portfolio_platform.explain.sources import Row, Sources
from portfolio_platform.explain.tree import Draft, listing
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.facts import BARS, CASH_FLOWS, FILLS, INTENTS, SIGNALS


def fact_line(of: Sources, row: Row) -> Draft:
    """Return a row of a fact: what it says in a line, where it came from, and below it every column that says something."""
    return Draft(
        f"{row.table.name.rstrip('s').replace('_', ' ')} {row['row_id']}",
        words=f"{said(row)}; {brought(row)}",
        evidence_id=row.id(),
        parts=lambda: _columns(row),
    )


def fact_lines(of: Sources, title: str, rows: Callable[[], Iterable[Row]], words: str = "", *, newest: bool = True) -> Draft:
    """Return a list of rows of a fact, the newest first."""

    def found() -> list[Draft]:
        listed = list(rows())
        return [fact_line(of, row) for row in (reversed(listed) if newest else listed)]

    return listing(title, found, words)


def brought(row: Row) -> str:
    """Say which import brought a row, from which line of which file."""
    revision = f", revision {row['revision']}" if row["revision"] else ""
    return f"import {row['import_seq']}, {row['source_file']} line {row['source_line']}{revision}"


def said(row: Row) -> str:
    """Return what a row says, in a line."""
    at = format_timestamp(row["ts"]) if row.values.get("ts") is not None else ""
    saying = _SAID.get(row.table.name)
    text = saying(row) if saying is not None else ", ".join(f"{name} {_text(row, name)}" for name in _telling(row)[:6])
    return f"{at} {text}".strip()


def _fill(row: Row) -> str:
    stop = f", stop {decimal(row, 'stop_price')}" if row["stop_price"] is not None else ""
    fee = f", fee {decimal(row, 'fee')}" if row["fee"] else ""
    return f"{row['strategy']} {row['side']} {decimal(row, 'quantity')} {row['symbol']} at {decimal(row, 'price')}{fee}{stop}"


def _flow(row: Row) -> str:
    return f"{row['kind']} of {decimal(row, 'amount')} {row['currency'] or ''}".rstrip()


def _bar(row: Row) -> str:
    return f"{row['symbol']} closed at {decimal(row, 'close')} (high {decimal(row, 'high')}, low {decimal(row, 'low')})"


def _signal(row: Row) -> str:
    what = f"{row['strategy']} {row['direction']} {row['symbol']}, {row['playbook']}, entry {decimal(row, 'entry_price')}"
    became = ", ".join(text for text in (row["disposition"], row["block_reason"]) if text)
    return f"{what}, stop {decimal(row, 'stop_price')}, target {decimal(row, 'target_price')}{f': {became}' if became else ''}"


def _intent(row: Row) -> str:
    asked = f"{row['strategy']} {row['side']} {row['symbol']}, risk {decimal(row, 'requested_risk')} asked for"
    why = f": {row['reasons']}" if row["reasons"] else ""
    return f"{asked}, {decimal(row, 'approved_risk')} granted, {row['decision_code'] or 'no code'}{why}"


_SAID: dict[str, Callable[[Row], str]] = {
    FILLS.name: _fill,
    CASH_FLOWS.name: _flow,
    BARS.name: _bar,
    SIGNALS.name: _signal,
    INTENTS.name: _intent,
}


def _telling(row: Row) -> list[str]:
    return [column.name for column in row.table.columns if column.name not in QUIET and row[column.name] not in (None, "")]


def _text(row: Row, name: str) -> str:
    return shown(row[name], next(column for column in row.table.columns if column.name == name))


def _columns(row: Row) -> list[Draft]:
    texts = {column.name: column for column in row.table.columns}
    found = [Draft(name.replace("_", " "), row[name], _text(row, name), texts[name].description) for name in _telling(row)]
    return [*found, Draft("import", row["import_seq"], str(row["import_seq"]), brought(row))]


def statements(of: Sources, table: Table, identity: str) -> list[Row]:
    """Return every statement of a row that was ever imported, by revision; those not in force are among them."""
    found = of.home.lake.read(table, None, pc.field("row_id") == identity).to_pylist()
    return [Row(table, values) for values in sorted(found, key=_revision)]


def _revision(values: dict[str, Any]) -> tuple[int, int, str]:
    return (values["revision"], values["import_seq"], values["content_hash"])
