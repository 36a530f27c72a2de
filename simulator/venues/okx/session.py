"""A client's conversation with OKX: commands argument by argument, the text ping, the cut of silent sockets.

What belongs here: what the venue answers to each command. What does not: books and trades themselves (board.py).
"""

from __future__ import annotations

import json
from typing import Any, Protocol

from simulator.limits import WeightLimit
from simulator.streams import Socket
from simulator.venues.base import Close, Session
from simulator.venues.okx import frames

COMMANDS_PER_HOUR = 480
MOST_ARGUMENT_BYTES = 64 * 1024
SILENCE_US = 30_000_000
"""A socket that was sent nothing for so long is cut; the answer to a ping is something."""


class Channels(Protocol):
    """What a session asks of the venue; a subscription is known by the pairs of its argument."""

    def has(self, path: str, wanted: dict[str, Any]) -> bool: ...
    def subscribe(self, socket: Socket, wanted: dict[str, Any], now_us: int) -> None: ...
    def unsubscribe(self, socket: Socket, wanted: dict[str, Any]) -> None: ...


class OkxSession(Session):
    """One socket on one of the paths public and business."""

    def __init__(self, socket: Socket, channels: Channels, *, path: str) -> None:
        self.socket = socket
        self.path = path
        self.connection = frames.connection_id(socket.identity)
        self.subscribed: dict[tuple[str, ...], dict[str, Any]] = {}
        self._channels = channels
        self._commands = WeightLimit(COMMANDS_PER_HOUR, seconds=3600)
        self._frames_seen = -1
        self._seen_us = 0

    def opened(self, now_us: int) -> None:
        """Nothing is said before the client speaks."""
        self._seen_us = now_us

    def beat(self, now_us: int) -> None:
        """Cut the socket if nothing was sent to it for half a minute."""
        if self.socket.frames_sent != self._frames_seen:
            self._frames_seen = self.socket.frames_sent
            self._seen_us = now_us
        elif now_us - self._seen_us >= SILENCE_US:
            self.socket.cut()

    def command(self, text: str, now_us: int) -> Close | None:
        if text == "ping":
            self.socket.send("pong")
            return None
        try:
            message: Any = json.loads(text)
        except json.JSONDecodeError:
            message = None
        if (
            not isinstance(message, dict)
            or message.get("op") not in {"subscribe", "unsubscribe"}
            or not isinstance(message.get("args"), list)
        ):
            self._refuse(60012, f"Invalid request: {text}", identity=None)
            return None
        identity, args = message.get("id"), message["args"]
        if len(text) > MOST_ARGUMENT_BYTES:
            self._refuse(60012, "Invalid request: the arguments are longer than 65536 bytes", identity=identity)
        elif self._commands.spend(1, now_us):
            self._refuse(60014, "Requests too frequent", identity=identity)
        else:
            for wanted in args:
                self._change(str(message["op"]), wanted, identity=identity, now_us=now_us)
        return None

    def _change(self, event: str, wanted: Any, *, identity: Any, now_us: int) -> None:
        if not isinstance(wanted, dict) or not self._channels.has(self.path, wanted):
            self._refuse(60018, _missing(wanted), identity=identity)
            return
        self.socket.send(frames.acknowledged(event, wanted, identity=identity, connection=self.connection))
        key = tuple(str(wanted.get(name, "")) for name in ("channel", "instId", "instType"))
        held = key in self.subscribed
        if event == "subscribe" and not held:
            self.subscribed[key] = wanted
            self._channels.subscribe(self.socket, wanted, now_us)
        elif event == "unsubscribe" and held:
            del self.subscribed[key]
            self._channels.unsubscribe(self.socket, wanted)

    def _refuse(self, code: int, message: str, *, identity: Any) -> None:
        self.socket.send(frames.refused(code, message, identity=identity, connection=self.connection))


def _missing(wanted: Any) -> str:
    pairs = ",".join(f"{name}:{value}" for name, value in wanted.items()) if isinstance(wanted, dict) else str(wanted)
    return f"Wrong URL or {pairs} doesn't exist. Please use the correct URL, channel and parameters referring to API document."


def acknowledgements(text: str) -> list[str]:
    """What a played-back venue says to a command: yes to every argument, and pong to ping."""
    if text == "ping":
        return ["pong"]
    message: Any = json.loads(text)
    return [
        frames.acknowledged(str(message.get("op")), wanted, identity=message.get("id"), connection=frames.connection_id(1))
        for wanted in message.get("args", [])
    ]
