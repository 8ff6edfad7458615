"""Row ids, content hashes, corrections, cancellations, and the identity of quarantined rows."""

from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest

from portfolio_platform.lake.facts import FACTS

from .conftest import FILLS_HEADER, Reader, fill, fills

GOLDEN = "03d558044e56a1365fe818f13ef46a5ddd2f9f42831570be0b03eaefa14c2360"
NO_ID = "ts,portfolio,symbol,side,quantity,price"


def anonymous(**changes: str) -> str:
    return fill(**changes).split(",", 1)[1]


def ids(read: Reader, *lines: str, **options: Any) -> list[str]:
    return read("fills", fills(*lines, **options)).rows["row_id"].to_pylist()


def plain_hash(fact: str, row: dict[str, Any]) -> str:
    """Hash one row the slow and plain way: the definition that the vectorised one must meet."""
    content = b""
    kinds = {column.name: column.kind for column in FACTS[fact].columns} | {"bust": "flag"}
    for name in sorted(kinds):
        value = row[name]
        if value is None:
            continue
        if kinds[name] == "decimal":
            spelled = int(Decimal(value).scaleb(18)).to_bytes(16, "little", signed=True)
        elif kinds[name] == "flag":
            spelled = b"true" if value else b"false"
        else:
            spelled = str(value).encode()
        content += name.encode() + b"\x1f" + spelled + b"\x1e"
    return sha256(content).hexdigest()


def test_the_content_hash_is_as_it_is_defined(read: Reader) -> None:
    text = fills(fill() + ",-0.00000001", fill(symbol="日経", price="99999999999") + ",", header=FILLS_HEADER + ",fee")
    for row in read("fills", text).rows.to_pylist():
        assert row["content_hash"] == plain_hash("fills", row)


def test_the_content_hash_of_a_known_row_never_changes(read: Reader) -> None:
    assert read("fills", fills(fill())).rows["content_hash"].to_pylist() == [GOLDEN]


def test_one_content_has_one_hash_however_it_is_spelled(read: Reader) -> None:
    spellings = [
        fill(), fill(quantity="10.0"), fill(quantity="1e1"), fill(quantity="+10"), fill(side="BUY"), fill(symbol=" AAPL "),
        fill(ts="2024-05-01 16:30:00+02:00"), fill(symbol='"AAPL"'),
    ]  # fmt: skip
    parsed = read("fills", fills(*spellings))
    assert len(set(parsed.rows["content_hash"].to_pylist())) == 1
    assert set(parsed.rows["row_id"].to_pylist()) == {"core|E1"}
    explicit = read("fills", fills(fill() + ",default,0,,1", header=FILLS_HEADER + ",strategy,fee,template,revision"), "fills_2.csv")
    assert explicit.rows["content_hash"].to_pylist() == [GOLDEN]


@pytest.mark.parametrize(("column", "value"), [("quantity", "11"), ("ts", "2024-05-01T14:30:00.000000001Z"), ("symbol", "aapl")])
def test_other_content_has_another_hash(read: Reader, column: str, value: str) -> None:
    assert len(set(read("fills", fills(fill(), fill(**{column: value}))).rows["content_hash"].to_pylist())) == 2


def test_ids_are_the_source_s_own_within_a_portfolio(read: Reader) -> None:
    assert ids(read, fill(), fill(portfolio="macro")) == ["core|E1", "macro|E1"]
    bars = read("bars", "symbol,ts,close\nA|B\\C,2024-05-01T14:30:00Z,1\n").rows
    assert bars["row_id"].to_pylist() == ["A\\|B\\\\C|1714573800000000000"]
    assert read("portfolios", "portfolio\ncore\n").rows["row_id"].to_pylist() == ["core"]


def test_parts_of_an_id_cannot_be_confused(read: Reader) -> None:
    rows = read("playbook_expectations", "template,playbook,regime\na|b,c,d\na,b|c,d\na\\,b,d\na,\\|b,d\n").rows
    assert len(set(rows["row_id"].to_pylist())) == 4


def test_rows_without_an_id_are_known_by_content_and_occurrence(read: Reader) -> None:
    lines = [anonymous(), anonymous(price="1"), anonymous(), anonymous(quantity="10.0")]
    found = ids(read, *lines, header=NO_ID)
    start = f"core|content:{plain_hash('fills', read('fills', fills(lines[0], header=NO_ID)).rows.to_pylist()[0])[:32]}"
    assert [found[0], found[2], found[3]] == [f"{start}:0", f"{start}:1", f"{start}:2"]
    assert found[1].endswith(":0") and not found[1].startswith(start)
    assert found == ids(read, *lines, header=NO_ID) == ids(read, *("," + line for line in lines))


def test_a_stated_id_cannot_pass_for_a_content_id(read: Reader) -> None:
    assert ids(read, fill(execution_id="content:x"), fill(execution_id="\\content:x")) == ["core|\\content:x", "core|\\\\content:x"]


