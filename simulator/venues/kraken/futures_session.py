"""A client's conversation with Kraken Futures: feeds of products, one acknowledgement each.

What belongs here: what the venue answers to each command. What does not: books and trades themselves (futures.py).
"""

from __future__ import annotations

import json
from typing import Any, Protocol

from simulator.limits import CommandLimit
from simulator.streams import Socket
from simulator.venues.base import Close, Session
from simulator.venues.kraken import futures_frames as frames

COMMANDS_PER_SECOND = 100
FEEDS = frozenset({"trade", "book", "ticker"})


class Feeds(Protocol):
    """What a session asks of the venue."""

    def has(self, product: str) -> bool: ...
    def subscribe(self, socket: Socket, *, feed: str, product: str, now_us: int) -> None: ...
    def unsubscribe(self, socket: Socket, *, feed: str, product: str) -> None: ...


class FuturesSession(Session):
    """One socket."""

    def __init__(self, socket: Socket, feeds: Feeds) -> None:
        self.socket = socket
        self.held: set[tuple[str, str]] = set()
        self.heartbeats = False
        self._feeds = feeds
        self._commands = CommandLimit(COMMANDS_PER_SECOND)

    def opened(self, now_us: int) -> None:
        del now_us
        self.socket.send(frames.INFO)

    def command(self, text: str, now_us: int) -> Close | None:
        if self._commands.exceeded(now_us):
            self.socket.send(frames.said("alert", "Rate limit exceeded"))
            return None
        try:
            message: Any = json.loads(text)
        except json.JSONDecodeError:
            message = None
        if not isinstance(message, dict) or message.get("event") not in {"subscribe", "unsubscribe"}:
            self.socket.send(frames.said("error", "Json Error"))
            return None
        event, feed = str(message["event"]), str(message.get("feed"))
        products = message.get("product_ids")
        if feed == "heartbeat":
            self.heartbeats = event == "subscribe"
            self.socket.send(frames.acknowledged(f"{event}d", feed))
        elif feed not in FEEDS:
            self.socket.send(frames.said("error", "Invalid feed"))
        elif not isinstance(products, list) or not products:
            self.socket.send(frames.said("error", "Invalid product id"))
        else:
            for product in products:
                self._change(event, feed, str(product).upper(), now_us)
        return None

    def _change(self, event: str, feed: str, product: str, now_us: int) -> None:
        """Each product stands for itself: an unknown one leaves the others alone."""
        place = (feed, product)
        if not self._feeds.has(product):
            self.socket.send(frames.said("error", "Invalid product id"))
        elif event == "subscribe":
            if place in self.held:
                self.socket.send(frames.said("alert", "Already subscribed to feed, re-requesting"))
                self._feeds.unsubscribe(self.socket, feed=feed, product=product)
            else:
                self.socket.send(frames.acknowledged("subscribed", feed, product))
            self.held.add(place)
            self._feeds.subscribe(self.socket, feed=feed, product=product, now_us=now_us)
        elif place in self.held:
            self.held.discard(place)
            self._feeds.unsubscribe(self.socket, feed=feed, product=product)
            self.socket.send(frames.acknowledged("unsubscribed", feed, product))
        else:
            self.socket.send(frames.said("alert", "Not subscribed to feed"))


def acknowledgements(text: str) -> list[str]:
    """What a played-back venue says to a command: yes, to every product."""
    message: Any = json.loads(text)
    event, feed = f"{message.get('event')}d", str(message.get("feed"))
    return [frames.acknowledged(event, feed, str(product).upper()) for product in message.get("product_ids", [""])]
