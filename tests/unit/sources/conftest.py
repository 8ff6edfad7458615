"""Writing small source files and reading them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portfolio_platform.sources.csv_files import read_file
from portfolio_platform.sources.model import ParsedFile, SourceFile

AS_OF_NS = 1_800_000_000_000_000_000  # 2027-01-15T08:00:00Z

Reader = Callable[..., ParsedFile]


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    """Return a function that writes content under a name and reads it as a fact."""

    def _read(fact: str, content: str | bytes, name: str = "", **options: Any) -> ParsedFile:
        path = tmp_path / (name or f"{fact}.csv")
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        parsed = read_file(SourceFile(path, fact), **{"as_of_ns": AS_OF_NS, **options})
        assert parsed.read == parsed.rows.num_rows + sum(1 for item in parsed.rejections if item.source_line)
        return parsed

    return _read


FILLS_HEADER = "execution_id,ts,portfolio,symbol,side,quantity,price"
FILL = ["E1", "2024-05-01T14:30:00Z", "core", "AAPL", "buy", "10", "100.5"]


def fill(**changes: str) -> str:
    """Return the line of a good fill with some cells changed."""
    cells = dict(zip(FILLS_HEADER.split(","), FILL, strict=True)) | changes
    return ",".join(cells.values())


def fills(*lines: str, header: str = FILLS_HEADER) -> str:
    """Return a file of fills."""
    return "\n".join((header, *lines)) + "\n"
