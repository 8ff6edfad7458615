"""Delta tables are read and written in one module: the other ways in abort the process at its end, or cast in silence."""

from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGES = ("portfolio_platform", "assets", "sensors", "resources")
BANNED = ("to_pyarrow_table(", "DeltaTable(", "write_deltalake(", "read_deltalake(", "delta_scan(", "scan_delta(")
DOOR = ROOT / "portfolio_platform" / "lake" / "store.py"


def sources() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def test_no_module_but_the_store_opens_a_delta_table() -> None:
    assert DOOR in sources()
    found = [
        f"{path.relative_to(ROOT)} has {word}"
        for path in sources()
        if path != DOOR
        for word in BANNED
        if word in path.read_text(encoding="utf-8")
    ]
    assert found == []


def test_the_store_itself_reads_by_datasets_alone() -> None:
    text = DOOR.read_text(encoding="utf-8")
    for word in ("to_pyarrow_table(", ".to_pandas(", "to_pyarrow_dataset("):
        assert word not in text
    assert "ds.dataset(" in text
