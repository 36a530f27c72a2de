"""A client's conversation with Binance: paths, SUBSCRIBE and its acknowledgements, limits.

What belongs here: what the venue answers to commands, including its habit of acknowledging streams that stay silent.
What does not: what streams send (feed.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from simulator.limits import CommandLimit
from simulator.streams import Socket, Stream
from simulator.venues.base import Close, Session

COMMANDS_PER_SECOND = {"spot": 5, "usdm": 10}
MOST_STREAMS = 1024
# Finds the stream of that name that this path delivers; None if it has none.
Lookup = Callable[[str], Stream | None]


class BinanceSession(Session):
    """One socket. `wrapped` clients (the /stream path) get every message in the {"stream","data"} envelope."""

    def __init__(self, socket: Socket, *, lookup: Lookup, wrapped: bool, initial: list[str]) -> None:
        self.socket = socket
        self.wrapped = wrapped
        self.names: dict[str, None] = {}
        self.ping_every_s, self.pong_within_s = (20.0, 60.0) if socket.market == "spot" else (180.0, 600.0)
        self._lookup = lookup
        self._initial = initial
        self._limit = CommandLimit(COMMANDS_PER_SECOND[socket.market])

    def opened(self, now_us: int) -> None:
        del now_us
        self._subscribe(self._initial)

    def command(self, text: str, now_us: int) -> Close | None:
        if self._limit.exceeded(now_us):
            return Close(1008, "Too many requests")
        try:
            message: Any = json.loads(text)
        except json.JSONDecodeError as error:
            self._fail(3, f"Invalid JSON: {error.msg} at line {error.lineno} column {error.colno}", None)
            return None
        if not isinstance(message, dict):
            self._fail(2, "Invalid request: request must be an object", None)
            return None
        identity = message.get("id")
        method = message.get("method")
        params = message.get("params", [])
        if method == "LIST_SUBSCRIPTIONS":
            self._answer(json.dumps(list(self.names), separators=(",", ":")), identity)
            return None
        if method not in {"SUBSCRIBE", "UNSUBSCRIBE"}:
            known = "`SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`"
            self._fail(2, f"Invalid request: unknown variant `{method}`, expected one of {known}", identity)
            return None
        if not isinstance(params, list) or not all(isinstance(name, str) for name in params):
            self._fail(2, "Invalid request: params must be an array of strings", identity)
            return None
        if method == "SUBSCRIBE":
            if len(self.names.keys() | set(params)) > MOST_STREAMS:
                self._fail(4, f"Too many streams, at most {MOST_STREAMS}", identity)
                return None
            self._subscribe(params)
        else:
            self._unsubscribe(params)
        self._answer("null", identity)
        return None

    def _subscribe(self, names: list[str]) -> None:
        for name in names:
            self.names[name] = None
            stream = self._lookup(name)
            if stream is not None:
                (stream.wrapped if self.wrapped else stream.bare).add(self.socket)
                self.socket.streams.add(stream)

    def _unsubscribe(self, names: list[str]) -> None:
        for name in names:
            self.names.pop(name, None)
            stream = self._lookup(name)
            if stream is not None:
                stream.bare.discard(self.socket)
                stream.wrapped.discard(self.socket)
                self.socket.streams.discard(stream)

    def _answer(self, result: str, identity: Any) -> None:
        self.socket.send(f'{{"result":{result},"id":{json.dumps(identity)}}}')

    def _fail(self, code: int, message: str, identity: Any) -> None:
        self.socket.send(json.dumps({"error": {"code": code, "msg": message}, "id": identity}, separators=(",", ":")))
