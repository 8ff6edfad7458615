"""The sample ledger is read whole."""

from pathlib import Path

from portfolio_platform.lake.facts import FACTS
from portfolio_platform.sources.csv_files import read_file, row_schema
from portfolio_platform.sources.discover import discover

SAMPLE = Path(__file__).parents[3] / "sample_data"
AS_OF_NS = 1_293_840_000_000_000_000  # 2011-01-01T00:00:00Z


def test_every_sample_file_is_read_without_a_rejection_and_with_its_documented_number_of_rows() -> None:
    parsed = [read_file(source, as_of_ns=AS_OF_NS) for source in discover([SAMPLE])]
    assert {item.fact: item.rows.num_rows for item in parsed} == {
        "instruments": 8, "bars": 10635, "fills": 2527, "cash_flows": 6, "signals": 2415, "intents": 1460, "playbook_expectations": 58,
    }  # fmt: skip
    assert [rejection for item in parsed for rejection in item.rejections] == []
    for item in parsed:
        assert item.rows.schema == row_schema(FACTS[str(item.fact)])
        assert len(set(item.rows["row_id"].to_pylist())) == item.rows.num_rows
        assert item.rows["source_line"].to_pylist() == list(range(2, item.rows.num_rows + 2))


def test_the_sample_s_signals_that_are_valid_beyond_the_as_of_time_are_kept() -> None:
    signals = next(source for source in discover([SAMPLE]) if source.fact == "signals")
    parsed = read_file(signals, as_of_ns=AS_OF_NS)
    assert max(value for value in parsed.rows["valid_until"].to_pylist() if value) > AS_OF_NS
    assert parsed.rejections == ()
