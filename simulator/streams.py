"""Sending: a stream is one channel of one symbol, a socket is one client, the hub joins them.

What belongs here: framing a message once per stream, batching per client, dropping clients that do not drain.
What does not: what the messages say. Server frames carry no mask, so one encoding serves every client.
"""

from __future__ import annotations

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

    def send(self, text: str) -> None:
        """Queue a text message."""
        self.queue(frame(text.encode()))

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
        """Drop the TCP connection without a closing handshake."""
        self._waiting.clear()
        self.wire.abort()


class Stream:
    """One channel of one symbol: `bare` clients get the payload, `wrapped` ones get it inside the venue's envelope."""

    __slots__ = ("bare", "channel", "exchange", "held", "market", "name", "symbol", "wrapped")

    def __init__(self, name: str, *, exchange: str, market: str, symbol: str, channel: str) -> None:
        self.name = name
        self.exchange = exchange
        self.market = market
        self.symbol = symbol
        self.channel = channel
        self.bare: set[Socket] = set()
        self.wrapped: set[Socket] = set()
        self.held: str | None = None

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
        for stream in socket.streams:
            stream.bare.discard(socket)
            stream.wrapped.discard(socket)
        socket.streams.clear()

    def publish(self, stream: Stream, text: str) -> bool:
        """Send one message to whoever listens; True if it reached at least one client's socket intact."""
        if not (stream.bare or stream.wrapped):
            return False
        if not self.faults.active:
            self._deliver(stream, text)
            return True
        return self._publish_with_faults(stream, text)

    def _publish_with_faults(self, stream: Stream, text: str) -> bool:
        verdict = self.faults.judge(stream.exchange, stream.symbol, stream.channel)
        if verdict == "reorder" and stream.held is None:
            stream.held = text
            return True
        if verdict in {"drop_delta", "stall"}:
            return False
        if verdict == "corrupt":
            self._deliver_bytes(stream, frame(b"\x00\xff\xfe" + text.encode()[::-2], opcode=BINARY))
            return False
        if verdict == "bad_checksum":
            text = spoil_checksum(text)
        self._deliver(stream, text)
        if verdict == "duplicate":
            self._deliver(stream, text)
        if stream.held is not None:
            held, stream.held = stream.held, None
            self._deliver(stream, held)
        return True

    def _deliver(self, stream: Stream, text: str) -> None:
        if stream.bare:
            framed = frame(text.encode())
            for socket in stream.bare:
                socket.queue(framed)
        if stream.wrapped:
            framed = frame(f'{{"stream":"{stream.name}","data":{text}}}'.encode())
            for socket in stream.wrapped:
                socket.queue(framed)
        self.published[stream.channel] = self.published.get(stream.channel, 0) + 1

    def _deliver_bytes(self, stream: Stream, framed: bytes) -> None:
        for socket in stream.bare | stream.wrapped:
            socket.queue(framed)

    def cut(self, exchange: str, symbol: str, channel: str) -> int:
        """Cut every socket that listens to what is named (`*` matches all); returns how many."""
        chosen = [
            socket
            for socket in self.sockets
            if exchange in {"*", socket.exchange}
            and (
                (symbol == "*" and channel == "*")
                or any(symbol in {"*", stream.symbol} and channel in {"*", stream.channel} for stream in socket.streams)
            )
        ]
        for socket in chosen:
            socket.cut()
        return len(chosen)

    def flush(self) -> None:
        """Write everything that waits."""
        for socket in self.sockets:
            socket.flush()


def spoil_checksum(text: str) -> str:
    """The same message with another checksum; unchanged where it carries none."""
    head, mark, tail = text.rpartition('"checksum":')
    if not mark:
        return text
    digits, comma, rest = tail.partition(",")
    return f"{head}{mark}{int(digits) ^ 0x5A5A5A5A}{comma}{rest}"
