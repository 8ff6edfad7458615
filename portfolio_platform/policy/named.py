"""Finding a policy by what a person calls it: its name, its name and a day, its file, or its hash."""

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from sqlalchemy import select

from portfolio_platform.book import policies as archive
from portfolio_platform.book import schema
from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home
from portfolio_platform.policy.load import default_policy, load_policy, load_version, policy_names
from portfolio_platform.policy.model import Policy
from portfolio_platform.policy.timeline import Version

SHIPPED = "shipped"
LEAST_HASH = 8
_HASH = re.compile(rf"[0-9a-f]{{{LEAST_HASH},64}}")


@dataclass(frozen=True)
class Named:
    """A policy that was found, and how it is called: ``default on 2010-12-31 (default.toml)``."""

    title: str
    policy: Policy
    version: Version | None = None


def find_policy(home: Home, text: str, day: date | None = None) -> Named:
    """Return the policy that a text names.

    Args:
        home: whose policies and book are looked at.
        text: ``NAME`` (the version in force on ``day``), ``NAME@DAY``, ``NAME@LABEL`` (the file of that name), a path that ends in
            ``.toml``, a hash of the archive or its first eight digits or more, or ``shipped``.
        day: the day for a bare name, today where none is given.

    Raises:
        WrongUse: it names nothing, or several.
        DataProblem: the policy that it names cannot be read, or none is in force then.
    """
    names = policy_names(home.policies)
    name, at, label = text.partition("@")
    if text.endswith(".toml"):
        path = _file(home, text)
        if path.parent == home.policies:
            version = load_version(path)
            return Named(path.name, version.policy, version)
        return Named(path.name, load_policy(path))
    if name in names and at:
        return _labelled(home, name, label)
    if text in names:
        return _in_force(home, text, day or home.today)
    if text == SHIPPED:
        return Named("the shipped default", default_policy())
    if _HASH.fullmatch(text):
        return _archived(home, text)
    raise WrongUse(
        f"{text!r} names no policy; give one of {', '.join([*names, SHIPPED])}, one of them at a day ({names[0] if names else 'default'}"
        f"@{home.today}), a file that ends in .toml, or a hash ({LEAST_HASH} digits or more)"
    )


def _file(home: Home, text: str) -> Path:
    path = Path(text).expanduser()
    return home.policies / text if not path.exists() and path.name == text else path.absolute()


def _in_force(home: Home, name: str, day: date) -> Named:
    version = home.timeline(name).on(day)
    return Named(f"{name} on {day} ({version.source})", version.policy, version)


def _labelled(home: Home, name: str, label: str) -> Named:
    try:
        return _in_force(home, name, date.fromisoformat(label))
    except ValueError:
        path = home.policies / f"{name}@{label}.toml"
    if not path.is_file():
        raise WrongUse(f"{label!r} is no day, and {path.name} is not there; write {name}@2010-12-31, or name a file of the policy")
    version = load_version(path)
    return Named(path.name, version.policy, version)


def _archived(home: Home, text: str) -> Named:
    """Return an archived policy, or one of the home's files that was never archived, by the beginning of its hash."""
    with home.book.reading() as connection:
        rows = connection.execute(select(schema.policies.c.hash).where(schema.policies.c.hash.startswith(text, autoescape=True)))
        found = dict.fromkeys(rows.scalars())
        versions = [version for name in policy_names(home.policies) for version in home.timeline(name).versions]
        matching = {version.policy.hash: version for version in versions if version.policy.hash.startswith(text)}
        if len(found.keys() | matching.keys()) > 1:
            raise WrongUse(f"{text!r} begins more than one hash: {', '.join(sorted(found.keys() | matching.keys()))}; give more digits")
        for hashed, version in matching.items():
            return Named(f"{version.source}, hash {hashed[:12]}", version.policy, version)
        for hashed in found:
            held = archive.load(connection, hashed)
            return Named(f"{held.name} archived {held.archived_at[:10]}, hash {hashed[:12]}", Policy.model_validate_json(held.content))
    raise WrongUse(
        f"no policy with a hash that begins with {text!r} is archived in this book, or in the home's files; `portfolio policy history`"
    )
