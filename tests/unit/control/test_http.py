"""The HTTP face: a token, this machine only, the same answers as in Python, and nothing that a client sends breaks it."""

import pytest

from portfolio_platform.book.location import sqlite_url
from portfolio_platform.book.store import Book
from portfolio_platform.control.http import create_app, local_host
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.errors import WrongUse
from tests.unit.control.test_plane import Hands, bought, opened, wants

TOKEN = "t" * 32


@pytest.fixture
def client(tmp_path):
    from starlette.testclient import TestClient

    with Book(sqlite_url(tmp_path / "book.sqlite")) as book:
        book.create()
        plane = opened(ControlPlane(book, Hands()))
        with TestClient(create_app(plane, TOKEN), headers={"Authorization": f"Bearer {TOKEN}"}) as client:
            yield client


def ask(client, *intents, portfolio="p"):
    return client.post(f"/v1/portfolios/{portfolio}/intents", json=list(intents))


def test_an_intent_is_answered_with_its_numbers_in_the_currency(client):
    (answer,) = ask(client, wants()).json()
    assert (answer["decision_code"], answer["approved_risk"], answer["reservation_ttl_s"]) == ("approved_full", "5000.00", 345_600)
    heat = next(one for one in answer["headrooms"] if one["rule"] == "heat")
    assert (heat["limit"], heat["used"], heat["headroom"]) == ("60000.00", "0.00", "60000.00")
    assert answer["constraint_envelope"]["symbol"] == "AAA"
    assert ask(client, wants()).json()[0]["repeated"] is True


def test_a_batch_is_answered_in_its_order(client):
    answers = ask(client, wants("a"), wants("b", symbol="nobody"), wants("c", symbol="CCC")).json()
    assert [one["decision_code"] for one in answers] == ["approved_full", "rejected_invalid", "approved_full"]


def test_fills_state_and_envelopes(client):
    ask(client, wants())
    fill = {**bought("x1", "100", "i1"), "multiplier": 1}
    assert client.post("/v1/portfolios/p/fills", json=[fill]).json() == {"recorded": 1}
    assert client.post("/v1/portfolios/p/fills", json=[fill]).json() == {"recorded": 0}
    state = client.get("/v1/portfolios/p/state").json()
    assert (state["active_risk"], state["reserved_risk"]) == ("5000.00", "0.00")
    assert state["positions"][0]["quantity"] == "100"
    assert [one["symbol"] for one in client.get("/v1/portfolios/p/envelopes").json()] == ["AAA"]
    assert client.get("/v1/portfolios/p/envelopes", params={"symbol": "BBB"}).json() == []


def test_cancelling_gives_the_risk_back(client):
    ask(client, wants())
    gone = client.delete("/v1/portfolios/p/reservations/i1", params={"by": "trend", "reason": "no fill"})
    assert gone.json() == {"cancelled": True}
    assert client.get("/v1/portfolios/p/state").json()["reserved_risk"] == "0.00"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}])
@pytest.mark.parametrize("path", ["state", "envelopes"])
def test_without_the_token_nothing_is_told(client, headers, path):
    client.headers.pop("Authorization")
    assert client.get(f"/v1/portfolios/p/{path}", headers=headers).status_code == 401


def test_nothing_is_written_without_the_token(client):
    client.headers.pop("Authorization")
    assert ask(client, wants()).status_code == 401
    client.headers["Authorization"] = f"Bearer {TOKEN}"
    assert client.get("/v1/portfolios/p/state").json()["reservations"] == []


@pytest.mark.parametrize("wrong", [{"requested_risk": "NaN"}, {"requested_risk": {}}, {"side": []}, {"ts": None}, {"surprise": 1}])
def test_a_wrong_field_is_an_answer_not_an_error(client, wrong):
    response = ask(client, wants() | wrong)
    assert (response.status_code, response.json()[0]["decision_code"]) == (200, "rejected_invalid")


def test_nan_as_a_bare_word_in_json_is_an_answer_too(client):
    body = '[{"intent_id": "n", "symbol": "AAA", "side": "long", "requested_risk": NaN, "ts": "2026-01-05T12:00:00Z"}]'
    response = client.post("/v1/portfolios/p/intents", content=body, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()[0]["decision_code"]) == (200, "rejected_invalid")
    assert client.get("/v1/portfolios/p/state").json()["reservations"] == []


def test_a_fill_that_cannot_be_read_names_its_fault(client):
    response = client.post("/v1/portfolios/p/fills", json=[bought("x1", -3)])
    assert response.status_code == 422
    assert "quantity" in response.json()["detail"]


def test_more_than_a_batch_is_refused(client):
    assert ask(client, *[wants()] * 1_001).status_code == 422


def test_the_description_is_complete(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert {method for path in paths.values() for method in path} == {"post", "get", "delete"}
    assert all("summary" in call for path in paths.values() for call in path.values())


def test_a_short_token_is_refused(client):
    with pytest.raises(WrongUse, match="at least 32"):
        create_app(client.app, "short")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "example.com", "::"])
def test_only_this_machine_is_served(host):
    with pytest.raises(WrongUse, match="reached from elsewhere"):
        local_host(host)
    assert local_host("127.0.0.1") == "127.0.0.1"
