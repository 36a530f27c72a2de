"""A TCP proxy on this machine that can be cut, shut and made to swallow: how networks and servers fail, as a client sees it."""

from __future__ import annotations

import asyncio
import threading
from typing import Self


class TcpProxy:
    """Forwards every connection on a local port to another server; its event loop runs in a thread of its own."""

    def __init__(self, host: str, port: int) -> None:
        self.carried = 0
        """Bytes that clients have sent to the server, over all connections."""
        self.opened = 0
        """Connections that clients have opened, those that were refused among them."""
        self.dropped = 0
        """Connections that stood when they were cut."""
        self.port = 0
        self._target = (host, port)
        self._cut_at: int | None = None
        self._shut = False
        self._hushed = False
        self._clients: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._stopping: asyncio.Event | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._stopping is not None
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(30)
        self._loop.close()

    def cut(self) -> None:
        """Drop every connection without a word."""
        self._loop.call_soon_threadsafe(self._abort)

    def cut_after(self, bytes_: int) -> None:
        """Drop every connection once this many more bytes have gone to the server: in the middle of whatever they are."""
        self._cut_at = self.carried + bytes_

    def shut(self) -> None:
        """Drop every connection, and those that come, until `open`."""
        self._shut = True
        self.cut()

    def hush(self) -> None:
        """Go on accepting, and swallow everything, until `open`: a host that went away without a word."""
        self._hushed = True

    def open(self) -> None:
        """Let everything through again."""
        self._shut = self._hushed = False

    def _abort(self) -> None:
        self.dropped += len(self._clients)
        for client in list(self._clients):
            client.transport.abort()
        self._clients.clear()

    async def _run(self) -> None:
        self._stopping = asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._pass(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(accepted, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopping.wait()
        server.close()
        self._abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        self.opened += 1
        if self._shut:
            client.transport.abort()
            return
        try:
            answers, server = await asyncio.open_connection(*self._target)
        except OSError:
            client.transport.abort()
            return
        self._clients.add(client)
        ways = [
            asyncio.ensure_future(each) for each in (self._copy(reader, server, counted=True), self._copy(answers, client, counted=False))
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._clients.discard(client)
            client.transport.abort()
            server.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counted: bool) -> None:
        while data := await reader.read(65_536):
            if counted:
                self.carried += len(data)
                if self._cut_at is not None and self.carried >= self._cut_at:
                    self._cut_at = None
                    self._abort()
                    return
            if not self._hushed:
                writer.write(data)
                await writer.drain()
