"""The header of a CSV file: its delimiter, its columns, and which fact it belongs to."""

import csv
import difflib
import re
from dataclasses import dataclass

from portfolio_platform.lake.facts import FACTS, Fact
from portfolio_platform.sources.content import UnreadableFileError

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
EXTRA_COLUMNS = ("revision", "bust")
MAX_HEADER_BYTES = 64 << 10
_SEPARATOR_LINE = re.compile(r'"?sep=(?:.)"?', re.IGNORECASE)


@dataclass(frozen=True)
class Header:
    """The columns of a file in order (stripped, lower case), and where the rows begin (byte offset and line)."""

    names: tuple[str, ...]
    delimiter: str
    start: int
    first_line: int


def _header_line(data: bytes) -> tuple[str, int, int] | None:
    """Return the first line with text in it, the offset after it, and the number of the line after it."""
    position, line = 0, 1
    while position < len(data):
        end = data.find(b"\n", position)
        end = len(data) if end < 0 else end
        raw = data[position : min(end, position + MAX_HEADER_BYTES + 1)]
        if len(raw) > MAX_HEADER_BYTES:
            raise UnreadableFileError("no_header", "has no header: its first line is far too long", "export it as CSV with one header line")
        if b"\0" in raw:
            raise UnreadableFileError("no_header", "is not text: its first line has NUL bytes", "save as UTF-8 CSV")
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            raise UnreadableFileError("no_header", "is not UTF-8 text: its first line cannot be decoded", "save as UTF-8 CSV") from None
        position, line = end + 1, line + 1
        if text.strip() and not _SEPARATOR_LINE.fullmatch(text.strip()):
            return text, position, line
    return None


def _split(line: str, delimiter: str) -> tuple[str, ...] | None:
    try:
        cells = next(csv.reader([line], delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration):
        return None
    return tuple(cell.strip().lower() for cell in cells)


def known_columns(fact: Fact) -> set[str]:
    """Return the names a file of this fact may have."""
    return {column.name for column in fact.columns} | set(EXTRA_COLUMNS)


def required_columns(fact: Fact) -> list[str]:
    """Return the names a file of this fact must have."""
    return [column.name for column in fact.columns if column.required]


def read_header(data: bytes, fact: Fact) -> Header | None:
    """Return the header of a file of `fact`, None where the file has no text at all.

    The delimiter is the comma unless another one gives more columns that the fact knows. Raises `UnreadableFileError` where
    there is no usable header.
    """
    found = _header_line(data)
    if found is None:
        return None
    line, start, first_line = found
    known = known_columns(fact)
    best: tuple[int, tuple[str, ...], str] | None = None
    for delimiter in DELIMITERS:
        names = _split(line, delimiter)
        score = len(known & set(names)) if names else 0
        if names and (best is None or score > best[0]):
            best = score, names, delimiter
    if best is None:
        raise UnreadableFileError("no_header", "has a header with an unclosed quote", "mend the first line")
    header = Header(best[1], best[2], start, first_line)
    _check(header, fact)
    return header


def _check(header: Header, fact: Fact) -> None:
    names = [name for name in header.names if name]
    double = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if double:
        raise UnreadableFileError("double_columns", f"names columns more than once: {_listed(double)}", "keep one column of each name")
    missing = [name for name in required_columns(fact) if name not in names]
    if missing:
        raise UnreadableFileError(
            "missing_columns",
            f"lacks the columns {_listed(missing)}; it has {_listed(names)}",
            f"add them, or rename the file if it holds no {fact.name}",
        )


def _listed(names: list[str], at_most: int = 40) -> str:
    shown = [name if len(name) <= 60 else name[:60] + "…" for name in names[:at_most]]
    return ", ".join(shown) + (f" and {len(names) - at_most} more" if len(names) > at_most else "")


def header_notes(header: Header, fact: Fact) -> list[str]:
    """Return what the user should know: another delimiter, unknown columns, optional columns that are not there."""
    notes = []
    if header.delimiter != ",":
        notes.append(f"its cells are separated by {DELIMITERS[header.delimiter]}; it was read so")
    absent = [column for column in fact.columns if column.name not in header.names]
    unknown = sorted(set(header.names) - known_columns(fact) - {""})
    if unknown:
        said = []
        for name in unknown:
            close = difflib.get_close_matches(name[:60], [column.name for column in absent], 1)
            said.append(f"{name} (did you mean {close[0]}?)" if close else name)
        notes.append(f"unknown columns were ignored: {_listed(said)}")
    if "" in header.names:
        notes.append("columns without a name were ignored")
    if absent:
        said = [f"{column.name} (read as {column.default})" if column.default else column.name for column in absent]
        notes.append(f"optional columns are not there: {_listed(said)}")
    return notes


def recognise(data: bytes) -> str | None:
    """Return the fact whose header this is, None where no fact or more than one comes into question.

    All required columns must be there, at least two columns and half of the header must be known, and of several
    facts the one with the most columns in common is meant; a tie is no answer.
    """
    found = _header_line(data)
    if found is None:
        return None
    scores: dict[str, int] = {}
    for delimiter in DELIMITERS:
        names = set(_split(found[0], delimiter) or ()) - {""}
        for fact in FACTS.values():
            common = len(names & {column.name for column in fact.columns})
            if names.issuperset(required_columns(fact)) and common >= 2 and 2 * common >= len(names):
                scores[fact.name] = max(common, scores.get(fact.name, 0))
    best = [name for name, score in scores.items() if score == max(scores.values())]
    return best[0] if len(best) == 1 else None
