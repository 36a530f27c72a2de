"""Where a backup lies: contents by their hash, and snapshots that say which content stood under which name.

Put here: putting contents in, taking them out, and what may go. Keep out: what of a home belongs into a snapshot (`lake.backup`).

`<dir>/objects/ab/<sha256>` and `<dir>/snapshots/<instant>.json`. Everything appears by rename, a snapshot last of all: a backup that is
killed leaves contents without a snapshot and `unfinished.jsonl`, from which the next one goes on.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from secrets import token_hex
from typing import IO, Final

from lake import files
from lake.errors import BackupError

FORMAT: Final = 1
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Content:
    """Some bytes, by what they are."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a home held at an instant (microseconds): contents by path relative to the home."""

    name: str
    taken_at: int
    contents: dict[str, Content]

    @property
    def bytes(self) -> int:
        """Bytes of all its files."""
        return sum(content.size for content in self.contents.values())


@dataclass(frozen=True, slots=True)
class Store:
    """A directory of backups."""

    root: Path

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the only one that writes, after waiting for another. Raises `BackupError` for a directory that is not ours or not writable."""
        about = self.root / "backup.json"
        try:
            if self.root.exists() and not about.exists() and any(self.root.iterdir()):
                raise BackupError(f"{self.root} holds other things than backups, expected an empty directory or one with backup.json")
            if not about.exists():
                files.write_small(about, json.dumps({"format": FORMAT}) + "\n")
            self.check()
            with files.locked(self.root / "lock"):
                yield
        except OSError as error:
            raise BackupError(f"backup in {self.root} failed: {error.strerror or error} ({error.filename})") from error

    def check(self) -> None:
        """Raise `BackupError` where there is no backup, or one of a newer version."""
        try:
            found = json.loads((self.root / "backup.json").read_text(encoding="utf-8"))["format"]
        except FileNotFoundError:
            raise BackupError(f"{self.root} holds no backup, expected a directory with backup.json") from None
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise BackupError(f"{self.root / 'backup.json'} cannot be read: {error}") from error
        if found != FORMAT:
            raise BackupError(f"the backup in {self.root} has format {found!r}, supported is {FORMAT}")

    def object(self, content: Content) -> Path:
        """Where the bytes lie."""
        return self.root / "objects" / content.sha256[:2] / content.sha256

    def holds(self, content: Content) -> bool:
        """Whether the bytes are there, by their length."""
        try:
            return self.object(content).stat().st_size == content.size
        except FileNotFoundError:
            return False

    def put(self, source: Path) -> tuple[Content, int]:
        """Take in a file as long as it is now; returns its content and how many bytes were new. `FileNotFoundError` if it is gone."""
        directory = self.root / "objects"
        directory.mkdir(parents=True, exist_ok=True)
        temporary = directory / f"{files.TEMPORARY}{os.getpid()}-{token_hex(6)}"
        try:
            with source.open("rb") as reader, temporary.open("xb") as writer:
                content = _copy(reader, writer, limit=os.fstat(reader.fileno()).st_size)
            if self.holds(content):
                return content, 0
            target = self.object(content)
            target.parent.mkdir(exist_ok=True)
            temporary.replace(target)
            return content, content.size
        finally:
            temporary.unlink(missing_ok=True)

    def take_out(self, content: Content, target: Path) -> None:
        """Let a file appear with these bytes, every one of them looked at. Raises `BackupError` where they are gone or have changed."""
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f"{files.TEMPORARY}{os.getpid()}-{token_hex(6)}")
        try:
            with self.object(content).open("rb") as reader, temporary.open("xb") as writer:
                found = _copy(reader, writer)
            if found != content:
                raise BackupError(_changed(self.object(content), found, content))
            temporary.replace(target)
        except FileNotFoundError as error:
            raise BackupError(f"{error.filename} is gone, expected {content.size:,} bytes for {target}") from error
        finally:
            temporary.unlink(missing_ok=True)

    def damaged(self, content: Content) -> str | None:
        """What is wrong with some bytes, as a sentence, after reading all of them."""
        try:
            with self.object(content).open("rb") as reader:
                found = _copy(reader, None)
        except OSError as error:
            return f"{self.object(content)} cannot be read: {error.strerror}"
        return None if found == content else _changed(self.object(content), found, content)

    def names(self) -> list[str]:
        """Names of the snapshots, oldest first."""
        return [name.removesuffix(".json") for name in files.names(self.root / "snapshots") if name.endswith(".json")]

    def read(self, name: str | None = None) -> Snapshot:
        """A snapshot, by default the newest. Raises `BackupError`."""
        self.check()
        names = self.names()
        if not names:
            raise BackupError(f"{self.root} holds no finished backup")
        if name is not None and name not in names:
            raise BackupError(f"there is no snapshot {name!r} in {self.root}, expected one of {', '.join(names)}")
        path = self.root / "snapshots" / f"{name or names[-1]}.json"
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            contents = {_inside(each): Content(int(size), str(sha256)) for each, size, sha256 in found["files"]}
            return Snapshot(path.stem, int(found["taken_at"]), contents)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BackupError(f"snapshot {path} cannot be read: {error}") from error

    def write(self, taken_at: int, contents: dict[str, Content]) -> Snapshot:
        """Finish a backup: the snapshot appears, and what was noted of it as unfinished goes."""
        name = datetime.fromtimestamp(taken_at / 1_000_000, UTC).strftime("%Y-%m-%dT%H-%M-%S.%fZ")
        path = self.root / "snapshots" / f"{name}.json"
        listed = [[each, content.size, content.sha256] for each, content in sorted(contents.items())]
        files.write_small(path, json.dumps({"format": FORMAT, "taken_at": taken_at, "files": listed}) + "\n")
        files.sync(path)
        files.sync(path.parent)
        files.remove(self.root / "unfinished.jsonl")
        return Snapshot(name, taken_at, contents)

    def unfinished(self) -> dict[str, Content]:
        """What a backup that was killed had taken in, by path; a torn last line is left out."""
        path = self.root / "unfinished.jsonl"
        found: dict[str, Content] = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
            try:
                name, size, sha256 = json.loads(line)
            except ValueError:
                continue
            found[name] = Content(size, sha256)
        return found

    @contextmanager
    def noting(self) -> Iterator[Notes]:
        """Note contents of the backup that is being made."""
        with (self.root / "unfinished.jsonl").open("a", encoding="utf-8") as file:
            # After a torn line the next one begins anew.
            file.write("\n")
            yield Notes(file)

    def forget(self, keep: int) -> tuple[int, int]:
        """Remove all but the newest snapshots, then contents nobody names; returns how many snapshots and bytes went."""
        gone = self.names()[:-keep]
        for name in gone:
            files.remove(self.root / "snapshots" / f"{name}.json")
        named = {content.sha256 for name in self.names() for content in self.read(name).contents.values()}
        freed = 0
        for path in sorted((self.root / "objects").glob("*/*")):
            if path.name not in named:
                freed += path.stat().st_size
                files.remove(path)
        return len(gone), freed


@dataclass(frozen=True, slots=True)
class Notes:
    """What has been taken in so far, one line each."""

    file: IO[str]

    def add(self, name: str, content: Content) -> None:
        self.file.write(json.dumps([name, content.size, content.sha256]) + "\n")
        self.file.flush()


def _inside(name: str) -> str:
    """A path below the home and nowhere else, whoever wrote the snapshot."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or str(path) != name:
        message = f"it names {name!r}, expected a path below the home"
        raise ValueError(message)
    return name


def _changed(path: Path, found: Content, expected: Content) -> str:
    return f"{path} holds {found.size:,} bytes with hash {found.sha256[:12]}…, expected {expected.size:,} bytes with its own name"


def _copy(reader: IO[bytes], writer: IO[bytes] | None, *, limit: int | None = None) -> Content:
    """Bytes of the reader, at most `limit`, which are on the medium when this returns."""
    digest = hashlib.sha256()
    size = 0
    while chunk := reader.read(_CHUNK if limit is None else min(_CHUNK, limit - size)):
        digest.update(chunk)
        size += len(chunk)
        if writer is not None:
            writer.write(chunk)
    if writer is not None:
        writer.flush()
        os.fsync(writer.fileno())
    return Content(size, digest.hexdigest())
