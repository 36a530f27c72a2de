"""Signing in with a browser: the token becomes a cookie that scripts cannot read and other sites do not send.

Put here: the form and the cookie. Keep out: which token is right for a request (`serving.guard`).
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, RedirectResponse, Response

from serving.guard import COOKIE, SIGN_IN
from serving.settings import ServingSettings

_LONGEST: Final = 8192
_SECONDS: Final = 30 * 86_400


def router(settings: ServingSettings, page: Path, *, headers: Mapping[str, str]) -> APIRouter:
    """The form, what it sends, and the way out."""
    tokens = tuple(token.encode() for token in settings.tokens)
    made = APIRouter(include_in_schema=False)

    async def form() -> Response:
        return FileResponse(page, headers=dict(headers))

    async def entered(request: Request) -> Response:
        fields = parse_qs(await _body(request))
        target = inside((fields.get("next") or [""])[0])
        given = (fields.get("token") or [""])[0].strip().encode("utf-8", "surrogateescape")
        # Every token is compared, whichever fits: the time taken tells nothing.
        fits = [hmac.compare_digest(given, token) for token in tokens]
        if tokens and not any(fits):
            return RedirectResponse(f"{SIGN_IN}?wrong=1&next={quote(target)}", status_code=303)
        answer = RedirectResponse(target, status_code=303)
        if tokens:
            secure = request.url.scheme == "https"
            answer.set_cookie(COOKIE, given.decode(), max_age=_SECONDS, httponly=True, samesite="strict", secure=secure)
        return answer

    async def leave() -> Response:
        answer = RedirectResponse(SIGN_IN, status_code=303)
        answer.delete_cookie(COOKIE)
        return answer

    made.add_api_route(SIGN_IN, form, methods=["GET"])
    made.add_api_route(SIGN_IN, entered, methods=["POST"])
    made.add_api_route("/dashboard/sign-out", leave, methods=["POST"])
    return made


def inside(target: str) -> str:
    """Where to go after signing in: a page of the dashboard, whatever was asked for."""
    split = urlsplit(target)
    return target if not split.scheme and not split.netloc and target.startswith("/dashboard/") else "/dashboard/overview"


async def _body(request: Request) -> str:
    """The body as text, cut where it is longer than any token."""
    taken = b""
    async for chunk in request.stream():
        taken += chunk
        if len(taken) > _LONGEST:
            break
    return taken[:_LONGEST].decode("utf-8", "replace")
