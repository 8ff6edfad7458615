"""Which files to read, and which fact each of them holds."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from portfolio_platform.errors import DataProblem, WrongUse
from portfolio_platform.lake.facts import FACTS
from portfolio_platform.sources.content import UnreadableFileError, load
from portfolio_platform.sources.header import MAX_HEADER_BYTES, recognise
from portfolio_platform.sources.model import SourceFile

_SUFFIX = re.compile(r"(\.csv|\.tsv|\.txt)?(\.gz)?$", re.IGNORECASE)
_SOURCE_NAME = re.compile(r".+\.csv(\.gz)?$", re.IGNORECASE | re.DOTALL)


def fact_of_name(name: str) -> str | None:
    """Return the fact that a file name means: ``fills.csv``, ``fills_2024-05.csv.gz``, ``fills 2.csv`` mean ``fills``."""
    stem = _SUFFIX.sub("", name).lower()
    for fact in sorted(FACTS, key=len, reverse=True):
        if stem.startswith(fact) and not stem[len(fact) : len(fact) + 1].isalpha():
            return fact
    return None


def _fact_of_content(path: Path) -> str | None:
    try:
        return recognise(load(path, limit=2 * MAX_HEADER_BYTES).data)
    except (UnreadableFileError, DataProblem):
        return None


def _listed(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir(), key=lambda item: item.name):
        if _SOURCE_NAME.match(path.name) and not path.name.startswith(".") and path.is_file():
            yield path


def _expanded(path: Path) -> list[Path]:
    try:
        if path.is_dir():
            return list(_listed(path))
        if path.is_file():
            return [path]
        exists = os.path.lexists(path)
    except (OSError, ValueError) as error:
        raise WrongUse(f"{str(path)!r} cannot be read: {error}; check the path and its rights") from error
    if exists:
        raise WrongUse(f"{path} is neither a file nor a folder; name CSV files or a folder of them")
    raise WrongUse(f"{path} does not exist; check the path")


def discover(paths: Sequence[Path]) -> list[SourceFile]:
    """Return the source files behind the paths, each once, in the order given; those of a folder sorted by name.

    A folder gives its ``*.csv`` and ``*.csv.gz``; hidden and unfinished (``.part``, ``.tmp``) files and other names are
    left out, and so are its subfolders. A file whose name says no fact is recognised by its header; where that fails
    its ``fact`` is None, and `WrongUse` is raised if it is the only path given. Raises `WrongUse` for a missing path.
    """
    found: dict[Path, SourceFile] = {}
    for path in paths:
        for file in _expanded(Path(path)):
            key = Path(os.path.realpath(file))
            if key not in found:
                found[key] = _source(file)
                if found[key].fact is None and len(paths) == 1 and not Path(path).is_dir():
                    raise WrongUse(f"{file.name}: {found[key].note}")
    return list(found.values())


def _source(file: Path) -> SourceFile:
    fact = fact_of_name(file.name)
    if fact:
        return SourceFile(file, fact)
    fact = _fact_of_content(file)
    if fact:
        return SourceFile(file, fact, f"it was recognised as {fact} by its header")
    known = ", ".join(f"{name}.csv" for name in FACTS)
    return SourceFile(file, None, f"it was not read: neither its name nor its header says what it holds; name it {known}")
