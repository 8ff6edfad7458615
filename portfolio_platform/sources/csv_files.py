"""One CSV file, read: text, header, rows, typed values, rules, identities. The only entry for reading."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from portfolio_platform.lake.columns import Column
from portfolio_platform.lake.facts import FACTS, Fact
from portfolio_platform.sources.content import Content, UnreadableFileError, load
from portfolio_platform.sources.header import Header, header_notes, read_header
from portfolio_platform.sources.identity import content_hashes, row_ids, stated_ids
from portfolio_platform.sources.model import Fault, ParsedFile, SourceFile
from portfolio_platform.sources.quarantine import Quarantine
from portfolio_platform.sources.records import Block, read_blocks
from portfolio_platform.sources.rules import cross_faults
from portfolio_platform.sources.values import EMPTY, FREE_TEXT, Context, constant_column, read_column, trimmed

if TYPE_CHECKING:
    import pyarrow as pa

REVISION = Column("revision", "integer", "0 for the first statement of a row, higher for a correction", sign="not_negative")
BUST = Column("bust", "flag", "true where this revision cancels the row")


@dataclass(frozen=True)
class _Reading:
    """What is fixed while one file is read."""

    fact: Fact
    header: Header
    context: Context
    defaults: dict[str, str | None]

    @property
    def columns(self) -> tuple[Column, ...]:
        return (*self.fact.columns, REVISION, BUST)


@dataclass
class _Tally:
    """What is counted while one file is read."""

    read: int = 0
    blank: int = 0
    without_newline: bool = False
    tables: "list[pa.Table]" = field(default_factory=list)


def row_schema(fact: Fact) -> "pa.Schema":
    """Return the schema of `ParsedFile.rows`: the fact's own columns, then the bookkeeping that a file determines."""
    import pyarrow as pa

    fields = [pa.field(column.name, column.arrow_type()) for column in fact.columns]
    fields += [pa.field("row_id", pa.string()), pa.field("revision", pa.int64()), pa.field("bust", pa.bool_())]
    fields += [pa.field("content_hash", pa.string()), pa.field("source_file", pa.string()), pa.field("source_line", pa.int64())]
    return pa.schema(fields)


def read_file(source: SourceFile, *, as_of_ns: int, corrections: bool = False, portfolio: str | None = None) -> ParsedFile:
    """Read one source file into typed rows and rejections; whatever the bytes, nothing is dropped in silence.

    `as_of_ns` bounds the times of what happened. With `corrections` rows that state no revision have revision 1.
    `portfolio` names the portfolio of rows that state none. Raises `DataProblem` where the file cannot be opened.
    """
    import pyarrow as pa

    if source.fact is None:
        return ParsedFile(None, source.name, pa.table({}), 0, (), (source.note,))
    fact = FACTS[source.fact]
    quarantine = Quarantine(fact.name, source.name, [column.name for column in fact.columns])
    notes = [source.note] if source.note else []
    tally = _Tally()
    try:
        content = load(source.path)
        notes += content.notes
        header = read_header(content.data, fact)
    except UnreadableFileError as error:
        quarantine.add_file(source.path, error.fault)
        return ParsedFile(fact.name, source.name, row_schema(fact).empty_table(), 0, tuple(quarantine.rejections), tuple(notes))
    if header is None:
        notes.append("it is empty" if not content.cut else "nothing could be read of it")
    else:
        notes += header_notes(header, fact)
        context = Context(as_of_ns, any(column.name == "side" for column in fact.columns))
        reading = _Reading(fact, header, context, _defaults(fact, corrections, portfolio))
        _read_rows(reading, content, quarantine, tally)
        notes += _row_notes(content, tally)
    if content.cut and not any("is cut in the middle" in rejection.rule for rejection in quarantine.rejections):
        rule = "ends early: the compressed file was cut, and rows after the last one read are missing"
        quarantine.add_file(source.path, Fault("", "cut", rule, "get the file again from its source, complete"))
    rows = _with_ids(fact, tally.tables, source.name)
    return ParsedFile(fact.name, source.name, rows, tally.read, tuple(quarantine.rejections), tuple(notes))


def _defaults(fact: Fact, corrections: bool, portfolio: str | None) -> dict[str, str | None]:
    defaults = {column.name: column.default for column in fact.columns}
    defaults |= {"revision": "1" if corrections else "0", "bust": "false"}
    if portfolio and "portfolio" in defaults and "portfolio" not in fact.id_columns:
        defaults["portfolio"] = portfolio
    return defaults


def _row_notes(content: Content, tally: _Tally) -> list[str]:
    notes = []
    if not tally.read:
        notes.append("it has a header and no rows")
    if tally.blank:
        notes.append(f"lines without any value were skipped: {tally.blank:,}")
    if tally.without_newline and not content.cut:
        notes.append("the last line has no newline at its end; it is complete and was read")
    return notes


def _read_rows(reading: _Reading, content: Content, quarantine: Quarantine, tally: _Tally) -> None:
    for block in read_blocks(content.data, reading.header, FREE_TEXT, cut=content.cut):
        for bad in block.bad:
            quarantine.add(bad.line, bad.cells, [bad.fault])
        tally.read += len(block.bad)
        tally.blank += block.blank
        tally.without_newline |= block.ends_without_newline
        block = _without_blank(block, tally)
        tally.read += len(block.lines)
        if len(block.lines):
            tally.tables.append(_read_block(reading, block, quarantine))
    quarantine.rejections.sort(key=lambda rejection: rejection.source_line)


