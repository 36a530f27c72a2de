"""A client's conversation with Kraken v2: status, subscriptions per symbol, ping, heartbeats.

What belongs here: what the venue answers to each command. What does not: books and trades themselves (venue.py).
"""

from __future__ import annotations

import json
from typing import Any, Protocol

from simulator.streams import Socket
from simulator.venues.base import Close, Session
from simulator.venues.kraken import frames

DEPTHS = (10, 25, 100, 500, 1000)
HEARTBEAT_US = 1_000_000


class Channels(Protocol):
    """What a session asks of the venue."""

    def has(self, symbol: str) -> bool: ...
    def subscribe(self, socket: Socket, *, channel: str, symbol: str, depth: int, snapshot: bool, now_us: int) -> None: ...
    def unsubscribe(self, socket: Socket, *, channel: str, symbol: str, depth: int) -> None: ...


class KrakenSession(Session):
    """One socket. A heartbeat goes out whenever nothing else did for a second, once anything is subscribed."""

    def __init__(self, socket: Socket, channels: Channels) -> None:
        self.socket = socket
        self.subscribed: dict[tuple[str, str], int] = {}
        self._channels = channels
        self._frames_seen = 0
        self._beat_us = 0

    def opened(self, now_us: int) -> None:
        self._beat_us = now_us + HEARTBEAT_US
        self.socket.send(frames.status(0x2B00_0000_0000_0000 + self.socket.identity))

    def beat(self, now_us: int) -> None:
        """Send a heartbeat if the socket was silent for a second."""
        if self.socket.frames_sent != self._frames_seen:
            self._frames_seen = self.socket.frames_sent
            self._beat_us = now_us + HEARTBEAT_US
        elif now_us >= self._beat_us and self.subscribed:
            self._beat_us = now_us + HEARTBEAT_US
            self.socket.send(frames.HEARTBEAT)

    def command(self, text: str, now_us: int) -> Close | None:
        try:
            message: Any = json.loads(text)
        except json.JSONDecodeError:
            message = None
        if not isinstance(message, dict):
            self.socket.send('{"error":"Malformed request","success":false}')
            return None
        method = message.get("method")
        identity = json.dumps(message["req_id"]) if "req_id" in message else ""
        if method == "ping":
            self.socket.send(frames.pong(identity=identity, time_us=now_us))
        elif method in {"subscribe", "unsubscribe"} and isinstance(message.get("params"), dict):
            self._change(str(method), message["params"], identity, now_us)
        else:
            self.socket.send(frames.refused(str(method), error='"Method not found"', symbol="", identity=identity, time_us=now_us))
        return None

    def _change(self, method: str, params: dict[str, Any], identity: str, now_us: int) -> None:
        channel = params.get("channel")

        def refuse(error: str, symbol: str = "") -> None:
            named = json.dumps(symbol) if symbol else ""
            self.socket.send(frames.refused(method, error=json.dumps(error), symbol=named, identity=identity, time_us=now_us))

        if channel not in {"trade", "book", "instrument"}:
            refuse("Channel not supported" if channel else "Channel field must be specified")
            return
        depth = params.get("depth", 10)
        if channel == "book" and depth not in DEPTHS:
            refuse(f"Subscription depth not supported {depth}")
            return
        snapshot = bool(params.get("snapshot", channel != "trade"))
        symbols = ["*"] if channel == "instrument" else params.get("symbol", [])
        if not isinstance(symbols, list) or not symbols:
            refuse("Symbol(s) not specified")
            return
        for symbol in symbols:
            if channel != "instrument" and not self._channels.has(str(symbol)):
                refuse(f"Currency pair not supported {symbol}", str(symbol))
                continue
            result: dict[str, Any] = {"channel": channel}
            if channel == "book":
                result["depth"] = depth
            if method == "subscribe":
                result["snapshot"] = snapshot
            if channel != "instrument":
                result["symbol"] = symbol
            problem = self._conflict(method, str(channel), str(symbol))
            if problem:
                refuse(problem, str(symbol))
                continue
            text = json.dumps(result, separators=(",", ":"))
            self.socket.send(frames.acknowledged(method, result=text, identity=identity, time_us=now_us))
            self._apply(method, str(channel), str(symbol), depth=int(depth), snapshot=snapshot, now_us=now_us)

    def _conflict(self, method: str, channel: str, symbol: str) -> str:
        held = (channel, symbol) in self.subscribed
        if method == "subscribe":
            return "Already subscribed" if held else ""
        return "" if held else "Subscription Not Found"

    def _apply(self, method: str, channel: str, symbol: str, *, depth: int, snapshot: bool, now_us: int) -> None:
        if method == "subscribe":
            self.subscribed[channel, symbol] = depth
            self._channels.subscribe(self.socket, channel=channel, symbol=symbol, depth=depth, snapshot=snapshot, now_us=now_us)
        else:
            self._channels.unsubscribe(self.socket, channel=channel, symbol=symbol, depth=self.subscribed.pop((channel, symbol)))


def acknowledgements(text: str, now_us: int) -> list[str]:
    """What a played-back venue says to a command: yes, to every symbol, and a pong to a ping."""
    message: Any = json.loads(text)
    identity = json.dumps(message["req_id"]) if "req_id" in message else ""
    if message.get("method") == "ping":
        return [frames.pong(identity=identity, time_us=now_us)]
    params = dict(message.get("params", {}))
    symbols = params.pop("symbol", [None])
    return [
        frames.acknowledged(
            str(message.get("method")),
            result=json.dumps(params | ({"symbol": symbol} if symbol else {}), separators=(",", ":")),
            identity=identity,
            time_us=now_us,
        )
        for symbol in symbols
    ]
