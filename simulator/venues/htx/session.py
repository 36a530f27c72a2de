"""Clients' conversations with HTX: topics one a command, acknowledgements, pings inside the data, requests for snapshots.

What belongs here: what the venue answers to each command on market and notification sockets. What does not: what topics send (feed.py).
"""

from __future__ import annotations

import json
from abc import abstractmethod
from typing import Any, Protocol

from simulator.limits import CommandLimit
from simulator.streams import Socket
from simulator.venues.base import Close, Session
from simulator.venues.htx import frames

PING_US = 5_000_000
MOST_UNANSWERED = 2
"""Pings a client may leave unanswered; with the next one due it is cut."""
COMMANDS_PER_SECOND = 50
TOPICS_PER_SOCKET = 100
"""No documented number; what careful clients keep to."""


class Channels(Protocol):
    """What a session asks of the venue: None is a yes, text is why not."""

    def subscribe(self, socket: Socket, topic: str, message: dict[str, Any], now_us: int) -> str | None: ...
    def unsubscribe(self, socket: Socket, topic: str) -> None: ...
    def started(self, socket: Socket, topic: str, *, acknowledged: bool, now_us: int) -> None: ...
    def request(self, socket: Socket, topic: str, identity: str, now_us: int) -> str | None: ...


class HtxSession(Session):
    """What every socket of the venue does: ping, count what stays unanswered, keep to a pace."""

    def __init__(self, socket: Socket, channels: Channels) -> None:
        self.socket = socket
        self.topics: set[str] = set()
        self._channels = channels
        self._limit = CommandLimit(COMMANDS_PER_SECOND)
        self._unanswered = 0
        self._ping_us = 0

    def say(self, text: str) -> None:
        """Send one message, packed."""
        self.socket.send(frames.packed(text))

    def opened(self, now_us: int) -> None:
        self._ping_us = now_us + PING_US

    def beat(self, now_us: int) -> None:
        """Ping when it is time; cut a client that does not answer."""
        if now_us < self._ping_us:
            return
        if self._unanswered >= MOST_UNANSWERED:
            self.socket.cut()
            return
        self._ping_us = now_us + PING_US
        self._unanswered += 1
        self.say(self.ping(now_us))

    def answered(self) -> None:
        """The client answered a ping."""
        self._unanswered = 0

    def command(self, text: str, now_us: int) -> Close | None:
        if self._limit.exceeded(now_us):
            return Close(1008, "too many requests")
        try:
            message: Any = json.loads(text)
        except json.JSONDecodeError:
            message = None
        if not isinstance(message, dict):
            self.say(frames.refused("invalid request", identity="null", now_us=now_us))
            return None
        self.answer(message, now_us)
        return None

    @abstractmethod
    def ping(self, now_us: int) -> str:
        """The heartbeat of this kind of socket."""

    @abstractmethod
    def answer(self, message: dict[str, Any], now_us: int) -> None:
        """Answer one command."""


class MarketSession(HtxSession):
    """`/ws`, `/feed`, `/linear-swap-ws` and `/ws_index`."""

    def __init__(self, socket: Socket, channels: Channels, *, spot: bool) -> None:
        super().__init__(socket, channels)
        self._spot = spot

    def ping(self, now_us: int) -> str:
        return frames.ping(now_us)

    def answer(self, message: dict[str, Any], now_us: int) -> None:
        identity = json.dumps(message.get("id"))
        if "pong" in message:
            self.answered()
        elif "sub" in message:
            self._subscribe(str(message["sub"]), message, identity, now_us)
        elif "unsub" in message:
            self._unsubscribe(str(message["unsub"]), identity, now_us)
        elif "req" in message:
            problem = self._channels.request(self.socket, str(message["req"]), identity, now_us)
            if problem is not None:
                self.say(frames.refused(problem, identity=identity, now_us=now_us))
        else:
            self.say(frames.refused("invalid request", identity=identity, now_us=now_us))

    def _subscribe(self, topic: str, message: dict[str, Any], identity: str, now_us: int) -> None:
        acknowledged = frames.subscribed(topic, verb="subbed", identity=identity, spot=self._spot, now_us=now_us)
        if topic in self.topics:
            self.say(acknowledged)
            return
        problem = "too many topics" if len(self.topics) >= TOPICS_PER_SOCKET else None
        problem = problem or self._channels.subscribe(self.socket, topic, message, now_us)
        if problem is not None:
            self.say(frames.refused(problem, identity=identity, now_us=now_us))
            return
        self.topics.add(topic)
        self._channels.started(self.socket, topic, acknowledged=False, now_us=now_us)
        self.say(acknowledged)
        self._channels.started(self.socket, topic, acknowledged=True, now_us=now_us)

    def _unsubscribe(self, topic: str, identity: str, now_us: int) -> None:
        if topic not in self.topics:
            self.say(frames.refused(f"unsub with not subbed topic {topic}", identity=identity, now_us=now_us))
            return
        self.topics.discard(topic)
        self._channels.unsubscribe(self.socket, topic)
        self.say(frames.subscribed(topic, verb="unsubbed", identity=identity, spot=self._spot, now_us=now_us))


class NotificationSession(HtxSession):
    """`/linear-swap-notification`."""

    def ping(self, now_us: int) -> str:
        return frames.notification_ping(now_us)

    def answer(self, message: dict[str, Any], now_us: int) -> None:
        verb, topic = message.get("op"), message.get("topic")
        names = json.dumps(topic), json.dumps(message.get("cid"))
        if verb == "pong":
            self.answered()
        elif verb == "sub":
            problem = self._channels.subscribe(self.socket, str(topic), message, now_us)
            if problem is not None:
                self.say(frames.notification_answer("sub", names[0], cid=names[1], now_us=now_us, code=2011, message=problem))
                return
            self.topics.add(str(topic))
            self.say(frames.notification_answer("sub", names[0], cid=names[1], now_us=now_us))
            self._channels.started(self.socket, str(topic), acknowledged=True, now_us=now_us)
        elif verb == "unsub" and topic in self.topics:
            self.topics.discard(str(topic))
            self._channels.unsubscribe(self.socket, str(topic))
            self.say(frames.notification_answer("unsub", names[0], cid=names[1], now_us=now_us))
        else:
            reason = "invalid op" if verb != "unsub" else "not subscribed"
            self.say(frames.notification_answer(str(verb), names[0], cid=names[1], now_us=now_us, code=2002, message=reason))
