"""The file of a backup: a plain tar whose members are compressed each by itself, a manifest first and a seal last.

The manifest names every member with its size and SHA-256; the seal is the SHA-256 of the manifest. Reading verifies all of
it before anything is handed out. Only names that are known here are ever read, and none of them is used as a path.
"""

import hashlib
import io
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ConfigDict, ValidationError

from portfolio_platform.errors import DataProblem, WrongUse

FORMAT = 1
MANIFEST, SEAL = "manifest.json", "manifest.sha256"
CHUNK = 1 << 20
LARGEST_MANIFEST = 16 << 20
_MEMBER = re.compile(
    r"book/[a-z_]+\.jsonl\.gz|lake/[a-z_]+\.parquet|home/(clock|span)\.json|home/(channels\.toml|checkpoints\.jsonl|checkpoint\.key|control\.token)|home/policies/[\w-]+(@[\w.+-]+)?\.toml"
    r"|home/orchestrator/[\w-]+\.(json|md|toml)"
)
Report = Callable[[str], None]


class Member(BaseModel):
    """A file within the backup: its name, its size in bytes, its SHA-256, and its rows where it holds a table."""

    model_config = ConfigDict(frozen=True)

    name: str
    size: int
    sha256: str
    rows: int | None = None


class Manifest(BaseModel):
    """What a backup holds, and of which versions of code and schemas it is."""

    model_config = ConfigDict(frozen=True)

    format: int
    made_at: datetime
    code_version: str
    book_version: str
    book_kind: str
    events: int
    chain_head: str
    derived: bool
    secrets: bool
    members: tuple[Member, ...]

    def named(self, folder: str) -> dict[str, Member]:
        """Return the members of a folder, by their name without folder and endings."""
        found = [member for member in self.members if member.name.startswith(f"{folder}/")]
        return {member.name.removeprefix(f"{folder}/").partition(".")[0]: member for member in found}


@dataclass(frozen=True)
class Staged:
    """A member that waits to be written: a nameless temporary file, which vanishes with the process."""

    name: str
    content: IO[bytes]
    rows: int | None = None

    def described(self) -> Member:
        """Return the member as the manifest names it."""
        size = self.content.seek(0, os.SEEK_END)
        self.content.seek(0)
        digest = hashlib.file_digest(self.content, "sha256").hexdigest()  # type: ignore[arg-type]
        return Member(name=self.name, size=size, sha256=digest, rows=self.rows)


def write(target: Path, manifest: Manifest, staged: Sequence[Staged], *, overwrite: bool) -> int:
    """Write a backup beside its target, bring it to the disk, and give it its name; return its size in bytes.

    Raises:
        WrongUse: the target has appeared meanwhile and may not be overwritten.
    """
    text = manifest.model_dump_json(indent=1).encode()
    part = part_of(target)
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                _add(tar, MANIFEST, io.BytesIO(text), len(text), manifest.made_at)
                for item, member in zip(staged, manifest.members, strict=True):
                    item.content.seek(0)
                    _add(tar, member.name, item.content, member.size, manifest.made_at)
                seal = hashlib.sha256(text).hexdigest().encode()
                _add(tar, SEAL, io.BytesIO(seal), len(seal), manifest.made_at)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        if target.exists() and not overwrite:
            raise WrongUse(f"{target} is there already; name another file, or give --force")
        part.replace(target)
        _sync_folder(target.parent)
        return size
    finally:
        part.unlink(missing_ok=True)


def _add(tar: tarfile.TarFile, name: str, content: IO[bytes], size: int, at: datetime) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o600, int(at.timestamp())
    tar.addfile(info, content)


def part_of(target: Path) -> Path:
    """Return where this process keeps what becomes a target: beside it, hidden, and known to the next backup if this one is killed."""
    return target.with_name(f".{target.name}.{os.getpid()}.part")


