"""Checkpoints of the log and the secrets beside them: what a backup takes along, and what a restored home can show."""

import json
from pathlib import Path

import pytest

from portfolio_platform.book.annotations import annotate
from portfolio_platform.control.checkpoints import FILE, KEY_FILE, platform_key, verify_checkpoints, write_checkpoint
from portfolio_platform.control.tokens import IN_HOME, write_token
from portfolio_platform.errors import DataProblem
from portfolio_platform.home import Home
from portfolio_platform.upkeep.backup import back_up
from portfolio_platform.upkeep.restore import restore


@pytest.fixture
def signed(kept: Home) -> Home:
    """A home whose log has a checkpoint, and a token of strategies beside it."""
    write_checkpoint(kept)
    write_token(kept.root / IN_HOME)
    return kept


def said(home: Home, text: str) -> None:
    with home.book.writing() as connection:
        annotate(connection, "anything", by="Ada", text=text, at=home.clock.now())


def test_a_restored_log_verifies_against_the_checkpoints_that_came_along(signed: Home, tmp_path: Path) -> None:
    said(signed, "after it")
    done = back_up(signed, tmp_path / "b.tar")
    assert [name.split(",")[0] for name in done.left_out if "key" in name or "token" in name] == [KEY_FILE, IN_HOME]
    new = Home(tmp_path / "new")
    assert restore(tmp_path / "b.tar", new).notes == (
        "channels.toml is not in the backup: name the channels again, or messages go to the log",
    )
    assert (new.root / FILE).read_bytes() == (signed.root / FILE).read_bytes()
    assert not (new.root / KEY_FILE).exists() and not (new.root / IN_HOME).exists()
    found = verify_checkpoints(new)
    assert found.ok and found.checkpoints == 1
    second = write_checkpoint(new)  # with a key of its own: what the old one signed is verified all the same
    assert second.key_id == platform_key(new).key_id != platform_key(signed).key_id
    assert verify_checkpoints(new).ok and verify_checkpoints(new).checkpoints == 2


def test_with_secrets_the_key_and_the_token_come_along_for_their_owner_alone(signed: Home, tmp_path: Path) -> None:
    back_up(signed, tmp_path / "b.tar", with_secrets=True)
    new = Home(tmp_path / "new")
    restore(tmp_path / "b.tar", new)
    for name in (KEY_FILE, IN_HOME):
        assert (new.root / name).read_bytes() == (signed.root / name).read_bytes()
        assert (new.root / name).stat().st_mode & 0o777 == 0o600


def test_a_log_that_its_checkpoints_do_not_know_is_refused_and_leaves_nothing(signed: Home, tmp_path: Path) -> None:
    """Somebody has cut the end of the book off, sealed it well, and forgot the file beside it."""
    signed.book.close()
    before = (signed.root / "book.sqlite").read_bytes()
    said(signed, "to be forgotten")
    write_checkpoint(signed)
    signed.book.close()
    (signed.root / "book.sqlite").write_bytes(before)
    back_up(Home(signed.root), tmp_path / "b.tar")
    with pytest.raises(DataProblem, match=r"not the one that its checkpoints note: .*the end was cut off"):
        restore(tmp_path / "b.tar", Home(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_checkpoints_that_lack_a_line_are_said_to_be_odd_and_do_not_keep_a_whole_log_from_coming_back(signed: Home, tmp_path: Path) -> None:
    said(signed, "more")
    write_checkpoint(signed)
    lines = (signed.root / FILE).read_text().splitlines(keepends=True)
    (signed.root / FILE).write_text(lines[0])
    assert json.loads(lines[1])["seq"] > json.loads(lines[0])["seq"]
    back_up(signed, tmp_path / "b.tar")
    notes = restore(tmp_path / "b.tar", Home(tmp_path / "new")).notes
    assert notes[-1].startswith("checkpoints, at event") and "checkpoints.jsonl: the checkpoint is missing" in notes[-1]


def test_no_checkpoint_comes_between_the_book_and_its_file(signed: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from portfolio_platform.control import checkpoints
    from portfolio_platform.errors import StoreProblem
    from portfolio_platform.upkeep import backup

    monkeypatch.setattr(checkpoints, "LOCK_SECONDS", 0.05)
    copied, refused = backup._copied, []

    def late(*arguments: object) -> object:
        said(signed, "between")
        try:
            write_checkpoint(signed)
        except StoreProblem as error:
            refused.append(str(error))
        return copied(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(backup, "_copied", late)
    back_up(signed, tmp_path / "b.tar")
    assert "another process is writing checkpoints" in refused[0]
    assert restore(tmp_path / "b.tar", Home(tmp_path / "new")).notes[1:] == ()
