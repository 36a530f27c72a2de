"""Files of raw frames: `<home>/raw/exchange=…/date=…/hour=…/raw-<collector>-<start>.jsonl.zst`, one for each life and hour.

Put here: their names, the thread that writes them, and what a killed process left behind. Keep out: what is noted (raw.py).

A file grows under the name `open-…` and is renamed when its hour is over or the collector stops. Every FLUSH_SECONDS what has come is
compressed and handed to the system, so that a killed process loses no more than that; a torn tail is cut when the file is read.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import zstandard

from collectors.checkpoint import code_mark, with_books
from collectors.errors import RecordingError
from collectors.logs import logger
from collectors.raw import Noted, Opening, RawTape
from collectors.recording import Direction, Kind, RawLine, Request, encode_raw, parse_raw, spelled
from collectors.rows import EventBuffer
from collectors.venue import ConnectionPlan, Wanted
from lake.paths import Home, Hour

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

FLUSH_SECONDS: Final = 0.5
OVERDUE_US: Final = 5_000_000
"""A file whose hour has been over this long is closed although nothing has come since."""
LEVEL: Final = 3
_NAME: Final = re.compile(r"(?P<open>open|raw)-(?P<collector>[a-z0-9_]+)-(?P<start>\d{16})\.jsonl\.zst")
_READ_BYTES: Final = 1 << 20


def directory(home: Home, exchange: str, hour: Hour) -> Path:
    """Where the raw frames that an exchange sent in an hour lie."""
    return home.root / "raw" / f"exchange={exchange}" / hour.directory


def raw_files(home: Home, exchange: str, hour: Hour) -> list[Path]:
    """Files of an hour in the order in which they were begun, growing ones among them."""
    place = directory(home, exchange, hour)
    found = [(match["start"], path) for path in place.glob("*.jsonl.zst") if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found)]


def is_growing(path: Path) -> bool:
    """Whether a file is still being written, or was when its collector was killed."""
    return path.name.startswith("open-")


def read_raw(path: Path, *, torn: Callable[[str], None]) -> Iterator[RawLine]:
    """Lines of a file. A tail that was cut off in the middle of a line is left out, and told to `torn` in a sentence.

    Raises `RecordingError` when a whole line is none of ours or the file cannot be read.
    """
    rest = b""
    number = 0
    try:
        with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as stream:
            while piece := stream.read(_READ_BYTES):
                *lines, rest = (rest + piece).split(b"\n")
                for each in lines:
                    number += 1
                    yield parse_raw(each, where=f"line {number} of {path}")
    except (OSError, zstandard.ZstdError) as error:
        raise RecordingError(f"raw frames {path} cannot be read: {error}") from error
    if rest:
        torn(f"{path} ends in the middle of line {number + 1}: its last {len(rest)} bytes are left out")


class RawRecorder:
    """The raw frames of one collector: a tape for each exchange, and the thread that takes them to the disk."""

    def __init__(self, home: Home, collector: str) -> None:
        self._home = home
        self._collector = collector
        self._log: FilteringBoundLogger = logger(collector=collector)
        self._tapes: dict[str, RawTape] = {}
        self._files: dict[str, _RawFile] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="raw-recorder", daemon=True)

    def start(self) -> None:
        """Finish what a killed process of this name left behind, and start writing."""
        for path in sorted((self._home.root / "raw").glob(f"*/*/*/open-{self._collector}-*.jsonl.zst")):
            finish(path, say=self._log.warning)
        # Read here, in the caller's thread: the first checkpoint is taken by the event loop.
        code_mark()
        self._thread.start()

    def tape(self, exchange: str, *, wanted: Wanted, events: EventBuffer) -> RawTape:
        """The tape of an exchange; what it is given is written from now on."""
        tape = RawTape(exchange, wanted=wanted, events=events)
        self._tapes[exchange] = tape
        return tape

    def close(self) -> None:
        """Write what has come, close and rename every file. Blocks; nothing may be noted afterwards."""
        if self._thread.is_alive():
            self._stopping.set()
            self._thread.join()
        self.write()
        for exchange in list(self._files):
            self._close(exchange)

    def write(self) -> None:
        """Take to the disk what has come until now."""
        for exchange, tape in list(self._tapes.items()):
            try:
                self._take(tape)
            except OSError as error:
                self._log.error("raw frames not written, recording begins anew", exchange=exchange, reason=str(error))
                self._files.pop(exchange, None)
                tape.refused = True

    def _run(self) -> None:
        while not self._stopping.wait(FLUSH_SECONDS):
            self.write()
            self._close_overdue()

    def _take(self, tape: RawTape) -> None:
        waiting = tape.waiting
        file = self._files.get(tape.exchange)
        for _ in range(len(waiting)):
            try:
                each = waiting.popleft()
            except IndexError:  # the tape dropped them
                break
            if isinstance(each, Opening):
                self._close(tape.exchange)
                file = self._files[tape.exchange] = _RawFile(self._home, tape.exchange, self._collector, self._written_out(each, tape))
            elif file is not None:
                file.write(encode_raw(_line(each)))
            else:
                # Its file was refused, or closed because its hour is over by the clock of this thread: begin anew.
                tape.refused = True
        if file is not None:
            file.flush()

    def _written_out(self, opening: Opening, tape: RawTape) -> Opening:
        try:
            return opening._replace(image=with_books(opening.image, tape.exchange))
        except RecordingError as error:
            self._log.error("checkpoint cannot be restored, its hour can only be decoded", exchange=tape.exchange, reason=str(error))
            return opening

    def _close_overdue(self) -> None:
        """An hour ends also where nothing comes any more that would begin the next file."""
        for exchange, file in list(self._files.items()):
            if time.time_ns() // 1000 > file.hour.end + OVERDUE_US and not self._tapes[exchange].waiting:
                self._close(exchange)

    def _close(self, exchange: str) -> None:
        file = self._files.pop(exchange, None)
        if file is not None:
            file.close()


class _RawFile:
    """One file as it grows."""

    def __init__(self, home: Home, exchange: str, collector: str, opening: Opening) -> None:
        self.hour = Hour(opening.hour)
        place = directory(home, exchange, self.hour)
        place.mkdir(parents=True, exist_ok=True)
        self.path = place / f"open-{collector}-{opening.now:016d}.jsonl.zst"
        self._raw: IO[bytes] = self.path.open("xb")
        self._stream = zstandard.ZstdCompressor(level=LEVEL).stream_writer(self._raw)
        ts = opening.now / 1e6
        first = RawLine(ts=ts, dir="out", conn=exchange, kind="checkpoint", wanted=opening.wanted, image=opening.image)
        self.write(encode_raw(first))

    def write(self, line: bytes) -> None:
        self._stream.write(line)

    def flush(self) -> None:
        """What was written can be read, also after a kill."""
        self._stream.flush(zstandard.FLUSH_BLOCK)
        self._raw.flush()

    def close(self) -> None:
        self._stream.close()  # type: ignore[no-untyped-call]
        _rename(self.path)


def finish(path: Path, *, say: Callable[[str], None]) -> Path:
    """Cut the torn tail of a file that a killed process left growing, mark its end and give it its final name; says what was cut."""
    whole = path.with_name(f".tmp-{path.name}")
    last = RawLine(ts=path.stat().st_mtime, dir="out", kind="cut")
    with whole.open("wb") as file, zstandard.ZstdCompressor(level=LEVEL).stream_writer(file) as out:
        line = b""
        for line in _whole_lines(path, say):
            out.write(line)
        if line:
            out.write(encode_raw(last))
    whole.replace(path)
    return _rename(path)


def _whole_lines(path: Path, say: Callable[[str], None]) -> Iterator[bytes]:
    rest = b""
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as stream:
        while piece := stream.read(_READ_BYTES):
            *lines, rest = (rest + piece).split(b"\n")
            yield from (line + b"\n" for line in lines)
    if rest:
        say(f"raw frames {path} ended in the middle of a line: their last {len(rest)} bytes are cut")


def _rename(path: Path) -> Path:
    return path.rename(path.with_name(f"raw{path.name.removeprefix('open')}"))


_KINDS: Final[dict[str, tuple[Direction, Kind | None]]] = {
    "frame": ("in", None),
    "http": ("in", "http"),
    "connect": ("in", "connect"),
    "out": ("out", None),
    "tick": ("out", "tick"),
    "failed": ("out", "failed"),
    "stalled": ("out", "stalled"),
    "resubscribe": ("out", "resubscribe"),
    "closed": ("out", "closed"),
}
"""How each call is written. What is no incoming frame is marked outgoing, so that a reader who knows no other kinds counts it nowhere."""


def _line(noted: Noted) -> RawLine:
    direction, kind = _KINDS[noted.kind]
    failed = noted.kind == "failed"
    raw, raw_b64 = (None, None) if failed else spelled(noted.payload)
    return RawLine(
        ts=noted.now / 1e6,
        dir=direction,
        conn=noted.link.url if noted.url is None else noted.url,
        kind=kind,
        raw=raw,
        raw_b64=raw_b64,
        link=noted.link.name,
        plan=noted.about if isinstance(noted.about, ConnectionPlan) else None,
        request=noted.about if isinstance(noted.about, Request) else None,
        reason=str(noted.payload) if failed else None,
        streams=noted.streams,
        since=noted.since,
    )
