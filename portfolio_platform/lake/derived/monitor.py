"""The tables of the monitor: the alerts and recommendations that each session's facts call for, and what a report rests on.

They are pure evaluations of facts and policy. What people did about them (acknowledged, silenced, approved) is in the book.
"""

from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.derived.words import DAY, PORTFOLIO, number, of
from portfolio_platform.lake.facts import MONTH

ALERT_STATES = Table(
    "alert_states",
    "Every alert that fires in a session, or ended in it: observed against threshold, window, sample, who contributes, how long.",
    (
        DAY,
        PORTFOLIO,
        of("text", "rule", "id of the rule in the policy"),
        of("text", "scope", "what it is about inside the portfolio; empty for the portfolio"),
        of("text", "alert_id", "id of the alert: portfolio, rule, scope, and the day it began"),
        of("text", "state", "firing or resolved"),
        of("text", "severity", "info, warning or critical"),
        of("text", "transition", "fired, escalated, eased, resolved, or empty where nothing changed in this session"),
        of("text", "rule_version", "hash of the rule"),
        of("text", "metric", "the metric it looks at"),
        number("observed", "its value", ""),
        number("threshold", "the threshold that it passed", ""),
        of("text", "comparison", "which side of the threshold is bad: >=, >, <= or <"),
        of("text", "unit", "unit of both"),
        of("text", "lookback", "the window in words"),
        of("day", "window_start", "first day of the window"),
        of("integer", "sample_size", "observations", ""),
        of("integer", "required", "observations that the gate asks for", ""),
        number("sessions_until", "sessions until the sample suffices; null where it does or cannot be said", "sessions"),
        of("flag", "gate_passed", "whether the sample suffices: where it does not, the alert is for the monitor only"),
        of("text", "gate_reason", "why not"),
        of("text", "symbols", "affected symbols, sorted, joined by a comma and a space"),
        of("text", "contributors", "who contributes how much: JSON, largest first"),
        of("text", "evidence_ids", "cells it rests on, joined by a comma and a space"),
        of("day", "first_seen", "session in which it began"),
        of("integer", "sessions_firing", "sessions since then, this one included", "sessions"),
        number("worst", "worst value since it began", ""),
        number("room", "distance to the next limit; null where there is none", ""),
        number("change", "change of the observed value since the session before", ""),
        of("text", "trend", "better, worse or steady"),
        of("text", "previous", "when the same alert last fired, how long and how bad, in words"),
        of("text", "cause", "group of rules that share a cause"),
        of("text", "inhibited_by", "the rule whose alert makes this one silent; empty where none does"),
        of("integer", "calm_sessions", "sessions in a row beyond the leaving threshold", "sessions"),
        of("integer", "easing_sessions", "sessions in a row beyond the leaving threshold of critical", "sessions"),
        of("text", "worst_severity", "highest severity since it began"),
        of("integer", "session", "number of the portfolio's session", "sessions"),
        of("flag", "pages", "whether notices of it may go out: not inhibited, and its sample suffices or it ended"),
        of("text", "sentence", "what happened, in a sentence"),
        of("text", "action", "what to do, in a sentence"),
        MONTH,
    ),
    ("day", "portfolio", "rule", "scope"),
    "month",
)

RECOMMENDATION_STATES = Table(
    "recommendation_states",
    "The recommendation that stands for a portfolio after each session: issued, standing, superseded or withdrawn in it.",
    (
        DAY,
        PORTFOLIO,
        of("text", "recommendation_id", "id: portfolio and the day it was issued; empty where none stands"),
        of("text", "status", "issued, standing, withdrawn, expired or none"),
        of("text", "mode", "mode that it recommends: normal, defensive or risk_off; normal where none stands"),
        of("flag", "monitor_only", "true where a gate it rests on failed: nothing may be applied"),
        of("day", "issued", "day it was issued"),
        of("integer", "issued_session", "number of the portfolio's session in which it was", "sessions"),
        of("day", "expires", "last day it holds"),
        of("text", "supersedes", "the recommendation it replaces"),
        of("text", "content_hash", "hash of its content"),
        of("text", "content", "the recommendation as canonical JSON, on the day it is issued; empty on others"),
        MONTH,
    ),
    ("day", "portfolio"),
    "month",
)

DAY_INPUTS = Table(
    "day_inputs",
    "A hash of everything that a day's reports rest on: where it differs from the published one, the report is stale.",
    (
        DAY,
        of("text", "digest", "hash of the rows, the policy and the version of the code"),
        of("integer", "sessions", "portfolios with a session", "portfolios"),
        MONTH,
    ),
    ("day",),
    "month",
)

PUBLISHED_INPUTS = Table(
    "published_inputs",
    "The digest of each day's inputs that its newest reports were made from.",
    (DAY, of("text", "digest", "digest of the inputs"), MONTH),
    ("day",),
    "month",
)
