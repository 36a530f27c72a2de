"""JSON over HTTP for sources that have no library: paced GETs that are tried again where that may help.

Put here: status codes, Retry-After, time-outs, the pace. Keep out: what is asked and what the answers mean.
"""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, Self

import httpx

from sources.errors import SourceRefused
from sources.retrying import RetryPolicy, TryAgain

TIMEOUT_SECONDS: Final = 30.0
_TRANSIENT: Final = frozenset({408, 425, 429})


class JsonClient:
    """GETs of one source. `headers` may hold a key: they are sent, and never told.

    `pause` seconds lie between the starts of two requests; `before` is called ahead of each, tries included.
    """

    def __init__(
        self,
        source: str,
        base_url: str,
        *,
        headers: Mapping[str, str],
        retry: RetryPolicy,
        pause: float = 0.0,
        least_wait_429: float = 0.0,
        before: Callable[[], None] = lambda: None,
    ) -> None:
        self.source = source
        self._retry = retry
        self._pause = pause
        self._least_wait_429 = least_wait_429
        self._before = before
        self._next = 0.0
        self._client = httpx.Client(
            base_url=base_url.rstrip("/"),
            headers={"accept": "application/json", "user-agent": "tickhouse", **headers},
            timeout=TIMEOUT_SECONDS,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *trouble: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str, params: Mapping[str, str | int]) -> bytes:
        """The body of a 200 answer.

        Raises `SourceRefused` for an answer that will not change, `SourceUnavailable` after the last attempt, and what `before` raises.
        """
        return self._retry.run(lambda: self._attempt(path, params), what=f"{self.source} {path}")

    def _attempt(self, path: str, params: Mapping[str, str | int]) -> bytes:
        self._before()
        delay = self._next - time.monotonic()
        if delay > 0:
            self._retry.sleep(delay)
        self._next = time.monotonic() + self._pause
        try:
            answer = self._client.get(path, params=dict(params))
        except httpx.TransportError as error:
            raise TryAgain(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__) from None
        if answer.status_code == httpx.codes.OK:
            return answer.content
        if answer.status_code in _TRANSIENT or answer.status_code >= 500:
            limited = answer.status_code == httpx.codes.TOO_MANY_REQUESTS
            raise TryAgain(f"status {answer.status_code}", wait=retry_after(answer), least=self._least_wait_429 if limited else 0.0)
        said = " ".join(answer.text.split())[:200]
        raise SourceRefused(f"{self.source} {path} answered with status {answer.status_code} ({said}), expected 200")


def retry_after(answer: httpx.Response) -> float | None:
    """Seconds an answer asks to wait, or None where it does not say."""
    given = answer.headers.get("retry-after", "").strip()
    if not given:
        return None
    try:
        return float(given)
    except ValueError:
        pass
    try:
        moment = email.utils.parsedate_to_datetime(given)
    except ValueError:
        return None
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
