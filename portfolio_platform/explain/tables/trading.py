"""What turnover, churn and the execution profile rest on: fills of the window, entry orders, round trips."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from portfolio_platform.days import end_of_day_ns, to_number
from portfolio_platform.diagnostics import execution_inputs as inputs
from portfolio_platform.explain.cells import by_session, by_size, cells, explains, plain, rows_of
from portfolio_platform.explain.shown import number
from portfolio_platform.explain.sources import Row, Sources
from portfolio_platform.explain.tables.facts import fact_line, fact_lines
from portfolio_platform.explain.tables.ledger import equity_of
from portfolio_platform.explain.tree import Draft, listing
from portfolio_platform.lake import derived
from portfolio_platform.lake.facts import CORPORATE_ACTIONS, FILLS, INSTRUMENTS, INTENTS, PLAYBOOK_EXPECTATIONS
from portfolio_platform.signals.expectations import EXCURSIONS, NOT_ALIKE

TURNOVER = {
    "traded": "sum of quantity x price x multiplier of the session's fills, in base currency",
    "turnover_two_sided": "traded / mean of this session's equity and that before",
    "turnover_one_sided": "the smaller of bought and sold / mean equity",
    "turnover_20": "sum of the two-sided turnover of 20 sessions",
    "turnover_baseline": "20 x mean two-sided turnover of the 250 sessions before them",
    "fills_tail": "chance of at least so many fills in the window, given those of window and baseline together, at one rate",
    "trades_tail": "the same of orders that were filled",
    "trips_tail": "the same of round trips",
    "churn_20": "1 - sum over symbols of |bought - sold| / traded, over 20 sessions",
    "flip_rate": "fills that turned a side / fills of 20 sessions",
    "cost_bps": "fees of 20 sessions / traded",
    "cost_drag_bps": "fees of 20 sessions / mean equity",
}
SUMMED = {
    "turnover_20": "turnover_two_sided",
    "turnover_baseline": "turnover_two_sided",
    "fills_20": "fills",
    "fills_baseline": "fills",
    "trades_20": "trades",
    "trades_baseline": "trades",
    "trips_20": "trips",
    "trips_baseline": "trips",
}
BY_SYMBOL = {"churn_20": "churn", "flip_rate": "flips", "cost_bps": "fees", "cost_drag_bps": "fees"}


@explains(derived.TURNOVER_METRICS, TURNOVER)
def turnover_metrics(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """Turnover is fills: those of the session, and the sessions of the windows."""
    policy, portfolio, day = of.policy(row.portfolio, row.day).turnover, row.portfolio, row.day
    if column.endswith("_tail"):
        name = column.removesuffix("_tail")
        return cells(of, row, (f"{name}_20", f"{name}_baseline", "baseline_sessions"))
    if column in SUMMED or column == "baseline_sessions":
        before = "baseline" in column
        days = of.window(portfolio, day, policy.baseline if before else policy.window, lag=policy.window if before else 0)
        if not days:
            return [Draft("no session is in that window")]
        quoted = SUMMED.get(column, "fills")
        found = of.rows(derived.TURNOVER_METRICS, portfolio, days[0], days[-1])
        return [by_session(of, f"{len(days)} sessions from {days[0]} to {days[-1]}", lambda: reversed(found), quoted)]
    if column in BY_SYMBOL:
        churned = by_size(of.rows(derived.SYMBOL_CHURN, portfolio, day, day), "traded")
        return [rows_of(of, "by symbol", lambda: churned, BY_SYMBOL[column], lambda item: str(item["symbol"]))]
    if column == "trips":
        trips = of.rows(derived.ROUND_TRIPS, portfolio, day, day, method="flat_to_flat")
        return [rows_of(of, "round trips closed", lambda: trips, "realised_pnl", lambda trip: str(trip["round_trip_id"]))]
    mean = [*equity_of(of, portfolio, day), *_equity_before(of, row)] if column.startswith("turnover") else []
    whole = cells(of, row, ("traded",)) if column.startswith("turnover") else []
    since = of.since(portfolio, day)
    return [*whole, *mean, fact_lines(of, "fills", lambda: of.facts(FILLS, after=since, until=end_of_day_ns(day), portfolio=portfolio))]


def _equity_before(of: Sources, row: Row) -> list[Draft]:
    before = of.before(row.portfolio, row.day)
    return equity_of(of, row.portfolio, before, "equity", "equity of the session before") if before else []


CHURN = {
    "churn": "1 - |bought - sold| / (bought + sold), over the window's fills of the symbol",
    "trades": "orders filled in the window; fills of one order and session are one",
    "flips": "fills that turned a position's side",
    "traded": "bought + sold",
}


@explains(derived.SYMBOL_CHURN, CHURN)
def symbol_churn(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """Churn is what was bought of a symbol against what was sold of it."""
    fills = window_fills(of, row)
    days = of.window(row.portfolio, row.day, of.policy(row.portfolio, row.day).turnover.window)
    sums = _bought_and_sold(of, fills) if column in ("churn", "traded") else []
    return [*sums, fact_lines(of, f"fills of {row['symbol']} from {days[0]} to {row.day}", lambda: fills)]


def window_fills(of: Sources, row: Row) -> list[Row]:
    """Return the fills of a symbol in the window of turnover that ends with a row's session."""
    days = of.window(row.portfolio, row.day, of.policy(row.portfolio, row.day).turnover.window)
    after = of.since(row.portfolio, days[0])
    return of.facts(FILLS, after=after, until=end_of_day_ns(row.day), portfolio=row.portfolio, symbol=row["symbol"])


