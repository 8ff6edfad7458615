"""The control plane for strategies in other processes: HTTP on this machine, with a token. Off unless somebody starts it.

Fields are read by the same reader as in Python, so that a wrong intent is answered with ``rejected_invalid`` and its reason,
and is recorded. Only what is no list of objects at all is refused by the protocol.
"""

import hmac
import ipaddress
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from portfolio_platform.control import views
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.errors import PortfolioError, StoreProblem, WrongUse
from portfolio_platform.version import __version__

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SHORTEST_TOKEN = 32
LARGEST_BATCH = 1_000
LARGEST_BODY = 4 * 2**20

DESCRIPTION = "/openapi.json"
"""The one path that wants no token."""
TOO_LARGE = f"at most {LARGEST_BODY} bytes, and a length that is a number"

Number = str | int | float | None


class IntentIn(BaseModel):
    """What a strategy asks for. Money is in the portfolio's currency; text keeps every digit."""

    model_config = ConfigDict(extra="allow")

    intent_id: Any = Field(None, description="the strategy's own id; the same id with the same content gets the same answer")
    strategy: Any = Field(None, description="who asks")
    symbol: Any = Field(None, description="in what")
    side: Any = Field(None, description="long, short, or flat to reduce")
    requested_risk: Any = Field(None, description="loss at the stop, such as '1250.00'")
    requested_notional: Any = Field(None, description="gross exposure; needed while a limit on exposure is in force")
    template: Any = Field(None, description="the strategy type behind it")
    playbook: Any = Field(None, description="the playbook behind it")
    regime: Any = Field(None, description="the regime label at the time")
    correlation_bucket: Any = Field(None, description="its bucket, where the monitor knows none")
    ts: Any = Field(None, description="when it was decided: ISO text with a time zone, or nanoseconds UTC")


class FillIn(BaseModel):
    """What was executed."""

    model_config = ConfigDict(extra="forbid")

    execution_id: str = Field(description="the broker's id; sent again it is recorded once")
    ts: str | int = Field(description="when: ISO text with a time zone, or nanoseconds UTC")
    strategy: str = Field("", description="whose order it was")
    symbol: str
    side: str = Field(description="buy or sell")
    quantity: Number = Field(description="above 0")
    price: Number
    stop_price: Number = Field(None, description="the stop in force; without one the fill takes all of its reservation")
    multiplier: Number = Field(None, description="contract multiplier; 1 where it is not said")
    intent_id: str = Field("", description="the intent behind it")
    template: str = ""
    playbook: str = ""


def local_host(host: str) -> str:
    """Return the host if it is this machine only.

    Raises:
        WrongUse: others could reach it.
    """
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise WrongUse(f"host {host!r} can be reached from elsewhere; use 127.0.0.1, and a tunnel where you need one")
    return host


