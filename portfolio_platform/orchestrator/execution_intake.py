"""Rows of a report held against the plan and against what was reported before: new fills, corrections, what is known, what cannot be.

Pure and deterministic: the same rows on the same state give the same fills, with the same ids.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from pydantic import ValidationError

from portfolio_platform.orchestrator.executed import Executed, ReportedFill
from portfolio_platform.orchestrator.execution_rows import BadRow, GivenFill, Rows, fee_minor
from portfolio_platform.orchestrator.planned import Trade

_TICKER = re.compile(r"[A-Z0-9][A-Z0-9.\-]{0,19}")
BEYOND = "beyond"


class Unfit(ValueError):
    """A row cannot be taken: its column, value, rule and remedy."""

    def __init__(self, column: str, value: str, rule: str, remedy: str) -> None:
        """Keep the parts for the row that is set aside."""
        super().__init__(f"{column} {value} {rule}; {remedy}")
        self.parts = (column, value[:80], rule, remedy)


@dataclass(frozen=True)
class Taken:
    """What became of rows.

    Attributes:
        fresh: fills that were not known, revision 0.
        corrected: fills that were known with other content, one revision higher.
        known: how many were known as they are.
        bad: rows set aside, when they were read and here.
        passed_over: rows that say that nothing was filled.
        notes: sentences for the person.
    """

    fresh: tuple[ReportedFill, ...] = ()
    corrected: tuple[ReportedFill, ...] = ()
    known: int = 0
    bad: tuple[BadRow, ...] = ()
    passed_over: int = 0
    notes: tuple[str, ...] = ()

    @property
    def fills(self) -> tuple[ReportedFill, ...]:
        """Return what is new, corrections included."""
        return (*self.fresh, *self.corrected)


@dataclass
class _Taking:
    """Rows being taken: the fills as they become, and which of them this report has spoken of."""

    executed: Executed
    accounts: frozenset[str]
    corrections: bool
    fills: dict[str, ReportedFill]
    fresh: dict[str, ReportedFill] = field(default_factory=dict)
    corrected: dict[str, ReportedFill] = field(default_factory=dict)
    spoken: set[str] = field(default_factory=set)
    known: int = 0


def fill_id(execution_id: str, trade_id: str, ticker: str, side: str, number: int) -> str:
    """Return the id of a fill: equal for the same fill of the same trade, whoever reports it and however often."""
    of = quote(trade_id, safe="") if trade_id else f"{BEYOND}-{ticker}-{side}"
    return f"{quote(execution_id, safe='')}.{of}.{number}"


def take(rows: Rows, executed: Executed, accounts: Sequence[str], *, corrections: bool = False) -> Taken:
    """Hold rows against what was reported.

    A row that names its fill is that fill. One that does not is the fill of its trade with the very same content, which is then
    known; else the next fill of the trade, unless its trade has a fill of that very time: then it is a correction of it. Corrections
    are taken where they are asked for, and set aside where they are not.

    Args:
        rows: what was read.
        executed: what was reported before.
        accounts: of the portfolio.
        corrections: whether known fills may be corrected.
    """
    taking = _Taking(executed, frozenset(accounts), corrections, dict(executed.fills))
    bad = list(rows.bad)
    for given in rows.given:
        try:
            _take(given, taking)
        except Unfit as error:
            column, value, rule, remedy = error.parts
            bad.append(BadRow(file=rows.name, line=given.line, column=column, value=value, rule=rule, remedy=remedy, row=given.row))
    bad.sort(key=lambda one: one.line)
    return Taken(tuple(taking.fresh.values()), tuple(taking.corrected.values()), taking.known, tuple(bad), rows.passed_over, rows.notes)


def withdraw(name: str, executed: Executed) -> ReportedFill | None:
    """Return a known fill as one that never happened, one revision higher; None where it is withdrawn already. Raises `Unfit`."""
    known = executed.fills.get(name)
    if known is None:
        raise Unfit("fill", name, "was never reported", "`portfolio execution log` lists the fills with their ids")
    if known.withdrawn:
        return None
    return known.model_copy(update={"withdrawn": True, "revision": known.revision + 1})


def _take(given: GivenFill, taking: _Taking) -> None:
    trade = _trade_of(given, taking)
    said = _said(given, trade, taking)
    own = [one for one in taking.fills.values() if _same_trade(one, said)]
    if given.number is not None:
        name = fill_id(taking.executed.execution_id, said.trade_id, said.ticker, said.side, given.number)
        _put(said.model_copy(update={"fill_id": name, "number": given.number}), taking)
        return
    free = [one for one in own if one.fill_id not in taking.spoken]
    same = next((one for one in free if one.said == said.said), None)
    at_once = next((one for one in free if one.at == said.at and not one.withdrawn), None)
    chosen = same or at_once
    if chosen is not None:
        _put(said.model_copy(update={"fill_id": chosen.fill_id, "number": chosen.number}), taking)
        return
    number = max((one.number for one in own), default=0) + 1
    name = fill_id(taking.executed.execution_id, said.trade_id, said.ticker, said.side, number)
    _put(said.model_copy(update={"fill_id": name, "number": number}), taking)


def _put(said: ReportedFill, taking: _Taking) -> None:
    name = said.fill_id
    known = taking.fills.get(name)
    if name in taking.spoken:
        raise Unfit("fill", str(said.number), "is in this report twice", "keep one row of it, or number them 1, 2, ...")
    if known is not None and known.said == said.said:
        taking.known += 1
    elif known is None:
        taking.fresh[name] = taking.fills[name] = said
    elif not taking.corrections:
        was = f"{known.quantity:f} at {known.price:f}, fee {known.fee_minor} minor units, {known.at:%Y-%m-%dT%H:%M:%SZ}"
        was = "withdrawn" if known.withdrawn else was
        rule = f"was reported otherwise before ({was})"
        raise Unfit("fill", str(said.number), rule, "say --correct where this row is right, or give a further fill a number of its own")
    else:
        taking.corrected[name] = taking.fills[name] = said.model_copy(update={"revision": known.revision + 1})
    taking.spoken.add(name)


def _trade_of(given: GivenFill, taking: _Taking) -> Trade | None:
    """Return the plan's trade that a row is about: the one it names, or the one with its ticker, side and account."""
    trades = taking.executed.by_trade
    if given.trade_id:
        found = trades.get(given.trade_id)
        if found is None:
            named = ", ".join(list(trades)[:12]) + (" ..." if len(trades) > 12 else "")
            remedy = "leave trade_id empty, and name ticker, side and account, for a fill that is in no trade of the plan"
            raise Unfit("trade_id", given.trade_id, f"is no trade of this plan, which has {named or 'none'}", remedy)
        return found
    like = [one for one in trades.values() if one.ticker == given.ticker and one.side == given.side]
    like = [one for one in like if not given.account or one.account == given.account]
    if len(like) > 1:
        named = ", ".join(one.trade_id for one in like)
        raise Unfit("trade_id", "", f"is empty, and {named} are all a {given.side} of {given.ticker}", "name the trade")
    return like[0] if like else None


