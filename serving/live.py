"""The WebSocket `/v1/live`: subscriptions in, events out.

Put here: what clients send and are told, and when one is cut. Keep out: who gets what (`serving.feed`), what waits (`serving.subscriber`).

A client sends `{"op": "subscribe", "id": 1, "channels": [{"channel": "trades", "exchange": "binance", "symbol": "BTC/USDT"}]}`,
`unsubscribe` likewise, or `{"op": "ping"}`. Every message it gets is an array of events.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final, Literal

import msgspec
from fastapi import WebSocket, WebSocketDisconnect

from serving.errors import BadRequest, ServingError, TooMany
from serving.events import Failed, Pong, Subscribed
from serving.feed import Feed
from serving.meters import Meters
from serving.settings import ServingSettings
from serving.subscriber import Chunk, Subscriber
from serving.times import now_us
from serving.topics import Wish, understood

_LONGEST: Final = 1 << 20
_POLICY: Final = 1008
_LATER: Final = 1013


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client sends."""

    op: Literal["subscribe", "unsubscribe", "ping"]
    id: str | int | None = None
    channels: list[Wish] = []


def message(chunks: list[Chunk]) -> str:
    """Events of several chunks as one array."""
    return f"[{','.join(chunk.text for chunk in chunks if chunk.events)}]"


async def send(socket: WebSocket, text: str, *, within: float) -> None:
    """Send, or raise `TimeoutError` where the other side takes nothing for so many seconds."""
    await asyncio.wait_for(socket.send_text(text), within)


async def serve(socket: WebSocket, feed: Feed, settings: ServingSettings, meters: Meters) -> None:
    """One client, until it goes or is cut."""
    if feed.clients >= settings.live_clients:
        await socket.close(_LATER, "too many live clients")
        return
    await socket.accept()
    subscriber = feed.subscriber()
    told = asyncio.create_task(_tell(socket, subscriber, settings))
    heard = asyncio.create_task(_hear(socket, feed, subscriber, settings))
    try:
        await asyncio.wait((told, heard), return_when=asyncio.FIRST_COMPLETED)
    finally:
        feed.leave(subscriber)
        meters.lost(subscriber.lost)
        for task in (told, heard):
            task.cancel()
        results = await asyncio.gather(told, heard, return_exceptions=True)
    for result in results:
        if isinstance(result, TimeoutError):
            # Nothing can be said to who does not read: the socket is simply dropped.
            return
        if isinstance(result, BaseException) and not isinstance(result, WebSocketDisconnect | asyncio.CancelledError | RuntimeError):
            raise result


async def _tell(socket: WebSocket, subscriber: Subscriber, settings: ServingSettings) -> None:
    while True:
        await send(socket, message(await subscriber.take()), within=settings.live_stall_seconds)


async def _hear(socket: WebSocket, feed: Feed, subscriber: Subscriber, settings: ServingSettings) -> None:
    with suppress(WebSocketDisconnect):
        while True:
            packet = await socket.receive()
            if packet["type"] == "websocket.disconnect":
                return
            given = packet.get("text") or packet.get("bytes") or ""
            if len(given) > _LONGEST:
                await socket.close(_POLICY, "a request was longer than a megabyte")
                return
            await _obey(given, feed, subscriber, settings)


async def _obey(given: str | bytes, feed: Feed, subscriber: Subscriber, settings: ServingSettings) -> None:
    number: str | int | None = None
    try:
        try:
            asked = msgspec.json.decode(given, type=Request)
        except (msgspec.MsgspecError, ValueError) as error:
            raise BadRequest(f'the request cannot be understood ({error}), expected {{"op": "subscribe", "channels": […]}}') from None
        number = asked.id
        if asked.op == "ping":
            subscriber.say(Pong(time=now_us(), id=number))
            return
        if len(asked.channels) > settings.live_subscriptions:
            raise TooMany(f"{len(asked.channels)} channels came, expected at most {settings.live_subscriptions} of one client")
        index = await feed.reader.call(feed.reader.symbols)
        patterns = [understood(wish, lambda text, exchange: index.resolve(text, exchange=exchange)) for wish in asked.channels]
        if asked.op == "unsubscribe":
            feed.unsubscribe(subscriber, patterns)
        elif len(subscriber.patterns.union(patterns)) > settings.live_subscriptions:
            raise TooMany(f"more than {settings.live_subscriptions} subscriptions came, expected at most so many of one client")
        else:
            feed.subscribe(subscriber, patterns)
        subscriber.say(Subscribed(topics=sorted(map(str, subscriber.patterns)), id=number))
    except ServingError as error:
        subscriber.say(Failed(code=error.code, message=str(error), id=number))
