"""A client's conversation with Advanced Trade: one channel a command, the count of its messages, heartbeats.

What belongs here: what the venue answers to each command and when it hangs up. What does not: books and trades (venue.py).
"""

from __future__ import annotations

import json
from typing import Any, Protocol

from simulator.streams import Socket
from simulator.venues.base import Close, Session
from simulator.venues.coinbase import frames
from simulator.venues.coinbase.frames import Message

FIRST_COMMAND_US = 5_000_000
HEARTBEAT_US = 1_000_000
# Between 60 and 90 s: a channel without data is closed unless heartbeats are subscribed.
IDLE_US = 75_000_000
PRODUCT_CHANNELS = frozenset({"market_trades", "level2"})
CHANNELS = PRODUCT_CHANNELS | {"heartbeats"}


class Channels(Protocol):
    """What a session asks of the venue."""

    def product(self, name: str) -> str | None: ...
    def too_many_commands(self, now_us: int) -> bool: ...
    def subscribe(self, session: AdvancedSession, *, channel: str, product: str, now_us: int) -> None: ...
    def unsubscribe(self, session: AdvancedSession, *, channel: str, product: str) -> None: ...


class AdvancedSession(Session):
    """One socket. Every message but an error carries the next number of the socket, whatever its channel."""

    def __init__(self, socket: Socket, channels: Channels) -> None:
        self.socket = socket
        self.number = 0
        self.held: dict[str, list[str]] = {}
        self._channels = channels
        self._beat_us = 0
        self._frames_seen = 0
        self._heard_us = 0

    def opened(self, now_us: int) -> None:
        self._heard_us = now_us

    def next_number(self) -> int:
        """The number of the message that is sent now."""
        number = self.number
        self.number = number + 1
        return number

    def say(self, message: Message) -> None:
        """Send a message to this socket alone."""
        self.socket.send(message.numbered(self.next_number()))

    def live(self, now_us: int) -> None:
        """Send the heartbeat of the second; hang up on a client that never subscribed or hears nothing."""
        if self.socket.frames_sent != self._frames_seen:
            self._frames_seen = self.socket.frames_sent
            self._heard_us = now_us
        if "heartbeats" in self.held:
            if now_us >= self._beat_us:
                self._beat_us = now_us + HEARTBEAT_US
                self.say(frames.heartbeat(now_us // 1_000_000 % 1_000_000, now_us))
        elif now_us - self._heard_us > (IDLE_US if self.held else FIRST_COMMAND_US):
            self.socket.cut()

    def command(self, text: str, now_us: int) -> Close | None:
        if self._channels.too_many_commands(now_us):
            self.socket.send(frames.error("rate limit exceeded"))
            return None
        try:
            message: Any = json.loads(text)
        except json.JSONDecodeError:
            message = None
        if not isinstance(message, dict) or message.get("type") not in {"subscribe", "unsubscribe"}:
            self.socket.send(frames.error("invalid message: type must be subscribe or unsubscribe"))
            return None
        problem = self._change(message, now_us)
        if problem:
            self.socket.send(frames.error(problem))
        return None

    def _change(self, message: dict[str, Any], now_us: int) -> str:
        """Carry out a command whole or not at all; returns what is wrong with it."""
        channel = message.get("channel")
        if channel not in CHANNELS:
            return f"channel {channel} is not supported" if channel else "channel is required"
        if channel == "heartbeats":
            if message["type"] == "subscribe":
                self.held["heartbeats"] = ["heartbeats"]
            else:
                self.held.pop("heartbeats", None)
            self.say(frames.subscriptions(self.held, now_us))
            return ""
        names = message.get("product_ids")
        if not isinstance(names, list) or not names:
            return "product_ids is required"
        products = {str(name): self._channels.product(str(name)) for name in names}
        for name, product in products.items():
            if product is None:
                return f"{name} is not a valid product"
        apply = self._subscribe if message["type"] == "subscribe" else self._unsubscribe
        for product in dict.fromkeys(filter(None, products.values())):
            apply(str(channel), product, now_us)
        self.say(frames.subscriptions(self.held, now_us))
        return ""

    def _subscribe(self, channel: str, product: str, now_us: int) -> None:
        """Snapshots come before the acknowledgement; a product that is held already brings no other one."""
        held = self.held.setdefault(channel, [])
        if product not in held:
            held.append(product)
            self._channels.subscribe(self, channel=channel, product=product, now_us=now_us)

    def _unsubscribe(self, channel: str, product: str, now_us: int) -> None:
        del now_us
        held = self.held.get(channel, [])
        if product in held:
            held.remove(product)
            if not held:
                del self.held[channel]
            self._channels.unsubscribe(self, channel=channel, product=product)


def acknowledgements(text: str, now_us: int) -> list[str]:
    """What a played-back venue says to a command: yes. Playback keeps no count, so the number is that of a first message."""
    message: Any = json.loads(text)
    channel = str(message.get("channel"))
    held = {channel: [str(name) for name in message.get("product_ids", [channel])]}
    return [frames.subscriptions(held, now_us).numbered(0)]
