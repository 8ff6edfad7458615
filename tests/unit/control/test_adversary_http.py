"""What a client may send: nothing is read without the token, nothing grows without end, and nothing it sends is an error of ours."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from portfolio_platform.book.location import sqlite_url
from portfolio_platform.book.store import Book
from portfolio_platform.control.http import LARGEST_BODY, Door, create_app
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.control.terms import Order
from portfolio_platform.days import nanoseconds
from tests.unit.control.test_http import TOKEN
from tests.unit.control.test_plane import START, Hands, opened, wants

JSON = {"Content-Type": "application/json"}
INTENTS, FILLS = "/v1/portfolios/p/intents", "/v1/portfolios/p/fills"


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ControlPlane]:
    with Book(sqlite_url(tmp_path / "book.sqlite")) as book:
        book.create()
        yield opened(ControlPlane(book, Hands()))


@pytest.fixture
def client(plane: ControlPlane):
    from starlette.testclient import TestClient

    with TestClient(create_app(plane, TOKEN), headers={"Authorization": f"Bearer {TOKEN}"}, raise_server_exceptions=False) as client:
        yield client


def pieces(sent: list[int], count: int = 10) -> Iterator[bytes]:
    """A body of one MiB after the other, of no stated length; what is taken of it is noted."""
    for number in range(count):
        sent.append(number)
        yield b" " * 2**20
    yield json.dumps([wants()]).encode()


def called(scope: dict, messages: list[dict]) -> tuple[int, int]:
    """The status that the door answers with, and how many messages it took from the client."""
    import asyncio

    answered: list[int] = []
    taken = 0

    async def receive() -> dict:
        nonlocal taken
        taken += 1
        return messages[taken - 1]

    async def send(message: dict) -> None:
        answered.append(message.get("status", 0))

    async def app(_scope: dict, _receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]

    asyncio.run(Door(app, TOKEN)({"type": "http", "method": "POST", "path": INTENTS, **scope}, receive, send))  # type: ignore[arg-type]
    return answered[0], taken


def test_without_the_token_not_a_byte_of_a_body_is_read() -> None:
    body = [{"type": "http.request", "body": b"x", "more_body": True}]
    for headers in ([], [(b"authorization", b"Bearer x")], [(b"authorization", f"Basic {TOKEN}".encode())], [(b"authorization", b"\xff")]):
        assert called({"headers": headers}, body) == (401, 0)
    assert called({"headers": [(b"authorization", f"Bearer {TOKEN}".encode())]}, body) == (200, 0)
    assert called({"path": "/openapi.json/../v1", "headers": []}, body) == (401, 0)


@pytest.mark.parametrize("length", [str(LARGEST_BODY + 1), "-1", "1e3", "x", "٣", "9" * 5_000])
def test_a_length_that_is_too_large_or_none_is_refused(length: str) -> None:
    headers = [(b"authorization", f"Bearer {TOKEN}".encode()), (b"content-length", length.encode("utf-8"))]
    assert called({"headers": headers}, [])[0] == 413


def test_a_body_of_no_stated_length_is_cut_off(client, plane: ControlPlane) -> None:
    response = client.post(INTENTS, content=pieces([]), headers=JSON)
    assert response.status_code == 413
    assert client.post(INTENTS, content=pieces([], 2), headers=JSON).json()[0]["decision_code"] == "approved_full"
    assert sorted(plane.get_portfolio_state("p").reservations) == ["i1"]


@pytest.mark.parametrize("path", [INTENTS, FILLS])
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 900 + b"1" + b"}" * 900,
        b'[{"execution_id": NaN, "intent_id": NaN}]',
        b'[{"\\ud800": 1}]',
        b'[{"execution_id": "\\ud800"}]',
        b"[1, null, true, []]",
        b"\xff\xfe",
        b"[" + b"9" * 5_000 + b"]",
        b"null",
        b"",
    ],
    ids=range(10),
)
def test_what_is_no_list_of_objects_is_the_clients_fault(client, path: str, body: bytes) -> None:
    response = client.post(path, content=body, headers=JSON)
    assert response.status_code in (200, 400, 422)
    assert len(response.content) < 20_000
    if response.status_code == 200:
        assert [one["decision_code"] for one in response.json()] == ["rejected_invalid"]


def test_a_value_may_be_nested_as_deep_as_json_can_be_read(client) -> None:
    for depth in (200, 400, 900):
        risk = b'{"a":' * depth + b"1" + b"}" * depth
        body = b'[{"intent_id":"n%d","symbol":"AAA","side":"long","ts":"2026-01-05T12:00:00Z","requested_risk":%b}]' % (depth, risk)
        response = client.post(INTENTS, content=body, headers=JSON)
        assert (response.status_code, response.json()[0]["decision_code"]) == (200, "rejected_invalid")


def test_floats_are_money_as_they_are_written(client) -> None:
    body = [wants("a", requested_risk=2_000.1 + 0.2), wants("b", requested_risk=10**25), wants("c", requested_risk=12345678901234567890)]
    answers = client.post(INTENTS, json=body).json()
    assert [one["requested_risk"] for one in answers] == ["2000.30", "0.00", "0.00"]
    assert [one["decision_code"] for one in answers] == ["approved_full", "rejected_invalid", "rejected_invalid"]


def test_a_reservation_is_given_up_whatever_its_id_is(client) -> None:
    for name in ("a/b", "?#", "é"):
        client.post(INTENTS, json=[wants(name, risk="300")])
        path = f"/v1/portfolios/p/reservations/{quote(name, safe='')}"
        assert client.delete(path, params={"by": "trend", "reason": ""}).status_code == 422
        assert client.delete(path, params={"by": "trend", "reason": "no fill"}).json() == {"cancelled": True}


def test_an_envelope_of_terms_that_are_over_is_not_told(client, plane: ControlPlane) -> None:
    plane.enlist("p", ["AAA", "BBB"])
    plane.enlist("p", ["AAA"], active=False)
    until = nanoseconds(START) + 10**12
    plane.give_order("p", [Order("o1", "mode", "operator", "alice", "storm", nanoseconds(START), until, mode="risk_off")])
    told = client.get("/v1/portfolios/p/envelopes").json()
    assert [(one["symbol"], one["portfolio_mode"]) for one in told] == [("BBB", "risk_off")]
    assert client.get("/v1/portfolios/p/envelopes", params={"symbol": "AAA"}).json() == []


def test_the_token_is_in_no_answer(client) -> None:
    for path in ("/openapi.json", "/v1/portfolios/p/state", "/nowhere"):
        assert TOKEN not in client.get(path).text
    assert TOKEN not in client.post(INTENTS, content=b"[", headers=JSON).text