def _said(given: GivenFill, trade: Trade | None, taking: _Taking) -> ReportedFill:
    """Return what a row says, completed by the plan; its id is that of no fill yet."""
    ticker = given.ticker or (trade.ticker if trade is not None else "")
    if not _TICKER.fullmatch(ticker):
        raise Unfit("ticker", ticker, "is no ticker", "write capital letters, digits, . and - only")
    made_at = taking.executed.plan.made_at
    if given.at < made_at:
        rule = f"is before the plan was made, {made_at:%Y-%m-%dT%H:%M:%SZ}: its portfolio has that already, or never had it"
        raise Unfit("at", f"{given.at:%Y-%m-%dT%H:%M:%SZ}", rule, "put the time right; what is of no plan comes in by `portfolio import`")
    if given.placed_at is not None and not made_at <= given.placed_at <= given.at:
        rule = f"is not between the plan, {made_at:%Y-%m-%dT%H:%M:%SZ}, and the fill, {given.at:%Y-%m-%dT%H:%M:%SZ}"
        raise Unfit("placed_at", f"{given.placed_at:%Y-%m-%dT%H:%M:%SZ}", rule, "put one of the times right, or leave placed_at empty")
    account = given.account or (trade.account if trade is not None else "")
    if not account and len(taking.accounts) == 1:
        account = next(iter(taking.accounts))
    if account not in taking.accounts:
        rule = f"is no account of the portfolio, which has {', '.join(sorted(taking.accounts))}"
        raise Unfit("account", account, rule, "name the account that the fill belongs to")
    try:
        fee = fee_minor(given.fee, taking.executed.plan.digits)
    except ValueError as error:
        raise Unfit("fee", f"{given.fee:f}", str(error), "round it to the currency's smallest unit") from error
    protection = taking.executed.protections.get(trade.trade_id) if trade is not None else None
    stop = given.stop_price if given.stop_price is not None else (protection.stop_price if protection is not None else None)
    targets = given.profit_targets
    if targets is None:
        targets = protection.profit_targets if protection is not None else ()
    try:
        return ReportedFill(
            fill_id="-",
            number=1,
            trade_id="" if trade is None else trade.trade_id,
            ticker=ticker,
            side=given.side or (trade.side if trade is not None else ""),
            account=account,
            quantity=given.quantity,
            price=given.price,
            fee_minor=fee,
            at=given.at,
            placed_at=given.placed_at,
            stop_price=stop,
            profit_targets=targets,
            note=given.note,
        )
    except ValidationError as error:
        fault = error.errors()[0]
        column = str(fault["loc"][0]) if fault["loc"] else "row"
        raise Unfit(column, str(fault["input"])[:80], fault["msg"].removeprefix("Value error, "), "check it at its source") from error


def _same_trade(one: ReportedFill, said: ReportedFill) -> bool:
    if said.trade_id or one.trade_id:
        return one.trade_id == said.trade_id
    return (one.ticker, one.side) == (said.ticker, said.side)


def after(executed: Executed, taken: Sequence[ReportedFill]) -> Executed:
    """Return what was reported, with further fills or revisions of known ones."""
    fills = dict(executed.fills)
    for one in taken:
        known = fills.get(one.fill_id)
        if known is None or one.revision > known.revision:
            fills[one.fill_id] = one
    return replace(executed, fills=fills)
