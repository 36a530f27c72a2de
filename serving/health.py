"""`/health/live`, `/health/ready` and `/metrics`.

Put here: what is said to machines that look after this one. Keep out: the numbers (`serving.meters`).
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from lake import statuses
from serving.answers import error_response


async def alive() -> dict[str, str]:
    """The process answers."""
    return {"status": "live"}


async def ready(request: Request) -> Response:
    """The lake can be read and the log is followed; 503 with a sentence where not."""
    feed = request.app.state.feed
    if not feed.running:
        return error_response(503, "not_ready", f"the live feed does not run ({feed.failure or 'it was not started'}), expected it to")
    reader = request.app.state.reader
    await reader.rows("SELECT 1 AS one")
    found: list[statuses.Status] = await reader.call(lambda: statuses.read(reader.home))
    collectors: dict[str, Any] = {
        status.collector: {
            "running": status.running,
            "age_seconds": round(status.age_seconds, 1),
            "wal_lag_seconds": status.wal.lag_seconds,
        }
        for status in found
    }
    return JSONResponse({"status": "ready", "collectors": collectors, "live_clients": feed.clients})


async def metrics(request: Request) -> Response:
    """Everything Prometheus asks for."""
    reader = request.app.state.reader
    text = await reader.call(request.app.state.meters.text)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def router() -> APIRouter:
    """The addresses of this room."""
    made = APIRouter(tags=["health"])
    made.add_api_route("/health/live", alive, name="alive")
    made.add_api_route("/health/ready", ready, name="ready")
    made.add_api_route("/metrics", metrics, name="metrics")
    return made
