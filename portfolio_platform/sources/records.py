"""From text bytes to rows of cells with their line numbers; rows of a wrong shape are told apart. No types here.

Three ways, each on one block of the file, the same result: Arrow's reader where there are no quotes, the csv module
where every row is one line of the right length, and else line by line, which alone can tell what is wrong.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from portfolio_platform.sources.header import Header
from portfolio_platform.sources.model import Fault

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_BYTES = 4 << 20
MAX_LINE_BYTES = 1 << 20
MAX_ROW_LINES = 100
MAX_ROW_CHARACTERS = 32 << 10

_FEW = "restore the missing cells; an empty cell still needs its {delimiter}"
_MANY = "put cells that contain a {delimiter} in double quotes"
_QUOTE = "close the quote, and write a quote inside a quoted cell twice"
_CUT = "get the file again from its source, complete"


@dataclass(frozen=True)
class BadLine:
    """A line that is no row: where, what is wrong, and its cells or text by column name."""

    line: int
    fault: Fault
    cells: dict[str, str]


@dataclass(frozen=True)
class Block:
    """Rows of a stretch of the file: the first line of each (int64), its cells column by column, and the bad lines.

    ``blank`` counts the empty lines that are left out; a blank line may as well be a row whose cells are all empty.
    """

    lines: "pa.Array"
    columns: "list[pa.Array]"
    bad: list[BadLine]
    ends_without_newline: bool = False
    blank: int = 0


def read_blocks(data: bytes, header: Header, free_text: Sequence[str], *, cut: bool = False) -> Iterator[Block]:
    """Yield the rows of a file, block by block, in order.

    ``free_text`` names the columns whose quoted cells may contain line breaks. With ``cut`` the text is known to end in
    the middle, and an unfinished last line is a bad line whatever it looks like.
    """
    position, line, end = header.start, header.first_line, len(data)
    careful = _LineByLine(data, header, free_text, cut)
    while position < end:
        stop = data.find(b"\n", position + BLOCK_BYTES) + 1 or end
        block = data[position:stop]
        block_lines = block.count(b"\n")
        unfinished = not block.endswith(b"\n")
        columns = None
        if not (cut and unfinished) and len(block) < BLOCK_BYTES + MAX_LINE_BYTES and b"\0" not in block:
            rows = block_lines + unfinished
            columns = _by_csv(block, header, rows) if b'"' in block else _by_arrow(block, header, rows)
        if columns is not None:
            yield Block(_line_numbers(line, len(columns[0])), columns, [], unfinished)
            position, line = stop, line + block_lines
        else:
            result, position, line = careful.read(position, stop, line)
            yield result


def _line_numbers(first: int, count: int) -> "pa.Array":
    import numpy as np
    import pyarrow as pa

    return pa.array(np.arange(first, first + count, dtype=np.int64))


def _by_arrow(block: bytes, header: Header, rows: int) -> "list[pa.Array] | None":
    """Read a block without quotes, or return None where a line has not the right number of cells or is no UTF-8."""
    import pyarrow as pa
    import pyarrow.csv as arrow_csv

    names = [str(number) for number in range(len(header.names))]
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(block),
            read_options=arrow_csv.ReadOptions(use_threads=False, block_size=len(block) + 1, column_names=names),
            parse_options=arrow_csv.ParseOptions(delimiter=header.delimiter, quote_char=False, ignore_empty_lines=False),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, check_utf8=True
            ),
        )
    except pa.ArrowInvalid:
        return None
    return [_one(column) for column in table.columns] if table.num_rows == rows else None


def _one(column: "pa.ChunkedArray") -> "pa.Array":
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _by_csv(block: bytes, header: Header, rows: int) -> "list[pa.Array] | None":
    """Read a block with quotes, or return None where a row is not exactly one line of the right number of cells."""
    import pyarrow as pa

    width = len(header.names)
    try:
        lines = block.decode().split("\n")
        if not lines[-1]:
            lines.pop()
        cells = list(csv.reader(lines, delimiter=header.delimiter, strict=True))
    except (UnicodeDecodeError, csv.Error):
        return None
    if len(cells) != rows or any(len(row) != width for row in cells):
        return None
    return [pa.array(column, pa.string()) for column in zip(*cells, strict=True)]


class _LineByLine:
    """Reads one row at a time, and goes on at the next line after one that cannot be a row."""

    def __init__(self, data: bytes, header: Header, free_text: Sequence[str], cut: bool) -> None:
        self.data, self.header, self.cut = data, header, cut
        self.width = len(header.names)
        self.free = {index for index, name in enumerate(header.names) if name in free_text}

    def read(self, position: int, stop: int, line: int) -> tuple[Block, int, int]:
        """Read the rows that begin before `stop`; return them, and the offset and line to go on at."""
        import pyarrow as pa

        numbers: list[int] = []
        rows: list[list[str]] = []
        bad: list[BadLine] = []
        unfinished, blank = False, 0
        while position < stop:
            row, after, lines = self._row(position, line)
            if isinstance(row, BadLine):
                bad.append(row)
            elif row is None:
                blank += 1
            else:
                rows.append(row)
                numbers.append(line)
                unfinished = after > len(self.data)
            position, line = after, line + lines
        columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
        columns = columns or [pa.array([], pa.string())] * self.width
        return Block(pa.array(numbers, pa.int64()), columns, bad, unfinished, blank), position, line

    def _line(self, position: int) -> tuple[bytes, int]:
        end = self.data.find(b"\n", position)
        end = len(self.data) if end < 0 else end
        return self.data[position : min(end, position + MAX_LINE_BYTES + 1)], end + 1

    def _row(self, position: int, line: int) -> tuple[list[str] | BadLine | None, int, int]:
        """Return the row at `position` (None for an empty line), the offset after it, and how many lines it has."""
        raw, after = self._line(position)
        unfinished = after > len(self.data)
        fault = self._unreadable(raw)
        if fault is None and self.cut and unfinished:
            fault = Fault("", "cut", "is cut in the middle: the compressed file ends here", _CUT)
        if fault:
            return _bad_text(line, fault, raw), after, 1
        text = raw.decode()
        if not text.strip():
            return None, after, 1
        if '"' not in text:
            cells = text.split(self.header.delimiter)
            return (cells if len(cells) == self.width else self._misshapen(line, cells, unfinished)), after, 1
        return self._quoted(text, position, after, line)

    def _unreadable(self, raw: bytes) -> Fault | None:
        if len(raw) > MAX_LINE_BYTES:
            return Fault("", "long_line", f"is longer than {MAX_LINE_BYTES:,} bytes", "look at the file: a row is one line")
        if b"\0" in raw:
            return Fault("", "nul", "has NUL bytes", "export the file again; it was damaged or is no text")
        try:
            raw.decode()
        except UnicodeDecodeError as error:
            seen = raw[error.start : error.start + 1].hex()
            return Fault("", "not_utf8", f"has a byte that is not UTF-8 (0x{seen} at position {error.start + 1})", "save as UTF-8")
        return None

    def _quoted(self, text: str, position: int, after: int, line: int) -> tuple[list[str] | BadLine, int, int]:
        offsets: list[int] = []
        reader = csv.reader(self._lines_from(position, offsets), delimiter=self.header.delimiter, strict=True)
        try:
            cells = next(reader)
        except (csv.Error, UnicodeDecodeError, StopIteration):
            cells = None
        lines = len(offsets)
        if cells is not None and lines > 1 and not self._may_span(cells, position, lines):
            cells = None
        if cells is None:
            unfinished = after > len(self.data)
            fault = Fault("", "quote", "has a quote that is not closed, or text after a closing quote", _QUOTE)
            if unfinished:
                fault = Fault("", "cut", "is cut in the middle: it is the last line and its quote is not closed", _CUT)
            return _bad_text(line, fault, text.encode()), after, 1
        if len(cells) != self.width:
            return self._misshapen(line, cells, offsets[-1] > len(self.data)), offsets[-1], lines
        return cells, offsets[-1], lines

    def _lines_from(self, position: int, offsets: list[int]) -> Iterator[str]:
        """Yield lines with their newlines, noting the offset after each; stop where a row would be too long."""
        characters = 0
        while position < len(self.data) and len(offsets) < MAX_ROW_LINES and characters < MAX_ROW_CHARACTERS:
            raw, position = self._line(position)
            if self._unreadable(raw):
                return
            offsets.append(position)
            text = raw.decode()
            characters += len(text)
            yield text + "\n"

    def _may_span(self, cells: list[str], position: int, lines: int) -> bool:
        """Whether a row over several lines is meant, and is not a forgotten quote that swallowed the rows after it."""
        if len(cells) != self.width or any("\n" in cell for index, cell in enumerate(cells) if index not in self.free):
            return False
        following = islice(self._lines_from(position, []), 1, lines)
        return all(text.count(self.header.delimiter) < self.width - 1 for text in following)

    def _misshapen(self, line: int, cells: list[str], unfinished: bool) -> BadLine:
        delimiter = {"\t": "tab"}.get(self.header.delimiter, self.header.delimiter)
        few = len(cells) < self.width
        rule = f"has {len(cells)} cell{'s' if len(cells) > 1 else ''} where the header has {self.width}"
        if few and unfinished:
            fault = Fault("", "cut", f"is cut in the middle: it is the last line and {rule}", _CUT)
        else:
            fault = Fault("", "few_cells" if few else "many_cells", rule, (_FEW if few else _MANY).format(delimiter=delimiter))
        names = [name or f"(column {number})" for number, name in enumerate(self.header.names, 1)]
        names += [f"(cell {number})" for number in range(self.width + 1, len(cells) + 1)]
        return BadLine(line, fault, dict(zip(names, cells, strict=False)))


def _bad_text(line: int, fault: Fault, raw: bytes) -> BadLine:
    return BadLine(line, fault, {"(line)": raw.decode("utf-8", "backslashreplace")})
