"""Clients' conversations with MEXC: spot commands with lists of channels, perpetual commands one by one, pings that must come.

What belongs here: what the venue answers to each command, whom it cuts. What does not: deals and books themselves (board.py).
"""

from __future__ import annotations

import json
from abc import abstractmethod
from typing import Any, Protocol

from simulator.limits import CommandLimit
from simulator.streams import Socket, Stream
from simulator.venues.base import Close, Session
from simulator.venues.mexc import pushes

MOST_SUBSCRIPTIONS = 30
COMMANDS_PER_SECOND = 100
UNSUBSCRIBED_US = 30_000_000
SILENCE_US = 60_000_000
LONGEST_LIFE_US = 24 * 3_600_000_000


class Channels(Protocol):
    """What a session asks of the venue."""

    def find(self, market: str, name: str) -> Stream | None: ...
    def join(self, socket: Socket, stream: Stream, now_us: int) -> None: ...
    def leave(self, socket: Socket, stream: Stream) -> None: ...


class MexcSession(Session):
    """What both kinds of socket share."""

    def __init__(self, socket: Socket, channels: Channels) -> None:
        self.socket = socket
        self.subscribed: dict[str, Stream] = {}
        self._channels = channels
        self._commands = CommandLimit(COMMANDS_PER_SECOND)
        self._opened_us = 0
        self._frames_seen = -1
        self._heard_us = 0
        """When the client last spoke, or was last sent anything."""

    def opened(self, now_us: int) -> None:
        """Nothing is said before the client speaks."""
        self._opened_us = self._heard_us = now_us

    @abstractmethod
    def silent(self, now_us: int) -> bool:
        """Whether the socket is to be cut."""

    def beat(self, now_us: int) -> None:
        """Cut a socket that has lived its day, or that the venue thinks is not used."""
        if now_us - self._opened_us >= LONGEST_LIFE_US or self.silent(now_us):
            self.socket.cut()

    def command(self, text: str, now_us: int) -> Close | None:
        if self._commands.exceeded(now_us):
            return Close(1008, "too many messages")
        try:
            message: Any = json.loads(text)
        except json.JSONDecodeError:
            message = None
        self.answer(message if isinstance(message, dict) else {}, now_us)
        return None

    @abstractmethod
    def answer(self, message: dict[str, Any], now_us: int) -> None:
        """Answer one command."""


class SpotSession(MexcSession):
    """Spot: closed after half a minute without subscription, after a minute without data or ping."""

    def silent(self, now_us: int) -> bool:
        if self.socket.frames_sent != self._frames_seen:
            self._frames_seen = self.socket.frames_sent
            self._heard_us = now_us
        if not self.subscribed and now_us - self._opened_us >= UNSUBSCRIBED_US:
            return True
        return now_us - self._heard_us >= SILENCE_US

    def answer(self, message: dict[str, Any], now_us: int) -> None:
        method, names = message.get("method"), message.get("params")
        if method == "PING":
            self.socket.send(pushes.SPOT_PONG)
        elif method == "SUBSCRIPTION" and isinstance(names, list):
            self._subscribe([str(name) for name in names], now_us)
        elif method == "UNSUBSCRIPTION" and isinstance(names, list):
            gone = [name for name in names if name in self.subscribed]
            for name in gone:
                self._channels.leave(self.socket, self.subscribed.pop(name))
            self.socket.send(pushes.spot_answer(",".join(gone)))
        else:
            self.socket.send(pushes.spot_answer("msg format invalid"))

    def _subscribe(self, names: list[str], now_us: int) -> None:
        taken: list[str] = []
        blocked: list[str] = []
        for name in names:
            stream = self._channels.find("spot", name)
            if stream is None or (len(self.subscribed) >= MOST_SUBSCRIPTIONS and name not in self.subscribed):
                blocked.append(name)
                continue
            taken.append(name)
            if name not in self.subscribed:
                self.subscribed[name] = stream
        if taken:
            self.socket.send(pushes.spot_answer(",".join(taken)))
        if blocked:
            self.socket.send(pushes.spot_answer(pushes.not_subscribed(blocked)))
        for name in taken:
            self._channels.join(self.socket, self.subscribed[name], now_us)


class PerpSession(MexcSession):
    """Perpetuals: closed after a minute without a ping."""

    def silent(self, now_us: int) -> bool:
        return now_us - self._heard_us >= SILENCE_US

    def answer(self, message: dict[str, Any], now_us: int) -> None:
        method, param = str(message.get("method")), message.get("param")
        if method == "ping":
            self._heard_us = now_us
            self.socket.send(pushes.pong(now_us))
            return
        verb, _, channel = method.partition(".")
        native = str(param.get("symbol")) if isinstance(param, dict) else ""
        stream = self._channels.find("perp", f"{channel}@{native}") if verb in {"sub", "unsub"} else None
        if stream is None:
            self.socket.send(pushes.refused(f"{method} of {native} is not supported", now_us=now_us))
            return
        self.socket.send(pushes.acknowledged(method, native))
        name = f"{channel}@{native}"
        if verb == "unsub":
            self.subscribed.pop(name, None)
            self._channels.leave(self.socket, stream)
        elif name not in self.subscribed:
            self.subscribed[name] = stream
            self._channels.join(self.socket, stream, now_us)


def acknowledgements(text: str, now_us: int) -> list[str]:
    """What a played-back venue says to a command: yes, and pong to ping."""
    message: Any = json.loads(text)
    method = str(message.get("method"))
    if method == "PING":
        return [pushes.SPOT_PONG]
    if method == "ping":
        return [pushes.pong(now_us)]
    if "params" in message:
        return [pushes.spot_answer(",".join(message["params"]))]
    return [pushes.acknowledged(method, str(message.get("param", {}).get("symbol", "")))]
