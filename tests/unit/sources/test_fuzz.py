"""Whatever the bytes: an answer or a PortfolioError, and every line accounted for."""

import gzip
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portfolio_platform.errors import PortfolioError
from portfolio_platform.lake.facts import FACTS
from portfolio_platform.sources.csv_files import read_file, row_schema
from portfolio_platform.sources.discover import discover

from .conftest import AS_OF_NS

SAMPLE = Path(__file__).parents[3] / "sample_data"
QUICK = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _good(source: Path) -> bytes:
    data = source.read_bytes()
    return b"".join((gzip.decompress(data) if source.suffix == ".gz" else data).splitlines(keepends=True)[:6])


GOOD = {source.fact: _good(source.path) for source in discover([SAMPLE]) if source.fact}
GOOD["corporate_actions"] = b"ts,symbol,kind,ratio,amount,bust,revision\n2024-05-01T14:30:00Z,A,split,2,,,\n"
INSERTED = st.sampled_from(
    [b'"', b",", b"\n", b"\r", b"\r\n", b"\0", b"\xff", b";", b"-", b"e", b"E9999", b"=", b"\xef\xbb\xbf", b"\xff\xfe", b"nan", b"1" * 40]
) | st.binary(max_size=8)  # fmt: skip


def check(fact: str, data: bytes, **options: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{fact}.csv"
        path.write_bytes(data)
        try:
            (source,) = discover([path])
            parsed = read_file(source, as_of_ns=AS_OF_NS, **options)
        except PortfolioError:
            return
        assert parsed.rows.schema == row_schema(FACTS[fact])
        assert parsed.rows["row_id"].null_count == 0
        assert parsed.read == parsed.rows.num_rows + sum(1 for item in parsed.rejections if item.source_line)
        assert len({item.quarantine_id for item in parsed.rejections}) == len(parsed.rejections)
        for item in parsed.rejections:
            assert item.rule and item.remedy and item.sentence


@QUICK
@given(st.sampled_from(sorted(FACTS)), st.binary(max_size=400))
def test_random_bytes_are_answered(fact: str, data: bytes) -> None:
    check(fact, data)


@QUICK
@given(st.sampled_from(sorted(GOOD)), st.binary(max_size=400))
def test_random_bytes_after_a_good_header_are_answered(fact: str, data: bytes) -> None:
    check(fact, GOOD[fact].split(b"\n")[0] + b"\n" + data, corrections=True)


@QUICK
@given(st.sampled_from(sorted(GOOD)), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 5), INSERTED), max_size=6))
def test_mutated_good_files_are_answered(fact: str, changes: list[tuple[float, int, bytes]]) -> None:
    data = GOOD[fact]
    for place, removed, inserted in changes:
        at = int(place * len(data))
        data = data[:at] + inserted + data[at + removed :]
    check(fact, data)


@QUICK
@given(st.sampled_from(sorted(GOOD)), st.text(max_size=40), st.integers(0, 30))
def test_any_text_in_any_cell_is_answered(fact: str, text: str, column: int) -> None:
    lines = GOOD[fact].decode().splitlines()
    cells = lines[1].split(",")
    cells[column % len(cells)] = '"' + text.replace('"', '""') + '"'
    check(fact, "\n".join([lines[0], ",".join(cells), *lines[2:]]).encode("utf-8", "surrogatepass"))


@QUICK
@given(st.sampled_from(sorted(GOOD)), st.floats(0, 1), st.binary(max_size=3))
def test_damaged_gzip_is_answered(fact: str, place: float, inserted: bytes) -> None:
    data = gzip.compress(GOOD[fact], mtime=0)
    at = int(place * len(data))
    check(fact, data[:at] + inserted + data[at + 1 :])
    check(fact, data[:at])