def test_an_empty_portfolio_takes_the_one_given_and_a_stated_one_is_kept(read: Reader) -> None:
    text = fills(fill(), fill(portfolio=""))
    assert read("fills", text).rows["portfolio"].to_pylist() == ["core", "main"]
    assert read("fills", text, portfolio="macro").rows["portfolio"].to_pylist() == ["core", "macro"]
    text = "ts,symbol,side,quantity,price\n2024-05-01T14:30:00Z,A,buy,1,1\n"
    assert read("fills", text, portfolio="macro").rows["portfolio"].to_pylist() == ["macro"]
    assert read("bars", "symbol,ts,close\nA,2024-05-01T14:30:00Z,1\n", portfolio="macro").rejections == ()
    assert read("portfolios", "portfolio,mode\n,live\n", portfolio="macro").rejections[0].column == "portfolio"


def test_revisions_are_stated_or_follow_from_the_kind_of_import(read: Reader) -> None:
    text = fills(fill() + ",", fill() + ",0", fill() + ",3", header=FILLS_HEADER + ",Revision")
    assert read("fills", text).rows["revision"].to_pylist() == [0, 0, 3]
    assert read("fills", text, corrections=True).rows["revision"].to_pylist() == [1, 0, 3]
    assert read("fills", fills(fill()), corrections=True).rows["revision"].to_pylist() == [1]
    said = [item.sentence for item in read("fills", fills(fill() + ",-1", fill() + ",x", header=FILLS_HEADER + ",revision")).rejections]
    assert said[0].startswith("fills.csv line 2: revision -1 is negative: revision is never negative")
    assert said[1].startswith("fills.csv line 3: revision x is not a number")


def test_a_correction_must_say_which_row_it_corrects(read: Reader) -> None:
    (rejection,) = read("fills", fills(fill(execution_id="")), corrections=True).rejections
    assert rejection.sentence == (
        "fills.csv line 2: execution_id is empty on a correction, so it is not known which row it corrects; "
        "write the id of the row that it corrects"
    )


def test_a_cancelled_row_needs_only_its_id_and_its_time(read: Reader) -> None:
    header = "execution_id,ts,portfolio,symbol,side,quantity,price,bust,revision"
    parsed = read("fills", fills("E1,2024-05-01T14:30:00Z,core,,,,,yes,1", header=header))
    (row,) = parsed.rows.to_pylist()
    assert (row["row_id"], row["bust"], row["revision"], row["symbol"], row["quantity"]) == ("core|E1", True, 1, None, None)
    assert row["content_hash"] == plain_hash("fills", row)
    assert read("corporate_actions", "action_id,ts,symbol,kind,bust,revision\nA,2024-05-01T14:30:00Z,X,split,1,1\n").rejections == ()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("E1,,core,,,,,true,1", "ts is empty, and is required; write the one of the row that it cancels"),
        (",2024-05-01T14:30:00Z,core,,,,,true,1", "execution_id is empty on a correction"),
        ("E1,2024-05-01T14:30:00Z,core,,,,,true,0", "bust true is true on revision 0: what cancels a row is a later revision of it"),
        ("E1,2024-05-01T14:30:00Z,core,,,,,maybe,1", "symbol is empty, and is required (and 4 more: side, quantity, price, bust)"),
        ("E1,2024-05-01T14:30:00Z,core,,,x,,true,1", "quantity x is not a number"),
        ("E1,2024-05-01T14:30:00Z,core,,,,,false,1", "symbol is empty, and is required"),
    ],
)
def test_a_cancellation_that_does_not_say_what_it_cancels_is_set_aside(read: Reader, line: str, said: str) -> None:
    (rejection,) = read("fills", fills(line, header="execution_id,ts,portfolio,symbol,side,quantity,price,bust,revision")).rejections
    assert rejection.sentence.startswith(f"fills.csv line 2: {said}")


def test_two_statements_of_one_id_are_both_kept_for_the_pipeline(read: Reader) -> None:
    assert ids(read, fill(), fill(), fill(price="1")) == ["core|E1"] * 3


def test_a_bad_row_has_one_identity_whatever_the_file_the_line_and_the_as_of_time(read: Reader) -> None:
    bad = fill(ts="2030-01-01T00:00:00Z")
    first = read("fills", fills(bad)).rejections[0]
    again = read("fills", fills(fill(), bad), "fills_2.csv", as_of_ns=1_700_000_000_000_000_000).rejections
    assert first.quarantine_id == again[-1].quarantine_id
    assert first.rule != again[-1].rule


def test_equal_bad_rows_of_one_file_are_two_and_other_rows_are_others(read: Reader) -> None:
    bad = fill(price="x")
    found = [item.quarantine_id for item in read("fills", fills(bad, bad, fill(price="y"), "short", "short")).rejections]
    assert len(set(found)) == 5
    assert found == [item.quarantine_id for item in read("fills", fills(bad, bad, fill(price="y"), "short", "short")).rejections]
