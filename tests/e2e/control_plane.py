"""The commands and outputs in docs/control-plane.md: run on a small home, and written between the page's markers.

`python -m tests.e2e.control_plane` writes the page anew; a test says whether it would.
"""

import os
import re
import shlex
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, closing, contextmanager
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import URLError
from urllib.request import urlopen

from typer.testing import CliRunner

from portfolio_platform.build import build_all
from portfolio_platform.cli.main import app
from portfolio_platform.control.tokens import IN_HOME, write_token
from portfolio_platform.home import Home
from portfolio_platform.monitor.lifecycle import publish_recommendations
from portfolio_platform.sources.pipeline import import_paths

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "control-plane.md"
EXAMPLES = Path(__file__).parent / "examples"
BEGIN, END = "<!-- made: {} -->", "<!-- made: end -->"
FIRST, SESSIONS = date(2026, 9, 7), 40
BARS = {"AAA": (100, 0.5, 7), "BBB": (50, 0.3, 5), "CCC": (20, 0.1, 3), "DDD": (32, 0.25, 4)}
GROUPS = {"AAA": ("technology", "large"), "BBB": ("technology", "large"), "CCC": ("energy", "small"), "DDD": ("metals", "commodity")}
FILLS = "execution_id,ts,portfolio,strategy,symbol,side,quantity,price,fee,stop_price,template,playbook,intent_id"
RANDOM = {
    r"ed25519:[0-9a-f]{6,}": "ed25519:…",
    r"\b(mode|cap|flatten)-(\d{8}T\d{6})-[0-9a-f]{6}\b": r"\1-\2-…",
    r"\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*[0-9])[0-9a-f]{12,}\b": "‹hash›",
}
"""What is another in each run or with each policy, and what the page has in its place."""
TAMPERED = {
    "somebody has made the grant larger in the file": "UPDATE events SET content = CAST(replace(CAST(content AS TEXT), "
    "'\"approved_risk\":', '\"approved_risk\":9') AS BLOB) WHERE type = 'allocation_decided'",
    "somebody has cut the last events off": "DELETE FROM events WHERE seq > (SELECT max(seq) - 3 FROM events)",
}
"""What somebody with the file could do to it, and the statement that does so."""


