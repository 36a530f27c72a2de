"""Who may ask: tokens, rates, and pages of other sites.

Put here: what is decided before a request reaches any route. Keep out: settings, routes.

Programs send `Authorization: Bearer TOKEN`; a browser may hold the token in the cookie `tickhouse_token`. A page of another site is refused
a WebSocket (browsers do not ask first there), and without tokens a foreign Host is too: it would be a name made to point at this machine.
"""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response

from serving.answers import refused
from serving.errors import Forbidden, ServingError, TooMany, Unauthorized
from serving.meters import Meters
from serving.settings import ServingSettings

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE: Final = "tickhouse_token"
OPEN: Final = frozenset({"/health/live", "/health/ready"})
"""Addresses that ask for no token: they say nothing of the data."""

SIGN_IN: Final = "/dashboard/sign-in"
"""Where a browser without a token is sent; attempts are counted as wrong tokens are."""

_FILES: Final = ("/dashboard/static/", "/dashboard/echarts/")
"""Files of the dashboard's pages, the same for everybody."""

_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1", "testserver"})
_BUCKETS: Final = 10_000


class Buckets:
    """A token bucket for each who asks; the ones not seen longest are forgotten first."""

    def __init__(self, *, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, who: str) -> None:
        """Count one request. Raises `TooMany` where there were too many."""
        now = self._clock()
        level, then = self._levels.pop(who, (self._burst, now))
        level = min(self._burst, level + (now - then) * self._per_second)
        allowed = level >= 1.0
        self._levels[who] = (level - 1.0 if allowed else level, now)
        if len(self._levels) > _BUCKETS:
            self._levels.popitem(last=False)
        if not allowed:
            wait = (1.0 - level) / self._per_second
            raise TooMany(
                f"more than {self._per_second:g} requests a second came, expected a pause of {wait:.2f} seconds", retry_after=wait
            )


class Guard:
    """Wraps the application: decides, and measures how long answers take."""

    def __init__(self, app: Application, *, settings: ServingSettings, meters: Meters) -> None:
        self._app = app
        self._tokens = tuple(token.encode() for token in settings.tokens)
        self._origins = frozenset(settings.cors_origins)
        self._buckets = Buckets(per_second=settings.api_rate_per_second, burst=settings.api_rate_burst)
        self._hosts = _LOCAL | {settings.api_host}
        self._meters = meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        status = 0

        async def noted(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"].endswith("response.start"):
                status = int(message["status"])
            await send(message)

        try:
            self._admit(scope)
        except ServingError as error:
            if scope["type"] == "websocket":
                await receive()
            await _refusal(scope, error)(scope, receive, noted)
        else:
            await self._app(scope, receive, noted)
        if scope["type"] == "http":
            route = getattr(scope.get("route"), "path", "") or "unknown"
            self._meters.answered(route, status, time.perf_counter() - begun)

    def _admit(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        host = headers.get("host", "")
        if not self._tokens and _name(host) not in self._hosts:
            raise Forbidden(f"host is {host[:80]!r}, expected this machine's own name: without a token only it may be asked for")
        if scope["type"] == "websocket" and origin and origin.rstrip("/") not in self._origins and urlsplit(origin).netloc != host:
            raise Forbidden(f"a page of {origin[:80]!r} asked, expected one of this server or of TICKHOUSE_API_CORS_ORIGINS")
        if scope["path"] in OPEN or scope["path"].startswith(_FILES) or scope.get("method") == "OPTIONS":
            return
        client = scope.get("client")
        who = str(client[0]) if client else "local"
        if scope["path"] == SIGN_IN:
            self._buckets.take(f"refused {who}")
            return
        if self._tokens:
            given = _token(headers)
            # Every token is compared, whichever fits: the time taken tells nothing.
            fits = [hmac.compare_digest(given, token) for token in self._tokens]
            if not any(fits):
                self._buckets.take(f"refused {who}")
                raise Unauthorized("the token is missing or wrong, expected the header `Authorization: Bearer TOKEN`")
            who = f"token {fits.index(True)}"
        self._buckets.take(who)


def _refusal(scope: Scope, error: ServingError) -> Response:
    """The answer to who may not: the error, or for a person who opens a page the way to sign in."""
    page = scope["type"] == "http" and scope["method"] == "GET" and "text/html" in Headers(scope=scope).get("accept", "")
    if isinstance(error, Unauthorized) and page and (scope["path"] == "/" or scope["path"].startswith("/dashboard")):
        query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
        return RedirectResponse(f"{SIGN_IN}?next={quote(scope['path'] + query, safe='/')}", status_code=303)
    return refused(error)


def _name(host: str) -> str:
    """The name in a Host header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host


def _token(headers: Headers) -> bytes:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip().encode("utf-8", "surrogateescape")
    cookie = SimpleCookie()
    try:
        cookie.load(headers.get("cookie", ""))
    except CookieError:
        return b""
    held = cookie.get(COOKIE)
    return held.value.encode("utf-8", "surrogateescape") if held is not None else b""
