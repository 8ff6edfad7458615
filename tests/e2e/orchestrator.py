"""The commands and outputs in docs/orchestrator.md: run on the sample portfolio, and written between the page's markers.

`python -m tests.e2e.orchestrator` writes the page anew; a test says whether it would.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from portfolio_platform.home import Home
from tests.e2e.control_plane import Walk, block, smooth, written

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "orchestrator.md"
DAY = "2026-01-05T{}:00Z"
SNAPSHOT = "--snapshot home/orchestrator/portfolio_with_cash.json"
FIRST_FILLS = """trade_id,quantity,price,fee,at
S01,975,79.98,4.95,2026-01-05T14:52:00Z
S02,2000,49.70,4.95,2026-01-05T14:54:00Z
B01,310,150.10,4.95,2026-01-05T14:58:00Z
B99,1,1,,2026-01-05T14:58:00Z
"""
OTHER_FILLS = """trade_id,quantity,price,fee,at
S02,800,49.90,4.95,2026-01-05T15:00:30Z
B02,62,799.50,4.95,2026-01-05T15:01:00Z
B03,0.5,800.00,0,2026-01-05T15:01:30Z
B04,111,250.20,4.95,2026-01-05T15:02:00Z
B05,0.6,250.20,0,2026-01-05T15:02:30Z
B06,60,500.00,4.95,2026-01-05T15:03:00Z
B07,93,199.80,4.95,2026-01-05T15:03:30Z
"""
EXCEPTION = """# Portfolio.md

## ACTION PLAN

