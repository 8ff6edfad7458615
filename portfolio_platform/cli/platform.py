"""Commands about the platform itself: create a home, build the tables, see whether all is well."""

from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from portfolio_platform.cli.options import DATA_PROBLEM, AsOf, HomeOption, Json, day_option, err, opened, out, plain, print_json
from portfolio_platform.errors import WrongUse

if TYPE_CHECKING:
    from portfolio_platform.home import Home


def init(
    pin_clock: Annotated[date | None, day_option("--pin-clock", "Let this home live at the end of that day.")] = None,
    unpin_clock: Annotated[bool, typer.Option("--unpin-clock", help="Let the home live in the present again.")] = False,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Create a home: lake, book, policy and inbox. What is there already stays as it is."""
    with opened(home, as_of) as opened_home:
        if pin_clock is not None and unpin_clock:
            raise WrongUse("--pin-clock and --unpin-clock contradict each other; give one")
        opened_home.create()
        if pin_clock is not None or unpin_clock:
            opened_home.pin_clock(pin_clock)
        pinned = opened_home.pinned_at
        if json:
            print_json({"home": opened_home.root, "inbox": opened_home.inbox, "policies": opened_home.policies, "pinned_at": pinned})
            return
        out.print(f"home: {plain(str(opened_home.root))}", soft_wrap=True)
        if pinned is not None:
            out.print(f"its clock is pinned to the end of {opened_home.today}")
        out.print("next: [bold]portfolio import PATH[/], or put files into its inbox")


def build(
    until: Annotated[date | None, day_option("--until", "Last day to build; the clock's day where not given.")] = None,
    restate_from: Annotated[date | None, day_option("--restate-from", "Compute again from this day on.")] = None,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Bring every derived table up to date, from the first day that changed."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.build import build_all

        with err.status("building") as status:
            built = build_all(opened_home.require(), until=until, restate_from=restate_from, report=lambda text: status.update(plain(text)))
        if json:
            print_json({name: asdict(result) for name, result in built.items()})
            return
        for name, result in built.items():
            if result.changed_from is None:
                out.print(f"{name}: up to date")
            else:
                rows = ", ".join(f"{count:,} {table}" for table, count in result.rows.items())
                out.print(f"{name}: built from {result.changed_from} to {result.until}: {rows}", soft_wrap=True)
        out.print(_next(opened_home))


def _next(home: "Home") -> str:
    """Say what a person does after a build."""
    from portfolio_platform.lake.derived import PORTFOLIO_EQUITY

    if home.lake.file_count(PORTFOLIO_EQUITY):
        return "next: [bold]portfolio report[/]"
    return "there is no fill and no cash flow yet, so nothing to build; next: [bold]portfolio import PATH[/]"


def doctor(json: Json = False, home: HomeOption = None, as_of: AsOf = None) -> None:
    """Say what is wrong and what to do: versions, stores, permissions, how late each table is."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.doctor import examine

        findings = examine(opened_home)
        if json:
            print_json([asdict(finding) for finding in findings])
        else:
            colours = {"ok": "green", "info": "cyan", "warn": "yellow", "fail": "bold red"}
            table = Table("", "what", "how it is", "what to do", title="portfolio doctor", title_justify="left")
            for finding in findings:
                mark = f"[{colours[finding.level]}]{finding.level}[/]"
                table.add_row(mark, plain(finding.what), plain(finding.state), plain(finding.remedy))
            out.print(table)
        if any(finding.level == "fail" for finding in findings):
            raise typer.Exit(DATA_PROBLEM)


def compact(json: Json = False, home: HomeOption = None, as_of: AsOf = None) -> None:
    """Merge the small files that many builds and imports leave in the lake. Rows and history stay as they are."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.lake.derived import TABLES

        lake, merged = opened_home.require().lake, {}
        with lake.writing(), err.status("compacting") as status:
            for table in TABLES.values():
                status.update(f"compacting {table.name}")
                merged[table.name] = lake.compact(table)
        if json:
            print_json(merged)
            return
        done = [f"{name}: {count:,} files merged" for name, count in merged.items() if count]
        out.print("\n".join(done) or "nothing to merge")
