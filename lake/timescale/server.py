"""Reaching the server: connections with bounds on every wait, and attempts that are made again where that may help.

Put here: connecting, which errors are worth another attempt, and what is said of the others. Keep out: statements.

A connection has a bound on connecting, the server's own on each statement, and one on our side a little later, for a server that stands
still answers nothing at all. Passwords stay in the address: messages name host, port and database alone.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import unquote, urlsplit

import asyncpg

from lake.timescale.errors import ServerRefused, ServerUnavailable, TimescaleError, TimescaleSettingError
from lake.timescale.settings import TimescaleSettings

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection

Result = TypeVar("Result")

_OURS_LATER_SECONDS: Final = 15.0
_CLOSE_SECONDS: Final = 5.0

_PASSING: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    # What a statement meets between a server's farewell and the end of its connection; it is none of the interface's errors.
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.ObjectInUseError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.OutOfMemoryError,
)
"""A server that is away, starting, going, full, or slow: another attempt may find it well."""


def passes(error: BaseException) -> bool:
    """Whether another attempt may help. Everything else is an answer that would be the same again."""
    return isinstance(error, _PASSING) or _refreshing(error)


def _refreshing(error: BaseException) -> bool:
    """Whether a refresh of an aggregate met another one, a policy's perhaps: versions of TimescaleDB tell it under different codes."""
    if not isinstance(error, asyncpg.PostgresError):
        return False
    text = f"{error} {getattr(error, 'detail', None) or ''}".lower()
    return "refresh" in text and ("concurrent" in text or "overlap" in text)


@dataclass(frozen=True, slots=True)
class Server:
    """A server by its address, and how patiently it is asked."""

    dsn: str
    settings: TimescaleSettings

    @property
    def address(self) -> str:
        """`host:port/database`, without user and password."""
        parts = urlsplit(self.dsn)
        host = parts.hostname or "the local socket"
        try:
            port = parts.port or 5432
        except ValueError:
            raise TimescaleSettingError("the port in TICKHOUSE_TIMESCALE_DSN is none, expected a number from 1 to 65535") from None
        return f"{host}:{port}/{unquote(parts.path.lstrip('/')) or '(default database)'}"

    async def connect(self) -> Connection:
        """A connection in UTC with bounds on waiting; raises what asyncpg does, `TimescaleSettingError` for an address that is none."""
        seconds, password = self.settings.timescale_statement_seconds, self.settings.db_password
        try:
            connection: Connection = await asyncpg.connect(
                self.dsn,
                # A password beside the address may hold any character; one in the address goes first.
                password=password.get_secret_value() if password is not None and urlsplit(self.dsn).password is None else None,
                timeout=self.settings.timescale_connect_seconds,
                command_timeout=seconds + _OURS_LATER_SECONDS,
                server_settings={
                    "application_name": "tickhouse",
                    "TimeZone": "UTC",
                    "statement_timeout": f"{int(seconds * 1000)}",
                    "lock_timeout": f"{int(seconds * 1000)}",
                    "idle_in_transaction_session_timeout": f"{int((seconds + _OURS_LATER_SECONDS) * 1000)}",
                },
            )
        except (ValueError, asyncpg.ClientConfigurationError):
            # What asyncpg says of an address quotes it, password included.
            raise TimescaleSettingError(
                "TICKHOUSE_TIMESCALE_DSN cannot be understood, expected postgresql://user:password@host:port/database"
            ) from None
        return connection

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection that is closed afterwards, by force where the server does not answer."""
        connection = await self.connect()
        try:
            yield connection
        finally:
            try:
                await connection.close(timeout=_CLOSE_SECONDS)
            except _PASSING:
                connection.terminate()

    async def attempt(self, doing: str, work: Callable[[], Awaitable[Result]]) -> Result:
        """`work`, again and again while what stops it may pass; `ServerUnavailable` after the last attempt, `ServerRefused` at once."""
        for number in range(1, self.settings.timescale_attempts + 1):
            try:
                return await work()
            except TimescaleError:
                raise
            except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError) as error:
                if not passes(error):
                    raise ServerRefused(address=self.address, doing=doing, reason=said(error)) from error
                if number == self.settings.timescale_attempts:
                    raise ServerUnavailable(address=self.address, doing=doing, attempts=number, reason=said(error)) from error
            await asyncio.sleep(self._wait(number))
        raise AssertionError("attempts are at least one")

    def _wait(self, attempt: int) -> float:
        longest: float = min(self.settings.timescale_backoff_cap_seconds, self.settings.timescale_backoff_seconds * 2 ** (attempt - 1))
        return longest * random.uniform(0.5, 1.0)


def said(error: BaseException) -> str:
    """What an error says, in one line and with the server's code where it has one. asyncpg puts no password into these."""
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer in time"
    text = " ".join(str(error).split()) or type(error).__name__
    code = getattr(error, "sqlstate", None)
    return f"{text} ({code})" if code else text


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run one coroutine to its end, from code that is not asynchronous."""
    return asyncio.run(work)
