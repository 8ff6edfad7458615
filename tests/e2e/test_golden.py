"""The sample end to end: its figures agree with the engine that made it, its report is pinned, and equal in any home."""

import csv
import gzip
import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from portfolio_platform.build import build_all
from portfolio_platform.home import Home
from portfolio_platform.monitor.pipeline.contents import compose_reports
from portfolio_platform.sources.pipeline import import_paths
from tests.conftest import LAST_DAY, SAMPLE

GOLDEN = Path(__file__).parents[1] / "golden"
DAYS = (date(2008, 10, 13), LAST_DAY)
# sample_data/README.md, "Where it ends": NAV and fees of the engine, and the number of fills
ENGINE = {"core": (1_998_988.55, 32_126.82, 1_841), "macro": (498_661.83, 41_110.67, 686)}


@pytest.mark.parametrize("portfolio", sorted(ENGINE))
def test_nav_fees_and_fills_agree_with_the_engine(sample_home, portfolio):
    from portfolio_platform.lake import derived

    nav, fees, fills = ENGINE[portfolio]
    equity = [
        row
        for row in sample_home.lake.read(derived.PORTFOLIO_EQUITY).to_pylist()
        if row["portfolio"] == portfolio and row["day"] == LAST_DAY
    ]
    cash = [
        row for row in sample_home.lake.read(derived.CASH_BALANCES).to_pylist() if row["portfolio"] == portfolio and row["day"] == LAST_DAY
    ]
    with gzip.open(SAMPLE / "fills.csv.gz", "rt") as lines:
        assert sum(row["portfolio"] == portfolio for row in csv.DictReader(lines)) == fills
    assert equity[0]["equity"] == pytest.approx(nav, abs=1.0)
    assert cash[0]["fees"] == pytest.approx(fees, abs=0.005)


def test_drawdowns_agree_with_what_the_sample_says_of_itself(sample_home):
    from portfolio_platform.lake import derived

    rows = sample_home.lake.read(derived.DRAWDOWN_STATE, ["day", "portfolio", "drawdown"]).to_pylist()
    drawdown = {(row["portfolio"], row["day"].isoformat()): row["drawdown"] for row in rows}
    said = {
        ("core", "2007-09-07"): 0.119, ("core", "2008-01-14"): 0.136, ("core", "2009-03-30"): 0.123, ("core", "2010-09-13"): 0.162,
        ("macro", "2007-11-13"): 0.195, ("macro", "2008-09-26"): 0.270, ("macro", "2009-05-17"): 0.122, ("macro", "2010-09-23"): 0.226,
        ("core", "2009-08-03"): 0.046, ("macro", "2008-10-13"): 0.206, ("macro", "2009-10-23"): 0.024,
    }  # fmt: skip
    for key, value in said.items():
        assert drawdown[key] == pytest.approx(value, abs=6e-4), key


def _contents(home: Home) -> dict[str, bytes]:
    return {f"{report.portfolio}-{report.day}": report.canonical() for report in compose_reports(home, DAYS)}


def test_the_reports_are_the_pinned_ones(sample_home):
    """After a wanted change: `PORTFOLIO_PIN=1 pytest tests/e2e/test_golden.py`, then read the difference."""
    for name, content in _contents(sample_home).items():
        path = GOLDEN / f"report-{name}.json"
        pretty = json.dumps(json.loads(content), indent=1, ensure_ascii=False, sort_keys=True) + "\n"
        if os.environ.get("PORTFOLIO_PIN"):
            path.write_text(pretty)
        assert json.loads(path.read_text()) == json.loads(content), name


def test_another_home_another_order_of_import_and_duplicates_give_the_same_bytes(sample_home, tmp_path):
    """Fills in two files, the later one first, overlapping, and imported twice; bars last."""
    with gzip.open(SAMPLE / "fills.csv.gz", "rt") as lines:
        header, *rows = lines.readlines()
    later, earlier = tmp_path / "fills_b.csv", tmp_path / "fills_a.csv"
    later.write_text(header + "".join(reversed(rows[1200:])))
    earlier.write_text(header + "".join(rows[:1300]))
    home = Home(tmp_path / "other home")
    home.create()
    home.pin_clock(LAST_DAY)
    signals = [SAMPLE / name for name in ("intents.csv.gz", "playbook_expectations.csv", "signals.csv.gz")]
    prices = [SAMPLE / "instruments.csv", SAMPLE / "bars.csv.gz"]
    for paths in ([later], [SAMPLE / "cash_flows.csv"], signals, [earlier], [earlier, later], prices):
        import_paths(home, paths)
    build_all(home)
    assert _contents(home) == _contents(sample_home)


def test_another_process_time_zone_and_hash_seed_give_the_same_bytes(sample_home):
    code = (
        "import sys; from datetime import date; from pathlib import Path; from portfolio_platform.home import Home;"
        "from portfolio_platform.monitor.pipeline.contents import compose_reports;"
        "reports = compose_reports(Home(Path(sys.argv[1])), [date(2010, 12, 31)]);"
        "print(' '.join(report.hash for report in reports))"
    )
    said = set()
    for seed, zone, locale in (("0", "UTC", "C"), ("12345", "Asia/Kathmandu", "de_DE.UTF-8")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": locale}
        done = subprocess.run(
            [sys.executable, "-c", code, str(sample_home.root)], capture_output=True, text=True, env=environment, timeout=120
        )
        assert done.returncode == 0, done.stderr
        said.add(done.stdout)
    assert said == {" ".join(report.hash for report in compose_reports(sample_home, [LAST_DAY])) + "\n"}
