"""Running the application over a socket.

Put here: uvicorn and its options, and what is said at the start. Keep out: the application (`serving.app`).
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final

import uvicorn
from fastapi import FastAPI

from serving.errors import ServingRefused
from serving.settings import ServingSettings

_REQUEST_BYTES: Final = 1 << 20


def server(app: FastAPI, settings: ServingSettings) -> uvicorn.Server:
    """A server of the application; `run()` serves until SIGTERM or Ctrl-C."""
    config = uvicorn.Config(
        app,
        host=settings.api_host,
        port=settings.api_port,
        ws="websockets-sansio",
        ws_max_size=_REQUEST_BYTES,
        # Books and trades compress badly for what it costs: at 200 clients it would be most of the work.
        ws_per_message_deflate=False,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    return uvicorn.Server(config)


def bound(settings: ServingSettings) -> socket.socket:
    """The socket the server listens on, listening. Raises `ServingRefused` where the address is taken or is none."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(settings.api_host, settings.api_port, type=socket.SOCK_STREAM)[0]
        opened = socket.socket(family, kind, protocol)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        # Who connects between this and the first answer waits instead of being refused.
        opened.listen(2048)
    except OSError as error:
        raise ServingRefused(
            f"the server cannot listen on {settings.api_host} port {settings.api_port} ({error.strerror}): "
            "set TICKHOUSE_API_PORT to a free one"
        ) from error
    return opened


def run(app: FastAPI, settings: ServingSettings, *, say: Callable[[str], None]) -> None:
    """Serve until stopped; `say` is told the address first."""
    with bound(settings) as opened:
        port = opened.getsockname()[1]
        host = f"[{settings.api_host}]" if ":" in settings.api_host else settings.api_host
        say(f"Tickhouse serves on http://{host}:{port} (documentation at /docs)")
        server(app, settings).run(sockets=[opened])
