"""The contracts of the control plane: what a strategy asks, what it is answered, and the limits it is told.

Money is an integer of minor units of the portfolio's currency (cents for USD), time is nanoseconds UTC, shares are parts
per million. No float is in any of these.
"""

from typing import Literal, NamedTuple

MILLION = 1_000_000
"""Shares are counted in parts of this."""

Side = Literal["long", "short", "flat"]
SIDES = ("long", "short", "flat")
Mode = Literal["normal", "defensive", "risk_off"]
GRAVITY: dict[str, int] = {"normal": 0, "defensive": 1, "risk_off": 2}

APPROVED_FULL = "approved_full"
APPROVED_CLIPPED = "approved_clipped"
REJECTED_INVALID = "rejected_invalid"
REJECTED_STALE_STATE = "rejected_stale_state"
REJECTED_FLATTEN_ONLY = "rejected_flatten_only"
REJECTED_RISK_OFF = "rejected_risk_off"
REJECTED_MIN_TICKET = "rejected_min_ticket"

REJECTIONS: dict[str, str] = {
    "heat": "rejected_heat",
    "symbol": "rejected_symbol_cap",
    "cohort": "rejected_cohort_cap",
    "sector": "rejected_sector_cap",
    "template": "rejected_template_cap",
    "playbook": "rejected_playbook_cap",
    "bucket": "rejected_correlation_cap",
    "positions": "rejected_position_count",
    "new_positions": "rejected_new_positions",
}
"""The code with which each rule refuses."""

CODES = (
    APPROVED_FULL,
    APPROVED_CLIPPED,
    *REJECTIONS.values(),
    REJECTED_RISK_OFF,
    REJECTED_FLATTEN_ONLY,
    REJECTED_MIN_TICKET,
    REJECTED_STALE_STATE,
    REJECTED_INVALID,
)


SET_ASIDE = "set aside: "
"""How the fault of an intent begins that reduces and is wrong in something that reducing does not need: it is answered all the same."""


class PortfolioIntent(NamedTuple):
    """What a strategy wants: risk to its stop in one symbol. ``flat`` asks to reduce, and needs no risk.

    Attributes:
        intent_id: the strategy's own id, unique in its portfolio.
        portfolio: whose limits it is held against.
        strategy: who asks.
        symbol: in what.
        side: ``long``, ``short`` or ``flat``.
        requested_risk: loss at the stop, in minor units.
        ts: when it was decided, nanoseconds UTC.
        requested_notional: gross exposure, in minor units; None where it is not said.
        template: the strategy type behind it.
        playbook: the playbook behind it.
        regime: the regime label at the time.
        correlation_bucket: its bucket, for a symbol that the newest facts put in none.
        fault: what was wrong with it as it came; such an intent is refused, and the others of its fields may be empty.
    """

    intent_id: str
    portfolio: str
    strategy: str
    symbol: str
    side: str
    requested_risk: int
    ts: int
    requested_notional: int | None = None
    template: str = ""
    playbook: str = ""
    regime: str = ""
    correlation_bucket: str = ""
    fault: str = ""


class Headroom(NamedTuple):
    """What one rule saw, and how much risk it leaves to this intent.

    Attributes:
        rule: its name, such as ``heat``.
        scope: the group it binds, such as the symbol; empty for the portfolio.
        basis: ``risk`` or ``exposure`` in minor units, or ``count``.
        limit: the limit in force; None where none is.
        used: what is used of it, active and reserved, before this intent.
        headroom: risk that the rule leaves to this intent, in minor units, at least 0.
        source: where the limit comes from: ``policy``, or the order that changed it.
    """

    rule: str
    scope: str
    basis: str
    limit: int | None
    used: int
    headroom: int
    source: str


