"""All replays of a server, by id.

Put here: making, finding and forgetting them. Keep out: how one runs (`serving.session`).
"""

from __future__ import annotations

import secrets
import time

from serving.errors import NotFound, TooMany
from serving.reader import Reader
from serving.replay import Script
from serving.session import Session
from serving.settings import ServingSettings


class Replays:
    """Sessions by id; those nobody touched for long are removed when another is asked for."""

    def __init__(self, reader: Reader, settings: ServingSettings) -> None:
        self._reader = reader
        self._settings = settings
        self._sessions: dict[str, Session] = {}

    async def create(self, script: Script, *, speed: float | None) -> tuple[str, Session]:
        """A new session and its id. Raises `TooMany`."""
        await self._forget()
        if len(self._sessions) >= self._settings.replay_sessions:
            raise TooMany(f"{len(self._sessions)} replays exist, expected at most {self._settings.replay_sessions}: stop one first")
        number = secrets.token_hex(8)
        self._sessions[number] = session = Session(self._reader, script, speed=speed)
        return number, session

    def get(self, number: str) -> Session:
        """The session of an id. Raises `NotFound`."""
        try:
            return self._sessions[number]
        except KeyError:
            raise NotFound(f"replay {number[:40]!r} does not exist, expected the id of one that was created and not stopped") from None

    def all(self) -> dict[str, Session]:
        """Every session."""
        return dict(self._sessions)

    async def remove(self, number: str) -> Session:
        """Stop a session and forget it. Raises `NotFound`."""
        session = self.get(number)
        del self._sessions[number]
        await session.close()
        return session

    async def close(self) -> None:
        """Stop all."""
        for number in [*self._sessions]:
            await self.remove(number)

    async def _forget(self) -> None:
        old = time.monotonic() - self._settings.replay_idle_seconds
        for number, session in self.all().items():
            if session.touched < old:
                await self.remove(number)
