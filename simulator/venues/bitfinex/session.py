"""A client's conversation with Bitfinex: configuration, channels and their numbers, the count over all frames of the socket.

What belongs here: what the venue answers to each command, and what stands around a body for this socket. What does not: bodies
(frames.py), which stream carries what (venue.py).
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple, Protocol

from simulator.streams import Socket, Stream
from simulator.venues.base import Close, Session
from simulator.venues.bitfinex import frames

TIMESTAMPS = 32_768
SEQUENCES = 65_536
CHECKSUMS = 131_072
MOST_CHANNELS = 30
LENGTHS = ("1", "25", "100", "250")
# Echoed in acknowledgements and refusals, in this order.
ECHOED = ("channel", "symbol", "key", "prec", "freq", "len", "subId")


class Asked(NamedTuple):
    """A subscription as it was asked for: channel, symbol or key, length of a book."""

    channel: str
    name: str
    length: int


class Channels(Protocol):
    """What a session asks of the venue."""

    def stream(self, asked: Asked) -> Stream | None: ...
    def join(self, session: BitfinexSession, asked: Asked, stream: Stream, *, now_us: int) -> None: ...
    def leave(self, session: BitfinexSession, stream: Stream) -> None: ...
    def pair(self, name: str) -> str: ...


class BitfinexSession(Session):
    """One socket. Channels get numbers of this socket; with the flags every array ends with its count and its time."""

    def __init__(self, socket: Socket, channels: Channels) -> None:
        self.socket = socket
        self.flags = 0
        self.sequence = 0
        self.numbers: dict[Stream, int] = {}
        self._channels = channels
        self._next = 10_000 + socket.identity * 7_919 % 200_000

    @property
    def checks(self) -> bool:
        """Whether this client asked for checksums."""
        return bool(self.flags & CHECKSUMS)

    def opened(self, now_us: int) -> None:
        del now_us
        self.socket.send(frames.info(self.socket.identity))

    def array(self, number: int, body: str, now_us: int) -> str:
        """A data frame of this socket, counted."""
        tail = ""
        if self.flags & SEQUENCES:
            self.sequence += 1
            tail = f",{self.sequence}"
        if self.flags & TIMESTAMPS:
            tail += f",{now_us // 1000}"
        return f"[{number},{body}{tail}]"

    def command(self, text: str, now_us: int) -> Close | None:
        try:
            message: Any = json.loads(text)
        except json.JSONDecodeError:
            message = None
        if not isinstance(message, dict):
            self._refuse({}, 10_000, "unknown")
            return None
        match message.get("event"):
            case "ping":
                self.socket.send(json.dumps({"event": "pong", "ts": now_us // 1000, "cid": message.get("cid")}, separators=(",", ":")))
            case "conf":
                self.flags = int(message.get("flags", 0))
                self.socket.send(f'{{"event":"conf","status":"OK","flags":{self.flags}}}')
            case "subscribe":
                self._subscribe(message, now_us)
            case "unsubscribe":
                self._unsubscribe(message)
            case _:
                self._refuse(message, 10_000, "event: unknown")
        return None

    def _subscribe(self, message: dict[str, Any], now_us: int) -> None:
        channel = message.get("channel")
        name = str(message.get("key" if channel == "status" else "symbol", ""))
        length = str(message.get("len", "25"))
        if channel not in {"trades", "book", "status"}:
            self._refuse(message, 10_302, "channel: unknown")
            return
        if channel == "book" and (length not in LENGTHS or message.get("prec", "P0") != "P0" or message.get("freq", "F0") != "F0"):
            self._refuse(message, 10_300, "len: invalid" if length not in LENGTHS else "prec: invalid")
            return
        asked = Asked(channel, name, int(length) if channel == "book" else 0)
        stream = self._channels.stream(asked)
        if stream is None:
            self._refuse(message, 10_300, f"{'key' if channel == 'status' else 'symbol'}: invalid")
        elif stream in self.numbers:
            self._refuse(message, 10_301, "subscribe: dup")
        elif len(self.numbers) >= MOST_CHANNELS:
            self._refuse(message, 10_305, "subscribe: limit")
        else:
            self._next += 1 + self._next % 3
            self.numbers[stream] = self._next
            answer: dict[str, Any] = {"event": "subscribed", "channel": channel, "chanId": self._next}
            if channel == "book":
                message = {"prec": "P0", "freq": "F0", **message, "len": length}
            answer |= {key: message[key] for key in ECHOED[1:] if key in message}
            if channel != "status":
                answer["pair"] = self._channels.pair(name)
            self.socket.send(json.dumps(answer, separators=(",", ":")))
            self._channels.join(self, asked, stream, now_us=now_us)

    def _unsubscribe(self, message: dict[str, Any]) -> None:
        stream = next((stream for stream, number in self.numbers.items() if number == message.get("chanId")), None)
        if stream is None:
            self._refuse(message, 10_400, "unsubscribe: invalid")
            return
        number = self.numbers.pop(stream)
        self._channels.leave(self, stream)
        self.socket.send(f'{{"event":"unsubscribed","status":"OK","chanId":{number}}}')

    def _refuse(self, message: dict[str, Any], code: int, problem: str) -> None:
        echoed = {key: message[key] for key in (*ECHOED, "chanId") if key in message}
        self.socket.send(json.dumps({"event": "error", "msg": problem, "code": code, **echoed}, separators=(",", ":")))


def acknowledgements(text: str, now_us: int) -> list[str]:
    """What a played-back venue says to a command; subscriptions are answered by the recording itself."""
    message: Any = json.loads(text)
    if message.get("event") == "ping":
        return [json.dumps({"event": "pong", "ts": now_us // 1000, "cid": message.get("cid")}, separators=(",", ":"))]
    return []
