"""CSV that a spreadsheet opens as text: what would begin a formula is led by an apostrophe, whichever separator the spreadsheet assumes."""

import csv
import io
import re
from collections.abc import Iterable, Sequence

from portfolio_platform.render.text import one_line

_STARTER = re.compile(r"(^|[;,|\t])([\s\u200b\ufeff\"']*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20\u2212])")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def neutral(text: str) -> str:
    """Return text on one line that no spreadsheet takes for a formula: an apostrophe stands before ``= + - @`` at the beginning of a cell.

    That holds also behind ``; , |`` and a tab, where another separator than a comma would begin a cell. A plain number stays as it is.
    """
    safe = one_line(text)
    return safe if _NUMBER.fullmatch(safe) else _STARTER.sub(r"\1\2'", safe)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """Return a table as CSV: comma, every cell in quotes, lines ended by CR and LF, UTF-8."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL)
    writer.writerow(heads)
    writer.writerows([neutral(cell) for cell in row] for row in rows)
    return buffer.getvalue().encode("utf-8")
