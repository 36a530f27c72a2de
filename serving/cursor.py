"""Cursors of paging: where a page ended, as text that says nothing to its reader.

Put here: what is in a cursor, and whether it fits a request. Keep out: SQL (`serving.tables`).

A cursor holds the key of the last row, how many rows of just that key were given, and the range as it stood with the first page: rows
that land meanwhile neither repeat nor move any row of later pages.
"""

from __future__ import annotations

import binascii
import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

import msgspec

from serving.errors import BadRequest

Value = str | int | float | bool | None
_LONGEST: Final = 2000


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ended. `request` fingerprints what was asked, `start` and `end` are microseconds."""

    request: str
    start: int
    end: int
    key: list[Value]
    repeated: int

    def encode(self) -> str:
        """As text for a URL."""
        return urlsafe_b64encode(msgspec.json.encode(self)).decode("ascii").rstrip("=")


def fingerprint(*asked: object) -> str:
    """A short text that differs where the request differs."""
    return hashlib.blake2b(repr(asked).encode("utf-8", "backslashreplace"), digest_size=6).hexdigest()


def decode(text: str, *, request: str) -> Cursor:
    """The cursor a page gave for the same request. Raises `BadRequest` where it is none."""
    wrong = BadRequest("cursor is not one that this request has given, expected the `next` of its last page, unchanged")
    if len(text) > _LONGEST or not text.isascii():
        raise wrong
    try:
        cursor = msgspec.json.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=Cursor)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise wrong from None
    if cursor.request != request or not 0 <= cursor.start <= cursor.end or cursor.repeated < 0:
        raise wrong
    return cursor
