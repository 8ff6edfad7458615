"""What the tables of the control plane rest on: limits on policy and orders, what is used of them on positions and reservations."""

from collections.abc import Callable, Iterable
from typing import Any

from portfolio_platform.control.pipeline.names import known_name
from portfolio_platform.control.pipeline.standing import Standing, standing
from portfolio_platform.control.views import instant, money
from portfolio_platform.days import day_number, end_of_day_ns, to_date
from portfolio_platform.explain.cells import by_size, cell, cells, explains, plain, rows_of
from portfolio_platform.explain.sources import Row, Sources
from portfolio_platform.explain.tables.ledger import equity_of, position_name
from portfolio_platform.explain.tables.risk import policy_value
from portfolio_platform.explain.tree import Draft, listing
from portfolio_platform.lake import derived
from portfolio_platform.lake.facts import INSTRUMENTS

REGISTER = {
    "cap": "the policy's fraction of equity; where an order set the limit, limit / equity",
    "limit": "cap x equity, cut to the minor unit; or what an order says; or a count of the policy",
    "active": "what the open positions of the group add up to; a risk that is not known counts as the whole exposure",
    "reserved": "what is granted to the group by the end of the day, and not filled, given up or over",
    "used": "active + reserved",
    "headroom": "limit - used, at least 0",
    "use": "used / limit",
}
ALL = 1_000_000_000_000
"""More events than any log has."""