def _bought_and_sold(of: Sources, fills: list[Row]) -> list[Draft]:
    """Return what was bought and sold, where all fills are in one currency."""
    if len({fill["currency"] for fill in fills}) > 1:
        return []
    multiplier = {item["symbol"]: float(item["multiplier"] or 1) for item in of.facts(INSTRUMENTS)}
    found = []
    for side, title in (("buy", "bought"), ("sell", "sold")):
        mine = [fill for fill in fills if fill["side"] == side]
        total = sum(float(fill["quantity"] * fill["price"]) * multiplier.get(fill["symbol"], 1.0) for fill in mine)
        found.append(
            Draft(title, total, number(total, "currency"), f"quantity x price x multiplier of {len(mine)} fills, in their currency")
        )
    return found


PROFILE = {
    "realised": "median of the window's observations (their mean where the measure is a rate)",
    "expected": "what the playbooks' expectations say of the window's observations, by regime",
    "low": "lower end of the exact interval of the median at 95 %",
    "high": "upper end of the exact interval of the median at 95 %",
    "drift": "how far the interval lies beyond the expectation on the bad side; 0 where it holds it",
    "p90": "90th percentile, linear between observations; of a window that is too short for one, of the observations before it too",
    "cusum": "sum of the deviations beyond k, never below 0",
    "cusum_signal": "set where the CUSUM passes h, until it is back at 0",
}
OF_TRIP = {"holding_time": "hold_bars", "mae": "mae_r", "mfe": "mfe_r", "win_rate": "r"}


