"""Directives held against the ledger: targets in money, and a finding for everything in them that the ledger contradicts."""

from collections.abc import Mapping
from dataclasses import dataclass

from portfolio_platform.control.model import MILLION
from portfolio_platform.control.money import minor
from portfolio_platform.orchestrator.amounts import money, of_whole, part, percent
from portfolio_platform.orchestrator.directive import Directive, Directives
from portfolio_platform.orchestrator.model import Finding, SectorRankings, Severity, Snapshot
from portfolio_platform.orchestrator.planned import CASH, Action, SectorTarget
from portfolio_platform.orchestrator.profile import Profile, ppm


@dataclass(frozen=True)
class Resolved:
    """The targets of directives, in their order, and what the ledger contradicts."""

    targets: tuple[SectorTarget, ...]
    findings: tuple[Finding, ...]


def resolve(directives: Directives, snapshot: Snapshot, rankings: SectorRankings | None, profile: Profile) -> Resolved:
    """Return what each directive is in money.

    A directive that contradicts the ledger (an unknown sector, a target on the wrong side of the sector's weight, a change below
    zero) makes no target and an error; a stated current weight that differs makes a warning, and from the points on at which a
    sector counts as shifted an error. A sector that is named twice has the target of the first, and the error of both.
    """
    known = _known(snapshot, rankings, profile)
    targets: dict[str, SectorTarget] = {}
    findings: list[Finding] = []
    for place, directive in enumerate(directives.directives):
        line = directives.line_of(place)
        sector = CASH if directive.kind == "cash" else known.get(directive.sector.casefold(), "")
        if not sector:
            text = f"{directive.sector} is a sector of neither the portfolio nor the rankings"
            remedy = f"write one of {', '.join(sorted({name for name in known.values() if name != CASH}))}, or add it to the rankings"
            findings.append(_finding("unknown_sector", "error", directive.sector, text, remedy, line))
            continue
        if sector in targets:
            if directive.sector.casefold() not in {one.sector.casefold() for one in directives.directives[:place]}:
                text = f"{directive.sector} is another name of {sector}, which has a directive already"
                findings.append(_finding("two_directives", "error", sector, text, "keep one of them", line))
            continue
        current = snapshot.cash_minor if sector == CASH else snapshot.sectors_minor.get(sector, 0)
        findings += _stated(directive, sector, current, snapshot, profile, line)
        target, fault = _target(directive, current, snapshot)
        fault = fault or _direction(directive, sector, current, target, snapshot)
        if fault:
            findings.append(_finding("contradicts_ledger", "error", sector, fault, "state it against the portfolio as it is", line))
            continue
        findings += _held_elsewhere(directive, sector, current, target, snapshot, profile, line)
        targets[sector] = _sector_target(directive, sector, current, target, snapshot, line)
    findings += _together(targets, snapshot)
    return Resolved(tuple(targets.values()), tuple(findings))


def _known(snapshot: Snapshot, rankings: SectorRankings | None, profile: Profile) -> dict[str, str]:
    """Return the sectors by every name that they go by, in small letters."""
    names = {instrument.sector for instrument in snapshot.instruments}
    names |= {sector.sector for sector in rankings.sectors} if rankings is not None else set()
    known = {name.casefold(): name for name in sorted(names)}
    for other, name in sorted(profile.directives.aliases.items()):
        if name.casefold() in known:
            known.setdefault(other.casefold(), known[name.casefold()])
    return known


def _finding(code: str, severity: Severity, subject: str, message: str, remedy: str, line: int | None) -> Finding:
    return Finding(code=code, severity=severity, subject=subject, message=message, remedy=remedy, line=line)