@explains(derived.LIMIT_UTILISATION, REGISTER)
def limit_utilisation(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """A limit is the policy's, or an order's; what is used of it are positions and reservations."""
    if column == "use":
        return cells(of, row, ("used", "limit"))
    if column == "headroom":
        return cells(of, row, ("limit", "used"))
    if column == "used":
        return cells(of, row, ("active", "reserved"))
    if column == "equity":
        return equity_of(of, row.portfolio, row.day)
    if column in ("cap", "limit", "source", "policy_hash"):
        return [*(cells(of, row, ("cap", "equity")) if column == "limit" and row["cap"] is not None else []), *_limit_of(of, row)]
    if column == "active":
        return _active(of, row)
    if column == "reserved":
        return [reservations(of, row, lambda one: _in_group(of, row, one.symbol, one.template, one.playbook, one.bucket))]
    return []


def _limit_of(of: Sources, row: Row) -> list[Draft]:
    """Return the value of the policy behind a limit, or the orders that set it."""
    if row["source"] != "policy":
        return _orders(of, row)
    policy = of.policy(row.portfolio, row.day)
    if row["rule"] == "heat":
        return [policy_value(of, row.portfolio, row.day, "heat.cap", policy.heat.cap)]
    name = row["rule"] if row["basis"] == "count" else f"{row['rule']}_{row['basis']}"
    return [policy_value(of, row.portfolio, row.day, f"control.{name}", getattr(policy.control, name))]


def _orders(of: Sources, row: Row) -> list[Draft]:
    from portfolio_platform.explain.decisions import order_draft

    digits = _digits(of, row.portfolio)
    orders = stood(of, row).orders.values()
    mine = [
        one for one in orders if one.kind == "cap" and (one.rule, one.basis) == (row["rule"], row["basis"]) and one.words == row["source"]
    ]
    return [order_draft(of, one, digits) for one in sorted(mine) if one.scope in ("", row["scope"])]


def _active(of: Sources, row: Row) -> list[Draft]:
    def found() -> list[Row]:
        rows = of.rows(derived.POSITION_RISK, row.portfolio, row.day, row.day)
        mine = [one for one in rows if _in_group(of, row, one["symbol"], known_name(one["template"]), known_name(one["playbook"]))]
        return by_size(mine, "exposure" if row["basis"] == "exposure" else "risk")

    quoted = "exposure" if row["basis"] == "exposure" else "risk"
    drafts = [rows_of(of, "open positions", found, quoted, position_name)]
    if row["rule"] == "new_positions":
        trips = _trips(of, row)
        drafts += [rows_of(of, "trades that were closed on the day", lambda: trips, "opened_at", position_name)]
    if row["rule"] == "bucket":
        bucket = of.row(derived.CORRELATION_BUCKETS, row.portfolio, row.day, bucket=row["scope"])
        drafts += [cell(of, bucket, "symbols", title=f"symbols of the bucket {row['scope']}")] if bucket is not None else []
    return drafts


def _trips(of: Sources, row: Row) -> list[Row]:
    import pyarrow.compute as pc

    where = (pc.field("day") == row.day) & (pc.field("portfolio") == row.portfolio) & (pc.field("method") == "flat_to_flat")
    found = of.home.lake.read(derived.ROUND_TRIPS, None, where, from_month=row["month"], to_month=row["month"]).to_pylist()
    return [Row(derived.ROUND_TRIPS, values) for values in sorted(found, key=lambda one: one["round_trip_id"])]


def _in_group(of: Sources, row: Row, symbol: str, template: str, playbook: str, bucket: str = "") -> bool:
    """Say whether something counts against a row's limit."""
    rule, scope = row["rule"], row["scope"]
    if rule in ("heat", "positions", "new_positions"):
        return True
    if rule in ("symbol", "template", "playbook"):
        return bool(scope == {"symbol": symbol, "template": template, "playbook": playbook}[rule])
    if rule in ("cohort", "sector"):
        groups = {one["symbol"]: known_name(one[rule]) for one in of.facts(INSTRUMENTS)}
        return bool(groups.get(symbol, "") == scope)
    buckets = of.rows(derived.CORRELATION_BUCKETS, row.portfolio, row.day, row.day)
    known = {name: one["bucket"] for one in buckets for name in one["symbols"].split(", ")}
    return bool((known.get(symbol) or bucket) == scope)


def stood(of: Sources, row: Row) -> Standing:
    """Return what stood at the end of a row's day, as the log has it."""
    with of.home.decisions.book.reading() as connection:
        return standing(connection, row.portfolio, [end_of_day_ns(row.day)], ALL)[0]


def reservations(of: Sources, row: Row, mine: Callable[[Any], bool] = lambda one: True) -> Draft:
    """Return what was reserved at the end of a row's day, of those that count, the largest first; each leads to its decision."""
    digits = _digits(of, row.portfolio)

    def found() -> list[Draft]:
        from portfolio_platform.explain.decisions import PREFIX

        standing_then = sorted(stood(of, row).reservations.items(), key=lambda item: (-item[1].remaining, item[0]))
        return [
            Draft(
                f"{one.strategy} {one.symbol}",
                one.remaining,
                str(money(one.remaining, digits)),
                f"of {money(one.granted, digits)} granted, until {instant(one.expires_at)}",
                f"{PREFIX}{row.portfolio}:{name}",
            )
            for name, one in standing_then
            if mine(one)
        ]

    return listing("reservations", found, "granted by the control plane by then, and not filled, given up or over")


def _digits(of: Sources, portfolio: str) -> int:
    from portfolio_platform.control.money import digits_of
    from portfolio_platform.control.pipeline.fills import read_money

    return digits_of(read_money(of.home).base_of(portfolio))


@explains(
    derived.ALLOCATION_DECISIONS,
    {"approved_risk": "the least that any rule left of the scaled risk", "scaled_risk": "requested risk x multiplier"},
)
def allocation_decisions(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """A decision is explained by its log: the intent, the state it met, what every rule saw."""
    from portfolio_platform.explain.decisions import decision

    if "#" in row["decision"].removeprefix(f"decision:{row['portfolio']}:{row['intent_id']}"):
        return [plain(row, name) for name in ("code", "reasons")]
    return [decision(of, row["intent_id"], row["portfolio"])]


@explains(derived.CONSTRAINT_ENVELOPES, {"max_new_risk": "the least that any rule on the symbol left; 0 where everything new is forbidden"})
def constraint_envelopes(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """An envelope is what the limits leave to a symbol: the register of its day has them."""
    day = to_date(day_number(row["ts"]))
    rest = [plain(row, name) for name in ("mode", "binding", "equity", "terms_version") if name != column]
    limits = of.rows(derived.LIMIT_UTILISATION, row["portfolio"], day, day)
    mine = [one for one in limits if one["scope"] in ("", row["symbol"])]
    return [*rest, rows_of(of, f"the register of limits on {day}", lambda: mine, "headroom", _limit_name)]


def _limit_name(row: Row) -> str:
    return f"{row['rule']} {row['scope']}".strip()