- Trim Materials by 4,8 pts
- Increase Technology from 6,7 % to 8 %
- Reduce Energy by 5 %
- Add Healthcare to 2-3 %
"""


def begun(folder: Path) -> Walk:
    """Return a walk in a new home with the samples in it."""
    home = Home(folder / "home")
    home.create()
    walk = Walk(home)
    walk.quietly("portfolio orchestrate init", DAY.format("14:30"))
    return walk


def plan_id(walk: Walk, place: int = -1) -> str:
    """Return the id of a plan, by default of the one made last."""
    return sorted((walk.home.root / "executions").iterdir(), key=lambda path: path.stat().st_mtime_ns)[place].name


def sections(folder: Path) -> dict[str, str]:
    """Return what is written into the page, by the name of its markers."""
    first, second = begun(folder / "first"), begun(folder / "second")
    # what approves a plan comes last: until it is reported as done no other is released
    return rebalanced(first) | stocks(second) | older(second) | excepted(second)


def rebalanced(walk: Walk) -> dict[str, str]:
    """Return workflow A: a portfolio document becomes a plan, is approved, executed in two reports, and verified."""
    found: dict[str, str] = {}
    found["document"] = block((walk.home.root / "orchestrator" / "portfolio_document.md").read_text().strip(), "markdown")
    walk.run("portfolio orchestrate plan --portfolio sample", DAY.format("14:45"))
    found["plan"] = walk.told()
    name = plan_id(walk)
    folder = walk.home.root / "executions" / name
    found["files"] = block("\n".join(sorted(path.name for path in folder.iterdir())))
    found["dry run"] = quoted(folder / "dry_run.md", walk.home, "## Before and after", "Positions that change")
    found["constraints"] = quoted(folder / "dry_run.md", walk.home, "The six constraints", "## Execution sequence")
    found["guide"] = quoted(folder / "execution_guide.md", walk.home, "## Before the first order", "Then report")
    approve = f"portfolio orchestrate approve {name} --by ada --reason 'agreed with the desk'"
    walk.run(approve, DAY.format("14:49"), ends=1)
    walk.run(f"{approve} --accept-conditions", DAY.format("14:50"))
    found["approval"] = walk.told()
    (walk.home.root.parent / "morning.csv").write_text(FIRST_FILLS)
    (walk.home.root.parent / "rest.csv").write_text(OTHER_FILLS)
    found["fills"] = block(FIRST_FILLS.strip())
    walk.run(f"portfolio execution report {name} --csv morning.csv --by ada", DAY.format("15:00"), ends=1)
    found["first report"] = walk.told()
    walk.run(f"portfolio execution report {name} --csv rest.csv --by ada", DAY.format("15:04"))
    found["second report"] = walk.told()
    walk.run("portfolio execution watch", DAY.format("15:06"))
    walk.run(f"portfolio execution report {name} --trade B08 --give-up 'no seller at the limit' --by ada", DAY.format("15:08"))
    found["given up"] = walk.told()
    walk.run(f"portfolio execution log {name}", DAY.format("15:10"))
    found["log"] = walk.told()
    document = max(folder.glob("portfolio_document.r*.md"))
    found["revision"] = block(smooth(document.read_text().strip(), walk.home), "markdown")
    return found


def stocks(walk: Walk) -> dict[str, str]:
    """Return workflow B: a recommendation that is approved for the orchestrator, and one that is rejected."""
    found: dict[str, str] = {}
    nvda, tsla = (f"home/orchestrator/stock_recommendation{end}.json" for end in ("", "_rejected"))
    walk.run(f"portfolio orchestrate validate {nvda} {SNAPSHOT}", DAY.format("15:00"))
    found["validated"] = walk.told()
    walk.run(f"portfolio orchestrate plan --recommendation {nvda} {SNAPSHOT}", DAY.format("15:00"))
    found["stock plan"] = walk.told()
    walk.run(f"portfolio orchestrate plan --recommendation {tsla} {SNAPSHOT}", DAY.format("15:01"))
    found["rejected"] = walk.told()
    return found


def excepted(walk: Walk) -> dict[str, str]:
    """Return a plan over a cap: blocked, escalated, answered with a condition, approved as an exception."""
    found: dict[str, str] = {}
    (walk.home.root.parent / "bold.md").write_text(EXCEPTION)
    found["bold document"] = block(EXCEPTION.strip(), "markdown")
    walk.run("portfolio orchestrate plan --document bold.md --portfolio sample", DAY.format("15:05"))
    found["blocked"] = walk.told()
    walk.run("portfolio escalations list", DAY.format("15:06"))
    identity = escalation_id(walk)
    walk.run(f"portfolio escalations show {identity}", DAY.format("15:06"))
    answer = f"portfolio escalations answer {identity} --answer approve --by grace --reason 'until the next review'"
    walk.run(f"{answer} --condition 'Materials under 40 % by the end of March'", DAY.format("15:15"))
    name = plan_id(walk)
    walk.run(f"portfolio orchestrate approve {name} --by ada --reason 'exception granted' --accept-conditions", DAY.format("15:18"))
    found["exception"] = walk.told()
    return found


def older(walk: Walk) -> dict[str, str]:
    """Return the older profile: an approved queue in the order of approval, and the same document under its buffers."""
    found: dict[str, str] = {}
    queue = "--queue home/orchestrator/approved_queue.json"
    walk.run(f"portfolio orchestrate plan {queue} {SNAPSHOT} --profile v8.0.3", DAY.format("15:00"))
    found["queue"] = walk.told()
    walk.run("portfolio orchestrate preview --portfolio sample --profile v8.0.3", DAY.format("14:45"))
    found["old rebalancing"] = walk.told()
    return found


def escalation_id(walk: Walk) -> str:
    """Return the id of the escalation that is open."""
    import json

    listed = json.loads(walk.quietly("portfolio escalations list --json", DAY.format("15:06")))
    assert len(listed) == 1
    return str(listed[0]["escalation_id"])


def quoted(path: Path, home: Home, begin: str, end: str) -> str:
    """Return a part of a Markdown file as it is, for the page to show it as a reader sees it."""
    text = path.read_text(encoding="utf-8")
    part = text[text.index(begin) : text.index(end)]
    return f"\n{smooth(part, home).replace('## ', '#### ')}\n\n"


if __name__ == "__main__":
    with TemporaryDirectory() as place:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), sections(Path(place))), encoding="utf-8")
