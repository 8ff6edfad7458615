"""What reading a source gives: the files found, the typed rows, and the rows set aside with their reasons."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class SourceFile:
    """A file that was found, and the fact it holds; ``fact`` is None where that could not be told (see ``note``)."""

    path: Path
    fact: str | None
    note: str = ""

    @property
    def name(self) -> str:
        """Return the name of the file, without its folder."""
        return self.path.name


@dataclass(frozen=True)
class Fault:
    """One thing wrong with one value or row, in words that follow the value: ``rule`` says what, ``remedy`` what to do.

    ``code`` names the rule without the values in it, so that the same fault has the same identity tomorrow.
    """

    column: str
    code: str
    rule: str
    remedy: str


@dataclass(frozen=True)
class Rejection:
    """One quarantined row, or a whole file (line 0).

    ``row`` is the JSON of the row as read, column to text, and empty for a whole file. ``ts`` (nanoseconds UTC) and
    ``portfolio`` are the row's own where they could be read. ``quarantine_id`` depends on the fact, the row's content,
    the rule and the occurrence in the file, not on the file's name: the same bad row has one id.
    """

    fact: str
    source_file: str
    source_line: int
    column: str
    value: str
    rule: str
    remedy: str
    row: str
    ts: int | None
    portfolio: str | None
    quarantine_id: str

    @property
    def sentence(self) -> str:
        """Return the rejection as one sentence: file, line, column, value, what is wrong; what to do."""
        where = f"{self.source_file} line {self.source_line}" if self.source_line else self.source_file
        what = " ".join(part for part in (self.column, self.value, self.rule) if part)
        return f"{where}: {what}; {self.remedy}"


@dataclass(frozen=True)
class ParsedFile:
    """What one file gave.

    ``rows`` has the fact's own columns, typed as declared, then ``row_id``, ``revision``, ``bust``, ``content_hash``,
    ``source_file``, ``source_line``, in the order of the file. ``read`` counts rows: it equals ``rows.num_rows`` plus
    the rejections with a line. ``notes`` are sentences for the user.
    """

    fact: str | None
    source_file: str
    rows: "pa.Table"
    read: int
    rejections: tuple[Rejection, ...]
    notes: tuple[str, ...]
