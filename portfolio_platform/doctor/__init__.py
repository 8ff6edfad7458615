"""What is late, locked, full or failing in a home, and the way out. Each check tells findings; none of them crashes."""

from portfolio_platform.doctor import control, data, decisions, machine
from portfolio_platform.doctor.finding import Check, Finding, guarded
from portfolio_platform.home import Home

CHECKS: dict[str, Check] = machine.CHECKS | data.CHECKS | decisions.CHECKS | control.CHECKS | machine.SHADOWS
"""What is looked at, in the order it is told."""


def examine(home: Home) -> list[Finding]:
    """Look at everything a home rests on; a check that fails to look becomes a failed finding itself."""
    if not home.exists:
        remedy = "run `portfolio init`, or set PORTFOLIO_HOME (or --home) to the home that you mean"
        return [
            *guarded("versions", machine.CHECKS["versions"], home),
            Finding("fail", "home", f"there is no home at {home.root}", remedy),
        ]
    return [finding for what, check in CHECKS.items() for finding in guarded(what, check, home)]
