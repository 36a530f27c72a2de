"""The application: every room of the server put together.

Put here: construction, start and stop. Keep out: what any address answers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, WebSocket
from fastapi.middleware.cors import CORSMiddleware

from lake.paths import Home
from lake.settings import LakeSettings
from serving import answers, health, live, replaying, rest
from serving.dashboard import mount
from serving.feed import Feed
from serving.guard import Guard
from serving.meters import Meters
from serving.reader import Reader
from serving.replays import Replays
from serving.settings import ServingSettings

DESCRIPTION = (
    "Crypto market data as Tickhouse landed and derived it. Times are UTC; `start` is inclusive, `end` exclusive. Every list answers as "
    "JSON, Arrow IPC or CSV, as the Accept header asks, page by page."
)


def build(settings: ServingSettings, *, home: Home | None = None) -> FastAPI:
    """The application over a home (default: the lake's settings), started by its lifespan.

    `app.state` holds `reader`, `feed`, `replays`, `meters` and `settings`; other rooms of the server use those objects directly. Raises
    `ServingRefused` where it must not start so.
    """
    settings.check()
    house = LakeSettings().house if home is None else home
    meters = Meters(house)
    reader = Reader(
        house,
        threads=settings.api_readers,
        timeout_seconds=settings.api_timeout_seconds,
        picture_seconds=settings.api_picture_seconds,
    )
    feed = Feed(reader, settings, meters)
    replays = Replays(reader, settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await feed.start()
        try:
            yield
        finally:
            await replays.close()
            await feed.stop()
            reader.close()

    app = FastAPI(
        title="Tickhouse", version="1", description=DESCRIPTION, lifespan=lifespan, redoc_url=None, separate_input_output_schemas=False
    )
    app.state.settings, app.state.reader, app.state.feed, app.state.replays, app.state.meters = settings, reader, feed, replays, meters
    answers.install(app)
    app.include_router(health.router())
    app.include_router(rest.router())
    app.include_router(replaying.router())

    @app.websocket("/v1/live")
    async def live_events(socket: WebSocket) -> None:
        await live.serve(socket, feed, settings, meters)

    mount.install(app)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=[answers.NEXT],
        )
    # Outermost: nothing is reached before it has been decided who asks.
    app.add_middleware(Guard, settings=settings, meters=meters)
    return app
