"""Discord webhooks: a message as an embed, and what their answers mean.

Put here: the payload, its limits, the reading of answers. Keep out: trying again (`delivering`). The address is the secret: it is
given to the client and to no text.
"""

from __future__ import annotations

import json
import logging
import math
from typing import Any, Final

import httpx

from orchestration.alerting.errors import ChannelBusy, ChannelError, ChannelRefused, ChannelUnavailable, ChannelUncertain
from orchestration.alerting.messages import Message

COLOURS: Final = {"LOW": 0x3498DB, "MEDIUM": 0xF1C40F, "HIGH": 0xE67E22, "CRITICAL": 0xE74C3C}
TIMEOUT_SECONDS: Final = 10.0
DEFAULT_WAIT_SECONDS: Final = 1.0
"""Waited after a 429 that does not say how long."""

# https://discord.com/developers/docs/resources/message#embed-object-embed-limits
_TITLE: Final = 256
_TEXT: Final = 3500
_FIELDS: Final = 25
_FIELD_NAME: Final = 256
_FIELD_VALUE: Final = 200
"""Discord allows 1024, but 6000 in all: text and every field together stay below that."""
_IN_ALL: Final = 5800


class DiscordChannel:
    """One webhook. `url` never leaves the client; the channel is known by its `name`."""

    def __init__(self, name: str, url: str, *, timeout: float = TIMEOUT_SECONDS) -> None:
        self.name = name
        # httpx logs the whole address of each request at info, httpcore its path at debug.
        for library in ("httpx", "httpcore"):
            logging.getLogger(library).setLevel(logging.WARNING)
        self._url = httpx.URL(url)
        self._client = httpx.Client(timeout=timeout, headers={"user-agent": "tickhouse"})

    def __repr__(self) -> str:
        return f"DiscordChannel({self.name!r})"

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def send(self, message: Message) -> None:
        """Post it and wait until Discord says that it is kept.

        Raises `ChannelBusy` (429), `ChannelRefused` (any other 4xx), `ChannelUnavailable` (not connected) or `ChannelUncertain` (5xx, or no
        answer).
        """
        try:
            answer = self._client.post(self._url, params={"wait": "true"}, json=payload(message))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
            # The names of these errors say it all; their texts may hold the address.
            raise ChannelUnavailable(self.name, f"no connection ({type(error).__name__})") from None
        except httpx.TransportError as error:
            raise ChannelUncertain(self.name, f"no answer ({type(error).__name__})") from None
        if not answer.is_success:
            raise _trouble(self.name, answer)


def _trouble(name: str, answer: httpx.Response) -> ChannelError:
    """What an answer other than success means."""
    status = answer.status_code
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return ChannelBusy(name, seconds=_wait(answer))
    if status >= 500 or status == httpx.codes.REQUEST_TIMEOUT:
        return ChannelUncertain(name, f"status {status}")
    return ChannelRefused(name, f"status {status}{_said(answer)}, expected 200")


def _wait(answer: httpx.Response) -> float:
    """The longest that body and headers ask for: the header is rounded, and names the shared limit that the body may not."""
    asked = [answer.headers.get("retry-after"), answer.headers.get("x-ratelimit-reset-after"), _body(answer).get("retry_after")]
    return max((seconds for each in asked if (seconds := _seconds(each)) is not None), default=DEFAULT_WAIT_SECONDS)


def _seconds(asked: Any) -> float | None:
    try:
        seconds = float(asked)
    except (TypeError, ValueError):
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _said(answer: httpx.Response) -> str:
    """Discord's own word and its code; nothing else of a body is repeated."""
    body = _body(answer)
    code, word = body.get("code"), body.get("message")
    return f" ({' '.join(str(word).split())[:100]}, code {code})" if word is not None else ""


def _body(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def payload(message: Message) -> dict[str, Any]:
    """The message as Discord takes it: one embed within all its limits, and nobody is mentioned whatever it says."""
    title, text = _cut(message.heading, _TITLE), _cut(message.text, _TEXT)
    footer = message.footer
    left = _IN_ALL - len(title) - len(text) - len(footer)
    fields: list[dict[str, Any]] = []
    marked = (("retry", "this message may have arrived before"),) if message.retry else ()
    for name, value in (*marked, *message.fields)[:_FIELDS]:
        shown = {"name": _cut(name or "-", _FIELD_NAME), "value": _cut(value or "-", _FIELD_VALUE), "inline": len(value) <= 40}
        left -= len(str(shown["name"])) + len(str(shown["value"]))
        if left < 0:
            break
        fields.append(shown)
    embed = {
        "title": title,
        "description": text,
        "color": COLOURS.get(message.severity, COLOURS["MEDIUM"]),
        "fields": fields,
        "timestamp": message.at.isoformat(),
        "footer": {"text": footer},
    }
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
