"""The tables of the control plane: what was decided, what every rule saw, what symbols were told, and the register of limits."""

from portfolio_platform.lake.columns import Column, Table
from portfolio_platform.lake.derived.words import (
    BASE,
    DAY,
    PLAYBOOK,
    PORTFOLIO,
    POSITION,
    REASON,
    SHARE,
    SYMBOL,
    TEMPLATE,
    number,
    of,
)
from portfolio_platform.lake.facts import MONTH

SEQ = of("integer", "seq", "number of the event in the book's log")
EVENT_HASH = of("text", "event_hash", "hash of the event, which binds it to all events before it")
RULE = of("text", "rule", "heat, symbol, cohort, sector, template, playbook, bucket, positions or new_positions")
SCOPE = of("text", "scope", "the group that the limit binds, such as the symbol; empty for the portfolio")
BASIS = of("text", "basis", "risk to the stops, (gross) exposure, or count")
SOURCE = of("text", "source", "where the limit comes from: policy, or the order that changed it (recommendation:ID, operator:NAME)")


def amount(name: str, description: str) -> Column:
    """Declare an exact amount of the log, which counts in minor units."""
    return of("decimal", name, description, BASE)


ALLOCATION_DECISIONS = Table(
    "allocation_decisions",
    "Every answer of the control plane to an intent, from its log: what was asked, what was granted, under which mode and policy.",
    (
        of("text", "decision", "id: decision:PORTFOLIO:INTENT, and #SEQ behind it where another intent had used the intent's id"),
        SEQ,
        EVENT_HASH,
        of("timestamp", "ts", "when it was decided", "ns UTC"),
        DAY,
        PORTFOLIO,
        of("text", "intent_id", "id of the intent at its strategy"),
        *POSITION[1:],
        of("text", "side", "long, short, or flat to reduce; whatever was sent where the intent is invalid"),
        TEMPLATE,
        PLAYBOOK,
        of("text", "code", "approved_full, approved_clipped, or rejected_ and the rule that refused"),
        amount("requested_risk", "loss at the stop that was asked for"),
        amount("scaled_risk", "that times the multiplier of the mode"),
        amount("approved_risk", "what was granted; reserved until expires_at"),
        amount("requested_notional", "gross exposure that was asked for; null where the intent did not say"),
        amount("approved_notional", "the share of it that goes with the grant; null where none does"),
        of("text", "reasons", "what made the grant differ from the request, joined by a semicolon and a space"),
        of("text", "mode", "normal, defensive or risk_off"),
        number("multiplier", "share of its usual size that the mode allowed", "fraction"),
        amount("equity", "what the caps were fractions of"),
        of("timestamp", "facts_at", "as of when the facts were; null where there were none", "ns UTC"),
        of("text", "policy_hash", "policy in force"),
        of("integer", "terms_version", "version of mode, caps, policy and facts"),
        of("integer", "state_version", "events of the portfolio that the decision had seen", "events"),
        of("integer", "envelope_version", "version of the symbol's envelope then in force; 0 where none had been issued"),
        of("timestamp", "expires_at", "when an unfilled reservation ends; null where nothing is reserved", "ns UTC"),
        MONTH,
    ),
    ("decision",),
    "month",
)

DECISION_HEADROOMS = Table(
    "decision_headrooms",
    "What every rule saw at a decision and how much risk it left: all of them, not only the one that bit.",
    (
        of("text", "decision", "id of the decision in allocation_decisions"),
        SEQ,
        of("integer", "place", "place of the rule in the order of the rules, 0 the first"),
        DAY,
        PORTFOLIO,
        RULE,
        SCOPE,
        BASIS,
        amount("limit", "limit in force, of a count in positions; null where none is"),
        amount("used", "what was used of it, active and reserved, before the intent"),
        amount("headroom", "risk that the rule left to the intent"),
        of("flag", "bit", "true where the grant is less than what the mode allowed because of this rule, alone or among others"),
        SOURCE,
        MONTH,
    ),
    ("decision", "place"),
    "month",
)

CONSTRAINT_ENVELOPES = Table(
    "constraint_envelopes",
    "Every envelope that a symbol was issued, from the log: the limits that its workflow has to keep until another comes or it ends.",
    (
        of("text", "envelope", "id: envelope:PORTFOLIO:SYMBOL:VERSION"),
        SEQ,
        EVENT_HASH,
        of("timestamp", "ts", "when it was issued", "ns UTC"),
        DAY,
        PORTFOLIO,
        SYMBOL,
        of("integer", "version", "counts up by symbol, from 1"),
        of("text", "mode", "normal, defensive or risk_off"),
        of("flag", "force_flatten_only", "true where the symbol may only reduce"),
        number("size_multiplier_cap", "share of its usual size that a new position may have", "fraction"),
        amount("symbol_max_risk", "the most risk that the symbol may carry at all; null where nothing limits it"),
        amount("max_new_risk", "risk that could be granted then; an upper bound, not a promise"),
        of("integer", "max_additional_positions", "positions that could be opened then", "positions"),
        of("text", "binding", "the rule with the least headroom, or what forbids everything new"),
        amount("equity", "what the amounts come from"),
        of("integer", "terms_version", "version of mode, caps, policy and facts"),
        of("timestamp", "expires_at", "after it nothing new may be opened on the envelope", "ns UTC"),
        MONTH,
    ),
    ("envelope",),
    "month",
)

LIMIT_UTILISATION = Table(
    "limit_utilisation",
    "The register of limits: every limit in force and what is used of it, at the end of each session, whether or not anything was "
    "asked for that day. A position whose risk is not known counts with its whole exposure, as in every decision.",
    (
        DAY,
        PORTFOLIO,
        RULE,
        SCOPE,
        BASIS,
        number("cap", "the limit as a fraction of equity; null for a count, and where equity is not positive", SHARE),
        number("limit", "the limit in force; of a count in positions, as all that is used of it", BASE),
        number("equity", "what the cap is a fraction of", BASE),
        number("active", "what open positions use; of new_positions those that fills opened on the day", BASE),
        number("reserved", "what is granted and not filled by the day's end", BASE),
        number("used", "active and reserved", BASE),
        number("headroom", "limit less used, at least 0", BASE),
        number("use", "used over limit; null where the limit is 0", "fraction of cap"),
        SOURCE,
        of("text", "policy_hash", "policy in force on the day"),
        REASON,
        MONTH,
    ),
    ("day", "portfolio", "rule", "scope", "basis"),
    "month",
)
