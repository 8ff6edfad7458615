"""Which policy each portfolio has, and on which days. Accounting is the default policy's for all: a track record keeps one convention."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from portfolio_platform.canonical import canonical_bytes, content_hash
from portfolio_platform.home import Home
from portfolio_platform.policy.model import Policy
from portfolio_platform.policy.timeline import NoPolicyInForce, Timeline, Version, changes_of

NONE = "-"
"""What a trail says of days on which no policy is in force."""


@dataclass(frozen=True)
class Assigned:
    """The policies in force on a day: the default, and those of the portfolios that name another."""

    default: Policy
    by_portfolio: dict[str, Policy] = field(default_factory=dict)
    live: frozenset[str] = frozenset()

    def of(self, portfolio: str) -> Policy:
        """Return the policy of a portfolio."""
        return self.by_portfolio.get(portfolio, self.default)

    def on(self, day: date) -> "Assigned":
        """Return these policies: they are in force on every day that they are asked about."""
        del day
        return self

    @property
    def hash(self) -> str:
        """Return a hash of all policies in use and of who has which."""
        others = {name: policy.hash for name, policy in self.by_portfolio.items()}
        return content_hash(canonical_bytes({"default": self.default.hash, "others": others, "live": sorted(self.live)}))


@dataclass(frozen=True)
class Part:
    """A stretch of days, both included, on which the same policies are in force."""

    first: date
    until: date
    policies: Assigned


@dataclass(frozen=True)
class PoliciesInTime:
    """The policies of a home's portfolios on every day. Who has which policy, and who is live, is what it is now."""

    default: Timeline
    by_portfolio: dict[str, Timeline] = field(default_factory=dict)
    live: frozenset[str] = frozenset()

    def timeline(self, portfolio: str) -> Timeline:
        """Return the versions of a portfolio's policy."""
        return self.by_portfolio.get(portfolio, self.default)

    def version(self, portfolio: str, day: date) -> Version:
        """Return the version in force for a portfolio on a day. Raises `NoPolicyInForce`."""
        return self.timeline(portfolio).on(day)

    def of(self, portfolio: str, day: date) -> Policy:
        """Return the policy in force for a portfolio on a day. Raises `NoPolicyInForce`."""
        return self.version(portfolio, day).policy

    def on(self, day: date) -> Assigned:
        """Return the policies in force on a day. Raises `NoPolicyInForce` where a portfolio has none."""
        named = {portfolio: timeline.on(day).policy for portfolio, timeline in self.by_portfolio.items()}
        return Assigned(self.default.on(day).policy, named, self.live)

    def parts(self, first: date, until: date) -> list[Part]:
        """Return a range of days, cut where other policies begin. Raises `NoPolicyInForce` where a day has none."""
        begins = [first, *(day for day in changes_of(self.timelines) if first < day <= until)]
        ends = [*(day - timedelta(days=1) for day in begins[1:]), until]
        return [Part(begin, end, self.on(begin)) for begin, end in zip(begins, ends, strict=True)]

    @property
    def timelines(self) -> Sequence[Timeline]:
        """Return the timelines in use, each once: the default, then by name."""
        others = {(timeline.name, timeline.hash): timeline for timeline in self.by_portfolio.values()}
        own = self.default.name, self.default.hash
        return [self.default, *(others[key] for key in sorted(others) if key != own)]

    @property
    def newest(self) -> Assigned:
        """Return the version of each policy that begins last: for the accounting, which is the same in all."""
        named = {portfolio: timeline.newest.policy for portfolio, timeline in self.by_portfolio.items()}
        return Assigned(self.default.newest.policy, named, self.live)

    @property
    def trail(self) -> str:
        """Return what a build under these policies rests on: the hash of each stretch of days, and where it begins.

        `HASH DAY:HASH ...`, the first from the beginning on; `lake.progress.first_other_day` says where two of them differ.
        """
        stretches = [self._hash_on(date.min), *(f"{day}:{self._hash_on(day)}" for day in changes_of(self.timelines))]
        return " ".join(stretches)

    def told(self, day: date) -> dict[str, object]:
        """Return the hashes that something of a day rests on, as provenance has them.

        ``default`` and ``by_portfolio`` are those in force on the day. Where others were in force before, what is carried over
        from earlier days rests on those: ``in_time`` then names all that had begun, by name, as pairs of first day and hash.
        """
        assigned, begun = self.on(day), [timeline.until(day) for timeline in self.timelines]
        named = {name: policy.hash for name, policy in assigned.by_portfolio.items()}
        found: dict[str, object] = {"default": assigned.default.hash, "by_portfolio": named}
        if any(len(timeline.versions) > 1 for timeline in begun):
            found["in_time"] = {
                ("default" if place == 0 else timeline.name): [
                    [None if version.effective_from is None else version.effective_from.isoformat(), version.policy.hash]
                    for version in timeline.versions
                ]
                for place, timeline in enumerate(begun)
            }
        return found

    def begun(self, day: date) -> list[Policy]:
        """Return every policy that had begun by a day, each once: what has to be archived for something of that day."""
        versions = (version for timeline in self.timelines for version in timeline.until(day).versions)
        return list({version.policy.hash: version.policy for version in versions}.values())

    def _hash_on(self, day: date) -> str:
        try:
            return self.on(day).hash
        except NoPolicyInForce:
            return NONE


def policies_in_time(home: Home) -> PoliciesInTime:
    """Return the policies of a home's portfolios on every day, as its `portfolios` fact assigns them."""
    from portfolio_platform.lake import active
    from portfolio_platform.lake.facts import PORTFOLIOS

    if home.given_policies is not None:
        return home.given_policies
    rows = active.read(home.lake, PORTFOLIOS, ("portfolio", "policy", "mode")).to_pylist()
    timelines = {name: home.timeline(name) for name in sorted({row["policy"] for row in rows} - {"default"})}
    named = {row["portfolio"]: timelines[row["policy"]] for row in rows if row["policy"] in timelines}
    return PoliciesInTime(home.timeline(), named, frozenset(row["portfolio"] for row in rows if row["mode"] == "live"))


def assigned_policies(home: Home, day: date | None = None) -> Assigned:
    """Return the policies in force for a home's portfolios on a day, today where none is given. Raises `NoPolicyInForce`."""
    return policies_in_time(home).on(day or home.today)


def policy_in_force(home: Home, portfolio: str, day: date | None = None) -> Policy:
    """Return the policy in force for a portfolio on a day, today where none is given. Raises `NoPolicyInForce`."""
    return policies_in_time(home).of(portfolio, day or home.today)


def accounting_hash(policy: Policy) -> str:
    """Return the hash of how a policy accounts: all that the ledger, and what is told of it without a limit, rest on."""
    return content_hash(canonical_bytes(policy.accounting.model_dump(mode="json")))
