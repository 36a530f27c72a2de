"""Recordings played back: frames of a real session to whoever connects where they were recorded.

What belongs here: reading the files, pacing, which recorded REST answer fits a request. What does not: simulated markets;
a venue that plays a recording has none.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from simulator.errors import InvalidRecording
from simulator.streams import BINARY, Socket, frame
from simulator.venues.base import Answer, Venue

# Hosts that served the same answers when some recordings were made.
OLD_HOSTS = {"www.binance.com": "api.binance.com", "data-stream.binance.vision": "stream.binance.com"}
BATCH = 256
MOST_UNSENT_BYTES = 1024 * 1024
# A client that subscribes by command says so at once; one that says nothing gets the recording anyway.
PATIENCE_S = 1.0


@dataclass(frozen=True, slots=True)
class Frame:
    """One recorded message; `ts` in unix seconds or None, either text or bytes is set."""

    ts: float | None
    text: str | None
    data: bytes | None


@dataclass(slots=True)
class Recording:
    """What the files hold for one exchange: frames by market, REST answers by (market, last path part, symbol)."""

    frames: dict[str, list[Frame]] = field(default_factory=dict)
    answers: dict[tuple[str, str, str], str] = field(default_factory=dict)


class Served(NamedTuple):
    """A venue's name and its endpoints: key to (path below /<venue>, URL of the real endpoint)."""

    name: str
    endpoints: Mapping[str, tuple[str, str]]


def _locate(conn: str, venues: Iterable[Served]) -> tuple[str, str] | None:
    """(exchange, market) of a recorded connection URL."""
    host = urlsplit(conn).hostname or ""
    known = OLD_HOSTS.get(host, host)
    path = urlsplit(conn).path
    for venue in venues:
        for key, (_, real) in venue.endpoints.items():
            parts = urlsplit(real)
            if parts.hostname == known and path.startswith(parts.path):
                return venue.name, key.partition("_")[0]
    return None


def _parameter(conn: str) -> str:
    pairs = dict(parse_qsl(urlsplit(conn).query))
    return pairs.get("symbol", pairs.get("pair", ""))


def _lines(path: Path) -> Iterable[tuple[int, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield number, json.loads(line)
            except json.JSONDecodeError as error:
                raise InvalidRecording(str(path), number, reason="not JSON") from error


def load(paths: Iterable[Path], venues: Iterable[Served]) -> tuple[dict[str, Recording], int]:
    """Recordings by exchange, and how many incoming lines belong to no endpoint of these venues."""
    served = list(venues)
    recordings: dict[str, Recording] = {}
    unmatched = 0
    for path in paths:
        for number, line in _lines(path):
            if not isinstance(line, dict) or "dir" not in line:
                raise InvalidRecording(str(path), number, reason="not a recorded frame")
            if line["dir"] != "in" or line.get("kind") == "connect":
                continue
            place = _locate(str(line.get("conn") or ""), served)
            if place is None:
                unmatched += 1
                continue
            exchange, market = place
            _add(recordings.setdefault(exchange, Recording()), market, line, path, number)
    return recordings, unmatched


def _add(recording: Recording, market: str, line: dict[str, Any], path: Path, number: int) -> None:
    text, data = line.get("raw"), None
    if text is None:
        try:
            data = base64.b64decode(line["raw_b64"], validate=True)
        except (KeyError, binascii.Error) as error:
            raise InvalidRecording(str(path), number, reason="without a readable payload") from error
    if line.get("kind") == "http":
        call = urlsplit(line["conn"]).path.rpartition("/")[2]
        recording.answers.setdefault((market, call, _parameter(line["conn"])), str(text))
        return
    ts = None if line.get("ts") is None else float(line["ts"])
    recording.frames.setdefault(market, []).append(Frame(ts, text, data))


class Player:
    """Plays one exchange's recording to each client from its beginning. `speed` 0 means as fast as it drains."""

    def __init__(self, venue: Venue, recording: Recording, *, speed: float) -> None:
        self.venue = venue
        self.recording = recording
        self.speed = speed
        self.clients = 0
        self.finished = 0
        self.frames_played = 0

    @property
    def done(self) -> bool:
        """Whether every client that came has been played to the end."""
        return self.clients > 0 and self.clients == self.finished

    def answer(self, path: str, params: Mapping[str, str]) -> Answer | None:
        """The recorded answer to a request below /<venue>, if there is one."""
        market = path.split("/")[1] if path.count("/") > 1 else ""
        call = path.rpartition("/")[2]
        symbol = params.get("symbol", params.get("pair", ""))
        body = self.recording.answers.get((market, call, symbol))
        return None if body is None else Answer(200, body)

    async def play(self, socket: Socket, path: str, started: asyncio.Event) -> None:
        """Send every frame that this path carries; returns after the last one is written."""
        self.clients += 1
        try:
            try:
                await asyncio.wait_for(started.wait(), PATIENCE_S)
            except TimeoutError:
                started.set()
            await self._pump(socket, path)
        finally:
            self.finished += 1

    async def _pump(self, socket: Socket, path: str) -> None:
        loop = asyncio.get_running_loop()
        begin, first, waiting = loop.time(), None, 0
        for item in self.recording.frames.get(path.split("/")[1], []):
            framed = self._framed(path, item)
            if framed is None:
                continue
            if self.speed and item.ts is not None:
                first = item.ts if first is None else first
                ahead = begin + (item.ts - first) / self.speed - loop.time()
                if ahead > 0.001:
                    socket.flush()
                    await asyncio.sleep(ahead)
            socket.queue(framed)
            self.frames_played += 1
            waiting += 1
            if waiting >= BATCH:
                waiting = 0
                socket.flush()
                await asyncio.sleep(0)
                await _drained(socket)
            if socket.wire.is_closing():
                return
        socket.flush()

    def _framed(self, path: str, item: Frame) -> bytes | None:
        if item.data is not None:
            return frame(item.data, opcode=BINARY)
        text = self.venue.recorded(path, item.text or "")
        return None if text is None else frame(text.encode())


async def _drained(socket: Socket) -> None:
    """Wait until the client has taken most of what was written."""
    # The library owns the transport's own drain callbacks, so its buffer can only be looked at.
    while socket.wire.get_write_buffer_size() > MOST_UNSENT_BYTES and not socket.wire.is_closing():  # noqa: ASYNC110
        await asyncio.sleep(0.002)
