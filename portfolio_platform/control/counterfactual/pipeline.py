"""Counterfactuals and calibrations of a home: which portfolios, which policy, which sessions."""

from collections.abc import Iterator
from datetime import date

from portfolio_platform.control.counterfactual.calibrate import Calibration, calibrate
from portfolio_platform.control.counterfactual.compare import counterfactual
from portfolio_platform.control.counterfactual.inputs import portfolios_with_intents, read_record
from portfolio_platform.control.counterfactual.model import Counterfactual
from portfolio_platform.control.counterfactual.record import Record
from portfolio_platform.control.counterfactual.replay import Assumptions, Prepared
from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home
from portfolio_platform.policy.assigned import policies_in_time
from portfolio_platform.policy.model import Policy
from portfolio_platform.policy.named import find_policy


def counterfactuals(
    home: Home,
    portfolio: str | None = None,
    policy: str | None = None,
    first: date | None = None,
    last: date | None = None,
    assumptions: Assumptions | None = None,
) -> Iterator[Counterfactual]:
    """Yield what a policy would have made of each portfolio's window.

    Args:
        home: whose lake is read; nothing is written.
        portfolio: one only; all that have intents where None.
        policy: what a person calls it (see `find_policy`); each portfolio's own where None.
        first: first day of the window; the portfolio's beginning where None.
        last: last day of it; the portfolio's end where None.
        assumptions: of the replay.

    Raises:
        WrongUse: no such portfolio has intents, no such policy, or no session in the window.
    """
    if first is not None and last is not None and first > last:
        raise WrongUse(f"--from {first} is after --to {last}; swap them")
    for record, chosen in _records(home, portfolio, policy, last):
        yield counterfactual(Prepared.of(record), chosen, record.window(first, last), assumptions)


def calibrations(
    home: Home,
    portfolio: str | None = None,
    policy: str | None = None,
    split: date | None = None,
    last: date | None = None,
    assumptions: Assumptions | None = None,
) -> Iterator[Calibration]:
    """Yield the calibration of each portfolio: chosen up to ``split``, judged from there to ``last`` (see `calibrate`)."""
    for record, chosen in _records(home, portfolio, policy, last):
        yield calibrate(record, chosen, split=split, last=last, assumptions=assumptions)


def _records(home: Home, portfolio: str | None, policy: str | None, on: date | None) -> Iterator[tuple[Record, Policy]]:
    known = portfolios_with_intents(home)
    if portfolio is not None and portfolio not in known:
        listed = f"those with intents are {', '.join(known)}" if known else "no intents are imported yet"
        raise WrongUse(f"{portfolio!r} has no intents to replay; {listed}")
    if not known:
        raise WrongUse("no intents are imported yet, so there is nothing to replay; `portfolio import` a folder that has intents.csv")
    named = None if policy is None else find_policy(home, policy, on).policy
    policies = policies_in_time(home)
    accounting = policies.newest.default.accounting
    for name in known if portfolio is None else [portfolio]:
        yield read_record(home, name, accounting), named or policies.of(name, on or home.today)
