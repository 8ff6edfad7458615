"""The commands that explain: why a number is what it is, and whether it comes out again."""

from dataclasses import asdict
from datetime import date
from typing import Annotated

import typer

from portfolio_platform.cli.options import DATA_PROBLEM, AsOf, HomeOption, Json, Portfolio, day_option, err, opened, out, plain, print_json

SHOWN_DIFFERENCES = 20
Id = Annotated[list[str], typer.Argument(metavar="ID", help="Alert, recommendation, report, metric, number, fill, signal or round trip.")]


def why(
    identity: Id,
    portfolio: Portfolio = None,
    day: Annotated[date | None, day_option("--day", "Session of a metric; the newest where not given.")] = None,
    depth: Annotated[int | None, typer.Option("--depth", min=0, help="How many levels down.", show_default="by what it is")] = None,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Rows of each list.")] = 4,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Say why: the tree under an alert, a recommendation, a report or any number, down to the rows of the files.

    Examples: why alert:core:heat::2010-12-21, why report core 2010-12-31, why drawdown core 2010-12-31,
    why portfolio_equity/core/2010-12-31/equity, why EX-C-01831.
    """
    with opened(home, as_of) as opened_home:
        from portfolio_platform.explain.why import why as explained

        node = explained(opened_home.require(), " ".join(identity), portfolio=portfolio, day=day, depth=depth, rows=rows)
        if json:
            print_json(node.as_json())
            return
        from portfolio_platform.explain.printed import printed

        out.print(printed(node), markup=False, highlight=False)


def verify(
    identity: Annotated[str, typer.Argument(metavar="ID", help="A report, an alert, a recommendation, or the id of a number.")],
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Compute it again from the facts known then, under the policy in force then, and compare. Exit code 1 where it differs."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.explain.verify import verify as verified

        opened_home.require()
        with err.status("building from nothing") as status:
            found = verified(opened_home, identity, lambda text: status.update(f"building from nothing: {plain(text)}"))
        if json:
            print_json({**asdict(found), "same_code": found.same_code, "sentence": found.sentence})
        else:
            out.print(
                f"[{'green' if found.equal else 'bold red'}]{'equal' if found.equal else 'DIFFERS'}[/] {plain(found.sentence)}",
                soft_wrap=True,
            )
            for item in found.differences[:SHOWN_DIFFERENCES]:
                out.print(plain(f"  {item.path}: told {item.stored!r}, recomputed {item.recomputed!r}"), soft_wrap=True)
            if len(found.differences) > SHOWN_DIFFERENCES:
                out.print(f"  and {len(found.differences) - SHOWN_DIFFERENCES:,} more")
        if not found.equal:
            raise typer.Exit(DATA_PROBLEM)