def _stated(directive: Directive, sector: str, current: int, snapshot: Snapshot, profile: Profile, line: int | None) -> list[Finding]:
    """Return what a stated current weight says against the ledger's."""
    if directive.current_pct is None:
        return []
    stated, equity = ppm(directive.current_pct), snapshot.equity_minor
    apart = abs(current * MILLION - stated * equity)
    if apart <= ppm(profile.directives.weight_tolerance_points) * equity:
        return []
    text = f"{sector} is stated at {percent(stated)} %, and the ledger has it at {percent(part(current, equity))} %"
    grave = apart >= ppm(profile.refresh.sector_shift_points) * equity
    remedy = "make the document anew from the portfolio as it is" if grave else "confirm that the directive still holds"
    return [_finding("stated_weight", "error" if grave else "warning", sector, text, remedy, line)]


def _target(directive: Directive, current: int, snapshot: Snapshot) -> tuple[int, str]:
    """Return the amount that a directive aims at, and what is wrong with it."""
    equity = snapshot.equity_minor
    if directive.target_pct is not None:
        return of_whole(ppm(directive.target_pct), equity), ""
    if directive.kind == "hold":
        return current, ""
    if directive.change_amount is not None:
        if directive.change_currency != snapshot.currency:
            return current, f"the change is stated in {directive.change_currency}, and the portfolio's currency is {snapshot.currency}"
        change = minor(directive.change_amount, snapshot.digits)
    else:
        change = of_whole(ppm(directive.change_points or 0), equity)
    target = current - change if directive.kind == "reduce" else current + change
    if target < 0:
        return current, f"it shall fall by {money(change, snapshot.digits)}, and has {money(current, snapshot.digits)}"
    return target, ""


def _direction(directive: Directive, sector: str, current: int, target: int, snapshot: Snapshot) -> str:
    """Say what is wrong with the side on which a target lies."""
    equity = snapshot.equity_minor
    at, to = percent(part(current, equity)), percent(part(target, equity))
    if directive.kind == "reduce" and target > current:
        return f"{sector} shall be reduced to {to} %, and is at {at} %"
    if directive.kind in ("increase", "add") and target < current:
        return f"{sector} shall rise to {to} %, and is at {at} %"
    return ""


def _held_elsewhere(
    directive: Directive, sector: str, current: int, target: int, snapshot: Snapshot, profile: Profile, line: int | None
) -> list[Finding]:
    equity = snapshot.equity_minor
    apart = abs(current - target) * MILLION
    if directive.kind != "hold" or apart <= ppm(profile.directives.weight_tolerance_points) * equity:
        return []
    text = f"{sector} shall be held at {percent(part(target, equity))} %, and is at {percent(part(current, equity))} %; nothing is traded"
    return [_finding("held_elsewhere", "warning", sector, text, "say reduce or increase, if it shall be traded", line)]


def _sector_target(directive: Directive, sector: str, current: int, target: int, snapshot: Snapshot, line: int | None) -> SectorTarget:
    action: Action = "HOLD"
    if sector != CASH and directive.kind != "hold" and target != current:
        action = "SELL" if target < current else "BUY"
    exact = directive.target_pct
    return SectorTarget(
        sector=sector,
        action=action,
        current_ppm=part(current, snapshot.equity_minor),
        target_ppm=ppm(exact) if exact is not None else part(target, snapshot.equity_minor),
        current_minor=current,
        target_minor=target,
        amount_minor=0 if action == "HOLD" else abs(target - current),
        line=line,
    )


def _together(targets: Mapping[str, SectorTarget], snapshot: Snapshot) -> list[Finding]:
    """Return what the targets leave for cash, where that is not what is stated for it."""
    if CASH not in targets:
        return []
    aimed = sum(
        target.target_minor if target.action != "HOLD" else target.current_minor for name, target in targets.items() if name != CASH
    )
    others = sum(amount for sector, amount in snapshot.sectors_minor.items() if sector not in targets)
    left, stated = snapshot.equity_minor - aimed - others, targets[CASH].target_minor
    if left + snapshot.equity_minor // 1000 >= stated:
        return []
    equity = snapshot.equity_minor
    text = f"the targets and the sectors without one leave {percent(part(max(0, left), equity))} % for cash, and its target is " + (
        f"{percent(targets[CASH].target_ppm)} %"
    )
    return [_finding("targets_leave_less", "warning", CASH, text, "lower a target, or reduce another sector", targets[CASH].line)]
