"""`portfolio operators` and signed decisions: what a person types, from the making of a key to the log."""

from pathlib import Path

import pytest

from portfolio_platform.book.events import read
from portfolio_platform.control.signing import read_key
from portfolio_platform.home import Home
from portfolio_platform.monitor import lifecycle
from portfolio_platform.policy.assigned import Assigned, assigned_policies
from tests.e2e.running import Ran, portfolio
from tests.unit.alerts.test_lifecycle import LOOSEN, publish, row

COMMANDS = [*(("operators", name) for name in ("add", "remove", "list", "show")), ("recommendations", "sign")]


def run(home: Home, *arguments: str | Path) -> Ran:
    return portfolio(*arguments, "--home", home.root)


@pytest.fixture
def live(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home whose `core` is live and has one recommendation that waits."""
    monkeypatch.setattr(lifecycle, "assigned_policies", lambda of: Assigned(assigned_policies(of).default, {}, frozenset({"core"})))
    publish(home, 3, row(3, LOOSEN))
    return home


def one(home: Home) -> dict[str, str]:
    (found,) = run(home, "recommendations", "list", "--all", "--json").json
    return found


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_the_home_and_the_as_of_time(command: tuple[str, ...]) -> None:
    ran = portfolio(*command, "--help")
    assert ran.exit_code == 0 and all(option in ran.stdout for option in ("--home", "--as-of"))


def test_a_person_makes_a_key_and_approves_with_it(live: Home, tmp_path: Path) -> None:
    key, hashed = tmp_path / "ada.key", one(live)["content_hash"][:12]
    made = run(live, "operators", "add", "Ada", "--key-out", key)
    assert made.exit_code == 0 and "Ada: added with the key ed25519:" in made.text and "nowhere else" in made.text
    assert "BEGIN" not in made.text
    refused = run(live, "recommendations", "approve", one(live)["id"], "--by", "Ada", "--reason", "ok", "--hash", hashed)
    assert refused.exit_code == 1 and "core asks for a signature; make it with `portfolio recommendations sign" in refused.text
    done = run(live, "recommendations", "approve", one(live)["id"], "--key", key, "--reason", "agreed", "--hash", hashed)
    assert done.exit_code == 0 and "approved by Ada" in done.text
    shown = run(live, "recommendations", "show", one(live)["id"]).text
    assert "Ada: approve, signed by ed25519:" in shown and "Ada: approve REFUSED (unsigned)" in shown
    listed = run(live, "operators", "show", "Ada").text
    assert "approve recommendation:core:2010-12-04: accepted" in listed and "refused, unsigned" in listed


def test_a_signature_made_elsewhere_is_handed_in_once(live: Home, tmp_path: Path) -> None:
    run(live, "operators", "add", "Ada", "--key-out", tmp_path / "ada.key")
    found = one(live)
    word = ("--key", tmp_path / "ada.key", "--reason", "no", "--hash", found["content_hash"])
    token = run(live, "recommendations", "sign", found["id"], *word, "--reject").stdout
    assert token.count("\n") == 1 and token.count(".") == 1
    wrong = run(live, "recommendations", "approve", found["id"], "--signature", token)
    assert wrong.exit_code == 1 and "signed to reject" in wrong.text
    again = run(live, "recommendations", "sign", found["id"], *word, "--reject").stdout
    assert "rejected by Ada" in run(live, "recommendations", "reject", found["id"], "--signature", again.strip()).text
    assert run(live, "recommendations", "reject", found["id"], "--signature", again).exit_code == 1
    forged = run(live, "recommendations", "approve", found["id"], "--signature", "what.ever")
    assert forged.exit_code == 1 and "not one of an approval" in forged.text
    with live.book.reading() as connection:
        codes = [event.data["code"] for event in read(connection, "recommendations/core") if event.type == "approval_refused"]
    assert codes == ["other_subject", "replayed", "forged"]
    told = run(live, "recommendations", "show", found["id"], "--json").json["approvals"]
    assert [approval["state"] for approval in told] == ["refused", "accepted", "refused", "refused"]


def test_the_first_of_two_is_told_that_another_has_to_agree(live: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = assigned_policies(live).default
    rules = policy.control.approvals.model_copy(update={"people": 2})
    two = policy.model_copy(update={"control": policy.control.model_copy(update={"approvals": rules})})
    monkeypatch.setattr(lifecycle, "assigned_policies", lambda of: Assigned(two, {}, frozenset({"core"})))
    found = one(live)
    for name, said in (("Ada", "approved by Ada; another operator has to approve it too"), ("Bob", "approved by Ada, Bob")):
        key = tmp_path / f"{name}.key"
        run(live, "operators", "add", name, "--key-out", key)
        done = run(live, "recommendations", "approve", found["id"], "--key", key, "--reason", "ok", "--hash", found["content_hash"])
        assert done.exit_code == 0 and said in done.text


def test_operators_are_listed_and_removed(home: Home, tmp_path: Path) -> None:
    assert "there is no operator" in run(home, "operators", "list").text
    run(home, "operators", "add", "Ada", "--key-out", tmp_path / "ada.key", "--by", "Bob")
    (found,) = run(home, "operators", "list", "--json").json
    assert (found["name"], found["added_by"], found["id"]) == ("Ada", "Bob", read_key(tmp_path / "ada.key").key_id)
    assert "was removed by Bob" in run(home, "operators", "remove", "Ada", "--by", "Bob").text
    assert run(home, "operators", "list", "--json").json == []
    assert "Ada" in run(home, "operators", "list", "--all").text
    assert run(home, "operators", "remove", "Ada", "--by", "Bob").exit_code == 1
    assert run(home, "operators", "show", "Eve").exit_code == 2


def test_wrong_use_says_what_is_missing(live: Home, tmp_path: Path) -> None:
    found = one(live)["id"]
    assert run(live, "operators", "add", "Ada").exit_code == 2
    assert run(live, "operators", "add", "Ada", "--passphrase", "--public-key", tmp_path / "x").exit_code == 2
    nothing = run(live, "recommendations", "approve", found)
    assert nothing.exit_code == 2 and "--by" in nothing.text and "--signature" in nothing.text
    both = run(live, "recommendations", "approve", found, "--key", tmp_path / "x", "--signature", "a.b")
    assert both.exit_code == 2 and "one of them" in both.text
    short = run(live, "recommendations", "approve", found, "--by", "Ada", "--reason", "ok")
    assert short.exit_code == 2 and "too short" in short.text
