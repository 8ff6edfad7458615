"""Tables of workflows for a terminal of 100 columns: amounts without cents, times to the minute. JSON has every digit."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from portfolio_platform.cli.control_tables import amount, minute, show
from portfolio_platform.cli.options import out, plain

View = Mapping[str, Any]
PHASE_STYLES = {"position_open": "bold cyan", "flattening": "bold red", "thesis_armed": "yellow", "stopped": "dim"}
NEWEST_ASKS = 8
COLUMNS = (
    ("symbol", 6, False),
    ("phase", 8, False),
    ("template", 11, False),
    ("holds", 5, True),
    ("mode", 9, False),
    ("new risk", 8, True),
    ("regime", 9, False),
    ("trades", 6, True),
    ("R", 5, True),
    ("newest event", 10, False),
)
"""Columns of the list: name, least width (a word is not broken within it), and whether they hold numbers."""


def workflows(portfolio: str, rows: Sequence[View]) -> None:
    """Print one row for each workflow."""
    shown = [
        (
            row["symbol"],
            phase(row["phase"]),
            row["template"].replace("_", " ") or "–",
            row["quantity"],
            mode(row),
            amount(row["max_new_risk"]),
            row["regime"].replace("_vol_", " ") or "–",
            f"{row['trades']}",
            result(row["r"]),
            f"{minute(row['last_event']['at'])[:10]} {row['last_event']['type'].replace('_', ' ')}",
        )
        for row in rows
    ]
    title = f"{portfolio}: {len(rows)} workflows"
    looks: dict[str, Any] = {"title_justify": "left", "title_style": "bold", "box": box.SIMPLE_HEAD, "padding": (0, 1, 0, 0)}
    table = Table(title=plain(title), pad_edge=False, **looks)
    for name, width, right in COLUMNS:
        table.add_column(name, overflow="fold", min_width=width, justify="right" if right else "left")
    for row in shown:
        table.add_row(*[cell if isinstance(cell, Text) else plain(cell) for cell in row])
    out.print(table)


def phase(name: str) -> Text:
    """Return a phase in its colour."""
    return Text(name.replace("_", " "), style=PHASE_STYLES.get(name, ""))


def mode(row: View) -> Text:
    """Return the mode of an envelope."""
    words = row["mode"].replace("_", " ") or "no envelope"
    return Text(words, style="" if words == "normal" else "dim" if not row["mode"] else "bold red")


def result(text: str) -> Text:
    """Return a sum of R in its colour."""
    number = Decimal(text)
    return Text(f"{number:+.2f}" if number else "0", style="green" if number > 0 else "red" if number < 0 else "")


def workflow(view: View) -> None:
    """Print everything that a workflow says of itself."""
    head = f"[bold]{plain(view['symbol'])}[/] in {plain(view['portfolio'])}: {plain(view['phase'].replace('_', ' '))}"
    _line(f"{head}; it waits for {plain(view['waits_for'])}")
    template = view["template"] or "none"
    after = f", then {view['next_template']}" if view["next_template"] else ""
    told = f"envelope {mode(view)}, new risk at most {amount(view['max_new_risk'])} ({view['binding'] or '–'} binds)"
    _line(plain(f"template {template}{after}; regime {view['regime'] or 'not known yet'}; {told}"))
    _plan(view)
    _setup(view)
    _position(view)
    _judge(view)
    evaluations(view["evaluations"])
    asks(view["asked_and_got"])
    totals = view["totals"]
    _line(
        f"theses {totals['theses']}, activations {totals['activations']}, asked {totals['asked']}, clipped {totals['clipped']}, "
        f"rejected {totals['rejected']}, blocked {totals['blocked']}, trades {totals['trades']}"
    )
    for one in view["notices"]:
        _line(plain(f"notice of {minute(one['at'])}: {one['text']}"))


def _plan(view: View) -> None:
    plan = view["plan"]
    if plan is None:
        _line(f"[bold]plan[/] none: {plain(view['plan_reason'] or 'not asked for yet')}")
        return
    _line(f"[bold]plan[/] {plain(plan['playbook'])} {plain(plan['version'])} of {plan['day']}, {plain(plan['plan_id'])}")
    for name in ("thesis", "activation", "invalidation"):
        for text in plan[name]:
            _line(f"  {name} {plain(text)}")
    _line(plain(f"  stop {plan['stop']}; target {plan['target']}; trail {plan['trail']}; time exit {plan['time_exit_bars']} closes"))
    least = f"  at least {plan['minimum_r']} R; risk {Decimal(plan['risk_share']):.2%} of equity; cooldown {plan['cooldown_bars']} closes"
    _line(plain(least))
    if view["declined"]:
        _line(f"  [yellow]nothing is armed[/]: {plain(view['declined'])}")


def _setup(view: View) -> None:
    setup = view["setup"]
    if setup is None:
        return
    armed = f"{setup['direction']}, armed {minute(setup['armed_at'])} in {setup['regime'] or '?'}"
    _line(f"[bold]setup[/] {plain(setup['setup_id'])}: {plain(armed)}")
    contract = setup["contract"]
    if contract is not None:
        target = contract["target"] or "none"
        _line(
            f"  exit contract: from {contract['price']} stop {contract['stop']}, target {target}, {contract['bars']} closes; "
            f"{Decimal(contract['reward_for_risk']):.2f} R"
        )


def _position(view: View) -> None:
    position = view["position"]
    if position is None:
        return
    closing = f"; closing: {position['closing']}" if position["closing"] else ""
    _line(
        f"[bold]position[/] {position['quantity']} at {position['average_entry']}, stop {position['stop']}, "
        f"target {position['target'] or 'none'}, {position['bars']} closes{closing}"
    )
    for one in view["orders"]:
        _line(plain(f"  order {one['order_id']}: {one['purpose']}, {one['left']} at {one['price']}"))


def _judge(view: View) -> None:
    judge = view["judgement"]
    until = f" until {minute(judge['blocked_until'])}" if judge["blocked_until"] else ""
    _line(plain(f"judge: {judge['stance']}{until}, size × {judge['size']}; {'; '.join(judge['reasons']) or 'no trade to judge yet'}"))
    if view["blocked_until"]:
        _line(f"[bold red]blocked by an operator[/] until {plain(minute(view['blocked_until']))}")


def evaluations(rows: Iterable[View]) -> None:
    """Print the newest evaluations of the regime."""
    shown = [
        (
            minute(one["at"]),
            f"{Decimal(one['distance']):.2f} / {Decimal(one['threshold']):.2f}",
            Text(one["reason_code"], style="bold" if one["fired"] else ""),
            one["after"],
            one["words"],
        )
        for one in rows
    ]
    show("Regime, the newest evaluations", ("at", "distance", "reason", "regime", "in words"), shown)


def asks(rows: Sequence[View]) -> None:
    """Print what was asked for and what it got, the newest first."""
    shown = [
        (
            minute(one["at"])[:10],
            one["intent_id"].rpartition(":intent")[0].rpartition(":")[2],
            amount(one["wanted_risk"]),
            amount(one["requested_risk"]),
            amount(one["got_risk"]),
            Text(one["code"] or "not asked", style="" if one["code"].startswith("approved") else "red"),
            "; ".join((*one["bounds"], *one["reasons"])) or "–",
            one["became"],
        )
        for one in rows[:NEWEST_ASKS]
    ]
    title = f"Asked and got, the newest {len(shown)} of {len(rows)}"
    columns = ("day", "setup", "wanted", "asked", "got", "answer", "because of", "became")
    show(title, columns, shown, ("setup", "wanted", "asked", "got"))


def _line(text: str) -> None:
    out.print(text, soft_wrap=True, highlight=False)