class Envelope(NamedTuple):
    """The limits that one symbol's workflow has to keep, until it expires or another version comes.

    Attributes:
        portfolio: whose.
        symbol: of what.
        version: counts up by symbol; 0 where none was issued yet.
        portfolio_mode: ``normal``, ``defensive`` or ``risk_off``.
        force_flatten_only: whether only reducing is allowed.
        size_multiplier_cap: share of its usual size that a new position may have, parts per million.
        symbol_max_risk: the most risk that the symbol may carry at all, minor units; None where nothing limits it.
        max_new_risk: risk that could be granted when it was issued, minor units; an upper bound, not a promise.
        max_additional_positions: positions that could be opened when it was issued.
        binding: the rule with the least headroom; or ``flatten_only``, ``risk_off`` or ``stale_state``, which leave none.
        equity: what the amounts come from, minor units.
        terms_version: the version of mode, caps, policy and facts that it follows.
        issued_at: nanoseconds UTC.
        expires_at: nanoseconds UTC; after it nothing new may be opened on it.
    """

    portfolio: str
    symbol: str
    version: int
    portfolio_mode: str
    force_flatten_only: bool
    size_multiplier_cap: int
    symbol_max_risk: int | None
    max_new_risk: int
    max_additional_positions: int
    binding: str
    equity: int
    terms_version: int
    issued_at: int
    expires_at: int

    @property
    def binds(self) -> tuple[object, ...]:
        """Return what a workflow would act on: a symbol is told again when this changes, not at every cent of headroom."""
        return (
            self.portfolio_mode,
            self.force_flatten_only,
            self.size_multiplier_cap,
            self.symbol_max_risk,
            self.max_new_risk > 0,
            self.max_additional_positions > 0,
            self.terms_version,
        )


class AllocationDecision(NamedTuple):
    """The answer to an intent, with every number behind it.

    Attributes:
        intent_id: what is answered.
        portfolio: whose limits it was held against.
        strategy: who asked.
        symbol: in what.
        code: one of `CODES`.
        requested_risk: what was asked, minor units.
        scaled_risk: that times the multiplier of the mode.
        approved_risk: what is granted; reserved until ``expires_at``.
        approved_notional: the share of the notional that goes with it; None where none was said.
        reasons: sentences of a machine: ``constrained:heat``, ``overridden:symbol by alice``, ``mode:defensive`` ...
        headrooms: every rule with the numbers it saw.
        mode: the portfolio's mode.
        multiplier: share of the usual size, parts per million.
        equity: what caps were fractions of, minor units.
        facts_at: as of when the facts were, nanoseconds UTC.
        policy_hash: the policy in force.
        terms_version: the version of mode, caps, policy and facts.
        state_version: how many events the state had seen.
        at: the decision's time, nanoseconds UTC.
        expires_at: when an unfilled reservation ends, nanoseconds UTC; 0 where nothing is reserved.
        envelope_version: the symbol's envelope in force when it was decided; 0 where none had been issued.
    """

    intent_id: str
    portfolio: str
    strategy: str
    symbol: str
    code: str
    requested_risk: int
    scaled_risk: int
    approved_risk: int
    approved_notional: int | None
    reasons: tuple[str, ...]
    headrooms: tuple[Headroom, ...]
    mode: str
    multiplier: int
    equity: int
    facts_at: int
    policy_hash: str
    terms_version: int
    state_version: int
    at: int
    expires_at: int
    envelope_version: int = 0

    @property
    def approved(self) -> bool:
        """Say whether anything is granted: some risk, or leave to reduce."""
        return self.code.startswith("approved")

    @property
    def reservation_ttl_s(self) -> int:
        """Return for how many seconds the reservation holds."""
        return max(0, self.expires_at - self.at) // 1_000_000_000


class Answer(NamedTuple):
    """What a strategy gets back.

    Attributes:
        decision: the decision as it is in the log.
        envelope: the symbol's limits in force; None where none was issued, or only on terms that are over.
        repeated: whether the intent had been decided before, and this is that answer again.
    """

    decision: AllocationDecision
    envelope: Envelope | None
    repeated: bool
