"""Recordings: JSON lines of raw frames, one a line, plain, .gz or .zst.

Put here: the shape of the lines, reading and writing them. Keep out: what the frames mean, where recordings lie (rawfiles.py).
"""

from __future__ import annotations

import base64
import gzip
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, Literal

import msgspec
import zstandard

from collectors.checkpoint import Image
from collectors.errors import RecordingError
from collectors.venue import ConnectionPlan, HttpGet, Stream, Wanted

Direction = Literal["in", "out"]
Kind = Literal["http", "connect", "tick", "failed", "stalled", "resubscribe", "closed", "checkpoint", "cut"]


class Line(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One line: a frame, a REST answer (`kind: http`) or a socket being opened (`kind: connect`, no payload).

    `ts` is unix seconds, None where the recording has no clock; `conn` the socket's or request's URL. The other kinds (`BESIDES`) are
    written by `collect --record` only, hold no frame, and are passed over where frames alone count.
    """

    ts: float | None
    dir: Direction
    conn: str | None = None
    kind: Kind | None = None
    raw: str | None = None
    raw_b64: str | None = None

    @property
    def received(self) -> int | None:
        """The time in microseconds since 1970."""
        return None if self.ts is None else round(self.ts * 1e6)

    @property
    def payload(self) -> bytes:
        """The frame's bytes; empty where the line carries none."""
        if self.raw is not None:
            return self.raw.encode()
        return b"" if self.raw_b64 is None else base64.b64decode(self.raw_b64)


class Request(msgspec.Struct, frozen=True, omit_defaults=True):
    """The REST request that an answer belongs to, as the session asked for it."""

    purpose: str
    symbol: str = ""
    weight: int = 1

    @classmethod
    def of(cls, request: HttpGet) -> Request:
        """What a line says besides the URL."""
        return cls(request.purpose, request.symbol, request.weight)

    def get(self, url: str) -> HttpGet:
        """The request again."""
        return HttpGet(url=url, purpose=self.purpose, symbol=self.symbol, weight=self.weight)


class RawLine(Line, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """A line of `collect --record`: `link` names the socket (connection and life), the rest belongs to single kinds.

    connect: `plan`. http and failed: `request`, `conn` is its URL. failed: `reason`. stalled, resubscribe: `streams`; stalled: `since`,
    microseconds. checkpoint: `wanted` and `image`, always first. tick, closed: nothing else; ticks are when the session was told the time.
    cut: no link either; the last line of a file whose collector was killed, written by the next one.
    """

    link: str | None = None
    plan: ConnectionPlan | None = None
    request: Request | None = None
    reason: str | None = None
    streams: tuple[Stream, ...] | None = None
    since: int | None = None
    wanted: Wanted | None = None
    image: Image | None = None


BESIDES: Final = frozenset({"tick", "failed", "stalled", "resubscribe", "closed", "checkpoint", "cut"})
"""Kinds of lines that hold neither a frame nor the opening of a socket."""

_decode = msgspec.json.Decoder(Line).decode
_decode_raw = msgspec.json.Decoder(RawLine).decode
_encode = msgspec.json.Encoder().encode


def parse(line: bytes, *, where: str) -> Line:
    """One line; raises `RecordingError` naming `where` it stands."""
    try:
        return _decode(line)
    except msgspec.MsgspecError as error:
        raise RecordingError(f"{where} is no line of a recording ({error}), expected a JSON object with ts, dir, conn and raw") from error


def parse_raw(line: bytes, *, where: str) -> RawLine:
    """One line of `collect --record`; raises `RecordingError` naming `where` it stands."""
    try:
        return _decode_raw(line)
    except msgspec.MsgspecError as error:
        raise RecordingError(f"{where} is no line of raw frames ({error}), expected one that `collect --record` has written") from error


def read_lines(lines: Iterable[bytes], *, source: str) -> Iterator[Line]:
    """Lines of a recording, blank ones left out. Raises `RecordingError`."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield parse(line, where=f"line {number} of {source}")


def read(path: Path) -> Iterator[Line]:
    """Lines of a recording file (.jsonl, .jsonl.gz, .jsonl.zst). Raises `RecordingError`."""
    with open_recording(path) as stream:
        yield from read_lines(stream, source=str(path))


@contextmanager
def open_recording(path: Path) -> Iterator[Iterable[bytes]]:
    """The raw lines of a recording file, decompressed by its ending. Raises `RecordingError`."""
    try:
        with path.open("rb") as file:
            yield _unpacked(file, path.suffix)
    except (OSError, EOFError, zstandard.ZstdError) as error:
        raise RecordingError(f"recording {path} cannot be read: {error}") from error


def line(frame: bytes | str | None, ts: float | None, *, direction: Direction, conn: str, kind: Kind | None = None) -> bytes:
    """One line to be written, with its line feed; text frames stay text, others become base64."""
    raw, raw_b64 = spelled(frame)
    return _encode(Line(ts, direction, conn, kind, raw, raw_b64)) + b"\n"


def encode_raw(line: RawLine) -> bytes:
    """A line of `collect --record` to be written, with its line feed."""
    return _encode(line) + b"\n"


def spelled(frame: bytes | str | None) -> tuple[str | None, str | None]:
    """A frame as `raw` and `raw_b64`."""
    if frame is None or isinstance(frame, str):
        return frame, None
    try:
        return frame.decode(), None
    except UnicodeDecodeError:
        return None, base64.b64encode(frame).decode()


def _unpacked(file: IO[bytes], suffix: str) -> Iterable[bytes]:
    if suffix == ".gz":
        return gzip.open(file, "rb")
    if suffix == ".zst":
        return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True))
    return file
