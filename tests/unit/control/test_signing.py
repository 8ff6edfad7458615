"""Keys and signatures: what an approval may say, what is taken for one, and what is not."""

import base64
import json
import os
import stat
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.book.approvals import ApprovalStatement, Asked, Refusal, SignedApproval, refusal
from portfolio_platform.book.checkpoints import statement
from portfolio_platform.book.events import ChainHead
from portfolio_platform.book.operators import Operator
from portfolio_platform.book.signatures import is_signed, key_id
from portfolio_platform.control.signing import SigningKey, make_key, read_key, read_public_key, sign_approval, write_key
from portfolio_platform.errors import StoreProblem, WrongUse

NOW = datetime(2026, 3, 2, 17, 30, tzinfo=UTC)
HALF_AN_HOUR = timedelta(minutes=30)
ADA, BOB = make_key(), make_key()


def operator(key: SigningKey, name: str = "Ada", **changes: str) -> Operator:
    return replace(Operator(key.key_id, name, key.public_key, "2026-01-01", name), **changes)


def signed(key: SigningKey = ADA, **changes: object) -> SignedApproval:
    given = {
        "operator": "Ada", "subject": "r1", "subject_hash": "h1", "decision": "approve", "reason": "agreed", "terms_version": 3,
        "now": NOW, "valid": HALF_AN_HOUR,
    } | changes  # fmt: skip
    return sign_approval(key, **given)


def asked(**changes: object) -> Asked:
    return replace(Asked("r1", "h1", "approve", 3, NOW + timedelta(minutes=1), HALF_AN_HOUR), **changes)


def code(given: SignedApproval, *, keys: tuple[Operator, ...] = (operator(ADA),), used: bool = False, **changes: object) -> str:
    found = refusal(given, asked(**changes), keys, used=used)
    assert found is None or (isinstance(found, Refusal) and found.reason)
    return "" if found is None else found.code


def test_what_an_operator_signed_is_taken_and_says_what_they_signed() -> None:
    made = signed()
    assert code(made) == "" and code(SignedApproval.from_token(made.token)) == ""
    assert made.statement is not None and json.loads(made.content) == {"purpose": "approval", **asdict(made.statement)}
    assert made.statement.expires_at == "2026-03-02T18:00:00.000000+00:00"


def test_no_two_signatures_have_the_same_nonce() -> None:
    assert len({signed().statement.nonce for _ in range(50)}) == 50


@pytest.mark.parametrize(
    ("made", "changes", "refused"),
    [
        (signed(BOB), {}, "forged"),
        (signed(), {"keys": ()}, "unknown_operator"),
        (signed(), {"keys": (operator(ADA, removed_at="2026-02-01", removed_by="Bob"),)}, "removed_operator"),
        (signed(), {"keys": (operator(BOB), operator(ADA, removed_at="2026-02-01", removed_by="Bob"))}, "removed_operator"),
        (signed(), {"used": True}, "replayed"),
        (signed(), {"by": "Bob"}, "forged"),
        (signed(subject="r2"), {}, "other_subject"),
        (signed(decision="reject"), {}, "other_subject"),
        (signed(subject_hash="h2"), {}, "other_hash"),
        (signed(), {"now": NOW + HALF_AN_HOUR}, "expired"),
        (signed(valid=timedelta(days=365)), {}, "expires_late"),
        (signed(terms_version=2), {}, "stale"),
        (signed(terms_version=4), {}, "stale"),
        (signed(), {"agreed": ["Ada"]}, "self_approved"),
        (signed(), {"agreed": ["ADA"]}, "self_approved"),
        (signed(), {"agreed": [ADA.key_id]}, "self_approved"),
        (signed(), {"agreed": ["Bob"]}, ""),
        (signed(), {"now": NOW + HALF_AN_HOUR - timedelta(microseconds=1)}, ""),
    ],
)
def test_each_rule_refuses_under_its_own_name(made: SignedApproval, changes: dict[str, object], refused: str) -> None:
    assert code(made, **changes) == refused


@given(st.integers(0, 2_000), st.integers(0, 7))
def test_any_flipped_bit_of_a_token_is_refused(place: int, bit: int) -> None:
    made = signed(nonce="n" * 16)
    whole = bytearray(made.content + made.signature)
    whole[place % len(whole)] ^= 1 << bit
    split = len(made.content)
    assert code(SignedApproval(bytes(whole[:split]), bytes(whole[split:]))) in ("forged", "unknown_operator")


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda content: base64.urlsafe_b64encode(content).decode()))
def test_no_text_that_is_pasted_breaks_anything(token: str) -> None:
    assert code(SignedApproval.from_token(token)) == "forged"
    assert code(SignedApproval.from_token(f"{token}.{token}")) == "forged"


def test_a_token_may_be_pasted_with_line_breaks_and_a_cut_one_is_refused() -> None:
    token = signed().token
    assert code(SignedApproval.from_token(f"\n {token[:40]}\n{token[40:]} \n")) == ""
    assert code(SignedApproval.from_token(token[:-3])) == code(SignedApproval.from_token(token * 40)) == "forged"


def resigned(**changes: object) -> SignedApproval:
    """Return a statement that the key did sign, and that no command of ours would have made."""
    said = json.loads(signed().content) | changes
    content = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
    return SignedApproval(content, ADA.sign(content))


