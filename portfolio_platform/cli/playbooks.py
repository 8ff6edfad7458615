"""Commands about playbooks: which there are, what one says, whether a file is sound, and what one did on past bars."""

from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from portfolio_platform.cli.options import DATA_PROBLEM, AsOf, HomeOption, Json, day_option, opened, out, plain, print_json
from portfolio_platform.errors import WrongUse

if TYPE_CHECKING:
    from portfolio_platform.instruments.playbook import Playbook, Stage
    from portfolio_platform.instruments.research import Record, Researched

playbooks = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="Playbooks: when a thesis is armed, what opens a position and how it is left."
)
SHOWN_HASH = 12
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a playbook; `portfolio playbooks list` has them.")]


@playbooks.command("list")
def list_(json: Json = False, home: HomeOption = None, as_of: AsOf = None) -> None:
    """List the playbooks that plans are made of: the shipped ones, and those of the home's folder `playbooks`, which win by name."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.instruments.playbook import ALL
        from portfolio_platform.instruments.playbook_loading import shelf

        found = shelf(opened_home.root)
        rows = [found.playbooks[name] for name in sorted(found.playbooks, key=lambda name: (found.playbooks[name].template, name))]
        if json:
            print_json([{**item.model_dump(mode="json"), "hash": item.hash, "own": item.name in found.own} for item in rows])
            return
        table = Table(title=f"{len(rows)} playbooks", title_justify="left")
        for column in ("playbook", "template", "sides", "bars", "n", "mean R", "from"):
            table.add_column(column, justify="right" if column in ("n", "mean R") else "left", overflow="fold")
        for item in rows:
            known = item.statistic(ALL)
            table.add_row(
                f"{item.name} {item.version}",
                item.template,
                "/".join(item.directions) or "none",
                f"{item.thesis.timeframe}, {item.execution}" if item.thesis else "–",
                f"{known.n:,}" if known else "–",
                f"{known.mean_r:+.2f}" if known else "–",
                "home" if item.name in found.own else "shipped",
            )
        out.print(table)


@playbooks.command()
def show(name: Name, json: Json = False, home: HomeOption = None, as_of: AsOf = None) -> None:
    """Show what a playbook says, in words, and what is expected of it by regime."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.instruments.playbook_loading import file_of, shelf

        item = shelf(opened_home.root).named(name)
        if json:
            print_json({**item.model_dump(mode="json"), "hash": item.hash})
            return
        out.print(plain(f"{item.name} {item.version} ({item.template}), hash {item.hash[:SHOWN_HASH]}"), highlight=False, soft_wrap=True)
        out.print(plain(f"{item.summary}\nfrom {file_of(name, opened_home.root)}"), highlight=False, soft_wrap=True)
        for text in _said(item):
            out.print(plain(f"  {text}"), highlight=False, soft_wrap=True)
        _print_expectations(item)


