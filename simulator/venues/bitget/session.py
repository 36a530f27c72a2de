"""A client's conversation with Bitget: one acknowledgement per argument, text pings, limits on messages and channels.

What belongs here: what the venue answers to each command. What does not: what channels send (feed.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from simulator.limits import CommandLimit
from simulator.streams import Socket
from simulator.venues.base import Close, Session
from simulator.venues.bitget import frames

MESSAGES_PER_SECOND = 10
MOST_CHANNELS = 1000
UNPINGED_US = 120_000_000
Named = tuple[str, str, str]
"""(instType, channel or topic, instId or symbol) as the client wrote them; the last empty for a whole product type."""


class Channels(Protocol):
    """What a session asks of the venue."""

    def has(self, version: str, named: Named) -> bool: ...
    def subscribe(self, socket: Socket, named: Named, *, now_us: int) -> None: ...
    def unsubscribe(self, socket: Socket, named: Named) -> None: ...


class BitgetSession(Session):
    """One socket of the v2 or v3 gateway. It is closed when it has not pinged for two minutes, or says too much in a second."""

    def __init__(self, socket: Socket, channels: Channels, *, version: str) -> None:
        self.socket = socket
        self._version = version
        self._channels = channels
        self._held: set[Named] = set()
        self._limit = CommandLimit(MESSAGES_PER_SECOND)
        self._pinged_us = 0

    def opened(self, now_us: int) -> None:
        self._pinged_us = now_us

    def unpinged(self, now_us: int) -> bool:
        """Whether the client has not pinged for too long."""
        return now_us - self._pinged_us > UNPINGED_US

    def command(self, text: str, now_us: int) -> Close | None:
        if self._limit.exceeded(now_us):
            return Close(1008, "too many messages")
        if text == "ping":
            self._pinged_us = now_us
            self.socket.send(frames.PONG)
            return None
        try:
            message: Any = json.loads(text)
        except json.JSONDecodeError:
            message = None
        op = message.get("op") if isinstance(message, dict) else None
        args = message.get("args") if isinstance(message, dict) else None
        if op not in {"subscribe", "unsubscribe"} or not isinstance(args, list):
            # A JSON ping is none of the commands and is left without an answer.
            if op != "ping":
                self.socket.send(frames.error({}, code=30003, message="INVALID op"))
            return None
        for arg in args:
            if isinstance(arg, dict):
                self._change(str(op), arg, now_us)
        return None

    def _change(self, op: str, arg: Mapping[str, object], now_us: int) -> None:
        channel, native = ("channel", "instId") if self._version == "v2" else ("topic", "symbol")
        named = (str(arg.get("instType", "")), str(arg.get(channel, "")), str(arg.get(native, "")))
        if not self._channels.has(self._version, named):
            listed = ",".join(f"{key}:{value}" for key, value in arg.items())
            self.socket.send(frames.error(arg, code=30001, message=f"{listed} doesn't exist"))
            return
        if op == "unsubscribe":
            self._held.discard(named)
            self._channels.unsubscribe(self.socket, named)
            self.socket.send(frames.event(op, arg))
            return
        if len(self._held) >= MOST_CHANNELS:
            self.socket.send(frames.error(arg, code=30006, message="request too many"))
            return
        self._held.add(named)
        self.socket.send(frames.event(op, arg))
        self._channels.subscribe(self.socket, named, now_us=now_us)


def acknowledgements(text: str) -> list[str]:
    """What a played-back venue says to a command: yes, to every argument."""
    if text == "ping":
        return [frames.PONG]
    message: Any = json.loads(text)
    return [frames.event(str(message.get("op")), arg) for arg in message.get("args", [])]
