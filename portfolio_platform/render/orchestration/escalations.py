"""An escalation as a page and as Markdown: what is asked, of whom, until when, why, and what became of it."""

from collections.abc import Mapping

from portfolio_platform.control.money import digits_of
from portfolio_platform.orchestrator.amounts import EXACT, plain
from portfolio_platform.orchestrator.escalation import MINUTE, SOURCES, Case, Change, Trigger, Violation
from portfolio_platform.render.formats import NULL
from portfolio_platform.render.orchestration import markdown, pages
from portfolio_platform.render.orchestration import wording as say
from portfolio_platform.render.orchestration.pages import Part, present
from portfolio_platform.render.orchestration.sections import grid
from portfolio_platform.render.text import markdown_text as md

TONES = {"open": "conditional", "expired": "blocked", "approved": "safe", "deferred": "conditional", "halted": "blocked"}


def escalation_files(case: Case, now: int, currency: str = "USD") -> Mapping[str, bytes]:
    """Return an escalation as a page and as Markdown, by file name.

    Args:
        case: the escalation and what became of it.
        now: the time it is looked at, ns UTC.
        currency: of amounts in its violations.
    """
    return {
        "escalation.html": escalation_page(case, now, currency).encode("utf-8"),
        "escalation.md": escalation_markdown(case, now, currency).encode("utf-8"),
    }


def escalation_page(case: Case, now: int, currency: str = "USD") -> str:
    """Return the page; see `escalation_files`."""
    asked = case.escalation
    return pages.report(
        title(case),
        facts(case),
        parts(case, currency),
        [(name, value) for name, value in (("Plan", asked.plan_hash), ("Portfolio", asked.portfolio_hash)) if value],
        tone=TONES[case.status],
        verdict=case.status.upper(),
        said=standing(case, now),
        reasons=[violation.text for violation in asked.violations],
        conditions=(),
    )


def escalation_markdown(case: Case, now: int, currency: str = "USD") -> str:
    """Return the Markdown; see `escalation_files`."""
    found = [f"# {md(title(case))}", "\n".join(f"- **{label}:** {md(text)}" for label, text in facts(case))]
    found += [f"## {case.status.upper()}", md(standing(case, now))]
    for part in parts(case, currency):
        if not part.is_empty:
            found += [f"## {md(part.title)}", *(md(text) for text in part.lead), markdown.bullets(part.bullets)]
            found += [*markdown.grids(*part.grids), *(markdown.fenced(text) for text in part.texts)]
            found += [markdown.code(text) for text in part.commands]
    return markdown.document(found)


def title(case: Case) -> str:
    """Return what an escalation is called."""
    return f"Escalation {case.escalation.escalation_id}: {case.escalation.trigger.replace('_', ' ')}"


def standing(case: Case, now: int) -> str:
    """Return what became of it, or how long is left for an answer."""
    asked, answered = case.escalation, case.answered
    if answered is not None:
        late = " after the time for it" if case.late else ""
        reason = f": {answered.reason}" if answered.reason else ""
        return f"{case.status.capitalize()} by {answered.by} at {say.moment(answered.at)}{late}{reason}"
    if case.status == "expired" or now >= asked.due_at:
        return f"Nobody answered until {say.moment(asked.due_at)}. That grants nothing; a late answer is taken and marked as late."
    minutes = -(-case.remaining(now) // MINUTE)
    return f"{asked.routing} has {minutes} of {asked.sla_minutes} minutes left, until {say.moment(asked.due_at)}."


def facts(case: Case) -> list[tuple[str, str]]:
    """Return what identifies an escalation."""
    asked = case.escalation
    source = SOURCES[Trigger(asked.trigger)] if asked.trigger in set(Trigger) else None
    return [
        ("Portfolio", f"{asked.portfolio}, profile {asked.profile}" if asked.profile else asked.portfolio),
        ("About", asked.subject or NULL),
        ("Asked", asked.request),
        ("Of", asked.routing),
        ("Opened", f"{say.moment(asked.opened_at)}; an answer is due by {say.moment(asked.due_at)}"),
        ("Execution", "waits for the answer" if asked.waits else "goes on meanwhile"),
        ("Specification", source.section if source is not None else NULL),
    ]


def parts(case: Case, currency: str) -> list[Part]:
    """Return the parts of an escalation."""
    asked, answered = case.escalation, case.answered
    digits = digits_of(currency)
    rows = [
        (one.rule, one.scope, value(one, one.limit, digits, currency), value(one, one.found, digits, currency), one.text)
        for one in asked.violations
    ]
    ask = say.command("portfolio", "escalations", "answer", asked.escalation_id)
    command = () if answered is not None else (f"{ask} --answer approve|defer|halt --by NAME --reason TEXT",)
    said = [] if answered is None else [f"{answered.by}: {answered.reason}" if answered.reason else f"{answered.by} gave no reason."]
    changes = () if answered is None else [change(one) for one in answered.changes]
    return [
        Part("What does not hold", grids=present(grid("Violations", ("<Rule", "<Where", "Limit", "Found", "<In words"), rows))),
        Part("The answer", lead=said, bullets=[*(answered.conditions if answered is not None else ()), *changes], commands=command),
        Part("The dry run", texts=[asked.dry_run] if asked.dry_run else []),
        Part("The plan", texts=[asked.plan] if asked.plan else []),
    ]


def value(violation: Violation, number: int, digits: int, currency: str) -> str:
    """Return a number of a violation in its unit."""
    if violation.unit == "ppm":
        return say.exact_percent(number)
    if violation.unit == "minor":
        return say.money(number, digits, currency)
    if violation.unit == "ns":
        return f"{number // MINUTE} min"
    return str(number) if violation.unit else NULL


def change(one: Change) -> str:
    """Return a condition on one trade in words."""
    if one.drop:
        return f"{one.trade_id}: leave it out"
    shares = [] if one.quantity is None else [f"{plain(EXACT.create_decimal(one.quantity).scaleb(-18, EXACT)):f} shares"]
    account = [] if one.account is None else [f"in account {one.account}"]
    return f"{one.trade_id}: {' '.join([*shares, *account]) or 'as it is'}"