@pytest.mark.parametrize(
    "changes",
    [
        {"purpose": "checkpoint"}, {"more": 1}, {"terms_version": 3.0}, {"terms_version": True}, {"terms_version": -1},
        {"decision": "hold"},
        {"nonce": "short"}, {"nonce": 12}, {"reason": ""}, {"reason": "a\x00b"}, {"reason": "x" * 5_000}, {"operator": "a\nb"},
        {"expires_at": "2026-03-02"}, {"expires_at": "tomorrow"}, {"subject": ["r1"]},
    ],
    ids=str,
)  # fmt: skip
def test_a_statement_that_is_none_is_refused_although_the_key_signed_it(changes: dict[str, object]) -> None:
    assert code(resigned()) == ""
    assert code(resigned(**changes)) == "forged"


def test_bytes_that_are_not_canonical_are_refused_although_the_key_signed_them() -> None:
    spaced = json.dumps(json.loads(signed().content)).encode()
    twice = signed().content.replace(b'{"decision"', b'{"decision":"reject","decision"')
    for content in (spaced, twice):
        assert code(SignedApproval(content, ADA.sign(content))) == "forged"


def test_a_signed_checkpoint_is_no_approval() -> None:
    content = statement(ChainHead(1, "h"), "2026", ADA.key_id)
    assert code(SignedApproval(content, ADA.sign(content))) == "forged"


@pytest.mark.parametrize("changes", [{"reason": " "}, {"subject": ""}, {"operator": "a\x00"}, {"nonce": "short"}, {"reason": "x" * 5_000}])
def test_what_nobody_would_take_is_not_signed(changes: dict[str, object]) -> None:
    with pytest.raises(WrongUse, match="cannot be signed"):
        signed(**changes)


def test_signatures_are_those_of_the_standard() -> None:
    """RFC 8032, section 7.1, tests 1 and 2."""
    public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    signature = bytes.fromhex(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )
    assert is_signed(public, b"", signature) and not is_signed(public, b"x", signature)
    other = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    assert not is_signed(other, b"", signature) and not is_signed("no", b"", signature) and not is_signed(public, b"", b"short")
    assert key_id(public).startswith("ed25519:") and key_id(public) != key_id(other)


@pytest.mark.parametrize("passphrase", ["", "correct horse"])
def test_a_key_is_read_back_from_a_file_that_its_owner_alone_can_read(tmp_path: Path, passphrase: str) -> None:
    path, key = tmp_path / "ada.key", make_key()
    before = os.umask(0)
    try:
        write_key(key, path, passphrase)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = path.read_bytes()
    assert content.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----" if passphrase else b"-----BEGIN PRIVATE KEY-----")
    again = read_key(path, lambda: passphrase)
    assert again == key and is_signed(key.public_key, b"x", again.sign(b"x"))
    with pytest.raises(WrongUse, match="never written over"):
        write_key(make_key(), path)
    assert path.read_bytes() == content
    if passphrase:
        with pytest.raises(WrongUse, match="passphrase"):
            read_key(path, lambda: "wrong")
        with pytest.raises(WrongUse, match="locked with a passphrase"):
            read_key(path)


def test_a_key_shows_nothing_of_its_private_part() -> None:
    from cryptography.hazmat.primitives import serialization

    private = ADA._private.private_bytes_raw()
    assert private.hex() not in repr(ADA) and "private" not in repr(ADA).lower()
    assert isinstance(ADA._private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw), bytes)


def test_files_that_hold_no_key_of_the_right_kind_are_named(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    (tmp_path / "text").write_text("no key")
    other = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "ec").write_bytes(other.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()))
    (tmp_path / "ec.pub").write_bytes(other.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo))
    write_key(ADA, tmp_path / "ada")
    public = ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(ADA.public_key))
    (tmp_path / "ada.pem").write_bytes(public.public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo))
    (tmp_path / "ada.ssh").write_bytes(public.public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH) + b" ada@desk\n")
    assert read_public_key(tmp_path / "ada.pem") == read_public_key(tmp_path / "ada.ssh") == ADA.public_key
    for name, match in (
        ("none", "cannot be read"),
        ("text", "no private key"),
        ("ec", "not one of ed25519"),
        ("ada.pem", "no private key"),
    ):
        with pytest.raises(WrongUse, match=match):
            read_key(tmp_path / name)
    for name, match in (("text", "no public key"), ("ec.pub", "not one of ed25519"), ("ada", "nobody's business")):
        with pytest.raises(WrongUse, match=match):
            read_public_key(tmp_path / name)
    with pytest.raises(StoreProblem, match="cannot be written"):
        write_key(make_key(), tmp_path / "nowhere" / "key")


def test_a_statement_has_one_spelling() -> None:
    said = ApprovalStatement("r", "h", "approve", 1, "n" * 16, "2026-03-02T18:00:00.000000+00:00", "Ada", "größer")
    assert (
        said.canonical()
        == (
            '{"decision":"approve","expires_at":"2026-03-02T18:00:00.000000+00:00","nonce":"nnnnnnnnnnnnnnnn","operator":"Ada",'
            '"purpose":"approval","reason":"größer","subject":"r","subject_hash":"h","terms_version":1}'
        ).encode()
    )