def _without_blank(block: Block, tally: _Tally) -> Block:
    """Drop the rows all of whose cells are empty, as spreadsheets leave them; they are counted."""
    import pyarrow.compute as pc

    empty: Any = trimmed(block.columns[0]).is_null()
    for cells in block.columns[1:]:
        if not empty.true_count:
            return block
        empty = pc.and_(empty, trimmed(cells).is_null())
    if not empty.true_count:
        return block
    keep = pc.invert(empty)
    tally.blank += empty.true_count
    return Block(block.lines.filter(keep), [cells.filter(keep) for cells in block.columns], [], block.ends_without_newline)


def _read_block(reading: _Reading, block: Block, quarantine: Quarantine) -> "pa.Table":
    """Type and check the rows of a block; set the wrong ones aside, return the others with hash and stated id."""
    import numpy as np
    import pyarrow as pa

    count = len(block.lines)
    columns: dict[str, Any] = {}
    faults: dict[int, list[Fault]] = {}
    for column in reading.columns:
        default = reading.defaults[column.name]
        if column.name in reading.header.names:
            cells = block.columns[reading.header.names.index(column.name)]
            typed = read_column(column, cells, default, reading.context)
        else:
            typed = constant_column(column, count, default, reading.context)
        columns[column.name] = typed.values
        for row, fault in typed.faults:
            faults.setdefault(row, []).append(fault)
    columns["bust"] = columns["bust"].fill_null(False)
    faults = _forgive_busts(reading.fact, columns["bust"], faults)
    for row, fault in (*_revision_faults(reading.fact, columns), *cross_faults(reading.fact.name, columns)):
        faults.setdefault(row, []).append(fault)
    _set_aside(reading, block, columns, faults, quarantine)
    lines = block.lines
    if faults:
        keep = np.ones(count, dtype=bool)
        keep[list(faults)] = False
        columns = {name: values.filter(pa.array(keep)) for name, values in columns.items()}
        lines = lines.filter(pa.array(keep))
    hashes, ids = content_hashes(reading.fact, columns), stated_ids(reading.fact, columns)
    return pa.table({**columns, "row_id": ids, "content_hash": hashes, "source_line": lines})


def _forgive_busts(fact: Fact, bust: "pa.Array", faults: dict[int, list[Fault]]) -> dict[int, list[Fault]]:
    """Drop the faults of empty cells from rows that cancel another, except those that say which row, and when."""
    needed = {*fact.id_columns, fact.time_column}
    kept: dict[int, list[Fault]] = {}
    for row, found in faults.items():
        if bust[row].as_py():
            found = [fault for fault in found if fault.code != EMPTY or fault.column in needed]
            remedy = "write the one of the row that it cancels"
            found = [Fault(fault.column, EMPTY, fault.rule, remedy) if fault.code == EMPTY else fault for fault in found]
        if found:
            kept[row] = found
    return kept


def _revision_faults(fact: Fact, columns: dict[str, Any]) -> Sequence[tuple[int, Fault]]:
    """A row that cancels another is a later revision, and a revision must say which row it revises."""
    import pyarrow.compute as pc

    from portfolio_platform.sources.numerals import where

    first = pc.less_equal(columns["revision"], 0)
    found = []
    for row in where(pc.and_(columns["bust"], first)):
        rule = "is true on revision 0: what cancels a row is a later revision of it"
        found.append((row, Fault("bust", "bust_revision", rule, "write revision 1, or one more than the row has now")))
    if fact.id_optional:
        name = fact.id_columns[0]
        for row in where(pc.and_(columns[name].is_null(), pc.invert(first))):
            rule = "is empty on a correction, so it is not known which row it corrects"
            found.append((row, Fault(name, "revision_without_id", rule, "write the id of the row that it corrects")))
    return found


def _set_aside(reading: _Reading, block: Block, columns: dict[str, Any], faults: dict[int, list[Fault]], quarantine: Quarantine) -> None:
    import pyarrow as pa

    if not faults:
        return
    rows = sorted(faults)
    chosen = pa.array(rows)
    names = [name or f"(column {number})" for number, name in enumerate(reading.header.names, 1)]
    raw = [cells.take(chosen).to_pylist() for cells in block.columns]
    lines = block.lines.take(chosen).to_pylist()
    empty: list[Any] = [None] * len(rows)
    times = columns[reading.fact.time_column].take(chosen).to_pylist() if reading.fact.time_column else empty
    portfolios = columns["portfolio"].take(chosen).to_pylist() if "portfolio" in columns else empty
    for number, row in enumerate(rows):
        cells = {name: column[number] for name, column in zip(names, raw, strict=True)}
        quarantine.add(lines[number], cells, faults[row], times[number], portfolios[number])


def _with_ids(fact: Fact, tables: "list[pa.Table]", source_file: str) -> "pa.Table":
    """Join the blocks of a file and complete the ids, for which the whole file must be known."""
    import pyarrow as pa

    schema = row_schema(fact)
    if not tables:
        return schema.empty_table()
    table = pa.concat_tables(tables)
    portfolios = table["portfolio"] if "portfolio" in table.column_names else None
    ids = row_ids(fact, table["row_id"], table["content_hash"], portfolios)
    table = table.set_column(table.schema.get_field_index("row_id"), "row_id", ids)
    names = pa.array([source_file], pa.string()).take(pa.nulls(table.num_rows, pa.int64()).fill_null(0))
    return table.append_column("source_file", names).select(schema.names).cast(schema)