@explains(derived.EXECUTION_PROFILE, PROFILE)
def execution_profile(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """What was realised is the window's trips or orders; what was expected, the playbooks' own words."""
    window = [plain(row, name) for name in ("n", "window_start", "method") if row[name] is not None]
    alike = [Draft("not measured alike", words=NOT_ALIKE)] if row["measure"] in EXCURSIONS else []
    window += alike
    if column == "drift":
        return [*cells(of, row, ("expected", "realised", "low", "high")), *window]
    if column in ("cusum", "cusum_signal"):
        figures = ("cusum", "seen", "running_mean") if column == "cusum_signal" else ("seen", "running_mean")
        policy = of.policy(row.portfolio, row.day).execution
        limit = Draft("h of the policy", policy.cusum_h, f"{policy.cusum_h:g}", f"execution.cusum_h, with k of {policy.cusum_k:g}")
        return [*(plain(row, name) for name in figures), limit, _observed(of, row)]
    if column in ("expected", "expected_p90"):
        return [_expected(of, row), *alike]
    if column == "p90":
        wider = of_percentile(of, row)
        return [*(plain(wider, name) for name in ("n", "method")), *alike, _observed(of, wider)]
    return [*window, _observed(of, row)]


def of_percentile(of: Sources, row: Row) -> Row:
    """Return a profile with the observations of its percentile in place of those of its window, which may be fewer."""
    n, start = row["n"], row["window_start"]
    size = min(row["seen"], max(n, of.policy(row.portfolio, row.day).execution.p90_minimum))
    while n < size:
        # in front of a window lies the one that ended before it began
        before = of.before(row.portfolio, start)
        found = of.row(row.table, row.portfolio, before, measure=row["measure"], playbook=row["playbook"]) if before else None
        if found is None:
            break
        n, start = n + found["n"], found["window_start"]
    return replace(row, values={**row.values, "n": size, "window_start": start})


def _expected(of: Sources, row: Row) -> Draft:
    def found() -> list[Row]:
        chosen = {} if row["playbook"] == inputs.ALL else {"playbook": row["playbook"]}
        return of.facts(PLAYBOOK_EXPECTATIONS, **chosen)

    return fact_lines(of, "expectations", found, "of the regime of each observation where that has a sample, else of all")


def _observed(of: Sources, row: Row) -> Draft:
    measure = row["measure"]
    if row["window_start"] is None or not row["n"]:
        return Draft("no observation is in the window")
    if measure in OF_TRIP:
        return rows_of(
            of, "round trips of the window", lambda: trips_of(of, row), OF_TRIP[measure], lambda trip: str(trip["round_trip_id"])
        )
    return listing(f"{'intents' if measure == 'fill_ratio' else 'entry orders'} of the window", lambda: _order_lines(of, row))


def trips_of(of: Sources, row: Row) -> list[Row]:
    """Return the round trips in the window of a profile, newest first."""
    column = OF_TRIP[row["measure"]]
    rows = of.rows(derived.TRIP_PROFILES, row.portfolio, row["window_start"], row.day)
    mine = [trip for trip in rows if row["playbook"] in (inputs.ALL, trip["playbook"]) and trip[column] is not None]
    return sorted(mine, key=lambda trip: (trip["day"], trip["closed_at"], *_as_in_ledger(trip["round_trip_id"])), reverse=True)[: row["n"]]


def _as_in_ledger(identity: str) -> tuple[int, str]:
    """Return what the ledger orders rows of one moment by: shorter ids come first."""
    return len(identity), identity


def observed_orders(of: Sources, row: Row) -> list[tuple[Row, float]]:
    """Return the entry orders (of a fill ratio: the intents) in the window of a profile, newest first, each with its observation."""
    portfolio, start = row.portfolio, row["window_start"]
    look = start - timedelta(days=inputs.UNFILLED_DAYS + 1)
    after, until = end_of_day_ns(look - timedelta(days=1)), end_of_day_ns(row.day)
    fills = of.facts(FILLS, after=after, until=until, portfolio=portfolio)
    given = _table(FILLS.table.arrow_schema(), fills)
    multiplier = {item["symbol"]: float(item["multiplier"] or 1) for item in of.facts(INSTRUMENTS)}
    splits = [action for action in of.facts(CORPORATE_ACTIONS, until=until) if action["kind"] == "split"]
    orders = inputs.entry_orders(given, _held(of, portfolio, look), _table(CORPORATE_ACTIONS.table.arrow_schema(), splits), multiplier)
    named = [fills[place] for place in orders.row.tolist()]
    if row["measure"] == "fill_ratio":
        intents = of.facts(INTENTS, after=after, until=until, portfolio=portfolio)
        asked = _table(INTENTS.table.arrow_schema(), intents)
        place = {intent["intent_id"]: at for at, intent in enumerate(intents)}
        of_order = np.array([place.get(fill["intent_id"], -1) for fill in named], np.int64)
        day, value = inputs.fill_ratios(asked, orders, of_order)
        named = intents
        value = np.where([str(intent["decision_code"] or "").startswith("rejected") for intent in intents], np.nan, value)
    else:
        day, value = orders.day, orders.slippage if row["measure"] == "slippage" else orders.seconds
    first, last = to_number(start), to_number(row.day)
    found = [
        (int(at), item, float(each))
        for at, item, each in zip(day.tolist(), named, value.tolist(), strict=True)
        if first <= at <= last and np.isfinite(each) and row["playbook"] in (inputs.ALL, item["playbook"] or "")
    ]
    found.sort(key=lambda entry: (entry[0], entry[1]["ts"], *_as_in_ledger(entry[1]["row_id"])), reverse=True)
    return [(item, each) for _, item, each in found[: row["n"]]]


def _table(schema: pa.Schema, rows: list[Row]) -> pa.Table:
    return pa.Table.from_pylist([dict(row.values) for row in rows], schema=schema)


def _held(of: Sources, portfolio: str, before: date) -> pa.Table:
    """Return what every position of a portfolio was before a day, as `entry_orders` wants it."""
    names = ["day", "portfolio", "strategy", "symbol", "quantity"]
    schema = derived.LEDGER_SNAPSHOTS.arrow_schema()
    earlier = of.before(portfolio, before)
    rows = of.rows(derived.LEDGER_SNAPSHOTS, portfolio, earlier, earlier) if earlier else []
    table = _table(schema, rows).select(names)
    ends = pa.array([end_of_day_ns(day) for day in table["day"].to_pylist()], pa.int64())
    return table.append_column("until_ts", ends)


def _order_lines(of: Sources, row: Row) -> list[Draft]:
    lines = []
    for item, value in observed_orders(of, row):
        line = fact_line(of, item)
        text = number(value, row["unit"])
        lines.append(Draft(line.title, value, text, line.words, line.evidence_id, line.parts))
    return lines
