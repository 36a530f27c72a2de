"""A client's conversation with Bybit v5: topics, acknowledgements of whole commands, JSON pings.

What belongs here: what the venue answers to each command. What does not: what topics send (feed.py).
"""

from __future__ import annotations

import json
from typing import Any, Protocol

from simulator.streams import Socket
from simulator.venues.base import Close, Session
from simulator.venues.bybit import frames
from simulator.venues.bybit.catalogue import SPOT

SPOT_ARGS = 10
MOST_CHARACTERS = 21_000
IDLE_US = 600_000_000


class Topics(Protocol):
    """What a session asks of the venue."""

    def has(self, market: str, topic: str) -> bool: ...
    def subscribe(self, socket: Socket, *, market: str, topic: str, now_us: int) -> None: ...
    def unsubscribe(self, socket: Socket, *, market: str, topic: str) -> None: ...


class BybitSession(Session):
    """One socket of one market. A client that says nothing for ten minutes is cut."""

    def __init__(self, socket: Socket, topics: Topics, *, market: str) -> None:
        self.socket = socket
        self.market = market
        self.heard_us = 0
        self._topics = topics
        self._held: set[str] = set()
        self._connection = connection_id(socket.identity)

    def opened(self, now_us: int) -> None:
        self.heard_us = now_us

    def idle(self, now_us: int) -> bool:
        """Whether the client has been quiet for too long."""
        return now_us - self.heard_us > IDLE_US

    def command(self, text: str, now_us: int) -> Close | None:
        self.heard_us = now_us
        try:
            message: Any = json.loads(text)
        except json.JSONDecodeError:
            message = None
        if not isinstance(message, dict):
            self._answer("", None, "error:invalid request", success=False)
            return None
        identity = str(message["req_id"]) if "req_id" in message else None
        op, args = str(message.get("op", "")), message.get("args")
        if op == "ping":
            self._answer(op, identity, "pong", success=True)
        elif op in {"subscribe", "unsubscribe"} and isinstance(args, list) and args:
            self._change(op, [str(topic) for topic in args], identity, now_us)
        else:
            self._answer(op, identity, f"error:unsupported op,op:{op}", success=False)
        return None

    def _change(self, op: str, topics: list[str], identity: str | None, now_us: int) -> None:
        """One bad topic refuses the whole command."""
        if problem := self._problem(op, topics):
            self._answer(op, identity, problem, success=False)
            return
        if op == "unsubscribe":
            for topic in topics:
                self._held.discard(topic)
                self._topics.unsubscribe(self.socket, market=self.market, topic=topic)
            self._granted(op, identity)
            return
        self._held.update(topics)
        # On contracts the first snapshots leave before the acknowledgement, on spot after it (recordings of August 2026).
        if self.market == SPOT:
            self._granted(op, identity)
        for topic in topics:
            self._topics.subscribe(self.socket, market=self.market, topic=topic, now_us=now_us)
        if self.market != SPOT:
            self._granted(op, identity)

    def _problem(self, op: str, topics: list[str]) -> str:
        if self.market == SPOT and len(topics) > SPOT_ARGS:
            return f"args size >{SPOT_ARGS}"
        for topic in topics:
            if not self._topics.has(self.market, topic):
                return f"error:handler not found,topic:{topic}"
            if op == "subscribe" and topic in self._held:
                return f"error:already subscribed,topic:{topic}"
        if op == "subscribe" and sum(map(len, self._held)) + sum(map(len, topics)) > MOST_CHARACTERS:
            return f"error:args length exceeds {MOST_CHARACTERS}"
        return ""

    def _granted(self, op: str, identity: str | None) -> None:
        self._answer(op, identity, op if self.market == SPOT else "", success=True)

    def _answer(self, op: str, identity: str | None, message: str, *, success: bool) -> None:
        self.socket.send(
            frames.answer(market=self.market, op=op, success=success, message=message, connection=self._connection, identity=identity)
        )


def connection_id(identity: int) -> str:
    """A connection id in the venue's manner."""
    return f"d8bu1olkndm7crnfs1e0-{identity:05x}"


def acknowledgements(text: str) -> list[str]:
    """What a played-back venue says to a command: yes."""
    message: Any = json.loads(text)
    identity = str(message["req_id"]) if "req_id" in message else None
    op = str(message.get("op", ""))
    word = "pong" if op == "ping" else ""
    return [frames.answer(market="linear", op=op, success=True, message=word, connection=connection_id(0), identity=identity)]
