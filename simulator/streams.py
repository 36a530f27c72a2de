"""Sending: a stream is one channel of one symbol, a socket is one client, the hub joins them.

What belongs here: framing a message once per stream, batching per client, dropping clients that do not drain.
What does not: what the messages say. Server frames carry no mask, so one encoding serves every client.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from simulator.faults import Faults

TEXT = 0x81
BINARY = 0x82
# Real venues cut a client that lets tens of megabytes pile up; it must notice and reconnect.
MOST_UNSENT_BYTES = 64 * 1024 * 1024


def frame(payload: bytes, *, opcode: int = TEXT) -> bytes:
    """One unmasked, unfragmented WebSocket frame (RFC 6455 §5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((opcode, size)) + payload
    if size < 65_536:
        return bytes((opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((opcode, 127)) + size.to_bytes(8, "big") + payload


def framed(payload: str | bytes) -> bytes:
    """A text or a binary message as one frame."""
    return frame(payload.encode()) if isinstance(payload, str) else frame(payload, opcode=BINARY)


class Wire(Protocol):
    """What a socket writes to: the transport of an open connection."""

    def write(self, data: bytes) -> None: ...
    def get_write_buffer_size(self) -> int: ...
    def is_closing(self) -> bool: ...
    def abort(self) -> None: ...


class Socket:
    """One connected client; messages wait until `flush`, so that a tick costs one write."""

    __slots__ = ("_waiting", "bytes_sent", "exchange", "frames_sent", "identity", "market", "streams", "wire")

    def __init__(self, wire: Wire, *, exchange: str, market: str, identity: int) -> None:
        self.wire = wire
        self.exchange = exchange
        self.market = market
        self.identity = identity
        self.streams: set[Stream] = set()
        self.frames_sent = 0
        self.bytes_sent = 0
        self._waiting: list[bytes] = []

    def send(self, payload: str | bytes) -> None:
        """Queue a text or binary message."""
        self.queue(framed(payload))

    def queue(self, framed: bytes) -> None:
        """Queue an already framed message."""
        self._waiting.append(framed)

    def flush(self) -> None:
        """Write what is waiting; a client that does not drain is cut off."""
        waiting = self._waiting
        if not waiting or self.wire.is_closing():
            waiting.clear()
            return
        data = b"".join(waiting)
        self.frames_sent += len(waiting)
        self.bytes_sent += len(data)
        waiting.clear()
        if self.wire.get_write_buffer_size() > MOST_UNSENT_BYTES:
            self.wire.abort()
            return
        self.wire.write(data)

    def cut(self) -> None:
        """Drop the TCP connection without a closing handshake; what is published from now on counts as sent to nobody here."""
        self._waiting.clear()
        self.mute()
        self.wire.abort()

    def mute(self) -> None:
        """Listen to nothing any more."""
        for stream in self.streams:
            stream.bare.discard(self)
            stream.wrapped.discard(self)
        self.streams.clear()


class Stream:
    """One channel of one symbol: `bare` clients get the payload, `wrapped` ones get it inside Binance's envelope."""

    __slots__ = ("bare", "channel", "exchange", "held", "market", "name", "symbol", "wrapped")

    def __init__(self, name: str, *, exchange: str, market: str, symbol: str, channel: str) -> None:
        self.name = name
        self.exchange = exchange
        self.market = market
        self.symbol = symbol
        self.channel = channel
        self.bare: set[Socket] = set()
        self.wrapped: set[Socket] = set()
        self.held: list[tuple[Socket, bytes]] | None = None

    @property
    def wanted(self) -> bool:
        """Whether any client listens."""
        return bool(self.bare or self.wrapped)


class Hub:
    """Every open socket, and the way a message takes to those that listen."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.sockets: set[Socket] = set()
        self.published: dict[str, int] = {}
        self.frames_of_closed = 0

    def add(self, socket: Socket) -> None:
        self.sockets.add(socket)

    def remove(self, socket: Socket) -> None:
        """Forget a closed socket and all it listened to."""
        self.sockets.discard(socket)
        self.frames_of_closed += socket.frames_sent
        socket.mute()

    def attach(self, socket: Socket, stream: Stream) -> None:
        """Let a socket listen to the bare stream."""
        stream.bare.add(socket)
        socket.streams.add(stream)

    def detach(self, socket: Socket, stream: Stream) -> None:
        """A socket listens no more."""
        stream.bare.discard(socket)
        stream.wrapped.discard(socket)
        socket.streams.discard(stream)

    def publish(self, stream: Stream, payload: str | bytes, *, render: Callable[[Socket], str | bytes] | None = None) -> bool:
        """Send one message to whoever listens; True if it reached at least one client's socket intact.

        `render` makes the message of each socket, where it carries a number of that socket's own; it is called for every
        listener at the moment of sending, also when a fault then loses the message: the venue has numbered it.
        """
        if not (stream.bare or stream.wrapped):
            return False
        messages = self._address(stream, payload) if render is None else [(socket, framed(render(socket))) for socket in stream.bare]
        if self.faults.active:
            return self._send_with_faults(stream, messages)
        self._send(stream, messages)
        return True

    @staticmethod
    def _address(stream: Stream, payload: str | bytes) -> list[tuple[Socket, bytes]]:
        """The message framed once per kind of listener."""
        messages: list[tuple[Socket, bytes]] = []
        if stream.bare:
            data = framed(payload)
            messages += [(socket, data) for socket in stream.bare]
        if stream.wrapped:
            assert isinstance(payload, str)
            data = frame(f'{{"stream":"{stream.name}","data":{payload}}}'.encode())
            messages += [(socket, data) for socket in stream.wrapped]
        return messages

    def _send_with_faults(self, stream: Stream, messages: list[tuple[Socket, bytes]]) -> bool:
        verdict = self.faults.judge(stream.exchange, stream.symbol, stream.channel)
        if verdict == "reorder" and stream.held is None:
            stream.held = messages
            return True
        if verdict in {"drop_delta", "stall"}:
            return False
        if verdict == "corrupt":
            for socket, data in messages:
                socket.queue(frame(b"\x00\xff\xfe" + data[::-2], opcode=BINARY))
            return False
        if verdict == "bad_checksum":
            messages = [(socket, spoil_checksum(data)) for socket, data in messages]
        self._send(stream, messages)
        if verdict == "duplicate":
            self._send(stream, messages)
        if stream.held is not None:
            held, stream.held = stream.held, None
            self._send(stream, held)
        return True

    def _send(self, stream: Stream, messages: list[tuple[Socket, bytes]]) -> None:
        for socket, data in messages:
            socket.queue(data)
        self.published[stream.channel] = self.published.get(stream.channel, 0) + 1

    def cut(self, exchange: str, symbol: str, channel: str, *, most: int = 0) -> int:
        """Cut every socket that listens to what is named (`*` matches all), the youngest `most` of them if given; returns how many."""
        chosen = [
            socket
            for socket in self.sockets
            if exchange in {"*", socket.exchange}
            and (
                (symbol == "*" and channel == "*")
                or any(symbol in {"*", stream.symbol} and channel in {"*", stream.channel} for stream in socket.streams)
            )
        ]
        if most:
            chosen = sorted(chosen, key=lambda socket: socket.identity, reverse=True)[:most]
        for socket in chosen:
            socket.cut()
        return len(chosen)

    def flush(self) -> None:
        """Write everything that waits."""
        for socket in self.sockets:
            socket.flush()


def spoil_checksum(data: bytes) -> bytes:
    """The same text frame with another checksum of as many digits; unchanged where it carries none."""
    head, mark, tail = data.rpartition(b'"checksum":')
    if not mark:
        return data
    digits = len(tail) - len(tail.lstrip(b"-0123456789"))
    last = tail[digits - 1 : digits]
    return head + mark + tail[: digits - 1] + (b"0" if last != b"0" else b"1") + tail[digits:]
