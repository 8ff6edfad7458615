"""The recommendation that stands, in words: what it would change, on what, until when, and what would withdraw it."""

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from portfolio_platform.monitor.recommendations.model import PortfolioRecommendationEvent
from portfolio_platform.monitor.recommendations.sentences import MODES, adjustment_sentence
from portfolio_platform.monitor.report import PortfolioMonitorReport, Recommendation
from portfolio_platform.render import formats
from portfolio_platform.render.text import one_line

Content = Mapping[str, Any]
NONE = "Nothing is recommended: no alert whose sample suffices asks for a change of a cap."
ENFORCES_NOTHING = "It is a proposal and changes nothing until somebody approves it."


def command(found: Recommendation) -> str:
    """Return the command that shows the recommendation."""
    return f"portfolio recommendations show {shlex.quote(one_line(found.recommendation_id))}"


def headline(report: PortfolioMonitorReport, standing: Content | None = None) -> str:
    """Return in a sentence what is recommended, and until when."""
    found = report.recommendation
    if found is None:
        return NONE
    until = f" until {found.expires.isoformat()}" if found.expires else ""
    event = _event(found, standing)
    if found.status in ("withdrawn", "expired"):
        return f"The recommendation of {_issued(found)} is {found.status}: it no longer stands."
    if event is None:
        return f"The recommendation of {_issued(found)} stands{until}."
    kind = "For the monitor only, not to be applied" if event.monitor_only else "Recommended"
    asked = "; ".join(changes(event)) or "no change"
    since = f" since {_issued(found)}" if found.status == "standing" else ""
    return f"{kind}{since}: {asked}. It stands{until}."


def _issued(found: Recommendation) -> str:
    return found.issued.isoformat() if found.issued else "an earlier day"


def _event(found: Recommendation, standing: Content | None) -> PortfolioRecommendationEvent | None:
    """Return the recommendation that is meant; the report holds it on the day of issue, else it is the one that stands."""
    try:
        event = PortfolioRecommendationEvent.model_validate(found.content or standing) if found.content or standing else None
    except ValueError:  # a content of an older schema is told without its parts; the command shows it
        return None
    return event if event is not None and event.recommendation_id == found.recommendation_id else None


def changes(event: PortfolioRecommendationEvent) -> list[str]:
    """Return what it would change: the mode and each cap."""
    parts = [MODES[event.mode]] if event.mode != "normal" else []
    return [one_line(part) for part in (*parts, *(adjustment_sentence(item) for item in event.adjustments))]


def facts(report: PortfolioMonitorReport, standing: Content | None = None) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the recommendation as pairs of label and sentences; those that say nothing are left out."""
    found = report.recommendation
    if found is None:
        return ()
    event = _event(found, standing)
    when = (
        ()
        if found.issued is None
        else (f"{found.issued.isoformat()}{f', in place of {one_line(found.supersedes)}' if found.supersedes else ''}",)
    )
    pairs: list[tuple[str, Iterable[str]]] = [("Issued", when)]
    if event is None:
        pairs += [
            ("Expires", (found.expires.isoformat(),) if found.expires else ()),
            ("What it says", ("Its content is in the report of the day on which it was issued, and in the book.",)),
        ]
    else:
        pairs += [
            ("Would change", changes(event)),
            ("Why", (event.reason,)),
            ("Effective", (f"from {event.effective.isoformat()}; looked at again on {event.review.isoformat()}",)),
            ("Expires", (event.expires.isoformat(),)),
            ("Withdrawn if", (condition.sentence for condition in event.withdrawn_if)),
            ("How sure", (_confidence(event),)),
            ("Missing", (f"{item.metric}{_about(item.scope)}: {item.reason}{_wait(item.sessions_until)}" for item in event.missing)),
            ("Considered, not recommended", _withheld(event)),
            ("Rests on", (", ".join((*event.rests_on.alert_ids, *event.rests_on.evidence_ids)),)),
        ]
    made = ((label, tuple(one_line(text) for text in texts if text)) for label, texts in pairs)
    return tuple((label, texts) for label, texts in made if texts)


def _about(scope: str) -> str:
    return f" ({scope})" if scope else ""


def _wait(sessions: float | None) -> str:
    return "" if sessions is None else f"; {formats.how_long(sessions)} at this rate"


def _confidence(event: PortfolioRecommendationEvent) -> str:
    sure = event.confidence
    passed, failed = len(sure.gates_passed), len(sure.gates_failed)
    gates = f"{passed} of {passed + failed} gates passed" if passed + failed else "it rests on no sample"
    thin = "" if sure.lowest_ratio is None else f"; the thinnest sample is {formats.number(sure.lowest_ratio, 1)} times what is asked for"
    level = f", at {formats.percent(sure.level, 0)} confidence" if passed + failed else ""
    return f"{gates}{level}{thin}"


def _withheld(event: PortfolioRecommendationEvent) -> list[str]:
    reasons: dict[str, list[str]] = {}
    for item in event.withheld:
        reasons.setdefault(adjustment_sentence(item.adjustment), []).append(item.because)
    return [f"{what}: {'; '.join(dict.fromkeys(why))}" for what, why in reasons.items()]
