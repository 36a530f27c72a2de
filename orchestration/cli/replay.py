"""`replay`: the past as a stream of events on standard output, one JSON object a line.

Put here: arguments and printing. Keep out: the replay itself (`serving.session`).
"""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from orchestration.cli.options import HomeOption, lake_settings


class ByTime(StrEnum):
    """The time that orders and paces a replay."""

    EXCHANGE = "exchange"
    RECEIVE = "receive"


def replay(
    *,
    home: HomeOption = None,
    start: Annotated[str, typer.Option("--from", help="From this instant on: ISO 8601 UTC, or -15m.")],
    end: Annotated[str, typer.Option("--to", help="Up to before this instant.")] = "now",
    channels: Annotated[
        str, typer.Option("--channels", help="trades, books, tops, candles, indicators, liquidations, derivatives, gaps, alerts.")
    ] = "trades,gaps",
    exchange: Annotated[str | None, typer.Option("--exchange", help="Comma-separated; default is every exchange.")] = None,
    symbol: Annotated[str | None, typer.Option("--symbol", help="Comma-separated; default is every symbol.")] = None,
    timeframe: Annotated[str, typer.Option("--timeframe", help="Of candles and indicators.")] = "1m",
    speed: Annotated[float, typer.Option("--speed", help="Times real time, 0.1 and more; 0 is as fast as possible.")] = 0.0,
    by: Annotated[ByTime, typer.Option("--by", help="The time that orders and paces the events.")] = ByTime.EXCHANGE,
    states: Annotated[bool, typer.Option("--states", help="Also print when the replay begins and ends.")] = False,
) -> None:
    """Print the past as JSON lines, in the order it happened, at any speed."""
    import asyncio

    from serving.client import replay as events
    from serving.errors import ServingError
    from serving.events import ENCODER, ReplayState

    async def printed() -> None:
        out = sys.stdout.buffer
        stream = events(
            home=lake_settings(home).house.root,
            start=start,
            end=end,
            channels=channels.split(","),
            exchange=exchange,
            symbol=symbol,
            timeframe=timeframe,
            speed=speed or None,
            by=by.value,
        )
        async for event in stream:
            if states or not isinstance(event, ReplayState):
                out.write(ENCODER.encode(event) + b"\n")
                if speed:
                    out.flush()
        out.flush()

    try:
        asyncio.run(printed())
    except ServingError as error:
        sys.stderr.write(f"tickhouse: {error}\n")
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except BrokenPipeError:
        # Whoever read has had enough.
        raise typer.Exit(0) from None
