"""Backup, restoration and upgrade as a person runs them; and the commands that the documents name."""

import csv
import gzip
import re
import shlex
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import click
import pytest
import typer

from portfolio_platform.alerts.actions import acknowledge
from portfolio_platform.alerts.pipeline import sync
from portfolio_platform.book.alerts import open_alerts
from portfolio_platform.book.chain import verify_chain
from portfolio_platform.build import build_all
from portfolio_platform.cli.main import app
from portfolio_platform.home import Home
from portfolio_platform.monitor.pipeline.reports import publish_reports
from portfolio_platform.monitor.pipeline.staleness import stale_days
from portfolio_platform.sources.pipeline import import_paths
from tests.conftest import SAMPLE
from tests.e2e.running import portfolio

ROOT = Path(__file__).parents[2]
DAYS = [date(2007, 9, 7), date(2007, 12, 28), date(2007, 12, 31)]


@pytest.fixture
def first_year(home: Home, tmp_path: Path) -> Home:
    """The sample's first year, imported and built: both portfolios, every kind of fact, alerts that are open at its end."""
    folder = tmp_path / "first year"
    folder.mkdir()
    for path in SAMPLE.glob("*.csv*"):
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", newline="") as lines:
            header, *rows = csv.reader(lines)
        if "ts" in header:
            rows = [row for row in rows if row[header.index("ts")] < "2008"]
        with (folder / path.name.removesuffix(".gz")).open("w", encoding="utf-8", newline="") as kept:
            csv.writer(kept).writerows([header, *rows])
    home.pin_clock(DAYS[-1])
    assert not import_paths(home, [folder]).rejections
    build_all(home)
    return home


def test_a_home_that_was_restored_and_built_says_the_same_to_the_last_byte(first_year: Home, tmp_path: Path):
    publish_reports(first_year, DAYS)
    sync(first_year)
    with first_year.book.reading() as connection:
        first = open_alerts(connection)[0]
    acknowledge(first_year, first.id, by="Ada", note="looking")
    done = portfolio("backup", tmp_path / "b.tar", "--home", first_year.root, "--json").json

    restored = portfolio("restore", tmp_path / "b.tar", "--into", tmp_path / "new")
    assert restored.exit_code == 0 and f"next: portfolio build --home {tmp_path / 'new'}" in restored.text
    assert portfolio("build", "--home", tmp_path / "new").exit_code == 0
    new = Home(tmp_path / "new")

    with new.book.reading() as there, first_year.book.reading() as here:
        heads = verify_chain(there), verify_chain(here)
        assert heads[0] == heads[1] and heads[0].head.hash == done["chain_head"]
        assert {alert.id: alert.acknowledged_by for alert in open_alerts(there)}[first.id] == "Ada"
    again = [item for reports in publish_reports(new, DAYS) for item in reports.published]
    assert {item.status for item in again} == {"unchanged"} and len(again) == 6
    assert not set(DAYS) & set(stale_days(new))
    before = portfolio("report", "--portfolio", "core", "--day", "2007-12-31", "--format", "json", "--home", first_year.root)
    after = portfolio("report", "--portfolio", "core", "--day", "2007-12-31", "--format", "json", "--home", new.root)
    assert before.exit_code == after.exit_code == 0 and before.stdout == after.stdout
    assert sync(new).queued == ()  # nobody is told twice of what they were told before


def test_the_facts_of_a_restored_home_are_known_and_not_imported_twice(home: Home, tmp_path: Path):
    assert portfolio("import", SAMPLE, "--home", home.root).exit_code == 0
    assert portfolio("backup", tmp_path / "b.tar", "--home", home.root).exit_code == 0
    assert portfolio("restore", tmp_path / "b.tar", "--into", tmp_path / "new").exit_code == 0
    again = portfolio("import", SAMPLE, "--json", "--home", tmp_path / "new").json
    assert sum(fact["imported"] for fact in again["facts"]) == 0


def test_wrong_use_is_two_and_bad_data_is_one(home: Home, tmp_path: Path):
    target = tmp_path / "b.tar"
    assert portfolio("backup", target, "--home", tmp_path / "nowhere").exit_code == 2
    assert portfolio("backup", target, "--home", home.root).exit_code == 0
    second = portfolio("backup", target, "--home", home.root)
    assert second.exit_code == 2 and "--force" in second.stderr
    assert portfolio("backup", target, "--force", "--home", home.root).exit_code == 0
    assert portfolio("restore", tmp_path / "none.tar", "--into", tmp_path / "new").exit_code == 2
    assert portfolio("restore", target, "--into", home.root).exit_code == 2
    target.write_bytes(target.read_bytes()[:3000])
    broken = portfolio("restore", target, "--into", tmp_path / "new")
    assert broken.exit_code == 1 and "b.tar" in broken.stderr and not (tmp_path / "new").exists()
    assert portfolio("upgrade", "--home", tmp_path / "nowhere").exit_code == 2


def test_secrets_are_said_to_be_in_or_out(home: Home, tmp_path: Path):
    (home.root / "channels.toml").write_text('[[channel]]\nname = "desk"\nurl = "json://token@example.org"\n')
    assert "left out: channels.toml" in portfolio("backup", tmp_path / "a.tar", "--home", home.root).text
    assert "holds the secrets" in portfolio("backup", tmp_path / "b.tar", "--with-secrets", "--home", home.root).text


def documented() -> Iterator[tuple[str, list[str]]]:
    """Yield the `portfolio ...` commands in the code blocks of the documents, with where they stand."""
    for path in sorted((ROOT / "docs").glob("*.md")):
        for block in re.findall(r"^```[a-z]*\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                for part in re.split(r"&&|\||;", line.partition(" #")[0]):
                    found = re.match(r"(?:\S*/)?portfolio\s+(.*)", part.strip())
                    if found and not line.lstrip().startswith("#"):
                        yield f"{path.name}: {part.strip()}", shlex.split(found[1])


@pytest.mark.parametrize(("where", "words"), [pytest.param(*item, id=item[0]) for item in documented()])
def test_a_command_that_a_document_names_exists_with_its_options(where: str, words: list[str]):
    command: click.Command = typer.main.get_command(app)
    rest = list(words)
    while hasattr(command, "commands"):
        if rest and rest[0].startswith("-"):
            break
        assert rest and rest[0] in command.commands, f"{where}: {rest[:1]} is no command"
        command = command.commands[rest.pop(0)]
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    options.add("--help")
    for word in rest:
        if word.startswith("-") and len(word) > 1:
            assert word.partition("=")[0] in options, f"{where}: {word} is no option"
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument" and parameter.required]
    assert len(rest) >= len(arguments), f"{where}: an argument is missing"


def test_the_documents_do_name_commands():
    assert len(list(documented())) > 20
