"""What a blocked plan violates, as an escalation states it, and which of it an answer may let through (v8.1.1 STEP 3A). Pure."""

from portfolio_platform.desk.events import Conflict
from portfolio_platform.orchestrator.escalation import Violation
from portfolio_platform.orchestrator.papers import PlanPapers

INPUTS = "input_"
"""How the codes of findings about inputs begin: no plan is released with one of them, whoever says so."""

CONSTRAINTS = frozenset({"sector_cap", "position_size", "cash_buffer", "account_cash", "restricted", "buffer_would_breach"})
"""Codes of findings that are constraints; the others are faults of a document, for whoever wrote it."""


def violations_of(papers: PlanPapers, conflicts: tuple[Conflict, ...] = ()) -> tuple[Violation, ...]:
    """Return every rule that a plan violates: the constraints with their numbers, then what else blocks it."""
    plan = papers.plan
    found = [
        Violation(check.name, seen.subject, seen.limit_ppm or 0, seen.value_ppm or 0, "" if seen.value_ppm is None else "ppm", seen.text)
        for check in plan.dry_run.checks
        for seen in check.worst_observed
        if not seen.passed
    ]
    found += [Violation(f"envelope:{one.code}", one.symbol, one.limit, one.wanted, "minor", one.text) for one in conflicts]
    told = {one.text for one in conflicts}
    found += [
        Violation(finding.code, finding.subject, 0, 0, "", finding.message)
        for finding in plan.findings
        if finding.severity == "error" and not finding.code.startswith(INPUTS) and finding.message not in told
    ]
    return tuple(dict.fromkeys(found))


def asks_for_review(papers: PlanPapers) -> bool:
    """Say whether a plan goes to whoever decides on exceptions: its inputs are released, and the dry run violates a constraint.

    A document that contradicts itself is mended by whoever wrote it, and old inputs are brought anew: nobody can except them. A stock that
    fails a criterion is rejected by the specification (STEP 2.5, all six must pass).
    """
    plan = papers.plan
    if plan.verdict != "BLOCKED" or not plan.manifest.released or not plan.trades:
        return False
    if papers.validation is not None and papers.validation.status == "REJECTED":
        return False
    return not plan.dry_run.passed or any(
        finding.severity == "error" and (finding.code in CONSTRAINTS or finding.code.startswith("envelope_")) for finding in plan.findings
    )


def not_to_be_excepted(papers: PlanPapers) -> tuple[str, ...]:
    """Return what of a blocked plan no answer lets through, as sentences; empty where an approved exception is enough."""
    plan, allowed = papers.plan, papers.profile.escalation.exceptions
    violated = (check for check in plan.dry_run.checks if not check.passed and check.name not in allowed)
    found = [f"{check.name} ({check.limit}) allows no exception" for check in violated]
    found += [finding.message for finding in plan.findings if finding.severity == "error" and _is_barred(finding.code, papers)]
    overdrawn = any(min(step.cash_after_minor, step.account_after_minor) < 0 for step in plan.path if not step.holds)
    if overdrawn or plan.dry_run.cash_after_minor < 0:
        found.append("cash would be below zero")
    return tuple(dict.fromkeys(found))


def _is_barred(code: str, papers: PlanPapers) -> bool:
    """A code of an error that is a constraint with an exception is let through; a criterion of a stock never is."""
    return papers.validation is not None or code not in papers.profile.escalation.exceptions
