"""Reading policies from TOML files, and the versions of a policy from a folder."""

import re
import tomllib
from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from portfolio_platform.errors import DataProblem, WrongUse
from portfolio_platform.policy.model import DEFAULT_POLICY_FILE, Policy
from portfolio_platform.policy.timeline import Timeline, Version

DATES = ("effective_from", "expires")
"""Keys of a file that say when it is in force. They are no part of the policy, and of its hash."""
_FILE = re.compile(r"(?P<name>[\w-]+)(@(?P<label>[\w.+-]+))?\.toml")


def load_policy(path: Path) -> Policy:
    """Return the policy of a file, whenever it is in force. Raises `DataProblem` that names file, key and rule."""
    return _version(path.name, _read(path), None).policy


def load_version(path: Path) -> Version:
    """Return a version of a policy from ``<name>.toml`` or ``<name>@<anything>.toml``; the file's name is the policy's.

    Raises:
        DataProblem: it is no TOML, a key or value is wrong, or it says another name than its file.
    """
    return _version(path.name, _read(path), _file_name(path))


def load_timeline(folder: Path, name: str) -> Timeline:
    """Return all versions of a policy in a folder.

    Raises:
        WrongUse: the name cannot be one.
        DataProblem: there is no such policy, a file of it is wrong, or its versions contradict each other.
    """
    if not re.fullmatch(r"[\w-]+", name):
        raise WrongUse(f"{name!r} is no name of a policy; use letters, digits, - and _")
    return Timeline(name, tuple(load_version(path) for path in version_files(folder, name)))


def version_files(folder: Path, name: str) -> list[Path]:
    """Return the files of a policy's versions. Raises `DataProblem` where there is none."""
    own = folder / f"{name}.toml"
    found = [*([own] if own.is_file() else []), *sorted(folder.glob(f"{name}@*.toml"))]
    if not found:
        raise DataProblem(f"policy {name}.toml is not there; `portfolio init` writes the default one")
    return found


def policy_names(folder: Path) -> list[str]:
    """Return the names of a folder's policies."""
    return sorted({path.stem.partition("@")[0] for path in folder.glob("*.toml")})


def default_policy() -> Policy:
    """Return the policy that ships with the package."""
    return load_policy(DEFAULT_POLICY_FILE)


def _file_name(path: Path) -> str:
    """Return the name of the policy that a file is of."""
    found = _FILE.fullmatch(path.name)
    if found is None:
        raise DataProblem(
            f"policy {path.name}: a file of policies is called name.toml or name@label.toml, with letters, digits, - and _ in the name, "
            f"and . and + too in the label; rename it"
        )
    return found["name"]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise DataProblem(f"policy {path.name} is not there; `portfolio init` writes the default one") from error
    except UnicodeDecodeError as error:
        raise DataProblem(f"policy {path.name} is no TOML: {error}") from error


@lru_cache(maxsize=128)
def _version(file: str, text: str, name: str | None) -> Version:
    """Return the version in a text; ``name`` is what its file says, None where the file's name says nothing.

    The same text is read once: a build asks for its policies at every stage, and a policy is never changed.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataProblem(f"policy {file} is no TOML: {error}") from error
    effective_from, expires = (_day(file, content, key) for key in DATES)
    if name is not None and content.setdefault("name", name) != name:
        raise DataProblem(
            f"policy {file}: it says name = {content['name']!r}, and its file is of the policy {name!r}; write name = {name!r}, "
            f"or rename the file to {content['name']}.toml"
        )
    try:
        policy = Policy.model_validate(content)
    except ValidationError as error:
        raise DataProblem(f"policy {file}: {'; '.join(fault_texts(error))}") from error
    return Version(policy, effective_from, expires, file)


def fault_texts(error: ValidationError) -> Sequence[str]:
    """Return what is wrong with a policy, each with its key."""
    return [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]


def _day(file: str, content: dict[str, Any], key: str) -> date | None:
    """Take a day out of a file's content."""
    found = content.pop(key, None)
    # a time is a date too in Python, and would be read as its day in silence
    if found is not None and type(found) is not date:
        raise DataProblem(f"policy {file}: {key}: {found!r} is no day; write {key} = 2009-01-01, without quotes and without a time")
    return found
