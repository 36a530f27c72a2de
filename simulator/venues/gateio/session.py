"""A client's conversation with Gate.io: subscriptions, their answers, pings.

What belongs here: what the venue answers to each command. What does not: the streams themselves (venue.py, feed.py).
"""

from __future__ import annotations

import json
from typing import Any, Protocol

from simulator.streams import Socket
from simulator.venues.base import Close, Session
from simulator.venues.gateio import frames

MOST_CLOCK_SKEW_S = 60
EVENTS = frozenset({"subscribe", "unsubscribe"})
CHANNELS = {
    "spot": frozenset({"trades", "obu"}),
    "futures": frozenset({"trades", "obu", "tickers", "public_liquidates"}),
}
UNKNOWN = {"spot": "unknown currency pair", "futures": "unknown contract"}


class Channels(Protocol):
    """What a session asks of the venue; a channel is named without its prefix, a name is what stands in the payload."""

    def has(self, market: str, channel: str, name: str) -> bool: ...
    def holds(self, socket: Socket, channel: str, name: str) -> bool: ...
    def join(self, socket: Socket, channel: str, name: str, *, now_us: int) -> None: ...
    def leave(self, socket: Socket, channel: str, name: str) -> None: ...


class GateSession(Session):
    """One socket of spot or of futures. The venue pings by protocol and answers pings of its own format."""

    ping_every_s = 15.0
    pong_within_s = 30.0

    def __init__(self, socket: Socket, channels: Channels) -> None:
        self.socket = socket
        self.prefix = "spot" if socket.market == "spot" else "futures"
        self._channels = channels

    def opened(self, now_us: int) -> None:
        del now_us

    def command(self, text: str, now_us: int) -> Close | None:
        try:
            message: Any = json.loads(text)
        except json.JSONDecodeError:
            message = None
        if not isinstance(message, dict):
            self._refuse({}, "invalid json", now_us)
            return None
        channel, event = str(message.get("channel", "")), message.get("event")
        if channel == f"{self.prefix}.ping":
            self.socket.send(frames.pong(self.prefix, time_us=now_us))
            return None
        problem = self._problem(message, now_us)
        if problem:
            self._refuse(message, problem, now_us)
            return None
        name = channel.partition(".")[2]
        payload: list[str] = message["payload"]
        for each in payload:
            if event == "subscribe":
                # The first snapshot of a book precedes the answer.
                self._channels.join(self.socket, name, each, now_us=now_us)
            else:
                self._channels.leave(self.socket, name, each)
        self.socket.send(
            frames.answered(
                channel,
                str(event),
                identity=_identity(message),
                payload=json.dumps(payload, separators=(",", ":")),
                connection=self.socket.identity,
                time_us=now_us,
            )
        )
        return None

    def _problem(self, message: dict[str, Any], now_us: int) -> str:
        """Why a command is refused as a whole; empty where it is not."""
        prefix, _, name = str(message.get("channel", "")).partition(".")
        payload, event = message.get("payload"), message.get("event")
        time = message.get("time")
        if not isinstance(time, int) or abs(time - now_us // 1_000_000) > MOST_CLOCK_SKEW_S:
            return "invalid time"
        if prefix != self.prefix or name not in CHANNELS[prefix]:
            return f"unknown channel {message.get('channel')}"
        if event not in EVENTS:
            return f"unknown event {event}"
        if not isinstance(payload, list) or not payload or not all(isinstance(each, str) for each in payload):
            return "invalid payload"
        for each in payload:
            if not self._channels.has(self.socket.market, name, each):
                return f"{UNKNOWN[prefix]} {each}"
            held = self._channels.holds(self.socket, name, each)
            if name == "obu" and held and event == "subscribe":
                return f"Alert sub {each}"
            if not held and event == "unsubscribe":
                return f"not subscribed {each}"
        return ""

    def _refuse(self, message: dict[str, Any], problem: str, now_us: int) -> None:
        self.socket.send(
            frames.refused(
                json.dumps(message.get("channel", "")),
                json.dumps(message.get("event", "")),
                identity=_identity(message),
                code=1 if problem.startswith("invalid") else 2,
                message=json.dumps(problem),
                time_us=now_us,
            )
        )


def _identity(message: dict[str, Any]) -> str:
    return json.dumps(message["id"]) if "id" in message else ""


def acknowledgements(text: str, now_us: int) -> list[str]:
    """What a played-back venue says to a command: yes, and a pong to a ping."""
    message: Any = json.loads(text)
    channel = str(message.get("channel", ""))
    prefix, _, name = channel.partition(".")
    if name == "ping":
        return [frames.pong(prefix, time_us=now_us)]
    payload = json.dumps(message.get("payload", []), separators=(",", ":"))
    event = str(message.get("event", ""))
    return [frames.answered(channel, event, identity=_identity(message), payload=payload, connection=1, time_us=now_us)]
