"""What is wrong with the control plane: who is not under it, what it waits for, what it noticed, its checkpoints, key and token."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from portfolio_platform.doctor.finding import Check, Finding, counted
from portfolio_platform.home import Home

if TYPE_CHECKING:
    from portfolio_platform.control.events import Noticed
    from portfolio_platform.control.state import ControlState

HOUR, DAY = 3_600_000_000_000, 86_400_000_000_000
LATE = HOUR
"""How long what is over on the clock may wait for the cycle that ends it, nanoseconds."""
NOTICED_DAYS = 7
"""For how many days something odd is told of."""
CYCLE = "`portfolio control cycle`, and see that it runs by itself"


def _portfolios(home: Home) -> Iterator[Finding]:
    from portfolio_platform.control.log import driven_by_bars, opened_portfolios
    from portfolio_platform.control.plane import ControlPlane
    from portfolio_platform.lake.derived import PORTFOLIO_EQUITY

    ledgers = set(home.lake.read(PORTFOLIO_EQUITY, ["portfolio"])["portfolio"].unique().to_pylist())
    with home.book.reading() as connection:
        opened = opened_portfolios(connection)
        others = driven_by_bars(connection, {*opened, *ledgers})
    for name in sorted(others):
        yield Finding("ok", f"control of {name}", "a paper run takes it through time; `portfolio paper status` says how far it is")
    opened, ledgers = [name for name in opened if name not in others], ledgers - others
    for name in sorted(ledgers.difference(opened)):
        state = "it has a ledger, and is not under control: nothing holds its strategies to the limits"
        remedy = "`portfolio control cycle` takes charge of it"
        yield Finding("warn" if opened else "info", f"control of {name}", state, remedy)
    plane = ControlPlane(home.book, home.clock)
    for name in opened:
        yield from _portfolio(home, plane.get_portfolio_state(name))


def _portfolio(home: Home, state: "ControlState") -> Iterator[Finding]:
    from portfolio_platform.control.rules import stale
    from portfolio_platform.days import nanoseconds

    what, now = f"control of {state.portfolio}", nanoseconds(home.clock.now())
    terms, found = state.terms, list[Finding]()
    because = stale(state, max(now, state.now))
    if because:
        remedy = "`portfolio build`, then `portfolio control cycle`; until then nothing new is granted"
        found.append(Finding("warn", what, because, "write a version of the policy that follows" if "expired" in because else remedy))
    over = sum(one.expires_at <= now - LATE for one in state.reservations.values())
    if over:
        found.append(Finding("warn", what, f"{counted(over, 'reservation')} over for more than an hour, and not ended", CYCLE))
    ended = sum(order.until <= now - LATE for order in terms.orders.values())
    if ended:
        found.append(Finding("warn", what, f"{counted(ended, 'order')} over for more than an hour, and still in force", CYCLE))
    noticed = _noticed(home, state.portfolio, now)
    if noticed:
        kinds = ", ".join(f"{number} × {kind.replace('_', ' ')}" for kind, number in sorted(Counter(one.what for one in noticed).items()))
        first = noticed[0]
        seen = (
            f"{kinds} within {NOTICED_DAYS} days; the newest: {first.subject} in {first.symbol}, {first.found} instead of {first.expected}"
        )
        remedy = "compare the strategy's orders with the ledger; docs/control-plane.md says what each means"
        found.append(Finding("warn", what, seen, remedy))
    if found:
        yield from found
        return
    held = f"{counted(len(state.reservations), 'reservation')}, {counted(len(terms.orders), 'order')}"
    yield Finding("ok", what, f"mode {terms.mode}, facts of {terms.facts.day}, {held}")


def _noticed(home: Home, portfolio: str, now: int) -> list["Noticed"]:
    """Return what was noticed of late, the newest first."""
    from portfolio_platform.control.events import Noticed
    from portfolio_platform.control.log import newest_first

    found = []
    with home.book.reading() as connection:
        for placed in newest_first(connection, portfolio):
            if placed.event.at < now - NOTICED_DAYS * DAY:
                break
            if isinstance(placed.event, Noticed):
                found.append(placed.event)
    return found


def _checkpoints(home: Home) -> Iterator[Finding]:
    from portfolio_platform.control.checkpoints import verify_checkpoints

    found = verify_checkpoints(home)
    if not found.ok:
        state = f"event {found.first_bad_seq}: {found.reason}"
        yield Finding("fail", "checkpoints", state, "stop, keep book and checkpoints as they are, and compare them with a backup")
    elif not found.checkpoints:
        remedy = "`portfolio control checkpoint --out FILE`, the file on another machine"
        yield Finding("info", "checkpoints", "none: a log that was cut or written anew would not show", remedy)
    else:
        since = found.chain.events - found.covered
        state = f"{counted(found.checkpoints, 'checkpoint')}, the newest covers event {found.covered:,}"
        yield Finding("ok", "checkpoints", f"{state}; {counted(since, 'event')} since")


def _secrets(home: Home) -> Iterator[Finding]:
    from portfolio_platform.control.checkpoints import KEY_FILE
    from portfolio_platform.control.tokens import IN_HOME, is_shared

    uses = {KEY_FILE: "sign checkpoints as the platform", IN_HOME: "ask for allocations and report fills as a strategy"}
    for name, use in uses.items():
        path = home.root / name
        if path.is_file() and is_shared(path):
            remedy = f"chmod 600 {path}; then remove it and make another, if somebody may have read it"
            yield Finding("fail", name, f"others can read it: whoever does can {use}", remedy)


CHECKS: dict[str, Check] = {
    "control plane": _portfolios,
    "checkpoints": _checkpoints,
    "keys": _secrets,
}