def remove_leftovers(target: Path) -> None:
    """Remove what backups to the same target left that were killed."""
    for path in target.parent.glob(f".{target.name}.*.part"):
        number = path.name.removesuffix(".part").rpartition(".")[2]
        if number.isdigit() and not _lives(int(number)):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _sync_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk, where the system lets a folder be opened."""
    try:
        number = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(number)
    finally:
        os.close(number)


def temporary(beside: Path) -> IO[bytes]:
    """Return a nameless temporary file on the disk of a target."""
    return tempfile.TemporaryFile(dir=beside.parent)


class Archive:
    """A backup whose every byte was verified."""

    def __init__(self, tar: tarfile.TarFile, manifest: Manifest) -> None:
        """Keep the open file and what it says it holds."""
        self._tar = tar
        self.manifest = manifest

    def open(self, member: Member) -> IO[bytes]:
        """Return the content of a member."""
        content = self._tar.extractfile(member.name)
        if content is None:
            raise DataProblem(f"the backup has no {member.name}; take another one")
        return content


@contextmanager
def verified(path: Path, report: Report = lambda text: None) -> Iterator[Archive]:
    """Open a backup after comparing all of it with its manifest.

    Raises:
        WrongUse: there is no such file.
        DataProblem: it is no backup, was cut off, is damaged, holds what does not belong there, or is of a newer version.
    """
    if not path.is_file():
        raise WrongUse(f"there is no file {path}; name a backup that `portfolio backup` made")
    with path.open("rb") as file:
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                manifest = _verify(tar, path.name, report)
                yield Archive(tar, manifest)
        except tarfile.TarError as error:
            raise DataProblem(f"{path.name} is no backup, or was cut off ({error}); take another one") from error


def _verify(tar: tarfile.TarFile, name: str, report: Report) -> Manifest:
    first = tar.next()
    if first is None or first.name != MANIFEST or not first.isreg() or first.size > LARGEST_MANIFEST:
        raise DataProblem(f"{name} is no backup of a home: it does not begin with a manifest")
    text = _content(tar, first).read()
    manifest = _manifest(text, name)
    expected, seen = {member.name: member for member in manifest.members}, {MANIFEST}
    while (info := tar.next()) is not None:
        if not info.isreg() or info.name in seen or (info.name != SEAL and info.name not in expected):
            raise DataProblem(f"{name} holds {info.name!r}, which its manifest does not name as a file; do not use it")
        seen.add(info.name)
        report(f"verifying {info.name}")
        content = _content(tar, info)
        digest = hashlib.sha256()
        while piece := content.read(CHUNK):
            digest.update(piece)
        if info.name == SEAL:
            content.seek(0)
            _same(content.read(CHUNK).decode("ascii", "replace"), hashlib.sha256(text).hexdigest(), MANIFEST, name)
        else:
            _same(digest.hexdigest(), expected[info.name].sha256, info.name, name)
    missing = sorted({*expected, SEAL} - seen)
    if missing:
        raise DataProblem(f"{name} was cut off: {len(missing)} of its files are missing, the first {missing[0]}; take another one")
    return manifest


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(info)
    assert content is not None, "a regular file has content"
    return content


def _same(found: str, expected: str, member: str, name: str) -> None:
    if found != expected:
        raise DataProblem(f"{name} is damaged: {member} does not have the hash that was recorded; take another one")


def _manifest(text: bytes, name: str) -> Manifest:
    from portfolio_platform.book.schema import VERSION
    from portfolio_platform.version import __version__

    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        raise DataProblem(f"{name}: its manifest cannot be read; it is damaged, or of a newer version than {__version__}") from error
    newer = manifest.format > FORMAT or manifest.book_version > VERSION or version_key(manifest.code_version) > version_key(__version__)
    if newer:
        raise DataProblem(
            f"{name} was made by version {manifest.code_version} (book {manifest.book_version}), this is {__version__} (book {VERSION}); "
            f"upgrade the package portfolio-platform"
        )
    wrong = [member.name for member in manifest.members if not _MEMBER.fullmatch(member.name)]
    if wrong or len({member.name for member in manifest.members}) < len(manifest.members):
        raise DataProblem(f"{name}: its manifest names {(wrong or ['a file twice'])[0]!r}, which no backup holds; do not use it")
    return manifest


def version_key(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, by which versions order."""
    return tuple(int(number) for number in re.findall(r"\d+", version.partition("+")[0])[:3])
