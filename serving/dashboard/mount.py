"""Where the dashboard is on the server: its pages, the files of the browser, and the data of each page.

Put here: addresses and headers. Keep out: what a page reads (`serving.dashboard.pages`), who may ask (`serving.guard`).

Nothing is fetched from anywhere else: ECharts comes out of the installed NiceGUI, of which only those files are used; it is never imported.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Message, Receive, Scope, Send

from serving import render
from serving.dashboard import signin
from serving.dashboard.asked import Asked, Page, Room
from serving.dashboard.pages import PAGES, markets
from serving.dashboard.shared import Shared
from serving.errors import NotFound, ServingRefused

STATIC: Final = Path(__file__).with_name("static")
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
"""Sent with every page: the browser itself refuses anything that is not of this server. ECharts sets styles of its tooltips as text."""

_DATA: Final = {page.name: (page, page.read) for page in (*PAGES.values(), markets.PAGE) if page.read is not None}
"""What is read for which page."""


def install(app: FastAPI) -> None:
    """Add the dashboard to the application, whose `state` has `reader`, `feed` and `settings`. Raises `ServingRefused`."""
    room = Room(app.state.reader, app.state.feed, app.state.settings)
    # First, for it would be taken for a page of that name.
    app.include_router(signin.router(app.state.settings, STATIC / "sign-in.html", headers=HEADERS))
    app.include_router(_router(room, Shared()))
    for address, directory in (("static", STATIC), ("echarts", _echarts())):
        app.mount(f"/dashboard/{address}", _Files(GZipMiddleware(StaticFiles(directory=directory), minimum_size=2000)))


def _router(room: Room, shared: Shared) -> APIRouter:
    made = APIRouter(include_in_schema=False)

    async def root() -> Response:
        return RedirectResponse("/dashboard/overview")

    async def shell(name: str) -> Response:
        if name not in PAGES:
            raise NotFound(f"page is {name[:40]!r}, expected one of {', '.join(PAGES)}")
        return FileResponse(STATIC / "index.html", headers=HEADERS)

    async def data(name: str, request: Request) -> Response:
        found = _DATA.get(name)
        if found is None:
            raise NotFound(f"data is {name[:40]!r}, expected one of {', '.join(_DATA)}")
        page, read = found
        asked = _only(Asked.of(request.query_params), page)
        body = await shared.get(
            (name, asked), lambda: room.reader.call(lambda: msgspec.json.encode(read(room, asked))), seconds=page.seconds
        )
        return Response(body, media_type=render.JSON, headers={"Cache-Control": "no-store"})

    made.add_api_route("/", root)
    made.add_api_route("/dashboard", root)
    made.add_api_route("/dashboard/", root)
    made.add_api_route("/dashboard/data/{name}", data)
    made.add_api_route("/dashboard/{name}", shell)
    return made


def _only(asked: Asked, page: Page) -> Asked:
    """What the page's answer depends on, so that requests that differ otherwise share it."""
    plain = Asked()
    return replace(asked, **{name: getattr(plain, name) for name in Asked.__dataclass_fields__ if name not in page.needs})


def _echarts() -> Path:
    """Where NiceGUI keeps its ECharts, found without importing it. Raises `ServingRefused` where it is not there."""
    spec = find_spec("nicegui")
    places = [] if spec is None else list(spec.submodule_search_locations or [])
    for place in places:
        found = Path(place) / "elements" / "echart" / "dist"
        if (found / "index.js").is_file():
            return found
    raise ServingRefused("ECharts was not found in the package nicegui, expected nicegui 3 to be installed: its charts draw the dashboard")


class _Files:
    """Files the browser asks about each time, so that a new version of the server is a new version of its pages."""

    def __init__(self, app: GZipMiddleware) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"cache-control", b"no-cache"), (b"x-content-type-options", b"nosniff")]
            await send(message)

        await self._app(scope, receive, noted)
