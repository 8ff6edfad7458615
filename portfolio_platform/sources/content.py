"""From a path to UTF-8 text bytes with plain newlines: gzip, limits on its size, encodings. No CSV here."""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from portfolio_platform.errors import DataProblem
from portfolio_platform.sources.model import Fault

MAX_TEXT_BYTES = 1 << 30
"""A file may not be larger than this once decompressed."""
MAX_EXPANSION = 200
"""A compressed file may not grow by more than this factor..."""
EXPANSION_FREE_BYTES = 64 << 20
"""...beyond this size."""
READ_BYTES = 1 << 20

GZIP_MAGIC = b"\x1f\x8b"
FOREIGN_MAGIC = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"PAR1": "a Parquet file",
    b"%PDF": "a PDF document",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"\x28\xb5\x2f\xfd": "a zstd file",
}


@dataclass(frozen=True)
class Content:
    """The text of a file: UTF-8 (bytes that are not are left in place), lines end with LF.

    ``cut`` says that the compressed file ended early.
    """

    data: bytes
    notes: tuple[str, ...] = ()
    cut: bool = False


class UnreadableFileError(Exception):
    """The whole file cannot be used; carries the fault."""

    def __init__(self, code: str, rule: str, remedy: str) -> None:
        super().__init__(rule)
        self.fault = Fault("", code, rule, remedy)


def load(path: Path, limit: int | None = None) -> Content:
    """Return the text of a file, decompressed where its first bytes say gzip, whatever its name.

    With ``limit`` only about that many bytes of the beginning. Raises `UnreadableFileError` where the file is no text or too
    large, and `DataProblem` where the operating system does not let us read it.
    """
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            magic = file.read(8)
            file.seek(0)
            if magic.startswith(GZIP_MAGIC):
                data, notes, cut = _gunzip(file, size, limit)
            else:
                data, notes, cut = _plain(file, path, magic, limit)
    except OSError as error:
        raise DataProblem(f"{path.name} cannot be read: {error.strerror or error}; check the path and its rights") from error
    data, encoding_notes = _to_utf8(data)
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
        if b"\n" not in data:
            data = data.replace(b"\r", b"\n")
    return Content(data, tuple(notes + encoding_notes), cut)


def _plain(file: IO[bytes], path: Path, magic: bytes, limit: int | None) -> tuple[bytes, list[str], bool]:
    for start, what in FOREIGN_MAGIC.items():
        if magic.startswith(start):
            raise UnreadableFileError("not_csv", f"is {what}, not CSV", "export it as CSV (UTF-8, comma)")
    data = file.read(min(MAX_TEXT_BYTES + 1, limit or MAX_TEXT_BYTES + 1))
    if len(data) > MAX_TEXT_BYTES:
        raise _too_large()
    named_gz = path.name.lower().endswith(".gz")
    return data, ["it is named .gz but is not compressed; it was read as plain CSV"] if named_gz and data else [], False


def _too_large() -> UnreadableFileError:
    return UnreadableFileError(
        "too_large",
        f"holds more than {MAX_TEXT_BYTES >> 20:,} MiB of text",
        "split it by month and import the parts",
    )


def _gunzip(file: IO[bytes], size: int, limit: int | None) -> tuple[bytes, list[str], bool]:
    """Decompress all members of a gzip file, stopping as soon as a limit is passed."""
    text, notes, at_most = bytearray(), list[str](), max(MAX_EXPANSION * size, EXPANSION_FREE_BYTES)
    stream, pending = zlib.decompressobj(wbits=31), b""
    while limit is None or len(text) < limit:
        pending = pending or file.read(READ_BYTES)
        try:
            piece = stream.decompress(pending, READ_BYTES)  # with no input left it may still hold output back
        except zlib.error:
            raise UnreadableFileError(
                "damaged_gzip", "is a damaged gzip file: its content does not match its checksum", "get the file again from its source"
            ) from None
        if not (pending or piece or stream.eof):
            return bytes(text), [*notes, "the compressed file ends early: it was cut, so rows may be missing"], True
        text += piece
        if len(text) > MAX_TEXT_BYTES:
            raise _too_large()
        if len(text) > at_most:
            raise UnreadableFileError(
                "expansion",
                f"grows more than {MAX_EXPANSION} times when decompressed, as no ledger does",
                "decompress it yourself, look at it, and import the CSV",
            )
        pending = stream.unconsumed_tail
        if stream.eof:
            pending = (stream.unused_data or file.read(READ_BYTES)).lstrip(b"\0")
            if not pending:
                break
            pending += file.read(1) if len(pending) == 1 else b""
            if not pending.startswith(GZIP_MAGIC):
                notes.append("bytes after the end of the compressed data were ignored")
                break
            stream = zlib.decompressobj(wbits=31)
    return bytes(text), notes, False


def _to_utf8(data: bytes) -> tuple[bytes, list[str]]:
    if data.startswith(b"\xef\xbb\xbf"):
        return data[3:], []
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        odd = len(data) % 2
        text = data[: len(data) - odd].decode("utf-16", "surrogatepass")
        # A lone surrogate or half a character becomes a byte that is not UTF-8, so that its line is set aside.
        return text.encode("utf-8", "surrogatepass") + b"\xff" * odd, ["it is UTF-16; it was read as such"]
    return data, []
