"""Commands about paper runs: a whole portfolio over the bars of a home, with nobody at the wheel."""

import time
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from portfolio_platform.cli.options import AsOf, HomeOption, Json, day_option, err, opened, out, plain, print_json
from portfolio_platform.errors import WrongUse

if TYPE_CHECKING:
    from portfolio_platform.paper.model import Moment
    from portfolio_platform.paper.run import PaperResult

paper = typer.Typer(no_args_is_help=True, help="Run a whole paper portfolio over the bars of a home: screener to ledger and round again.")
LINES = 20
"""Sessions between two lines of progress where there is no terminal."""


class Monitor(StrEnum):
    """How often the monitor runs inside a paper run."""

    weekly = "weekly"
    monthly = "monthly"
    quarterly = "quarterly"
    end = "end"


class Control(StrEnum):
    """Whether the control plane grants risk, or everything that is asked for is granted."""

    on = "on"
    off = "off"


def _speed(text: str | float) -> float:
    """Return bars a second; 0 for as fast as it goes."""
    if isinstance(text, float):
        return text
    if text == "max":
        return 0.0
    try:
        speed = float(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is neither max nor a number of sessions a second") from error
    if not speed > 0.0:
        raise typer.BadParameter(f"{text!r} is not above 0")
    return speed


def read_universe(path: Path) -> tuple[str, ...]:
    """Return the symbols of a file: one a line, or the first column of a CSV with a header ``symbol``; # begins a comment.

    Raises:
        WrongUse: the file cannot be read, or names no symbol.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUse(f"{path} cannot be read as text: {error}; write one symbol a line") from error
    found = [line.partition("#")[0].partition(",")[0].strip() for line in lines]
    symbols = tuple(sorted({one for one in found if one and one.lower() != "symbol"}))
    if not symbols:
        raise WrongUse(f"{path} names no symbol; write one a line")
    return symbols


@paper.command("run")
def run_(
    first: Annotated[date | None, day_option("--from", "First day; a year after the first bar where not given.")] = None,
    last: Annotated[date | None, day_option("--to", "Last day; that of the last bar where not given.")] = None,
    universe: Annotated[Path | None, typer.Option("--universe", help="File with the symbols, one a line; all with bars else.")] = None,
    speed: Annotated[float, typer.Option("--speed", parser=_speed, metavar="max|N", help="Sessions a second, at most.")] = "max",  # type: ignore[assignment]
    portfolio: Annotated[str, typer.Option("--portfolio", "-p", help="Name of the paper portfolio.")] = "paper",
    monitor: Annotated[
        Monitor, typer.Option("--monitor", help="The monitor's own cadence; a breach starts a run between.")
    ] = Monitor.quarterly,
    control: Annotated[Control, typer.Option("--control", help="off: everything that is asked for is granted.")] = Control.on,
    policy: Annotated[str, typer.Option("--policy", help="Name of the portfolio's policy.")] = "default",
    build: Annotated[bool, typer.Option("--build/--no-build", help="Build every table at the end.")] = True,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Run a paper portfolio over the bars; the same command goes on where a run was interrupted, or from an earlier --to."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.paper.model import PaperOptions
        from portfolio_platform.paper.run import run
        from portfolio_platform.paper.shown import write_page

        options = PaperOptions(
            portfolio=portfolio,
            universe=read_universe(universe) if universe is not None else (),
            monitor=monitor.value,
            control=control.value,
            policy=policy,
        )
        with _Shown(portfolio, speed, quiet=json) as shown:
            done = run(opened_home.require(), options, first=first, last=last, show=shown.show, report=shown.report, build=build)
            shown.report("drawing the page")
            page = write_page(opened_home, portfolio, done.figures)
        if json:
            print_json({**_told(done), "page": str(page)})
            return
        out.print(_figures(done))
        for finding in done.findings[:LINES]:
            out.print(plain(f"finding {finding.what}: {finding.text}"), soft_wrap=True)
        _goodbye(done, page, build)


@paper.command("status")
def status_(
    portfolio: Annotated[str, typer.Option("--portfolio", "-p", help="Name of the paper portfolio.")] = "paper",
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Say how far a paper run is, what it is worth, and which workflows run."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.paper.run import status

        found = status(opened_home.require(), portfolio)
        record, kept = found.record, found.kept
        assert record.opened is not None
        if kept is None or not record.sessions:
            out.print(plain(f"{portfolio}: begun for {record.opened.day}, no session yet"))
            return
        newest, counts = record.sessions[-1], kept.counts
        whole = 100
        if json:
            print_json({"portfolio": portfolio, "day": newest.day, "equity": newest.equity, "mode": newest.mode, **counts._asdict()})
            return
        end = f", finished up to {record.finished.day}" if record.finished is not None else ", not finished"
        out.print(plain(f"{portfolio}: {record.opened.day} to {newest.day}{end}"), style="bold")
        change = newest.equity / record.opened.cash - 1
        out.print(plain(f"equity {newest.equity / whole:,.2f} ({change:+.2%}), mode {newest.mode}, regime {newest.regime}"))
        said = f"{counts.sessions:,} sessions, {counts.bars:,} candles, {counts.fills:,} fills, {counts.passes:,} passes of the screener"
        out.print(plain(f"{said}, {counts.monitored:,} runs of the monitor ({counts.breaches:,} by a breach), {newest.running} workflows"))
        for symbol, one in sorted(kept.held.items()):
            out.print(plain(f"  {symbol:<8} {one.quantity / 10**18:>14,.4f}  {one.template} {one.playbook}"))


class _Shown:
    """Shows a run while it goes on: a live table on a terminal, a line now and then elsewhere."""

    def __init__(self, portfolio: str, speed: float, *, quiet: bool) -> None:
        self._portfolio, self._pause, self._quiet = portfolio, 1.0 / speed if speed else 0.0, quiet
        self._live: Any = None
        self._count = 0

    def __enter__(self) -> "_Shown":
        if err.is_terminal and not self._quiet:
            from rich.live import Live

            self._live = Live(console=err, refresh_per_second=8, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, moment: "Moment") -> None:
        """Show a session."""
        self._count += 1
        if self._live is not None:
            self._live.update(_table(self._portfolio, moment))
        elif not self._quiet and (self._count % LINES == 0 or moment.done[0] == moment.done[1]):
            err.print(plain(_line(moment)), soft_wrap=True)
        if self._pause:
            time.sleep(self._pause)

    def report(self, text: str) -> None:
        """Say what is done at the end."""
        if self._live is not None:
            from rich.text import Text

            self._live.update(Text(plain(text)))


def _line(moment: "Moment") -> str:
    done, of = moment.done
    held = ", ".join(symbol for symbol, _, _ in moment.positions) or "nothing"
    return f"{moment.day} {done:,}/{of:,}: equity {moment.equity / 100:,.0f}, {moment.mode}, {len(moment.phases)} workflows, holds {held}"


def _table(portfolio: str, moment: "Moment") -> Table:
    from rich.text import Text

    done, of = moment.done
    change, below = moment.equity / moment.start - 1, 1 - moment.equity / max(moment.peak, 1)
    title = f"{portfolio} {moment.day} ({done:,} of {of:,} sessions)  equity {moment.equity / 100:,.0f} ({change:+.1%})"
    table = Table(title=Text(f"{title}  drawdown {below:.1%}  {moment.mode}"), expand=False)
    for column in ("symbol", "phase", "template", "position", "value", "envelope: mode, room, binding"):
        table.add_column(column, justify="right" if column in ("position", "value") else "left")
    held = {symbol: (quantity, value) for symbol, quantity, value in moment.positions}
    envelopes = dict(moment.envelopes)
    for symbol, phase, template in moment.phases:
        quantity, value = held.get(symbol, (0, 0))
        sized = (f"{quantity / 10**18:,.4g}", f"{value / 100:,.0f}") if quantity else ("", "")
        table.add_row(*(Text(one) for one in (symbol, phase, template, *sized, envelopes.get(symbol, ""))))
    table.caption = "\n".join(plain(one) for one in moment.recent)
    return table


def _figures(done: "PaperResult") -> Table:
    from rich.text import Text

    table = Table(title=f"{done.portfolio}: {done.first} to {done.last}", title_justify="left")
    for column in ("question", "found", "gate", "verdict"):
        table.add_column(column)
    for one in done.figures:
        verdict = "too little to say" if one.passed is None else "met" if one.passed else "NOT MET"
        style = "yellow" if one.passed is None else "green" if one.passed else "bold red"
        table.add_row(Text(one.name), Text(one.value), Text(one.gate), Text(verdict, style))
    return table


def _goodbye(done: "PaperResult", page: Path, build: bool) -> None:
    newest, counts = done.sessions[-1], done.kept.counts
    opened_with = done.sessions[0].flow
    change = newest.equity / opened_with - 1 if opened_with else 0.0
    said = f"equity {newest.equity / 100:,.2f} ({change:+.2%}), {counts.fills:,} fills, {counts.stopped:,} workflows stopped"
    out.print(plain(f"{said}, mode {newest.mode}; {done.published.rows:,} rows are new in the lake"), soft_wrap=True)
    out.print(plain(f"page: {page}"), soft_wrap=True)
    following = f"portfolio report -p {done.portfolio} --day {done.last}" if build else "portfolio build"
    out.print(plain(f"next: {following}"), soft_wrap=True)


def _told(done: "PaperResult") -> dict[str, Any]:
    newest = done.sessions[-1]
    return {
        "portfolio": done.portfolio,
        "from": done.first,
        "to": done.last,
        "equity": newest.equity,
        "mode": newest.mode,
        **done.kept.counts._asdict(),
        "findings": [one._asdict() for one in done.findings],
        "figures": [vars(one) for one in done.figures],
    }
