"""The addresses of replays: REST to control them, a WebSocket that streams.

Put here: what is asked and answered. Keep out: how a replay runs (`serving.session`).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Path, Request, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, ConfigDict, Field

from lake.transforms.timeframes import TIMEFRAMES
from serving import live
from serving.asking import market
from serving.errors import BadRequest, ServingError
from serving.events import Failed, encoded
from serving.replay import CHANNELS, Script
from serving.replays import Replays
from serving.rest import ERRORS
from serving.session import FASTEST, SLOWEST, Session, State
from serving.times import iso, parse_instant

Speed = Annotated[
    float | None, Field(ge=SLOWEST, le=FASTEST, allow_inf_nan=False, description="Times real time; null is as fast as possible.")
]
Number = Annotated[str, Path(max_length=64, description="Id of the replay.")]


class NewReplay(BaseModel):
    """What to replay."""

    model_config = ConfigDict(extra="forbid")

    start: str = Field(max_length=60, description="From this instant on.", examples=["2026-11-21T07:00:00Z"])
    end: str = Field(default="now", max_length=60, description="Up to before this instant.")
    channels: list[str] = Field(default=["trades"], max_length=20, description=f"Some of {', '.join(CHANNELS)}.")
    exchange: str | None = Field(default=None, max_length=500, description="Exchanges, with commas between; all where left out.")
    symbol: str | None = Field(default=None, max_length=2000, description="Symbols, with commas between; all where left out.")
    timeframe: str = Field(default="1m", max_length=20, description="Of candles and indicators.")
    speed: Speed = 1.0
    by: Literal["exchange", "receive"] = Field(default="exchange", description="The time that orders and paces the events.")


class SeekTo(BaseModel):
    """Where to go on."""

    model_config = ConfigDict(extra="forbid")

    to: str = Field(max_length=60, description="An instant of the range.")


class StepBy(BaseModel):
    """How many events to let through."""

    model_config = ConfigDict(extra="forbid")

    events: int = Field(default=1, ge=1, le=1_000_000)


class NewSpeed(BaseModel):
    """Another speed."""

    model_config = ConfigDict(extra="forbid")

    speed: Speed


class ReplayStatus(BaseModel):
    """A replay as it stands."""

    id: str
    state: State
    start: str
    end: str
    position: str = Field(description="Time of the last event that was sent.")
    sent: int
    speed: float | None
    channels: list[str]
    attached: bool = Field(description="Whether a receiver is connected.")


def status_of(number: str, session: Session) -> ReplayStatus:
    """How a session stands."""
    script = session.script
    return ReplayStatus(
        id=number,
        state=session.state,
        start=iso(script.start),
        end=iso(script.end),
        position=iso(session.position),
        sent=session.sent,
        speed=session.speed,
        channels=[*script.channels],
        attached=session.attached,
    )


def script_of(
    *,
    start: str,
    end: str,
    channels: tuple[str, ...],
    exchanges: tuple[str, ...],
    symbols: tuple[str, ...],
    timeframe: str,
    by: Literal["exchange", "receive"],
) -> Script:
    """The script of a request. Raises `BadRequest`."""
    unknown = [each for each in channels if each not in CHANNELS]
    if unknown or not channels:
        raise BadRequest(f"channels are {', '.join(channels)[:80]!r}, expected some of {', '.join(CHANNELS)}")
    if "books" in channels and not symbols:
        raise BadRequest("channel books came without a symbol, expected one as BTC/USDT")
    if timeframe not in TIMEFRAMES:
        raise BadRequest(f"timeframe is {timeframe[:20]!r}, expected one of {' '.join(TIMEFRAMES)}")
    first, last = parse_instant(start, name="start"), parse_instant(end, name="end")
    if first > last:
        raise BadRequest(f"start is {iso(first)}, expected at most end, which is {iso(last)}")
    return Script(start=first, end=last, channels=channels, exchanges=exchanges, symbols=symbols, timeframe=timeframe, by=by)


def _replays(request: Request | WebSocket) -> Replays:
    replays = request.app.state.replays
    assert isinstance(replays, Replays)
    return replays


async def create(request: Request, asked: NewReplay) -> ReplayStatus:
    """Create a replay; connect to its stream and start it."""
    exchanges, symbols = await market(request.app.state.reader, asked.exchange, asked.symbol)
    script = script_of(
        start=asked.start,
        end=asked.end,
        channels=tuple(dict.fromkeys(asked.channels)),
        exchanges=exchanges,
        symbols=symbols,
        timeframe=asked.timeframe,
        by=asked.by,
    )
    return status_of(*await _replays(request).create(script, speed=asked.speed))


async def listed(request: Request) -> list[ReplayStatus]:
    """All replays."""
    return [status_of(number, session) for number, session in _replays(request).all().items()]


async def status(request: Request, number: Number) -> ReplayStatus:
    """How a replay stands."""
    return status_of(number, _replays(request).get(number))


async def start(request: Request, number: Number) -> ReplayStatus:
    """Begin."""
    session = _replays(request).get(number)
    session.start()
    return status_of(number, session)


async def pause(request: Request, number: Number) -> ReplayStatus:
    """Hold."""
    session = _replays(request).get(number)
    session.pause()
    return status_of(number, session)


async def resume(request: Request, number: Number) -> ReplayStatus:
    """Go on after a pause."""
    session = _replays(request).get(number)
    session.resume()
    return status_of(number, session)


async def seek(request: Request, number: Number, asked: SeekTo) -> ReplayStatus:
    """Go on from another instant; the stream says `seeked` first."""
    session = _replays(request).get(number)
    session.seek(parse_instant(asked.to, name="to"))
    return status_of(number, session)


async def step(request: Request, number: Number, asked: StepBy) -> ReplayStatus:
    """Let some events through while paused."""
    session = _replays(request).get(number)
    session.step(asked.events)
    return status_of(number, session)


async def speed(request: Request, number: Number, asked: NewSpeed) -> ReplayStatus:
    """Go on at another speed."""
    session = _replays(request).get(number)
    session.set_speed(asked.speed)
    return status_of(number, session)


async def stop(request: Request, number: Number) -> ReplayStatus:
    """End a replay for good."""
    return status_of(number, await _replays(request).remove(number))


async def stream(socket: WebSocket, number: str) -> None:
    """The events of a replay, until it ends or the client goes. What is not paced by speed is paced by the client."""
    settings = socket.app.state.settings
    await socket.accept()
    try:
        session = _replays(socket).get(number)
        events = session.stream()
        try:
            async for batch in events:
                await live.send(socket, msgspec.json.encode(batch).decode(), within=settings.live_stall_seconds)
        finally:
            await events.aclose()  # type: ignore[attr-defined]  # it is a generator
    except ServingError as error:
        await socket.send_text(encoded([Failed(code=error.code, message=str(error))]).decode())
    except (TimeoutError, WebSocketDisconnect):
        return
    await socket.close()


def router() -> APIRouter:
    """The addresses of this room."""
    made = APIRouter(prefix="/v1/replays", tags=["replay"])
    made.add_api_route("", create, methods=["POST"], status_code=201, name="create_replay", responses=ERRORS)
    made.add_api_route("", listed, name="replays", responses=ERRORS)
    made.add_api_route("/{number}", status, name="replay_status", responses=ERRORS)
    made.add_api_route("/{number}", stop, methods=["DELETE"], name="remove_replay", responses=ERRORS)
    for handler in (start, pause, resume, seek, step, speed, stop):
        made.add_api_route(
            f"/{{number}}/{handler.__name__}", handler, methods=["POST"], name=f"{handler.__name__}_replay", responses=ERRORS
        )
    made.add_api_websocket_route("/{number}/stream", stream)
    return made
