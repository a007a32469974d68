"""Who may talk to the server: asked of every HTTP request and every websocket before anything else sees it."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

COOKIE = "toolspend"
SIGNAL_PATHS = frozenset({"/v1/traces", "/v1/logs", "/v1/metrics"})
OTLP_PATHS = SIGNAL_PATHS | {"/healthz"}
SECRET_PATHS = frozenset({"/api/snapshot"})
"""Paths that check the secret of `server.json` themselves."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What is let in: `is_local` means only requests that name this machine; `token` is asked of all when set."""

    is_local: bool
    token: str | None
    otlp_port: int | None


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def bears(authorization: str, token: str) -> bool:
    """Whether an `Authorization` header has the token; the name of the scheme may be written in any case."""
    scheme, _, given = authorization.partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())


def cookie_value(token: str) -> str:
    """What the browser keeps instead of the token."""
    return hashlib.sha256(f"toolspend {token}".encode()).hexdigest()


class Gate:
    """ASGI middleware that turns away what `rules` do not let in, with one line that says why."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it here."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        answer = self._refusal(scope)
        if answer is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await answer(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008, "reason": ""})

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        # A web page elsewhere can make a name of its own point to this machine; its requests then carry that name.
        if self._rules.is_local and not is_loopback(_name(host)):
            return PlainTextResponse(f"this server answers on this machine's own names only, not {host[:80]}\n", 403)
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return PlainTextResponse("requests of other web pages are not taken\n", 403)
        server = scope.get("server")
        is_otlp_port = server is not None and server[1] == self._rules.otlp_port
        if is_otlp_port and scope["path"] not in OTLP_PATHS:
            return PlainTextResponse("this port takes POST /v1/traces, /v1/logs and /v1/metrics\n", 404)
        if self._rules.token is not None and scope["path"] not in SECRET_PATHS:
            refusal = self._refusal_without_token(scope, headers, self._rules.token)
            if refusal is not None:
                return refusal
        # Streamlit's pages answer a GET of any path: an exporter that was redirected would take that for success.
        if scope["type"] == "http" and scope["path"] in SIGNAL_PATHS and scope["method"] != "POST":
            return PlainTextResponse(f"{scope['path']} takes POST\n", 405, {"allow": "POST"})
        return None

    def _refusal_without_token(self, scope: Scope, headers: Headers, token: str) -> Response | None:
        if bears(headers.get("authorization", ""), token):
            return None
        if hmac.compare_digest(_cookie(headers).encode(), cookie_value(token).encode()):
            return None
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        if scope["type"] == "http" and hmac.compare_digest(given.encode(), token.encode()):
            # A browser goes on without the token in its address; what an exporter posts would be lost on the way.
            if scope["method"] not in ("GET", "HEAD") or scope["path"] in OTLP_PATHS:
                return None
            answer = RedirectResponse(scope["path"], 303)
            answer.set_cookie(COOKIE, cookie_value(token), httponly=True, samesite="strict")
            return answer
        return PlainTextResponse(
            "a token is needed: open /?token=TOKEN in a browser, send `Authorization: Bearer TOKEN` otherwise\n",
            401,
            {"www-authenticate": "Bearer"},
        )


def _name(host: str) -> str:
    """The host without its port; empty where it is malformed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _cookie(headers: Headers) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel is not None else ""
