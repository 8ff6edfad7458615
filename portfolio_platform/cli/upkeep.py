"""Commands that keep a home alive: its backup, its restoration, and its way to this version of the code."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from portfolio_platform.cli.options import AsOf, HomeOption, Json, err, opened, out, plain, print_json

if TYPE_CHECKING:
    from portfolio_platform.upkeep.upgrade import UpgradePlan

SHOWN_KEYS = 12
BackupFile = Annotated[Path, typer.Argument(help="File of the backup, such as portfolio.backup.tar.", metavar="PATH")]


def backup(
    path: BackupFile,
    all_: Annotated[bool, typer.Option("--all", help="Also the derived tables, which a build makes again anyway.")] = False,
    with_secrets: Annotated[
        bool, typer.Option("--with-secrets", help="Also channels.toml, checkpoint.key and control.token: passwords, keys.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it is there.")] = False,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Back up what cannot be computed again into one file: book, facts, policies, clock. Everything may go on meanwhile."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.upkeep.backup import back_up

        with err.status("backing up") as status:
            done = back_up(
                opened_home,
                path,
                everything=all_,
                with_secrets=with_secrets,
                force=force,
                report=lambda text: status.update(plain(f"backing up: {text}")),
            )
        if json:
            print_json(asdict(done))
            return
        facts = sum(count for name, count in done.rows.items() if name.startswith("lake/"))
        out.print(f"backup: {plain(done.file)}, {done.size / (1 << 20):,.1f} MiB", soft_wrap=True)
        out.print(f"{_log(done.events, done.chain_head)}; {facts:,} rows of the lake", soft_wrap=True)
        for text in done.left_out:
            out.print(f"[dim]left out:[/] {plain(text)}", soft_wrap=True)
        if with_secrets:
            out.print("[yellow]the file holds the secrets of the home[/]: keep it as you keep those", soft_wrap=True)
        out.print("next: copy it to another machine; [bold]portfolio restore PATH --into HOME[/] brings it back", soft_wrap=True)


def restore(
    path: BackupFile,
    into: Annotated[Path, typer.Option("--into", help="Folder of the new home: absent, or empty.", metavar="HOME")],
    json: Json = False,
) -> None:
    """Restore a backup into a new home; every hash, the event log and what follows from it are verified before."""
    with opened(into, None) as new_home:
        from portfolio_platform.upkeep.restore import restore as restored

        with err.status("restoring") as status:
            done = restored(path, new_home, report=lambda text: status.update(plain(f"restoring: {text}")))
        manifest = done.manifest
        if json:
            made = {"made_at": manifest.made_at, "code_version": manifest.code_version, "chain_head": manifest.chain_head}
            print_json({"home": done.home, **made, "events": manifest.events, "rows": done.rows, "notes": done.notes})
            return
        out.print(f"restored into {plain(done.home)} what stood there on {manifest.made_at:%Y-%m-%d at %H:%M UTC}", soft_wrap=True)
        out.print(f"{_log(manifest.events, manifest.chain_head)}, each verified; read models agree with them", soft_wrap=True)
        for text in done.notes:
            out.print(f"[dim]note:[/] {plain(text)}", soft_wrap=True)
        out.print(f"next: [bold]portfolio build --home {plain(done.home)}[/]", soft_wrap=True)


def upgrade(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Bring a home that an older version made to this one. A backup beforehand costs a moment: `portfolio backup PATH`."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.upkeep.upgrade import plan_upgrade
        from portfolio_platform.upkeep.upgrade import upgrade as upgraded

        if dry_run:
            plan, built = plan_upgrade(opened_home), {}
        else:
            with err.status("upgrading") as status:
                done = upgraded(opened_home, report=lambda text: status.update(plain(f"upgrading: {text}")))
            plan, built = done.plan, {name: result for name, result in done.built.items() if result.changed_from is not None}
        if json:
            print_json(_as_json(plan, dry_run) | {"built": sorted(built)})
            return
        _show(plan, dry_run)
        if dry_run:
            out.print("next: [bold]portfolio backup PATH[/], then [bold]portfolio upgrade[/]")
        elif built:
            out.print(f"built again: {', '.join(built)}", soft_wrap=True)
        else:
            out.print("every table was up to date")


def _log(events: int, head: str) -> str:
    return f"{events:,} events, the last with hash {head[:12]}" if events else "no event yet"


def _as_json(plan: "UpgradePlan", dry_run: bool) -> dict[str, object]:
    return {
        "dry_run": dry_run,
        "needed": plan.is_needed,
        "book": {"from": plan.book_from, "to": plan.book_to},
        "widened": {item.table.name: item.sentence for item in plan.widen},
        "rebuilt": {item.table.name: item.sentence for item in plan.rebuild},
        "unused": plan.unused,
        "defaults": plan.defaults,
    }


def _show(plan: "UpgradePlan", dry_run: bool) -> None:
    table = Table("what", "how it was", "to do" if dry_run else "done", title="portfolio upgrade", title_justify="left")
    if plan.book_from == plan.book_to:
        table.add_row("book", f"version {plan.book_from}", "nothing")
    else:
        table.add_row("book", f"version {plan.book_from}" if plan.book_from else "none", f"to version {plan.book_to}")
    for item in plan.widen:
        table.add_row(f"fact {item.table.name}", plain(item.sentence), "widened: defaults, or null, for older rows")
    for item in plan.rebuild:
        table.add_row(f"table {item.table.name}", plain(item.sentence), "dropped and built again")
    if not plan.widen and not plan.rebuild:
        table.add_row("tables", "as this version declares them", "nothing")
    for name in plan.unused:
        table.add_row(f"folder {plain(name)}", "no table of this version", "nothing; you may delete it")
    if plan.defaults:
        more = f" and {len(plan.defaults) - SHOWN_KEYS} more" if len(plan.defaults) > SHOWN_KEYS else ""
        table.add_row(
            "default.toml", plain(f"does not name {', '.join(plan.defaults[:SHOWN_KEYS])}{more}"), "nothing: the shipped values hold"
        )
    else:
        table.add_row("default.toml", "names every key", "nothing")
    out.print(table)
