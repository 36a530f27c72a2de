"""Recordings: JSON lines of raw frames, one a line, plain, .gz or .zst.

Put here: reading and writing the lines. Keep out: what the frames mean.
"""

from __future__ import annotations

import base64
import gzip
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal

import msgspec
import zstandard

from collectors.errors import RecordingError


class Line(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One line: a frame, a REST answer (`kind: http`) or a socket being opened (`kind: connect`, no payload).

    `ts` is unix seconds, None where the recording has no clock; `conn` the socket's or request's URL.
    """

    ts: float | None
    dir: Literal["in", "out"]
    conn: str | None = None
    kind: Literal["http", "connect"] | None = None
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


_decode = msgspec.json.Decoder(Line).decode
_encode = msgspec.json.Encoder().encode


def parse(line: bytes, *, where: str) -> Line:
    """One line; raises `RecordingError` naming `where` it stands."""
    try:
        return _decode(line)
    except msgspec.MsgspecError as error:
        raise RecordingError(f"{where} is no line of a recording ({error}), expected a JSON object with ts, dir, conn and raw") from error


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


def line(
    frame: bytes | str | None,
    ts: float | None,
    *,
    direction: Literal["in", "out"],
    conn: str,
    kind: Literal["http", "connect"] | None = None,
) -> bytes:
    """One line to be written, with its line feed; text frames stay text, others become base64."""
    if frame is None:
        return _encode(Line(ts, direction, conn, kind)) + b"\n"
    if isinstance(frame, str):
        return _encode(Line(ts, direction, conn, kind, frame)) + b"\n"
    try:
        return _encode(Line(ts, direction, conn, kind, frame.decode())) + b"\n"
    except UnicodeDecodeError:
        return _encode(Line(ts, direction, conn, kind, None, base64.b64encode(frame).decode())) + b"\n"


def _unpacked(file: IO[bytes], suffix: str) -> Iterable[bytes]:
    if suffix == ".gz":
        return gzip.open(file, "rb")
    if suffix == ".zst":
        return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True))
    return file
