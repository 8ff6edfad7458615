"""D1 as a stage: positions and their stops in, risk of each and heat of each portfolio out."""

from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.book.control import RESERVING, reserved
from portfolio_platform.days import NANOSECONDS_PER_DAY, end_of_day_ns, to_number
from portfolio_platform.diagnostics import heat as d1
from portfolio_platform.diagnostics import heat_rows as rows
from portfolio_platform.diagnostics.pipeline.inputs import sessions
from portfolio_platform.diagnostics.session_keys import day_numbers
from portfolio_platform.home import Home
from portfolio_platform.lake import active, derived
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.facts import BARS, CORPORATE_ACTIONS, INSTRUMENTS, PLAYBOOK_EXPECTATIONS
from portfolio_platform.lake.progress import WATCHED, Plan
from portfolio_platform.ledger.inputs import encode, read_actions
from portfolio_platform.policy.assigned import Assigned
from portfolio_platform.stage import Stage

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

ALL_REGIMES = "all"


def reserved_risk(home: Home, days: pa.Table, until_seq: int | None = None) -> Float64:
    """Return what was reserved at the end of each session's day, in base currency, shape (sessions,); ``days`` has portfolio and day.

    It is the risk that the control plane had granted by then, and that was not filled, given up or over; 0 before the first.
    Events of the book after ``until_seq`` do not count.
    """
    owner, portfolios = encode(days["portfolio"])
    amounts, ends = np.zeros(len(days)), (day_numbers(days["day"]) + 1) * NANOSECONDS_PER_DAY
    with home.decisions.book.reading() as connection:
        for code, portfolio in enumerate(portfolios):
            mine = np.flatnonzero(owner == code)
            mine = mine[np.argsort(ends[mine], kind="stable")]
            found = reserved(connection, portfolio, ends[mine].tolist(), until_seq)
            # a quotient of two integers is the nearest float to the amount; as many digits as its currency has
            amounts[mine] = np.array(found.amounts, np.float64) / 10.0**found.digits
    return amounts


def _returns(home: Home, names: list[str], first: date, until: date, window: int) -> d1.Returns:
    """Return the daily returns of symbols that reach ``window`` of them back from ``first``, or as far as there are bars.

    A look-back by the calendar is read first; where a symbol has fewer bars in it, all that there are.
    """
    splits = read_actions(active.read(home.lake, CORPORATE_ACTIONS), after_ts=-(2**62), until_ts=end_of_day_ns(until))
    for since in (end_of_day_ns(first - timedelta(days=2 * window + 15)), None):
        bars = active.read(
            home.lake, BARS, ("symbol", "ts", "close"), after_ts=since, until_ts=end_of_day_ns(until), dictionaries=("symbol",)
        )
        found = rows.returns(bars, splits, names)
        before = [
            int(np.searchsorted(found.day[a:b], to_number(first), side="right")) for a, b in zip(found.start, found.start[1:], strict=False)
        ]
        if min(before, default=window) >= window:
            break
    return found


def _sigmas(home: Home, positions: pa.Table, needed: Int64, policy: rows.PolicyOfSession, session: Int64, plan: Plan) -> Float64:
    """Return the daily volatility of the positions ``needed`` (row numbers), NaN for the others."""
    sigma = np.full(len(positions), np.nan)
    if needed.size:
        wanted = positions.select(["symbol", "day"]).take(pa.array(needed))
        code, names = encode(wanted["symbol"])
        window, minimum = policy.sigma_window[session[needed]], policy.sigma_minimum[session[needed]]
        found = _returns(home, names, plan.first, plan.until, int(window.max()))
        sigma[needed] = d1.sigmas(found, code, day_numbers(wanted["day"]), window, minimum)
    return sigma


def compute(home: Home, policies: Assigned, plan: Plan) -> dict[Table, pa.Table]:
    """Return the risk of every open position and the heat of every session of the plan."""
    # numbered as the rows are sorted: by day, then portfolio
    days = sessions(home, plan.first, ("equity",), until=plan.until).sort_by([("day", "ascending"), ("portfolio", "ascending")])
    where = (pc.field("day") >= plan.first) & (pc.field("day") <= plan.until) & pc.field("average_cost").is_valid()
    months = (plan.first.isoformat()[:7], plan.until.isoformat()[:7])
    snapshots = home.lake.read(
        derived.LEDGER_SNAPSHOTS, rows.SNAPSHOT_COLUMNS, where, from_month=months[0], to_month=months[1], dictionaries=rows.SNAPSHOT_TEXTS
    )
    multipliers = {
        row["symbol"]: float(row["multiplier"]) for row in active.read(home.lake, INSTRUMENTS, ("symbol", "multiplier")).to_pylist()
    }
    expectations = active.read(home.lake, PLAYBOOK_EXPECTATIONS, ("template", "playbook", "regime", "hold_bars_p50"))
    policy = rows.policy_of_session(days, {name: policies.of(name).heat for name in set(days["portfolio"].to_pylist())})
    positions, session = rows.open_positions(snapshots, days)
    held = rows.holdings(positions, session, multipliers, policies.default.accounting.max_mark_age)
    hold = rows.expected_holds(positions, expectations.filter(pc.field("regime") == ALL_REGIMES), policy.default_hold_days[session])
    sigma = _sigmas(home, positions, np.flatnonzero(held.imputed), policy, session, plan)
    risks = d1.position_risks(held, sigma, d1.Terms(policy.sigmas[session], policy.exit_cost[session], hold))
    taken = reserved_risk(home, days, plan.upstreams.get(WATCHED))
    found = d1.portfolio_heat(held, risks, rows.numbers(days["equity"]), taken, policy.cap)
    return {
        derived.POSITION_RISK: rows.risk_rows(positions, held, risks, sigma, hold, days),
        derived.PORTFOLIO_HEAT: rows.heat_rows(found, taken, policy.cap, days),
    }


STAGE = Stage("heat", (derived.POSITION_RISK, derived.PORTFOLIO_HEAT), ("signals",), compute, decisions=RESERVING)