def weekday(number: int) -> date:
    """Return the number-th weekday from the first on."""
    return FIRST + timedelta(days=number // 5 * 7 + number % 5)


def desk(folder: Path) -> Home:
    """Return a built home: one live portfolio with three positions, whose heat is beyond four fifths of its cap on the last day."""
    home, files = Home(folder / "home"), folder / "files"
    home.create()
    home.pin_clock(weekday(SESSIONS - 1))
    policy = home.policies / "default.toml"
    policy.write_text(policy.read_text().replace('heat = { kind = "heat" }', 'heat = { kind = "heat", at = "warning" }'))
    bars = ["symbol,ts,open,high,low,close,volume"]
    for number in range(SESSIONS):
        for symbol, (price, step, period) in BARS.items():
            close = price + step * (number % period)
            bars.append(f"{symbol},{weekday(number)}T21:00:00Z,{close},{close + 1},{close - 1},{close},100000")
    fills = (
        f"E1,{weekday(2)}T15:00:00Z,desk,trend,AAA,buy,2000,100,1,92,breakout,squeeze,",
        f"E2,{weekday(2)}T15:10:00Z,desk,swing,BBB,buy,4000,50,1,47.5,reversion,bounce,",
        f"E3,{weekday(2)}T15:20:00Z,desk,carry,CCC,buy,5000,20,1,18.5,carry,roll,",
        f"E4,{weekday(39)}T15:00:00Z,desk,carry,CCC,buy,5000,20,1,18.5,carry,roll,",
    )
    money = ("flow_id,ts,portfolio,amount,currency,kind", f"F1,{FIRST}T09:00:00Z,desk,1000000,USD,initial_funding")
    instruments = [f"{symbol},equity,{sector},{cohort},1" for symbol, (sector, cohort) in GROUPS.items()]
    written = [
        table(files, "portfolios", "portfolio,mode", "desk,live"),
        table(files, "instruments", "symbol,asset_class,sector,cohort,multiplier", *instruments),
        table(files, "bars", *bars),
        table(files, "cash_flows", *money),
        table(files, "fills", FILLS, *fills),
    ]
    import_paths(home, written)
    build_all(home)
    home.book.close()
    return home


def table(folder: Path, name: str, *lines: str) -> Path:
    """Write a file of a source."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return folder / f"{name}.csv"


class Walk:
    """Commands that are run on a home, each at its time, and what they said."""

    def __init__(self, home: Home) -> None:
        """Begin with nothing said."""
        self.home, self.said = home, list[str]()

    def run(self, command: str, at: str = "", *, shown: str = "", ends: int = 0, keep: Callable[[list[str]], list[str]] = list) -> str:
        """Run a command; note it (as it is ``shown``) with its output, and return that. ``ends`` is its exit code."""
        environment = {"COLUMNS": "100", "PORTFOLIO_HOME": str(self.home.root)}
        words = [*shlex.split(command)[1:], *(("--as-of", at) if at else ())]
        with chdir(self.home.root.parent):
            result = CliRunner().invoke(app, words, env=environment)
        if result.exit_code != ends or (result.exception is not None and not isinstance(result.exception, SystemExit)):
            raise AssertionError(f"{command} ended with {result.exit_code}, not {ends}: {result.output}") from result.exception
        lines = keep([line.rstrip() for line in result.output.strip("\n").splitlines()])
        self.said += [f"$ {shown or command}", *lines, ""]
        return result.output

    def quietly(self, command: str, at: str) -> str:
        """Run a command that is no part of the story; return what it said."""
        said = list(self.said)
        output = self.run(command, at)
        self.said = said
        return output

    def told(self) -> str:
        """Return what was said since the last time, as a block of the page."""
        lines, self.said = self.said, []
        return block(smooth("\n".join(lines), self.home))


def smooth(text: str, home: Home) -> str:
    """Take out of a text what is another in each run: keys, hashes, ids drawn at random, the folder."""
    text = text.replace(str(home.root.parent) + "/", "")
    for pattern, instead in RANDOM.items():
        text = re.sub(pattern, partial(_instead, instead), text)
    return re.sub(r"\n\s*\n(\s*\n)+", "\n\n", text).strip("\n")


def _instead(instead: str, found: re.Match[str]) -> str:
    """Return what stands in the place of a match; as wide as it in a table's row, so that the row's columns stay."""
    told = found.expand(instead)
    line = found.string[found.string.rfind("\n", 0, found.start()) + 1 :].partition("\n")[0]
    row = line.startswith("│") and line.endswith("│")
    return told.ljust(len(found[0])) if row else told


def block(text: str, kind: str = "") -> str:
    """Return a block of code of a page."""
    return f"```{kind}\n{text}\n```\n"


def ran(example: str, home: Home, **environment: str) -> str:
    """Return what an example prints, in a process of its own."""
    whole = {**os.environ, "PORTFOLIO_HOME": str(home.root), "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run([sys.executable, EXAMPLES / example], env=whole, cwd=home.root.parent, capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"{example} failed: {done.stderr}")
    return done.stdout.strip()


@contextmanager
def serving(home: Home) -> Iterator[str]:
    """Serve the control plane of a home in a process of its own; hand out its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "portfolio_platform.cli.main", "control", "serve", "--port", str(port), "--home", str(home.root)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                urlopen(f"http://127.0.0.1:{port}/openapi.json", timeout=5).close()
                break
            except (URLError, OSError):
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


def copied(home: Home, folder: Path) -> Home:
    """Return a copy of a home in a folder of its own."""
    home.book.close()
    shutil.copytree(home.root, folder / "home")
    return Home(folder / "home")


def sections(folder: Path) -> dict[str, str]:
    """Return what is written into the page, by the name of its markers."""
    built = desk(folder / "built")
    return quants(copied(built, folder / "quant")) | officers(copied(built, folder / "officer"))


def quants(home: Home) -> dict[str, str]:
    """Return the sections for who integrates a strategy."""
    walk, found = Walk(home), dict[str, str]()
    walk.run("portfolio control cycle")
    walk.run("portfolio control state desk")
    found["begin"] = walk.told()
    walk.run("portfolio control decide desk --symbol DDD --side long --risk 12000 --strategy carry --dry-run")
    found["dry run"] = walk.told()
    source = (EXAMPLES / "strategy.py").read_text()
    found["strategy"] = block(source.strip(), "python") + "\n" + block(ran("strategy.py", home))
    write_token(home.root / IN_HOME)
    with serving(home) as url:
        said = ran("strategy_http.py", home, CONTROL_URL=url)
    found["http"] = block((EXAMPLES / "strategy_http.py").read_text().strip(), "python") + "\n" + block(said)
    walk.run("portfolio control decisions desk")
    found["decisions"] = walk.told()
    home.book.close()
    return found


def officers(home: Home) -> dict[str, str]:
    """Return the sections for who audits a decision: from the recommendation over the signature and the order to the fill."""
    walk, found = Walk(home), {}
    monday = "2026-11-02T{}:00Z"
    publish_recommendations(home, [weekday(SESSIONS - 1)])  # as the nightly run of the monitor does
    walk.quietly("portfolio control cycle", "2026-10-30")
    walk.run("portfolio operators add ada --key-out ada.key", monday.format("08:00"))
    identity = "recommendation:desk:2026-10-30"
    hashed = re.search(
        r'"content_hash": "(\w+)"', walk.quietly(f"portfolio recommendations show {identity} --json", monday.format("08:05"))
    )
    assert hashed is not None
    approve = f"portfolio recommendations approve {identity} --reason 'agreed with the desk' --hash {hashed[1][:12]}"
    walk.run(f"{approve} --by ada", monday.format("08:10"), ends=1)
    walk.run(f"{approve} --key ada.key", monday.format("08:12"))
    walk.run("portfolio control cycle", monday.format("08:15"))
    found["approval"] = walk.told()
    _fill(walk, "X-901,2026-11-02T14:00:00Z,desk,carry,CCC,sell,5000,20,1,,carry,roll,", monday.format("14:05"))
    ask = "portfolio control decide desk --symbol DDD --side long --risk 12000 --notional 96000 --strategy carry --template carry"
    walk.run(f"{ask} --playbook roll --id carry-77", monday.format("14:30"))
    _fill(walk, "X-902,2026-11-02T14:31:00Z,desk,carry,DDD,buy,700,32,1,28,carry,roll,carry-77", monday.format("14:35"))
    found["asked"] = walk.told()
    later = monday.format("17:00")
    walk.run("portfolio control why carry-77", later)
    found["why"] = walk.told()
    walk.run("portfolio why X-902 --depth 2", later)
    found["rows"] = walk.told()
    walk.run(f"portfolio why {identity} --depth 2 --rows 6", later)
    walk.run("portfolio operators show ada", later)
    found["who"] = walk.told()
    walk.run("portfolio control replay desk", later)
    walk.run("portfolio control checkpoint --out elsewhere.jsonl", later)
    walk.run("portfolio control verify --checkpoints elsewhere.jsonl", later)
    found["verify"] = walk.told()
    _orders(walk, found)
    _tampered(walk, found)
    home.book.close()
    return found


def _fill(walk: Walk, line: str, at: str) -> None:
    """Import a fill and let a cycle take it in, as the sensors do."""
    table(walk.home.root.parent, "fills", FILLS, line)
    walk.quietly("portfolio import fills.csv", at)
    walk.run("portfolio control cycle", at, shown="portfolio import fills.csv && portfolio control cycle")


def _orders(walk: Walk, found: dict[str, str]) -> None:
    noon, who = "2026-11-03T12:{}:00Z", "--key ada.key --reason"
    walk.run("portfolio control mode desk defensive --by ada --reason 'earnings week'", noon.format("00"), ends=1)
    walk.run(f"portfolio control mode desk defensive {who} 'earnings week' --until 2026-11-06", noon.format("00"))
    walk.run(f"portfolio control override desk symbol 1% --scope DDD {who} 'thin book' --hours 48", noon.format("01"))
    walk.run("portfolio control decide desk -s DDD --side long --risk 6000 --notional 48000 --dry-run", noon.format("02"))
    walk.run(f"portfolio control flatten desk {who} 'broker is down' --hours 2", noon.format("05"))
    walk.run("portfolio control envelopes desk", noon.format("06"))
    walk.run(f"portfolio control release desk {who} 'broker is back'", noon.format("50"))
    found["orders"] = walk.told()


def _tampered(walk: Walk, found: dict[str, str]) -> None:
    """Show a log whose decision was changed, and one whose end was cut off: in copies, as their thief would have them."""
    at, elsewhere = "2026-11-04T09:00:00Z", walk.home.root.parent / "elsewhere.jsonl"
    walk.run("portfolio control checkpoint --out elsewhere.jsonl", at)
    for number, (what, sql) in enumerate(TAMPERED.items()):
        copy = walk.home.root.parent / f"tampered-{number}" / "home"
        shutil.copytree(walk.home.root, copy, ignore=shutil.ignore_patterns("lake", "book.sqlite*"))
        shutil.copy(elsewhere, copy.parent)
        with closing(sqlite3.connect(walk.home.root / "book.sqlite")) as book, closing(sqlite3.connect(copy / "book.sqlite")) as other:
            book.backup(other)
            other.execute(sql)
            other.commit()
        thief = Walk(Home(copy))
        thief.run("portfolio control verify --checkpoints elsewhere.jsonl", at, ends=1)
        walk.said += [f"# {what}", *thief.said]
    found["tampered"] = walk.told()


def written(page: str, made: dict[str, str]) -> str:
    """Return the page with its sections as they are made now. Every section has its place, and every place its section."""
    for name, text in made.items():
        begin = BEGIN.format(name)
        if page.count(begin) != 1:
            raise AssertionError(f"{PAGE.name} has no one place {begin}")
        head, _, rest = page.partition(begin)
        page = f"{head}{begin}\n{text}{END}{rest.partition(END)[2]}"
    places = re.findall(BEGIN.format(r"([\w ]+)"), page)
    if sorted(name for name in places if name != "end") != sorted(made):
        raise AssertionError(f"{PAGE.name} has places {places}, and there are sections {sorted(made)}")
    return page


if __name__ == "__main__":
    with TemporaryDirectory() as place:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), sections(Path(place))), encoding="utf-8")
