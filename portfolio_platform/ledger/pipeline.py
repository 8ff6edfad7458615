"""The ledger's pipeline: facts from the lake in, derived tables of the accounting out, from the first day that changed."""

from collections.abc import Callable
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.days import end_of_day_ns, to_date, to_number
from portfolio_platform.home import Home
from portfolio_platform.lake import active, derived
from portfolio_platform.lake.built import Built
from portfolio_platform.lake.changes import first_changed_day
from portfolio_platform.lake.facts import BARS, CASH_FLOWS, CORPORATE_ACTIONS, FILLS, FX_RATES, INSTRUMENTS, PORTFOLIOS
from portfolio_platform.lake.progress import Progress, newest_import_of, read_progress, write_progress
from portfolio_platform.ledger import state
from portfolio_platform.ledger.advance import Facts, LedgerState, advance
from portfolio_platform.ledger.inputs import FILL_COLUMNS, Reference
from portfolio_platform.policy.assigned import accounting_hash
from portfolio_platform.policy.model import Policy

NAME = "ledger"
REPEATED = ("portfolio", "strategy", "symbol", "side", "currency", "template", "playbook")
LEDGER_FACTS = (FILLS, CASH_FLOWS, BARS, INSTRUMENTS, PORTFOLIOS, FX_RATES, CORPORATE_ACTIONS)
Report = Callable[[str], None]


def reference(home: Home, policy: Policy, until_seq: int | None = None) -> Reference:
    """Return what the accounting looks up by name, as known after import ``until_seq``."""
    instruments = active.read(home.lake, INSTRUMENTS, until_seq=until_seq).to_pylist()
    portfolios = active.read(home.lake, PORTFOLIOS, until_seq=until_seq).to_pylist()
    return Reference(
        multiplier={row["symbol"]: float(row["multiplier"]) for row in instruments},
        calendar={row["symbol"]: row["calendar"] or "" for row in instruments},
        currency={row["symbol"]: row["currency"] or "" for row in instruments},
        base_currency={row["portfolio"]: row["base_currency"] for row in portfolios},
        default_calendar=policy.accounting.default_calendar,
        default_currency=policy.accounting.default_currency,
    )


def plan(home: Home, policy: Policy, until: date, restate_from: date | None) -> tuple[date | None, int]:
    """Return the first day to build, None where nothing is to do, and the newest import.

    Another way to account builds everything again; other limits change nothing here.
    """
    newest = newest_import_of(home.lake, LEDGER_FACTS)
    done = read_progress(home.lake, NAME)
    if done is None or done.first_stale_day(accounting_hash(policy), home.first_day) is not None:
        return (home.first_day if newest else None), newest
    days = [day for day in (first_changed_day(home.lake, LEDGER_FACTS, done.import_seq, home.first_day), restate_from) if day is not None]
    if until > done.built_until:
        days.append(done.built_until + timedelta(days=1))
    first = min(days, default=None)
    return (None if first is None or first > until else max(first, home.first_day)), newest


def build(home: Home, *, until: date | None = None, restate_from: date | None = None, report: Report = lambda text: None) -> Built:
    """Bring the ledger's tables up to date: one pass from the state before the first day that changed."""
    policy = home.timeline().newest.policy
    last = min(until or home.today, home.today)
    with home.lake.writing():
        first, newest = plan(home, policy, last, restate_from)
        if first is None:
            return Built(last, None, {})
        report(f"accounting from {first} to {last}")
        computed = compute(home, policy, first, last)
        written = {}
        for table, frame in computed.items():
            report(f"writing {table}")
            home.lake.replace_from(derived.DERIVED[table], first, frame)
            written[table] = len(frame)
        write_progress(home.lake, Progress(NAME, last, first, newest, accounting_hash(policy)))
        return Built(last, first, written)


def read_facts(home: Home, policy: Policy, after: LedgerState | None, last: date, until_seq: int | None = None) -> Facts:
    """Read what the ledger needs after a state: fills and bars after it, everything else whole."""
    lake, until = home.lake, end_of_day_ns(last)
    since = end_of_day_ns(to_date(after.day)) if after else None
    return Facts(
        fills=active.read(lake, FILLS, FILL_COLUMNS, after_ts=since, until_ts=until, until_seq=until_seq, dictionaries=REPEATED),
        bars=active.read(
            lake, BARS, ("symbol", "ts", "close"), after_ts=since, until_ts=until, until_seq=until_seq, dictionaries=("symbol",)
        ),
        cash_flows=active.read(lake, CASH_FLOWS, until_ts=until, until_seq=until_seq),
        corporate_actions=active.read(lake, CORPORATE_ACTIONS, until_ts=until, until_seq=until_seq),
        fx_rates=active.read(lake, FX_RATES, until_ts=until, until_seq=until_seq),
        reference=reference(home, policy, until_seq),
    )


def compute(home: Home, policy: Policy, first: date, last: date) -> dict[str, pa.Table]:
    """Compute the ledger's tables for a range of days; nothing is written.

    The accounting resumes at the newest saved state before ``first``; its state is saved at each year's end and at
    the end of the range.
    """
    saved = state.newest_before(home.lake, first)
    facts = read_facts(home, policy, saved, last)
    ledger = saved or LedgerState(to_number(home.first_day) - 1)
    parts = []
    for end in [day for day in range(ledger.day + 1, to_number(last) + 1) if state.is_kept(day, to_number(last))]:
        step = advance(ledger, facts, policy.accounting, end)
        ledger = step.state
        parts.append(step.tables | state.state_rows(ledger))
    tables = {name: pa.concat_tables([part[name] for part in parts]) for name in parts[0]}
    return {name: table.filter(pc.field("day") >= first) for name, table in tables.items()}
