"""A client's conversation with the unified gateway: welcome, subscriptions one a command, pings from the client.

What belongs here: what the venue answers to commands, and the end of clients that fall silent. What does not: what streams send (feed.py).
"""

from __future__ import annotations

import json
from typing import Any, Protocol

from simulator.streams import Socket
from simulator.venues.base import Close, Session
from simulator.venues.kucoin import frames

PING_TIMEOUT_MS = 10_000
PATIENCE_US = (frames.PING_INTERVAL_MS + PING_TIMEOUT_MS) * 1000
TOPICS_PER_SOCKET = 200
"""No documented number; what careful clients keep to."""

Topic = tuple[str, str, str]
"""Channel, native symbol, depth (empty but for books)."""


class Channels(Protocol):
    """What a session asks of the venue."""

    def offers(self, topic: Topic, trade_type: str) -> bool: ...
    def subscribe(self, socket: Socket, topic: Topic, now_us: int) -> None: ...
    def unsubscribe(self, socket: Socket, topic: Topic) -> None: ...


class KucoinSession(Session):
    """One socket of one trade type."""

    def __init__(self, socket: Socket, channels: Channels, *, trade_type: str) -> None:
        self.socket = socket
        self.topics: set[Topic] = set()
        self._channels = channels
        self._trade_type = trade_type
        self._heard_us = 0

    def opened(self, now_us: int) -> None:
        self._heard_us = now_us
        self.socket.send(frames.welcome(self.socket.identity))

    def beat(self, now_us: int) -> None:
        """Cut a client that has said nothing for longer than the interval of pings and their timeout."""
        if now_us - self._heard_us > PATIENCE_US:
            self.socket.cut()

    def command(self, text: str, now_us: int) -> Close | None:
        self._heard_us = now_us
        try:
            message: Any = json.loads(text)
        except json.JSONDecodeError:
            message = None
        if not isinstance(message, dict):
            self.socket.send(frames.refused("invalid message", identity="null"))
            return None
        identity = json.dumps(message.get("id"))
        action = str(message.get("action", "")).lower()
        if message.get("type") == "ping":
            self.socket.send(frames.pong(identity=identity, now_us=now_us))
        elif action in {"subscribe", "unsubscribe"}:
            self._change(action, message, identity, now_us)
        else:
            self.socket.send(frames.refused("unknown action", identity=identity))
        return None

    def _change(self, action: str, message: dict[str, Any], identity: str, now_us: int) -> None:
        channel = str(message.get("channel", ""))
        topic = (channel, str(message.get("symbol", "")), str(message.get("depth", "")) if channel == "obu" else "")
        if message.get("tradeType") != self._trade_type:
            problem = f"tradeType is not {self._trade_type}"
        elif not self._channels.offers(topic, self._trade_type):
            problem = f"topic {'.'.join(part for part in topic if part)} does not exist"
        elif action == "subscribe" and topic not in self.topics and len(self.topics) >= TOPICS_PER_SOCKET:
            problem = "too many topics"
        else:
            problem = ""
        if problem:
            self.socket.send(frames.refused(problem, identity=identity))
            return
        self.socket.send(frames.done(identity=identity))
        if action == "subscribe" and topic not in self.topics:
            self.topics.add(topic)
            self._channels.subscribe(self.socket, topic, now_us)
        elif action == "unsubscribe" and topic in self.topics:
            self.topics.discard(topic)
            self._channels.unsubscribe(self.socket, topic)
