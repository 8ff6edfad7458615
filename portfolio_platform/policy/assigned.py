"""Which policy each portfolio has. Accounting is the default policy's for all: a track record keeps one convention."""

from dataclasses import dataclass, field

from portfolio_platform.canonical import canonical_bytes, content_hash
from portfolio_platform.home import Home
from portfolio_platform.policy.model import Policy


@dataclass(frozen=True)
class Assigned:
    """The policies in use: the default, and those of the portfolios that name another."""

    default: Policy
    by_portfolio: dict[str, Policy] = field(default_factory=dict)
    live: frozenset[str] = frozenset()

    def of(self, portfolio: str) -> Policy:
        """Return the policy of a portfolio."""
        return self.by_portfolio.get(portfolio, self.default)

    @property
    def hash(self) -> str:
        """Return a hash of all policies in use and of who has which."""
        others = {name: policy.hash for name, policy in self.by_portfolio.items()}
        return content_hash(canonical_bytes({"default": self.default.hash, "others": others, "live": sorted(self.live)}))


def assigned_policies(home: Home) -> Assigned:
    """Return the policies of a home's portfolios, as its `portfolios` fact assigns them."""
    from portfolio_platform.lake import active
    from portfolio_platform.lake.facts import PORTFOLIOS

    rows = active.read(home.lake, PORTFOLIOS, ("portfolio", "policy", "mode")).to_pylist()
    named = {row["portfolio"]: home.policy(row["policy"]) for row in rows if row["policy"] != "default"}
    return Assigned(home.policy(), named, frozenset(row["portfolio"] for row in rows if row["mode"] == "live"))
