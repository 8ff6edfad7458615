"""The tables that say how far the others can be trusted: data quality and sample gates."""

from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.derived.words import (
    DAY,
    PORTFOLIO,
    REASON,
    number,
    of,
)
from portfolio_platform.lake.facts import MONTH

DATA_QUALITY = Table(
    "data_quality",
    "Whether each source still speaks, and how many of its rows were set aside, for each session: fills, bars, signals, intents, "
    "and from the first row that was set aside any other fact.",
    (
        DAY,
        PORTFOLIO,
        of("text", "source", "fact table"),
        of("day", "last_seen", "newest day of its rows for the portfolio's symbols; null where it has none yet"),
        of("integer", "late_sessions", "sessions without a row where the source used to have one each session", "sessions"),
        of("text", "late_symbols", "the symbols that are late, sorted, joined by a comma and a space"),
        of("integer", "new_versions", "engine versions first heard of, after the source's first day; null but for signals", "versions"),
        of("text", "new_version_names", "their names, sorted, joined by a comma and a space"),
        of("integer", "set_aside", "rows of this session in quarantine", "rows"),
        of("integer", "set_aside_to_date", "rows in quarantine up to this session, those without a day included", "rows"),
        REASON,
        MONTH,
    ),
    ("day", "portfolio", "source"),
    "month",
)

SAMPLE_SUFFICIENCY = Table(
    "sample_sufficiency",
    "The evidence of every metric of every session, and whether its sample suffices: value, window, sample, coverage, interval, "
    "gate, verdict. Rules, recommendations and reports read metrics here.",
    (
        DAY,
        PORTFOLIO,
        of("text", "metric", "name of the metric"),
        of("text", "scope", "what it is about inside the portfolio: parts of the key joined by /; empty for the portfolio"),
        number("value", "the metric", ""),
        of("text", "unit", "its unit"),
        of("text", "gate", "census, estimated, capital or skill"),
        of("integer", "sample_size", "observations it rests on", ""),
        of("integer", "required", "observations the gate asks for", ""),
        number("coverage", "share of what it should cover that it covers", "fraction"),
        number("low", "lower end of its interval; null where it is no estimate", ""),
        number("high", "upper end", ""),
        number("threshold", "the warning threshold that the interval has to exclude; null where no rule has one", ""),
        of("day", "window_start", "first day of its window"),
        of("text", "method", "how it was computed"),
        of("flag", "passed", "the verdict"),
        of("text", "reason", "why the gate failed, or why the value is null; empty where neither is so"),
        of("integer", "missing", "observations that are missing", ""),
        number(
            "sessions_until", "sessions until the sample suffices, at the window's rate; null where it does or cannot be said", "sessions"
        ),
        of("text", "evidence_id", "the cell that holds the value"),
        MONTH,
    ),
    ("day", "portfolio", "metric", "scope"),
    "month",
)
