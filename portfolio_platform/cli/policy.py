"""Commands about policies: what is in force, what differs, what was, and what another one would have said."""

from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from portfolio_platform.cli.options import (
    DATA_PROBLEM,
    AsOf,
    HomeOption,
    Json,
    Portfolio,
    day_option,
    err,
    opened,
    out,
    plain,
    print_json,
)

if TYPE_CHECKING:
    from portfolio_platform.explain.what_if import WhatIf
    from portfolio_platform.policy.compare import Compared
    from portfolio_platform.policy.history import Entry
    from portfolio_platform.policy.named import Named
    from portfolio_platform.policy.validate import Looked

policy = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="Policies: limits and thresholds, and when each is in force.")
SHOWN_HASH = 12
SHOWN_DAYS = 10
WHAT = "NAME (in force today), NAME@DAY, a file that ends in .toml, a hash or its beginning, or `shipped`."


@policy.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help=WHAT)] = "default",
    on: Annotated[date | None, day_option("--on", "The version in force on this day; today where not given.")] = None,
    section: Annotated[str | None, typer.Option("--section", help="Keys of this section only, such as heat or alerts.rules.stack.")] = None,
    different: Annotated[bool, typer.Option("--different", help="Only what differs from the shipped default.")] = False,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Show every value of a policy as it holds, and where it differs from the shipped default."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.policy.compare import compare, of_section
        from portfolio_platform.policy.load import default_policy
        from portfolio_platform.policy.named import find_policy

        found = find_policy(opened_home.require(), name, on)
        compared = of_section(compare(found.policy, default_policy()), section)
        rows = [item for item in compared if item.differs or not different]
        if json:
            shown = [{"key": item.key, "value": item.one, "shipped": item.other, "differs": item.differs} for item in rows]
            print_json({**_told(found), "values": shown})
            return
        out.print(plain(_headline(found)), soft_wrap=True, highlight=False)
        _print_keys(rows, "value", "shipped", mark=True)


@policy.command()
def validate(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="Files; every policy of the home where none is named.")
    ] = None,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Look through policy files before they are used. Exit code 1 where one is wrong; what is only odd is a warning."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.evidence.catalogue import BY_NAME
        from portfolio_platform.policy.validate import validate as validated

        found = validated(opened_home.require(), files or [], BY_NAME.keys())
        if json:
            print_json([{**asdict(item), "ok": item.ok} for item in found])
        else:
            for item in found:
                _print_looked(item)
        if not all(item.ok for item in found):
            raise typer.Exit(DATA_PROBLEM)


