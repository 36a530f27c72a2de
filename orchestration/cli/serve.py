"""`serve`: the API (and what is mounted on it) over one home, until it is told to stop.

Put here: arguments and the one sentence of the start. Keep out: the server (`serving`).
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from orchestration.cli.options import HomeOption, lake_settings


def serve(
    *,
    home: HomeOption = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on; default is TICKHOUSE_API_HOST or 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port; 0 picks a free one. Default is TICKHOUSE_API_PORT or 8321.")] = None,
) -> None:
    """Serve REST, live events and replays over HTTP and WebSocket until stopped."""
    from serving import server
    from serving.app import build
    from serving.errors import ServingError
    from serving.settings import ServingSettings

    given = {name: value for name, value in (("api_host", host), ("api_port", port)) if value is not None}
    settings = ServingSettings.model_validate(ServingSettings().model_dump() | given) if given else ServingSettings()
    try:
        server.run(build(settings, home=lake_settings(home).house), settings, say=typer.echo)
    except (ServingError, OSError) as error:
        sys.stderr.write(f"tickhouse: {error}\n")
        raise typer.Exit(2) from None