class Door:
    """Stands before the application: without the token, or with a body too large, nothing of a request is read or parsed."""

    def __init__(self, app: "ASGIApp", token: str) -> None:
        """Guard an application."""
        self._app, self._token = app, token.encode()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer 401 or 413, or let a request in; a body that grows beyond what it said, or said nothing, is cut off."""
        from fastapi import HTTPException
        from fastapi.responses import JSONResponse
        from starlette.datastructures import Headers

        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        scheme, _, given = headers.get("authorization", "").partition(" ")
        known = scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token)
        length = headers.get("content-length", "0")
        if not known and scope["path"] != DESCRIPTION:
            refused = JSONResponse({"detail": "a bearer token is required"}, 401, {"WWW-Authenticate": "Bearer"})
            await refused(scope, receive, send)
            return
        if not (length.isascii() and length.isdigit()) or len(length) > 18 or int(length) > LARGEST_BODY:
            await JSONResponse({"detail": TOO_LARGE}, 413)(scope, receive, send)
            return
        read = 0

        async def counted() -> "Message":
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > LARGEST_BODY:
                raise HTTPException(413, TOO_LARGE)
            return message

        await self._app(scope, counted, send)


def create_app(plane: ControlPlane, token: str) -> "FastAPI":
    """Return the application; every call but the description needs ``Authorization: Bearer <token>``.

    Raises:
        WrongUse: the token is too short to be one.
    """
    from fastapi import Body, Depends, FastAPI, Request
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse
    from fastapi.security import HTTPBearer

    if len(token) < SHORTEST_TOKEN:
        raise WrongUse(
            f"the token has {len(token)} characters; at least {SHORTEST_TOKEN} are asked for: `portfolio control token` makes one"
        )
    app = FastAPI(title="portfolio control plane", version=__version__, description=__doc__, docs_url=None, redoc_url=None)
    app.add_middleware(Door, token=token)

    def problem(_request: Request, error: Exception) -> JSONResponse:
        status = 503 if isinstance(error, StoreProblem) else 422
        return JSONResponse({"detail": str(error), "kind": type(error).__name__}, status)

    def misread(_request: Request, error: Exception) -> JSONResponse:
        """Say what is wrong and where, without what was sent: it may be anything, and not everything can be sent back."""
        faults = error.errors() if isinstance(error, RequestValidationError) else []
        told = [{"loc": [_plain(part) for part in one["loc"]], "msg": one["msg"], "type": one["type"]} for one in faults[:20]]
        return JSONResponse({"detail": told}, 422)

    app.add_exception_handler(PortfolioError, problem)
    app.add_exception_handler(RequestValidationError, misread)
    guarded = [Depends(HTTPBearer(auto_error=False))]  # for the description; the door has looked already

    @app.post("/v1/portfolios/{portfolio}/intents", dependencies=guarded, summary="request_allocation")
    def request_allocation(portfolio: str, intents: Annotated[list[IntentIn], Body(max_length=LARGEST_BATCH)]) -> list[dict[str, Any]]:
        """Answer intents in their order, all of them durably or none."""
        answers = plane.request_allocations([{**_sent(one), "portfolio": portfolio} for one in intents], portfolio)
        digits = plane.get_portfolio_state(portfolio).digits
        return [views.answer_view(one, digits) for one in answers]

    @app.post("/v1/portfolios/{portfolio}/fills", dependencies=guarded, summary="on_fill")
    def fills(portfolio: str, fills: Annotated[list[FillIn], Body(max_length=LARGEST_BATCH)]) -> dict[str, int]:
        """Record fills in their order, all of them or none; say how many were new."""
        return {"recorded": plane.on_fills([_sent(one) for one in fills], portfolio)}

    @app.delete("/v1/portfolios/{portfolio}/reservations/{intent_id:path}", dependencies=guarded, summary="cancel")
    def cancel(portfolio: str, intent_id: str, by: str, reason: str) -> dict[str, bool]:
        """Give up what is left of a reservation."""
        return {"cancelled": plane.cancel(portfolio, intent_id, by=by, reason=reason)}

    @app.get("/v1/portfolios/{portfolio}/state", dependencies=guarded, summary="get_portfolio_state")
    def state(portfolio: str) -> dict[str, Any]:
        """Return mode, limits and what is used of them, positions, reservations, orders."""
        return views.state_view(plane.get_portfolio_state(portfolio))

    @app.get("/v1/portfolios/{portfolio}/envelopes", dependencies=guarded, summary="envelopes")
    def envelopes(portfolio: str, symbol: str = "") -> list[dict[str, Any]]:
        """Return the newest envelope of every active symbol, or of one."""
        found = plane.get_portfolio_state(portfolio)
        told = [one for _, one in sorted(found.issued.items()) if one.terms_version == found.terms.version]
        return [views.envelope_view(one, found.digits) for one in told if symbol in ("", one.symbol)]

    return app


def _plain(part: str | int) -> str | int:
    return part if isinstance(part, int) else ascii(part)[1:-1]


def _sent(one: BaseModel) -> dict[str, Any]:
    """Return the fields that a client sent, unknown ones too, as they came; a field that is null was not sent."""
    return {name: value for name, value in one if value is not None}


def serve(plane: ControlPlane, token: str, host: str = "127.0.0.1", port: int = 8350) -> None:
    """Serve until interrupted, on this machine only."""
    import uvicorn

    uvicorn.run(create_app(plane, token), host=local_host(host), port=port, log_level="warning", access_log=False)
