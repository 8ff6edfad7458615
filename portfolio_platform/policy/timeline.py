"""The versions of a policy in time: which of them is in force on a day. Pure.

In force is the version that began last. One that has expired is not replaced by an earlier one: that one was superseded on purpose,
and limits that nobody set for today are none. `docs/decisions/0015-policies-in-time.md` says why.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from itertools import pairwise

from portfolio_platform.canonical import canonical_bytes, content_hash
from portfolio_platform.errors import DataProblem
from portfolio_platform.policy.model import AccountingPolicy, Policy

ONE_DAY = timedelta(days=1)


class NoPolicyInForce(DataProblem):
    """No version of a policy is in force on a day: the text says since when, and what to write."""


@dataclass(frozen=True)
class Version:
    """A policy, and the days for which it was written.

    Attributes:
        policy: what it says. Its hash covers limits, name and version, not these days.
        effective_from: first day on which it is in force, UTC; None: from the beginning.
        expires: last day on which it is; None: until another begins.
        source: the file that it is in.
    """

    policy: Policy
    effective_from: date | None = None
    expires: date | None = None
    source: str = ""

    @property
    def begins(self) -> date:
        """Return its first day; the first of all days where it has none."""
        return self.effective_from or date.min

    @property
    def label(self) -> str:
        """Return how messages name it: its file, or its version."""
        return self.source or f"version {self.policy.version}"


@dataclass(frozen=True)
class Timeline:
    """The versions of one policy, by the day on which each begins. Raises `DataProblem` where they contradict each other."""

    name: str
    versions: tuple[Version, ...]

    def __post_init__(self) -> None:
        """Put the versions in order and refuse those that cannot stand beside each other."""
        ordered = tuple(sorted(self.versions, key=lambda version: (version.begins, version.source)))
        object.__setattr__(self, "versions", ordered)
        if not ordered:
            raise DataProblem(f"policy {self.name!r} has no version; write policies/{self.name}.toml")
        for version in ordered:
            _check_alone(self.name, version)
        for earlier, later in pairwise(ordered):
            _check_beside(self.name, earlier, later)

    @classmethod
    def always(cls, policy: Policy, source: str = "") -> "Timeline":
        """Return the timeline of a policy that is in force on every day."""
        return cls(policy.name, (Version(policy, source=source),))

    def on(self, day: date) -> Version:
        """Return the version in force on a day. Raises `NoPolicyInForce` with the remedy where there is none."""
        begun = [version for version in self.versions if version.begins <= day]
        if not begun:
            first = self.versions[0]
            raise NoPolicyInForce(
                f"policy {self.name!r} is not in force on {day}: its oldest version, {first.label}, begins on {first.effective_from}; "
                f"take effective_from out of it, or write policies/{self.name}@before.toml for the days before"
            )
        newest = begun[-1]
        if newest.expires is not None and newest.expires < day:
            after = newest.expires + ONE_DAY
            raise NoPolicyInForce(
                f"policy {self.name!r} is not in force on {day}: {newest.label} expired on {newest.expires}, and no later version has "
                f"begun; move `expires` in it, or write policies/{self.name}@{after}.toml with effective_from = {after}"
            )
        return newest

    def last_begun(self, day: date) -> Version:
        """Return the version that began last, expired or not, else the oldest: for what must be told in any case, never for a limit."""
        return next((version for version in reversed(self.versions) if version.begins <= day), self.versions[0])

    def until(self, day: date) -> "Timeline":
        """Return the timeline without what begins after a day: what days up to it rest on."""
        begun = tuple(version for version in self.versions if version.begins <= day)
        return self if len(begun) in (0, len(self.versions)) else Timeline(self.name, begun)

    def instead(self, policy: Policy, first: date, last: date) -> "Timeline":
        """Return the timeline with another policy in force from ``first`` to ``last``, and everything else as it is."""
        before = tuple(version for version in self.versions if version.begins < first)
        given = Version(policy, first, source=f"{policy.name} instead")
        after = tuple(version for version in self.versions if version.begins > last + ONE_DAY)
        try:
            back = self.on(last + ONE_DAY)
        except NoPolicyInForce:
            back = Version(policy, first, last, given.label)
            return Timeline(self.name, (*before, back, *after))
        return Timeline(self.name, (*before, given, Version(back.policy, last + ONE_DAY, back.expires, back.source), *after))

    @property
    def newest(self) -> Version:
        """Return the version that begins last."""
        return self.versions[-1]

    @property
    def accounting(self) -> AccountingPolicy:
        """Return the convention of the accounting, which is one for all versions."""
        return self.newest.policy.accounting

    @property
    def changes(self) -> tuple[date, ...]:
        """Return the days on which something else is in force than the day before, ascending."""
        begins = {version.effective_from for version in self.versions if version.effective_from is not None}
        ends = {version.expires + ONE_DAY for version in self.versions if version.expires is not None and version.expires < date.max}
        return tuple(sorted(begins | ends))

    @cached_property
    def hash(self) -> str:
        """Return a hash of all versions and of their days."""
        told = [
            {"effective_from": _text(version.effective_from), "expires": _text(version.expires), "policy": version.policy.hash}
            for version in self.versions
        ]
        return content_hash(canonical_bytes({"name": self.name, "versions": told}))


def changes_of(timelines: Iterable[Timeline]) -> tuple[date, ...]:
    """Return the days on which any of some timelines changes, ascending."""
    return tuple(sorted({day for timeline in timelines for day in timeline.changes}))


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _check_alone(name: str, version: Version) -> None:
    if version.expires is not None and version.expires < version.begins:
        raise DataProblem(
            f"policy {name!r}: {version.label} expires on {version.expires}, before it begins on {version.effective_from}; "
            f"`expires` is the last day on which it is in force"
        )


def _check_beside(name: str, earlier: Version, later: Version) -> None:
    """Refuse two versions, one after the other in order, that leave it open what is in force, or what was earned."""
    if earlier.begins == later.begins:
        when = f"on {later.effective_from}" if later.effective_from else "from the beginning on"
        raise DataProblem(
            f"policy {name!r}: {earlier.label} and {later.label} both begin {when}; give one of them another effective_from, or delete it"
        )
    if earlier.expires is not None and earlier.expires + ONE_DAY < later.begins:
        raise DataProblem(
            f"policy {name!r}: nothing is in force from {earlier.expires + ONE_DAY} to {later.begins - ONE_DAY}, between {earlier.label} "
            f"and {later.label}; move `expires` of the first to {later.begins - ONE_DAY} (or delete it), or effective_from of the second"
        )
    if earlier.policy.accounting != later.policy.accounting:
        pairs = zip(earlier.policy.accounting, later.policy.accounting, strict=True)
        other = ", ".join(f"accounting.{key} is {one!r} and {two!r}" for (key, one), (_, two) in pairs if one != two)
        raise DataProblem(
            f"policy {name!r}: {earlier.label} and {later.label} account differently ({other}); a track record keeps one convention, "
            f"so give every version the same [accounting]: everything is then built again under it"
        )