@policy.command()
def diff(
    one: Annotated[str, typer.Argument(metavar="A", help=WHAT)],
    other: Annotated[str, typer.Argument(metavar="B", help=WHAT)],
    section: Annotated[str | None, typer.Option("--section", help="Keys of this section only.")] = None,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Compare two policies key by key: what A says, and what B says."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.policy.compare import compare, of_section
        from portfolio_platform.policy.named import find_policy

        first, second = (find_policy(opened_home.require(), text) for text in (one, other))
        rows = [item for item in of_section(compare(first.policy, second.policy), section) if item.differs]
        if json:
            shown = [{"key": item.key, "a": item.one, "b": item.other} for item in rows]
            print_json({"a": _told(first), "b": _told(second), "differences": shown})
            return
        out.print(plain(f"A: {_headline(first)}\nB: {_headline(second)}"), soft_wrap=True, highlight=False)
        if rows:
            _print_keys(rows, "A", "B", mark=False)
        else:
            out.print("they say the same")


@policy.command()
def history(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a policy of the home.")] = "default",
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """List the versions of a policy in time, and when the book first kept and used each; the book keeps those that are in no file too."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.policy.history import history as listed

        entries = listed(opened_home.require(), name)
        if json:
            print_json([asdict(entry) for entry in entries])
            return
        table = Table(title=f"Policy {plain(name)} in time", title_justify="left")
        for column in ("in force", "file", "version", "hash", "archived", "first used", "reports"):
            table.add_column(column, overflow="fold", justify="right" if column in ("version", "reports") else "left")
        for entry in entries:
            table.add_row(*(plain(text) for text in _history_row(entry)), style="bold" if entry.in_force else "")
        out.print(table)


@policy.command("what-if")
def what_if(
    tried: Annotated[str, typer.Option("--policy", metavar="POLICY", help=WHAT)],
    from_: Annotated[date, day_option("--from", "First day on which it is in force.")],
    to: Annotated[date | None, day_option("--to", "Last day; the newest that is over where not given.")] = None,
    portfolio: Portfolio = None,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Say what another policy would have said from a day on, in a home of its own: alerts, regimes, modes. Nothing of yours changes.

    The ledger is the same: nobody is taken to have traded otherwise. To put a policy into force write it into the home's policies,
    with effective_from.
    """
    with opened(home, as_of) as opened_home:
        from portfolio_platform.explain.what_if import what_if as computed
        from portfolio_platform.policy.named import find_policy

        found = find_policy(opened_home.require(), tried)
        with err.status("building under the other policy") as status:
            result = computed(
                opened_home, found.policy, from_, to or opened_home.last_ended_day, portfolio, lambda text: status.update(plain(text))
            )
        if json:
            counts = [asdict(item) for item in result.counts]
            print_json({**_told(found), "from": result.first, "to": result.last, "counts": counts, "days": result.days})
            return
        out.print(plain(f"{_headline(found)}, from {result.first} to {result.last}"), soft_wrap=True, highlight=False)
        _print_what_if(result)


def _told(found: "Named") -> dict[str, Any]:
    version = found.version
    return {
        "title": found.title,
        "name": found.policy.name,
        "version": found.policy.version,
        "hash": found.policy.hash,
        "source": version.source if version else "",
        "effective_from": version.effective_from if version else None,
        "expires": version.expires if version else None,
    }


def _headline(found: "Named") -> str:
    text = f"{found.title}: version {found.policy.version}, hash {found.policy.hash[:SHOWN_HASH]}"
    if found.version is not None and (found.version.effective_from or found.version.expires):
        text += f", in force {_span(found.version.effective_from, found.version.expires)}"
    return text


def _span(first: date | None, last: date | None) -> str:
    begin = f"from {first}" if first else "from the beginning"
    return f"{begin} to {last}" if last else f"{begin} on"


def _print_keys(rows: "list[Compared]", one: str, other: str, *, mark: bool) -> None:
    table = Table()
    for name in ("key", one, other):
        table.add_column(name, overflow="fold")
    for item in rows:
        values = (_text(item.one), _text(item.other) if item.differs or not mark else "")
        table.add_row(plain(item.key), *(plain(value) for value in values), style="bold" if mark and item.differs else "")
    out.print(table)


def _text(value: object) -> str:
    return "–" if value is None else str(value)


def _print_looked(item: "Looked") -> None:
    hashed = f", hash {item.hash[:SHOWN_HASH]}" if item.hash else ""
    level = "[bold red]wrong[/]" if not item.ok else "[yellow]odd[/]" if item.doubts else "[green]ok[/]"
    out.print(f"{level} {plain(item.what)}{hashed}", soft_wrap=True, highlight=False)
    for fault in item.faults:
        key = f"{fault.key}: " if fault.key else ""
        out.print(plain(f"    {key}{fault.rule}; {fault.remedy}"), soft_wrap=True, highlight=False)
    for doubt in item.doubts:
        key = f"{doubt.key}: " if doubt.key else ""
        out.print(plain(f"    {key}{doubt.said}; {doubt.remedy}"), soft_wrap=True, highlight=False)


def _history_row(entry: "Entry") -> tuple[str, ...]:
    span = _span(entry.effective_from, entry.expires) if entry.source else "in no file any more"
    used = f"{entry.first_used[:10]}, for {entry.first_day}" if entry.first_used else "–"
    version = str(entry.version) if entry.source else "–"
    return (span, entry.source or "–", version, entry.hash[:SHOWN_HASH], entry.archived_at[:10] or "–", used, f"{entry.reports:,}")


def _print_what_if(result: "WhatIf") -> None:
    table = Table()
    for name in ("portfolio", "what", "which", "told", "instead"):
        table.add_column(name, overflow="fold", justify="right" if name in ("told", "instead") else "left")
    for item in result.counts:
        cells = (item.portfolio, item.of, item.name, f"{item.told:,}", f"{item.instead:,}")
        table.add_row(*(plain(cell) for cell in cells), style="bold" if item.told != item.instead else "")
    out.print(table)
    shown = ", ".join(str(day) for day in result.days[:SHOWN_DAYS])
    more = f" and {len(result.days) - SHOWN_DAYS:,} more" if len(result.days) > SHOWN_DAYS else ""
    days = (
        f"{len(result.days):,} days would have said something else: {shown}{more}" if result.days else "every day would have said the same"
    )
    out.print(plain(days), soft_wrap=True, highlight=False)
