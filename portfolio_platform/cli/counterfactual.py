"""Commands that ask what other limits would have made of the past: one policy over a window, and thresholds over two."""

from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from portfolio_platform.cli.options import AsOf, HomeOption, Json, Portfolio, day_option, opened, out

if TYPE_CHECKING:
    from portfolio_platform.control.counterfactual.replay import Assumptions


class Regime(StrEnum):
    """Whose drawdown the regime follows."""

    counterfactual = "counterfactual"
    recorded = "recorded"


PolicyOption = Annotated[
    str | None,
    typer.Option(
        "--policy",
        metavar="POLICY",
        help="NAME, NAME@DAY, a file that ends in .toml, a hash, or `shipped`; each portfolio's own by default.",
    ),
]
Html = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page with charts to this file.")]
RegimeOption = Annotated[Regime, typer.Option("--regime", help="Whose drawdown the regime, and with it the mode, follows.")]
Most = Annotated[float, typer.Option("--most", min=0.0, help="How large a trade may get where it is granted more than then.")]


def counterfactual(
    portfolio: Portfolio = None,
    policy: PolicyOption = None,
    first: Annotated[date | None, day_option("--from", "First day of the window.")] = None,
    last: Annotated[date | None, day_option("--to", "Last day of the window.")] = None,
    regime: RegimeOption = Regime.counterfactual,
    most: Most = 1.0,
    html: Html = None,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Replay intents and fills under a policy: what would have been refused, and what that would have done. Nothing is written."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.control.counterfactual.pipeline import counterfactuals
        from portfolio_platform.render import counterfactual as pages

        found = list(counterfactuals(opened_home.require(), portfolio, policy, first, last, _assumptions(regime, most)))
        if html is not None:
            html.write_text(pages.to_html(found), encoding="utf-8")
        if json:
            _print_documents(found)
            return
        for place, one in enumerate(found):
            out.print(*([""] if place else []), pages.to_terminal(one), sep="\n")


def calibrate(
    portfolio: Portfolio = None,
    policy: PolicyOption = None,
    split: Annotated[date | None, day_option("--until", "Last day of the window on which is chosen; two years by default.")] = None,
    last: Annotated[date | None, day_option("--to", "Last day of the window that judges; two years by default.")] = None,
    regime: RegimeOption = Regime.counterfactual,
    most: Most = 1.0,
    html: Html = None,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Choose thresholds on one window, freeze them, and report how they did on the next. Nothing is written."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.control.counterfactual.pipeline import calibrations
        from portfolio_platform.render import counterfactual as pages

        found = list(calibrations(opened_home.require(), portfolio, policy, split, last, _assumptions(regime, most)))
        if html is not None:
            html.write_text(pages.calibration_html(found), encoding="utf-8")
        if json:
            _print_documents(found)
            return
        for place, one in enumerate(found):
            out.print(*([""] if place else []), pages.calibration_terminal(one), sep="\n")


def _assumptions(regime: Regime, most: float) -> "Assumptions":
    from portfolio_platform.control.counterfactual.replay import Assumptions

    return Assumptions("recorded" if regime is Regime.recorded else "counterfactual", most)


def _print_documents(found: Any) -> None:
    """Print the canonical documents as one JSON array: equal input gives equal bytes."""
    typer.echo("[" + ",\n".join(one.content.decode() for one in found) + "]")