@playbooks.command()
def validate(
    files: Annotated[list[Path] | None, typer.Argument(metavar="[FILE]...", help="Files; every playbook of the home without one.")] = None,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Look through playbook files before they are used: everything wrong with each, by table and field. Exit code 1 where one is wrong."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.instruments.playbook_loading import validated

        paths = files or sorted((opened_home.root / "playbooks").glob("*.toml"))
        if not paths:
            raise WrongUse("there is no playbook in this home; name a file, or write one with `portfolio playbooks init NAME`")
        looked = [(path, *validated(path)) for path in paths]
        if json:
            shown = [
                {
                    "file": str(path),
                    "ok": item is not None,
                    "hash": item.hash if item else "",
                    "faults": [asdict(fault) for fault in faults],
                }
                for path, item, faults in looked
            ]
            print_json(shown)
        else:
            for path, item, faults in looked:
                level, hashed = ("[green]ok[/]", f", hash {item.hash[:SHOWN_HASH]}") if item else ("[bold red]wrong[/]", "")
                out.print(f"{level} {plain(path.name)}{hashed}", soft_wrap=True, highlight=False)
                for fault in faults:
                    out.print(plain(f"    {fault}"), soft_wrap=True, highlight=False)
        if not all(item for _, item, _ in looked):
            raise typer.Exit(DATA_PROBLEM)


@playbooks.command()
def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new playbook: small letters, digits and _.")],
    like: Annotated[str, typer.Option("--like", metavar="PLAYBOOK", help="Playbook to start from.")] = "donchian_channel",
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Write a new playbook into the home's folder `playbooks`: a copy of another under a new name, every field with a value that works."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.home import write_atomically
        from portfolio_platform.instruments.playbook_loading import draft, file_of

        folder = opened_home.require().root / "playbooks"
        path = folder / f"{name}.toml"
        text = draft(name, file_of(like, opened_home.root))
        if path.exists():
            raise WrongUse(f"{path} is there already; change that file, or take another name")
        folder.mkdir(exist_ok=True)
        write_atomically(path, text)
        out.print(plain(f"wrote {path}; change it, then `portfolio playbooks validate {path}`"), soft_wrap=True, highlight=False)


@playbooks.command()
def features(
    like: Annotated[str, typer.Argument(metavar="[TEXT]", help="Only names that hold this text.")] = "",
    json: Json = False,
) -> None:
    """List the features that conditions may use: name, closed bars it needs, what it says."""
    from portfolio_platform.instruments.features import FEATURES

    found = [feature for name, feature in FEATURES.items() if like in name]
    if json:
        print_json([{"name": feature.name, "bars": feature.bars, "says": feature.sentence} for feature in found])
        return
    table = Table(caption=f"{len(found)} of {len(FEATURES)} features; a playbook may use no other", caption_justify="left")
    for column in ("feature", "bars", "says"):
        table.add_column(column, justify="right" if column == "bars" else "left", overflow="fold", no_wrap=column == "feature")
    for feature in found:
        table.add_row(feature.name, str(feature.bars), plain(feature.sentence))
    out.print(table)


@playbooks.command()
def research(
    name: Name,
    from_: Annotated[date, day_option("--from", "First day on which a thesis may be armed; bars before it are seen.")],
    to: Annotated[date, day_option("--to", "Last day.")],
    symbols: Annotated[list[str] | None, typer.Option("--symbol", help="This symbol only; may be given several times.")] = None,
    toml: Annotated[bool, typer.Option("--toml", help="Print the records as the playbook's [[expectations]].")] = False,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Walk a playbook over the home's bars, every thesis taken and nobody asked: trades, results in R and holding times by regime.

    These are research trades: nothing is written, and no track record changes.
    """
    with opened(home, as_of) as opened_home:
        from portfolio_platform.days import NANOSECONDS_PER_DAY, to_number
        from portfolio_platform.instruments.playbook_loading import shelf
        from portfolio_platform.instruments.research import as_toml, records
        from portfolio_platform.instruments.research import research as walked
        from portfolio_platform.paper.market import read_market

        if to < from_:
            raise WrongUse(f"--to {to} is before --from {from_}; swap them")
        item = shelf(opened_home.root).named(name)
        if not item.trades:
            raise WrongUse(f"{name} never trades; `portfolio playbooks list` has others")
        market = read_market(opened_home.require(), tuple(symbols or ()), {}, opened_home.policy().accounting.default_currency)
        calendars = {symbol: listed.calendar for symbol, listed in market.listed.items()}
        first, last = to_number(from_) * NANOSECONDS_PER_DAY, (to_number(to) + 1) * NANOSECONDS_PER_DAY
        found = walked(market.bars, calendars, item, first, last)
        rows = records(found.trades)
        if json:
            print_json({"playbook": name, "hash": item.hash, "from": from_, "to": to, "open": found.open, "records": _plain_records(rows)})
        elif toml:
            typer.echo(as_toml(rows).strip())
        else:
            out.print(plain(f"{item.name} {item.version}, hash {item.hash[:SHOWN_HASH]}, {from_} to {to}"), highlight=False, soft_wrap=True)
            _print_research(found, rows)


def _plain_records(rows: "tuple[Record, ...]") -> list[dict[str, Any]]:
    """Return records as JSON: results in parts per million of R."""
    return [
        {
            **{key: value for key, value in row._asdict().items() if key != "result"},
            **row.result._asdict(),
            "mean_low": row.result.lower,
            "mean_high": row.result.upper,
        }
        for row in rows
    ]


def _print_research(found: "Researched", rows: "tuple[Record, ...]") -> None:
    from portfolio_platform.evidence.intervals import wilson

    table = Table(caption="intervals: win rate 95 % (Wilson), mean R one-sided 90 % each (Student)", caption_justify="left")
    for column in ("regime", "n", "win rate", "mean R", "interval", "hold P50", "P90"):
        table.add_column(column, justify="left" if column == "regime" else "right")
    for row in rows:
        low, high = (float(bound) for bound in wilson(row.wins, row.result.n))
        bounds = (row.result.lower, row.result.upper)
        spread = "few" if bounds[0] is None or bounds[1] is None else f"{bounds[0] / 1e6:+.2f} to {bounds[1] / 1e6:+.2f}"
        rate = f"{row.wins / row.result.n:.0%} ({low:.0%} to {high:.0%})"
        mean = f"{row.result.mean / 1e6:+.2f}"
        table.add_row(row.regime or "unknown", f"{row.result.n:,}", rate, mean, spread, str(row.hold_p50), str(row.hold_p90))
    out.print(table)
    totals = [total for _, total in found.totals]
    counts = [
        (sum(item.theses for item in totals), "theses armed"),
        (sum(item.activations for item in totals), "activated"),
        (sum(item.timeouts for item in totals), "timed out"),
        (sum(item.invalidations for item in totals), "invalidated"),
        (sum(item.unqualified for item in totals), "below the minimum R"),
        (len(found.trades), "closed trades"),
        (found.open, "still open, in no figure"),
    ]
    out.print(", ".join(f"{count:,} {what}" for count, what in counts), highlight=False, soft_wrap=True)


def _said(item: "Playbook") -> list[str]:
    """Return the rules of a playbook as sentences."""
    if item.thesis is None or item.activation is None or item.stop is None or item.target is None:
        return ["never arms a thesis"]
    assert item.time_exit and item.risk and item.holding
    regimes = ", ".join(item.regimes) or "every regime"
    lines = [f"may arm in {regimes}"]
    for direction in item.directions:
        lines.append(f"{direction} thesis at a close of {item.thesis.timeframe}: {_conditions(item.thesis, direction, ' and ')}")
        lines.append(f"{direction} entry at a close of {item.execution}: {_conditions(item.activation, direction, ' and ')}")
        if item.invalidation and item.invalidation.of(direction):
            lines.append(
                f"{direction} thesis ends where, {item.invalidation.timeframe}: {_conditions(item.invalidation, direction, ' or ')}"
            )
    lines.append(f"an armed thesis ends after {item.activation.timeout_bars} bars")
    for what, rule in (("stop", item.stop), ("target", item.target), ("trail", item.trail)):
        lines.append(f"{what}: {_exit_text(rule.kind, f'{rule.multiple:f}', rule.bars)}")
    lines.append(
        f"closed after {item.time_exit.bars} bars at the latest; expected are {item.holding.p50} (P50) to {item.holding.p90} (P90)"
    )
    lines.append(
        f"risks {item.risk.share_pct:f} % of equity for at least {item.risk.minimum_r:f} R; rests {item.risk.cooldown_bars} bars after it"
    )
    return lines


def _conditions(stage: "Stage", direction: str, between: str) -> str:
    chosen = stage.long if direction == "long" else stage.short
    return between.join(f"{item.feature} {item.relation.replace('_', ' ')} {item.value:f}" for item in chosen)


def _exit_text(kind: str, multiple: str, bars: int) -> str:
    texts = {
        "atr": f"{multiple} times the average true range of {bars} bars",
        "range": f"beyond the extreme of the last {bars} bars by {multiple} times their range",
        "r": f"{multiple} times the risk to the stop",
        "mean": f"the mean close of the last {bars} bars",
    }
    return texts.get(kind, "none")


def _print_expectations(item: "Playbook") -> None:
    if not item.expectations:
        if item.trades:
            out.print("  no statistics yet: `portfolio playbooks research` counts them", highlight=False, soft_wrap=True)
        return
    table = Table()
    for column in ("regime", "n", "win rate", "mean R", "sd R", "hold P50", "hold P90"):
        table.add_column(column, justify="left" if column == "regime" else "right")
    for row in item.expectations:
        cells = (f"{row.n:,}", f"{row.win_rate_pct:.1f} %", f"{row.mean_r:+.2f}", f"{row.sd_r:.2f}", str(row.hold_p50), str(row.hold_p90))
        table.add_row(row.regime, *cells)
    out.print(table)
