"""Checkpoints: a cut tail, a history written anew, a forged or missing checkpoint; each names the first event that does not fit."""

import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from portfolio_platform.book import schema
from portfolio_platform.book.checkpoints import Checkpoint, listed
from portfolio_platform.book.events import NewEvent, append, chain_hash, chain_head
from portfolio_platform.book.rebuild import check_read_models, rebuild_read_models
from portfolio_platform.control.checkpoints import CheckpointVerdict, platform_key, verify_checkpoints, write_checkpoint
from portfolio_platform.control.operators import add_operator, remove_operator
from portfolio_platform.control.signing import make_key, read_key
from portfolio_platform.errors import StoreProblem
from portfolio_platform.home import Home
from tests.unit.book.workers import NOW

log = schema.events.c


def happen(home: Home, count: int, name: str) -> None:
    with home.book.writing() as connection:
        append(connection, [NewEvent("s", "t", {"n": n}, f"{name}{n}") for n in range(count)], recorded_at=NOW)


def three(home: Home, also: tuple[Path, ...] = ()) -> list[Checkpoint]:
    """Three checkpoints, with four events before each: at 5 (the platform's key is an event too), 10 and 15."""
    made = []
    for name in "abc":
        happen(home, 4, name)
        made.append(write_checkpoint(home, also=also))
    return made


def file_of(home: Home) -> Path:
    return home.root / "checkpoints.jsonl"


def edit(path: Path, change: Callable[[list[dict[str, object]]], object]) -> None:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def cut(home: Home, after: int) -> None:
    with home.book.writing() as connection:
        connection.execute(delete(schema.checkpoints).where(schema.checkpoints.c.event_seq > after))
        connection.execute(delete(schema.events).where(log.seq > after))


def rewrite(home: Home, seq: int) -> None:
    """Change an event as one would who knows how the chain is made, and who signs nothing: every hash after it is right again."""
    with home.book.writing() as connection:
        rows = connection.execute(select(schema.events).where(log.seq >= seq).order_by(log.seq)).all()
        previous = rows[0].previous_hash
        for one in rows:
            content = one.content.replace(b'"n":', b'"n":7') if one.seq == seq else one.content
            values = {"content": content, "previous_hash": previous, "hash": chain_hash(previous, content)}
            connection.execute(update(schema.events).where(log.seq == one.seq).values(values))
            previous = values["hash"]


def found(home: Home, seq: int, match: str, **options: object) -> CheckpointVerdict:
    verdict = verify_checkpoints(home, **options)
    assert not verdict.ok and verdict.first_bad_seq == seq, verdict.faults
    assert match in " | ".join(fault.reason for fault in verdict.faults if fault.seq == seq), verdict.faults
    assert verdict.reason.endswith(verdict.faults[0].reason)
    return verdict


def test_a_log_as_it_was_written_fits_its_checkpoints(store_home: Home, tmp_path: Path) -> None:
    made = three(store_home, also=(tmp_path / "copy.jsonl",))
    assert [one.seq for one in made] == [5, 10, 15]
    verdict = verify_checkpoints(store_home, also=[tmp_path / "copy.jsonl"], trusted=[platform_key(store_home).key_id])
    assert (verdict.ok, verdict.checkpoints, verdict.covered, verdict.first_bad_seq) == (True, 3, 15, None)
    assert file_of(store_home).read_bytes() == (tmp_path / "copy.jsonl").read_bytes()
    with store_home.book.writing() as connection:
        assert listed(connection) == made and check_read_models(connection) == []
        rebuild_read_models(connection)
        assert listed(connection) == made


def test_where_nothing_has_happened_no_checkpoint_is_made(home: Home) -> None:
    happen(home, 2, "a")
    first = write_checkpoint(home)
    assert write_checkpoint(home) == first
    with home.book.reading() as connection:
        assert chain_head(connection).seq == first.event_seq
    assert len(file_of(home).read_text().splitlines()) == 1


def test_an_empty_book_has_nothing_to_show(home: Home) -> None:
    verdict = verify_checkpoints(home)
    assert verdict.ok and (verdict.checkpoints, verdict.covered) == (0, 0)


def test_the_platforms_key_is_made_once_and_is_its_owners_alone(home: Home) -> None:
    first = platform_key(home)
    assert platform_key(home) == first
    assert stat.S_IMODE((home.root / "checkpoint.key").stat().st_mode) == 0o600


@pytest.mark.parametrize("after", [15, 14, 11, 10, 9, 2])
def test_an_end_that_was_cut_off_is_found_by_the_file(home: Home, after: int) -> None:
    three(home)
    cut(home, after)
    found(home, after + 1, "cut off")


def test_events_after_the_last_checkpoint_are_not_covered(home: Home) -> None:
    """What the docstring says it cannot show."""
    three(home)
    happen(home, 3, "d")
    cut(home, 17)
    assert verify_checkpoints(home).ok


@pytest.mark.parametrize(("seq", "first"), [(2, 5), (4, 5), (7, 10), (13, 15)])
def test_a_history_that_was_written_anew_is_found_at_the_first_checkpoint_after_it(home: Home, seq: int, first: int) -> None:
    three(home)
    rewrite(home, seq)
    verdict = found(home, first, "written anew")
    assert verdict.chain.events == first - 1


