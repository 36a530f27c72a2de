"""Every error `serving` raises, as one tree; each says in one sentence what was received and what is expected.

Put here: errors, and which HTTP status and code each answers with. Keep out: how they are sent (`serving.answers`).

ServingError
├── ServingRefused      the server must not start so
├── BadRequest          400: a parameter that cannot be understood
├── Unauthorized        401: no token, or a wrong one
├── Forbidden           403: asked from another site
├── NotFound            404: what is asked for does not exist
├── NotAcceptable       406: none of the formats named by Accept
├── Conflict            409: a replay that cannot do this now
├── TooExpensive        422: the statement took longer than allowed
├── TooMany             429: too many requests, subscriptions or replays
└── ClientError         the Python client was told no
"""

from __future__ import annotations

from typing import ClassVar


class ServingError(Exception):
    """Root of everything this package raises."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "error"


class ServingRefused(ServingError):
    """The server must not start so."""


class BadRequest(ServingError):
    """A parameter that cannot be understood."""

    code = "bad_request"


class Unauthorized(ServingError):
    """No token, or a wrong one."""

    status = 401
    code = "unauthorized"


class Forbidden(ServingError):
    """Asked from another site."""

    status = 403
    code = "forbidden"


class NotFound(ServingError):
    """What is asked for does not exist."""

    status = 404
    code = "not_found"


class NotAcceptable(ServingError):
    """None of the formats named by Accept can be sent."""

    status = 406
    code = "not_acceptable"


class Conflict(ServingError):
    """A replay that cannot do this in the state it is in."""

    status = 409
    code = "conflict"


class TooExpensive(ServingError):
    """The statement took longer than allowed, or cannot be computed."""

    status = 422
    code = "too_expensive"


class TooMany(ServingError):
    """Too many requests, subscriptions or replays; `retry_after` in seconds where waiting helps."""

    status = 429
    code = "too_many"

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class ClientError(ServingError):
    """The server answered the Python client with an error."""

    def __init__(self, message: str, *, answered: int | None = None) -> None:
        self.answered = answered
        super().__init__(message)
