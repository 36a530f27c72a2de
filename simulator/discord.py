"""Discord's webhooks, pretended: takes messages, writes down each, and answers well or badly as it is told.

What belongs here: `POST /api/webhooks/ID/TOKEN` and its answers, and the ledger of what was sent. What does not: any other part of Discord.

    python -m simulator.discord --port 0 --ledger FILE

prints one JSON line with the address, then serves until SIGTERM. `POST /control` with `{"answers": [429, 500, "hang", "cut"],
"retry_after": 0.3, "delay": 0.1}` says how the next requests are answered: with a status, not at all, or by taking the message and
closing the connection.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

LONGEST_HANG_S = 120.0


@dataclass(slots=True)
class Posted:
    """One request: unix seconds of its arrival, path, JSON body, and the status it was answered with (0: not answered)."""

    at: float
    path: str
    body: dict[str, Any]
    status: int


@dataclass(slots=True)
class Orders:
    """How the next requests are answered, in order; after them all is well. `delay` seconds lie before each answer."""

    answers: deque[int | str] = field(default_factory=deque)
    retry_after: float = 0.3
    delay: float = 0.0


class Discord(ThreadingHTTPServer):
    """Serves on this machine from `start` to `close`; `posted` holds all requests, `taken` those that a reader of the channel sees."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int = 0, *, ledger: Path | None = None) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.orders = Orders()
        self.posted: list[Posted] = []
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._ledger = ledger.open("a", encoding="utf-8") if ledger is not None else None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def webhook(self, token: str | None = None, *, channel: int = 1) -> str:
        """A webhook's address; any token will do."""
        return f"{self.address}/api/webhooks/{channel}/{token or 'simulated'}"

    @property
    def taken(self) -> list[Posted]:
        """Requests whose message was kept: answered with success, or cut off after it was kept."""
        with self._lock:
            return [each for each in self.posted if each.status in {0, 200, 204}]

    def start(self) -> None:
        """Serve in a thread."""
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, let hanging answers go, close the ledger."""
        self.closing.set()
        if self._thread is not None:
            self.shutdown()
            self._thread.join()
        self.server_close()
        if self._ledger is not None:
            self._ledger.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Senders are killed while they wait: that is no news; anything else is printed."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def next_answer(self) -> int | str:
        """What the next request is answered with."""
        with self._lock:
            return self.orders.answers.popleft() if self.orders.answers else 200

    def keep(self, posted: Posted) -> None:
        """Write a request down."""
        with self._lock:
            self.posted.append(posted)
            if self._ledger is not None:
                line = {"at": posted.at, "path": posted.path, "body": posted.body, "status": posted.status}
                self._ledger.write(json.dumps(line) + "\n")
                self._ledger.flush()

    def obey(self, orders: dict[str, Any]) -> None:
        """Take orders of `/control`."""
        with self._lock:
            self.orders.answers.extend(orders.get("answers", ()))
            self.orders.retry_after = float(orders.get("retry_after", self.orders.retry_after))
            self.orders.delay = float(orders.get("delay", self.orders.delay))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Discord

    def do_POST(self) -> None:
        arrived = time.time()
        length = int(self.headers.get("content-length", "0"))
        text = self.rfile.read(length)
        if len(text) < length:
            # The sender was killed between headers and body: no message came, and nobody hears an answer.
            self.close_connection = True
            return
        body = json.loads(text or b"{}")
        path = self.path.partition("?")[0]
        if path == "/control":
            self.server.obey(body)
            self._answer(200, {"ok": True})
            return
        if not path.startswith("/api/webhooks/") or not isinstance(body, dict):
            self._answer(404, {"message": "404: Not Found", "code": 0})
            return
        wanted = self.server.next_answer()
        if self.server.orders.delay:
            self.server.closing.wait(self.server.orders.delay)
        if not isinstance(wanted, int):
            # Cut: the message stands in the channel, and the sender hears nothing of it. Hang: neither.
            self.server.keep(Posted(arrived, path, body, 0 if wanted == "cut" else -1))
            if wanted == "hang":
                self.server.closing.wait(LONGEST_HANG_S)
            self.close_connection = True
            return
        self.server.keep(Posted(arrived, path, body, wanted))
        if wanted == 429:
            wait = self.server.orders.retry_after
            self._answer(429, {"message": "You are being rate limited.", "retry_after": wait, "global": False}, wait=wait)
        elif wanted >= 400:
            self._answer(
                wanted, {"message": "Unknown Webhook" if wanted == 404 else "simulated trouble", "code": 10015 if wanted == 404 else 0}
            )
        else:
            self._answer(200, {"id": str(len(self.server.posted)), "type": 0, **body})

    def _answer(self, status: int, body: dict[str, Any], *, wait: float | None = None) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        if wait is not None:
            # Whole seconds, as proxies send it; the body says it exactly.
            self.send_header("Retry-After", str(int(wait)))
        self.end_headers()
        try:
            self.wfile.write(text)
        except (BrokenPipeError, ConnectionResetError):
            # The sender was killed while it waited.
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Nothing: requests stand in the ledger."""


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m simulator.discord", description="Pretends to be Discord's webhooks.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--ledger", type=Path, default=None, help="file that gets one JSON line a request")
    options = parser.parse_args(arguments)
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    server = Discord(options.port, ledger=options.ledger)
    server.start()
    sys.stdout.write(json.dumps({"ready": True, "address": server.address}) + "\n")
    sys.stdout.flush()
    stop.wait()
    server.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