def test_an_event_that_was_changed_alone_is_named_itself(store_home: Home) -> None:
    three(store_home)
    with store_home.book.writing() as connection:
        connection.execute(update(schema.events).where(log.seq == 8).values(content=b"{}"))
    found(store_home, 8, "does not have the hash")


def test_a_forged_checkpoint_is_found_in_the_book_and_in_the_file(home: Home) -> None:
    three(home)
    edit(file_of(home), lambda lines: lines[1].update(signature="00" * 64))
    found(home, 10, "forged")
    edit(file_of(home), lambda lines: lines[1].update(signature="no"))
    found(home, 10, "forged")


def test_a_checkpoint_that_was_signed_by_a_key_of_the_forger_is_found(home: Home) -> None:
    three(home)
    forger = make_key()
    made = listed_in(home)[1]
    forged = Checkpoint(made.id, made.seq, made.hash, made.at, forger.key_id, "")
    signature = forger.sign(forged.content).hex()
    edit(file_of(home), lambda lines: lines[1].update(key_id=forger.key_id, public_key=forger.public_key, signature=signature))
    found(home, 10, "does not know the key")


def listed_in(home: Home) -> list[Checkpoint]:
    with home.book.reading() as connection:
        return listed(connection)


def test_a_missing_checkpoint_is_found_in_file_table_and_copy(home: Home, tmp_path: Path) -> None:
    three(home, also=(tmp_path / "copy.jsonl",))
    edit(tmp_path / "copy.jsonl", lambda lines: lines.pop(1))
    found(home, 10, "missing in the file", also=[tmp_path / "copy.jsonl"])
    assert verify_checkpoints(home).ok
    with home.book.writing() as connection:
        connection.execute(delete(schema.checkpoints).where(schema.checkpoints.c.seq == 10))
    found(home, 10, "missing in the table")
    file_of(home).unlink()
    found(home, 5, "missing in the file")


@pytest.mark.parametrize("line", ["", "no json", "[]", '{"seq": "5"}', '{"seq": 5}'])
def test_a_line_that_is_no_checkpoint_is_found(home: Home, line: str) -> None:
    three(home)
    lines = file_of(home).read_text().splitlines()
    file_of(home).write_text("\n".join([lines[0], line, *lines[1:]]) + "\n")
    found(home, 6, "line 2 is no checkpoint")


def test_a_book_that_was_made_anew_with_a_key_of_its_own_is_found_by_a_copy_kept_elsewhere(home: Home, tmp_path: Path) -> None:
    copy = tmp_path / "copy.jsonl"
    three(home, also=(copy,))
    trusted = [platform_key(home).key_id]
    anew = Home(tmp_path / "anew")
    anew.create()
    for name in "abc":
        happen(anew, 4, f"other {name}")
        write_checkpoint(anew)
    assert verify_checkpoints(anew).ok
    found(anew, 5, "written anew", also=[copy])
    found(anew, 5, "not trusted", trusted=trusted)


def test_nobody_goes_on_over_a_log_that_was_cut(home: Home) -> None:
    three(home)
    cut(home, 12)
    with pytest.raises(StoreProblem, match="notes event 15 with another hash than the book has, or none"):
        write_checkpoint(home)


def test_after_a_crash_between_book_and_file_the_next_checkpoint_brings_the_file_up(home: Home, tmp_path: Path) -> None:
    three(home)
    whole = file_of(home).read_bytes()
    for size in (len(whole) - 40, whole.index(b"\n") + 1, 0):
        file_of(home).write_bytes(whole[:size])
        assert not verify_checkpoints(home).ok
        write_checkpoint(home, also=[tmp_path / f"new{size}.jsonl"])
        assert file_of(home).read_bytes() == whole == (tmp_path / f"new{size}.jsonl").read_bytes()
        assert verify_checkpoints(home).ok


def test_an_operators_key_signs_too_also_once_it_was_removed(home: Home, tmp_path: Path) -> None:
    with pytest.raises(StoreProblem, match="add its operator first"):
        write_checkpoint(home, key=make_key())
    add_operator(home, "Ada", key_out=tmp_path / "ada.key")
    made = write_checkpoint(home, key=read_key(tmp_path / "ada.key"))
    assert made.seq == 1 and verify_checkpoints(home, trusted=[made.key_id]).ok
    remove_operator(home, "Ada", by="Bob")
    assert verify_checkpoints(home).ok
    write_checkpoint(home)
    assert verify_checkpoints(home).ok
    found(home, listed_in(home)[-1].seq, "not trusted", trusted=[made.key_id])


def test_a_file_that_cannot_be_written_is_named_and_the_book_has_the_checkpoint(home: Home, tmp_path: Path) -> None:
    happen(home, 2, "a")
    with pytest.raises(StoreProblem, match="is in the book, and cannot be written to"):
        write_checkpoint(home, also=[tmp_path / "nowhere" / "copy.jsonl"])
    assert len(listed_in(home)) == 1
    (tmp_path / "nowhere").mkdir()
    write_checkpoint(home, also=[tmp_path / "nowhere" / "copy.jsonl"])
    assert verify_checkpoints(home, also=[tmp_path / "nowhere" / "copy.jsonl"]).ok


def test_a_home_that_was_copied_verifies_against_its_copy_of_the_file(home: Home, tmp_path: Path) -> None:
    three(home)
    home.book.close()
    shutil.copytree(home.root, tmp_path / "copied")
    assert verify_checkpoints(Home(tmp_path / "copied"), also=[file_of(home)]).ok
