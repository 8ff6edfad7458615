"""The rows of a report of executions: the template, reading a file of them, and holding each against what was reported before. Pure.

A row that cannot be right is set aside with file, line, value, rule and remedy; the others are taken. Nothing is guessed.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from portfolio_platform.control.money import major, minor
from portfolio_platform.errors import DataProblem
from portfolio_platform.lake.columns import Column
from portfolio_platform.orchestrator.executed import Executed
from portfolio_platform.orchestrator.model import Typed
from portfolio_platform.orchestrator.planned import Plan

COLUMNS: Mapping[str, str] = {
    "trade_id": "the trade of the plan; empty for a fill that is in no trade of it, which then names ticker, side and account",
    "fill": "number of the fill within its trade: empty for the next one, 1 is the first; say it to correct a fill",
    "ticker": "what was traded; empty: as planned",
    "side": "buy or sell; empty: as planned",
    "account": "where; empty: as planned",
    "quantity": "shares of this fill, above 0; empty: nothing was filled, and the row is passed over",
    "price": "price of one share, in the plan's currency",
    "fee": "fee of this fill; empty: 0; below 0: a rebate",
    "at": "time of the fill with its offset, such as 2026-01-05T15:40:00Z; empty: nothing was filled, and the row is passed over",
    "placed_at": "time at which the order was given, where you know it",
    "stop_price": "stop-loss that you placed, where it is another than recommended",
    "profit_targets": "profit targets that you placed, apart by spaces, where they are others than recommended",
    "note": "anything worth keeping",
}
LARGEST = 5_000_000
"""Bytes of a report that are read at most."""
LONGEST_NOTE = 500
DELIMITERS = ",;\t"
_DECIMALS: Mapping[str, Column] = {
    "quantity": Column("quantity", "decimal", "shares", required=True, sign="positive"),
    "price": Column("price", "decimal", "price of a share", required=True, sign="positive"),
    "fee": Column("fee", "decimal", "fee"),
    "stop_price": Column("stop_price", "decimal", "stop", sign="positive"),
}
_TARGETS = Column("profit_targets", "decimal", "targets", sign="positive")
_TIMES: Mapping[str, Column] = {
    "at": Column("at", "timestamp", "time of the fill", required=True),
    "placed_at": Column("placed_at", "timestamp", "time of the order"),
}


class BadRow(Typed):
    """A row that was set aside: where it stands, what is wrong with which value, and what to do; ``row`` is its JSON as it was read."""

    file: str
    line: int
    column: str
    value: str
    rule: str
    remedy: str
    row: str = ""

    @property
    def sentence(self) -> str:
        """Return it as one sentence."""
        what = " ".join(part for part in (self.column, repr(self.value) if self.value else "", self.rule) if part)
        return f"{self.file} line {self.line}: {what}; {self.remedy}"


@dataclass(frozen=True)
class GivenFill:
    """A row that was read: what it says of a fill, before it is held against the plan. Empty text is what it does not say."""

    line: int
    trade_id: str
    number: int | None
    ticker: str
    side: str
    account: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    at: datetime
    placed_at: datetime | None = None
    stop_price: Decimal | None = None
    profit_targets: tuple[Decimal, ...] | None = None
    note: str = ""
    row: str = ""


@dataclass(frozen=True)
class Rows:
    """What a file of a report gave: rows that were read, rows set aside, how many say that nothing was filled, and notes."""

    name: str
    given: tuple[GivenFill, ...] = ()
    bad: tuple[BadRow, ...] = ()
    passed_over: int = 0
    notes: tuple[str, ...] = ()


@dataclass
class _Reading:
    """One file being read."""

    name: str
    now: datetime
    bad: list[BadRow] = field(default_factory=list)

    def fault(self, line: int, row: Mapping[str, str], column: str, rule: str, remedy: str) -> None:
        value = row.get(column, "")[:80]
        self.bad.append(BadRow(file=self.name, line=line, column=column, value=value, rule=rule, remedy=remedy, row=_json(row)))


def template(plan: Plan, executed: Executed | None = None) -> str:
    """Return the CSV that a person fills in: a row for each trade that is not done, with what was planned; ``at`` is left empty.

    Lines that begin with # explain the columns and are passed over when the file is read.
    """
    out = io.StringIO()
    out.write(f"# Execution {plan.execution_id}: fill in quantity, price, fee and at for what was done, then\n")
    out.write("# portfolio execution report EXECUTION_ID --csv THIS_FILE\n")
    out.write("# Several fills of one trade: repeat its row. Rows without quantity or at are passed over.\n")
    out.writelines(f"# {name}: {text}\n" for name, text in COLUMNS.items())
    writer = csv.DictWriter(out, tuple(COLUMNS), lineterminator="\n")
    writer.writeheader()
    progress = {one.trade.trade_id: one for one in executed.trades} if executed is not None else {}
    protections = executed.protections if executed is not None else {}
    for trade in plan.trades:
        done = progress.get(trade.trade_id)
        left = trade.quantity if done is None else done.left
        if not left:
            continue
        held = protections.get(trade.trade_id)
        writer.writerow(
            {
                "trade_id": trade.trade_id,
                "ticker": trade.ticker,
                "side": trade.side,
                "account": trade.account,
                "quantity": f"{left:f}",
                "price": f"{trade.price:f}",
                "fee": f"{major(trade.fee_minor, plan.digits):f}",
                "stop_price": f"{held.stop_price:f}" if held is not None and held.stop_price is not None else "",
                "profit_targets": " ".join(f"{one:f}" for one in held.profit_targets) if held is not None else "",
            }
        )
    return out.getvalue()


def read_rows(content: bytes, name: str, now: datetime) -> Rows:
    """Return the rows of a file.

    Raises:
        DataProblem: it is no table of fills at all: too large, no UTF-8, or without the columns that are needed.
    """
    text = _text(content, name)
    head = next((line for line in text.splitlines() if line.strip() and not _is_comment(line)), "")
    if not head:
        raise DataProblem(f"{name}: it is empty; `portfolio execution report EXECUTION_ID --template` writes one to fill in")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(DELIMITERS, key=head.count), strict=True)
    table: list[tuple[int, list[str]]] = []
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells) and not _is_comment(cells[0]):
                table.append((reader.line_num, cells))
    except csv.Error as error:
        raise DataProblem(f"{name} line {reader.line_num}: it is no CSV ({error}); save it as CSV with one fill in a line") from error
    names = [cell.strip().lower() for cell in table[0][1]]
    notes = _header(names, name)
    texts = []
    reading = _Reading(name, now)
    for number, cells in table[1:]:
        row = {column: cell.strip() for column, cell in zip(names, cells, strict=False) if column in COLUMNS}
        if len(cells) > len(names) and any(cell.strip() for cell in cells[len(names) :]):
            reading.fault(number, row, "", f"has {len(cells)} cells, and the header {len(names)}", "put text with a comma into quotes")
            continue
        texts.append((number, row))
    return _read(texts, reading, notes)


def read_texts(row: Mapping[str, str], now: datetime, name: str = "the report") -> Rows:
    """Return one row of texts by column, as a form or a command line gives them."""
    return _read([(1, {column: row.get(column, "").strip() for column in COLUMNS})], _Reading(name, now), ())


def _text(content: bytes, name: str) -> str:
    if len(content) > LARGEST:
        raise DataProblem(f"{name}: it has {len(content)} bytes, and at most {LARGEST} are read; report the fills of this plan alone")
    try:
        return content.decode("utf-8-sig").replace("\0", "\N{REPLACEMENT CHARACTER}")
    except UnicodeDecodeError as error:
        raise DataProblem(f"{name}: it is not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from error


def _is_comment(text: str) -> bool:
    return text.lstrip(" \"'").startswith("#")


def _header(names: Sequence[str], name: str) -> tuple[str, ...]:
    twice = sorted({one for one in names if one and names.count(one) > 1})
    if twice:
        raise DataProblem(f"{name}: the column {twice[0]!r} is there twice; keep one")
    missing = [one for one in ("quantity", "price", "at") if one not in names]
    if "trade_id" not in names and "ticker" not in names:
        missing.insert(0, "trade_id")
    if missing:
        raise DataProblem(
            f"{name}: there is no column {', '.join(missing)}; `portfolio execution report EXECUTION_ID --template` writes a file with all"
        )
    other = [one for one in names if one and one not in COLUMNS]
    return (f"{name}: {', '.join(other)} was not read; the columns are {', '.join(COLUMNS)}",) if other else ()


def _read(rows: Sequence[tuple[int, Mapping[str, str]]], reading: _Reading, notes: tuple[str, ...]) -> Rows:
    kept = [(line, row) for line, row in rows if row.get("quantity") and row.get("at")]
    half = [(line, row) for line, row in rows if bool(row.get("fill")) and not (row.get("quantity") and row.get("at"))]
    for line, row in half:
        column = "at" if row.get("quantity") else "quantity"
        reading.fault(line, row, column, "is empty, and the row names its fill", "write it, or leave the row out")
    typed = {name: _typed(name, [row.get(name, "") for _, row in kept], reading.now) for name in (*_DECIMALS, *_TIMES)}
    given = []
    for place, (line, row) in enumerate(kept):
        one = _one(line, row, {name: values[place] for name, values in typed.items()}, reading)
        if one is not None:
            given.append(one)
    return Rows(reading.name, tuple(given), tuple(reading.bad), len(rows) - len(kept) - len(half), notes)


def _one(line: int, row: Mapping[str, str], typed: Mapping[str, Any], reading: _Reading) -> GivenFill | None:
    before = len(reading.bad)
    for name, value in typed.items():
        if isinstance(value, tuple):
            reading.fault(line, row, name, *value)
    if "price" in typed and typed["price"] is None:
        reading.fault(line, row, "price", "is empty: price is required", "write the price of one share")
    number = _number(line, row, reading)
    side = row.get("side", "").lower()
    if side not in ("", "buy", "sell"):
        reading.fault(line, row, "side", "is neither buy nor sell", "write buy or sell")
    if len(row.get("note", "")) > LONGEST_NOTE:
        reading.fault(line, row, "note", f"has {len(row['note'])} characters", f"keep it within {LONGEST_NOTE}")
    targets = _targets(line, row, reading)
    if not row.get("trade_id") and not (row.get("ticker") and side):
        reading.fault(line, row, "trade_id", "is empty, and so is ticker or side", "name the trade, or ticker, side and account")
    if len(reading.bad) > before:
        del reading.bad[before + 1 :]  # a row is set aside once, for the first thing that is wrong with it
        return None
    fee: Decimal | None = typed["fee"]
    return GivenFill(
        line=line,
        trade_id=row.get("trade_id", ""),
        number=number,
        ticker=row.get("ticker", "").upper(),
        side=side,
        account=row.get("account", ""),
        quantity=typed["quantity"],
        price=typed["price"],
        fee=Decimal(0) if fee is None else fee,
        at=typed["at"],
        placed_at=typed["placed_at"],
        stop_price=typed["stop_price"],
        profit_targets=targets,
        note=row.get("note", ""),
        row=_json(row),
    )


def _number(line: int, row: Mapping[str, str], reading: _Reading) -> int | None:
    text = row.get("fill", "")
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= 100_000:
        reading.fault(line, row, "fill", "is no number of a fill", "write 1, 2, ... or leave it empty for the next")
        return None
    return int(text)


def _targets(line: int, row: Mapping[str, str], reading: _Reading) -> tuple[Decimal, ...] | None:
    texts = row.get("profit_targets", "").replace(";", " ").split()
    if not texts:
        return None
    values = _typed("profit_targets", texts, reading.now)
    for value in values:
        if isinstance(value, tuple):
            reading.fault(line, row, "profit_targets", *value)
            return None
    return tuple(values)


def _typed(name: str, texts: Sequence[str], now: datetime) -> list[Any]:
    """Return texts as decimals or times, None where empty, and where one is none of these a pair of the rule and the remedy."""
    if not texts:
        return []
    import pyarrow as pa

    from portfolio_platform.days import nanoseconds
    from portfolio_platform.sources.numerals import parse_decimals, sign_faults
    from portfolio_platform.sources.timestamps import parse_timestamps

    given = pa.array([text or None for text in texts], pa.string())
    if name in _TIMES:
        values, faults = parse_timestamps(_TIMES[name], given, nanoseconds(now))
        found: list[Any] = [None if value is None else _time(value) for value in values.to_pylist()]
    else:
        column = _DECIMALS.get(name, _TARGETS)
        values, faults = parse_decimals(column, given)
        faults = {**sign_faults(column, values, has_side=True), **faults}
        found = [None if value is None else Decimal(f"{value:f}") for value in values.to_pylist()]
    for place, fault in faults.items():
        found[place] = (fault.rule, fault.remedy)
    return found


def _time(ns: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ns // 1000)


def fee_minor(fee: Decimal, digits: int) -> int:
    """Return a fee in minor units. Raises `ValueError` where it has parts of one."""
    found = minor(fee, digits)
    if major(found, digits) != fee:
        raise ValueError(f"has more than {digits} decimals")
    return found


def set_aside_csv(rows: Iterable[BadRow]) -> str:
    """Return rows that were set aside as a CSV that a spreadsheet shows and does not run."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["file", "line", "column", "value", "rule", "remedy", "row"])
    for bad in rows:
        writer.writerow([_neutral(text) for text in (bad.file, str(bad.line), bad.column, bad.value, bad.rule, bad.remedy, bad.row)])
    return out.getvalue()


def _neutral(text: str) -> str:
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _json(row: Mapping[str, str]) -> str:
    return json.dumps({name: value[:200] for name, value in row.items() if value}, ensure_ascii=True, sort_keys=True)
