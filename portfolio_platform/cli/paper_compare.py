"""`portfolio paper compare`: the same paper run under two policies, or with and without the control plane, as one page."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from portfolio_platform.cli.options import AsOf, HomeOption, Json, day_option, err, opened, out, plain, print_json

if TYPE_CHECKING:
    from portfolio_platform.paper.compare import Side
    from portfolio_platform.paper.model import Moment

EVERY = 100
"""Sessions between two lines of progress."""


def compare(
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy", metavar="POLICY", help="NAME, a file that ends in .toml, or `shipped`; given twice, or once with --control off."
        ),
    ] = None,
    control: Annotated[str, typer.Option("--control", help="off: the second side is granted everything that it asks for.")] = "on",
    first: Annotated[date | None, day_option("--from", "First day; a year after the first bar where not given.")] = None,
    last: Annotated[date | None, day_option("--to", "Last day; that of the last bar where not given.")] = None,
    universe: Annotated[Path | None, typer.Option("--universe", help="File with the symbols, one a line; all with bars else.")] = None,
    monitor: Annotated[
        str, typer.Option("--monitor", help="The monitor's cadence in both runs, as for `paper run`: weekly, monthly, quarterly or end.")
    ] = "",
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Run a paper portfolio twice, in scratch homes, and write one page on what differs. The home's own run is not touched."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.cli.paper import read_universe
        from portfolio_platform.errors import WrongUse
        from portfolio_platform.paper import compare as comparing
        from portfolio_platform.paper.model import CADENCES, PaperOptions
        from portfolio_platform.render import paper_compare as pages

        cadence = next((one for one in CADENCES if one == (monitor or PaperOptions().monitor)), None)
        if cadence is None:
            raise WrongUse(f"--monitor {monitor!r} is none of {', '.join(CADENCES)}")
        sides = sides_of(policy or [], control)
        options = PaperOptions(monitor=cadence, universe=read_universe(universe) if universe is not None else ())
        found = comparing.compare(
            opened_home.require(), sides, options, first=first, last=last, show=lambda *told: None if json else _progress(*told)
        )
        written = comparing.write(opened_home, found)
        if json:
            print_json({**pages.document(found), "page": str(written.page)})
            return
        from portfolio_platform.cli.control_tables import show

        for sentence in pages.sentences(found):
            out.print(f"• {plain(sentence)}", highlight=False)
        grid = pages.table(found)
        heads = [plain(column.head) for column in grid.columns]
        show(grid.caption, heads, [[cell.text for cell in row] for row in grid.rows], heads[1:])
        out.print(f"page: {written.page}", soft_wrap=True, highlight=False)


def sides_of(policies: list[str], control: str) -> "tuple[Side, Side]":
    """Return the two sides that were asked for. Raises `WrongUse` where they are not two."""
    from portfolio_platform.errors import WrongUse
    from portfolio_platform.paper.compare import Side

    if control not in ("on", "off"):
        raise WrongUse(f"--control {control!r} is neither on nor off")
    if control == "off":
        if len(policies) > 1:
            raise WrongUse(f"{len(policies)} policies and --control off are three sides; leave one out")
        name = policies[0] if policies else "default"
        return Side(name), Side(name, "off")
    if len(policies) != 2:
        raise WrongUse(f"{len(policies)} policies are no two sides; give --policy twice, or --control off")
    return Side(policies[0]), Side(policies[1])


def _progress(label: str, moment: "Moment") -> None:
    done, of = moment.done
    if done % EVERY == 0 or done == of:
        err.print(plain(f"{label}: {moment.day}, {done:,} of {of:,} sessions"), highlight=False)
