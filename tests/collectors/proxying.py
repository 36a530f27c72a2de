"""A TCP proxy in front of the simulator, so that single sockets can be cut or silenced while the others stay."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(eq=False)
class Passage:
    """One WebSocket that goes through, by the path it was opened with."""

    path: str
    client: asyncio.StreamWriter
    opened: float = field(default_factory=time.monotonic)
    hushed: bool = False
    """True while what the venue says on it is dropped."""


class Proxy:
    """Forwards every connection on a local port to another one; its event loop runs in a thread of its own."""

    def __init__(self, port: int) -> None:
        self.passages: list[Passage] = []
        """WebSockets that stand, oldest first."""
        self.opened: list[float] = []
        """When each WebSocket was opened, of `time.monotonic`."""
        self._target = port
        self._loop = asyncio.new_event_loop()
        self._stopping: asyncio.Event | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))
        self._thread.start()
        assert self._ready.wait(10)

    def through(self, endpoints: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
        """The simulator's endpoints by way of this proxy."""
        before, after = f":{self._target}/", f":{self.port}/"
        return {name: {key: url.replace(before, after) for key, url in urls.items()} for name, urls in endpoints.items()}

    def cut(self, passage: Passage) -> None:
        """Drop one socket without a closing handshake."""
        self._loop.call_soon_threadsafe(passage.client.transport.abort)

    def stop(self) -> None:
        if self._stopping is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(10)
            self._loop.close()
            self._stopping = None

    async def _run(self) -> None:
        self._stopping = asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._pass(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(accepted, "127.0.0.1", 0)
        self.port: int = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopping.wait()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        try:
            venue_reader, venue = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            client.transport.abort()
            return
        passage: Passage | None = None
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"websocket" in head.lower():
                passage = Passage(head.split()[1].decode(), client)
                self.passages.append(passage)
                self.opened.append(passage.opened)
            venue.write(head)
            ways = [asyncio.ensure_future(each) for each in (_copy(reader, venue, None), _copy(venue_reader, client, passage))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            if passage is not None:
                self.passages.remove(passage)
            client.close()
            venue.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passage: Passage | None) -> None:
    while data := await reader.read(65_536):
        if passage is None or not passage.hushed:
            writer.write(data)
            await writer.drain()
