"""How every answer of the API looks: tables with their headers, and errors in one shape.

Put here: responses and the handlers of errors. Keep out: what is answered.
"""

from __future__ import annotations

import math
from typing import Any, Final

import pyarrow as pa
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from lake.errors import LakeError
from serving import render
from serving.errors import ServingError, TooMany

NEXT: Final = "Tickhouse-Next"
"""Header with the cursor of the next page, whatever the format."""


class ErrorBody(BaseModel):
    """What went wrong."""

    code: str = Field(description="One word for programs.")
    message: str = Field(description="One sentence: what was received, what is expected.")


class ErrorAnswer(BaseModel):
    """Every error looks like this."""

    error: ErrorBody


def error_response(status: int, code: str, message: str, *, headers: dict[str, str] | None = None) -> Response:
    """An error in the one shape."""
    body = ErrorAnswer(error=ErrorBody(code=code, message=message)).model_dump_json()
    return Response(body, status, headers=headers, media_type=render.JSON)


def refused(error: ServingError) -> Response:
    """The response to one of our errors."""
    headers = {}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, TooMany) and error.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after))
    return error_response(error.status, error.code, str(error), headers=headers)


def table_response(table: pa.Table, media: str, *, following: str | None = None, more: dict[str, Any] | None = None) -> Response:
    """Rows in a format, with the cursor of the next page (None: there is none)."""
    beside = {"next": following, **(more or {})}
    headers = {NEXT: following} if following else {}
    headers["Vary"] = "Accept"
    return Response(render.written(table, media, more=beside), headers=headers, media_type=media)


async def _ours(_: Request, error: Exception) -> Response:
    assert isinstance(error, ServingError)
    return refused(error)


async def _lake(_: Request, error: Exception) -> Response:
    return error_response(422, "lake", str(error))


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    received = repr(first.get("input"))[:60]
    return error_response(400, "bad_request", f"{where} is {received}, expected otherwise: {first['msg'].lower()}")


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentences = {404: "there is nothing at this address, see /docs for what there is", 405: "this address does not take this method"}
    headers = dict(error.headers) if error.headers else None
    return error_response(
        error.status_code,
        "bad_request" if error.status_code == 400 else f"http_{error.status_code}",
        sentences.get(error.status_code, str(error.detail)),
        headers=headers,
    )


def install(app: FastAPI) -> None:
    """Make every error of the application one sentence in one shape."""
    app.add_exception_handler(ServingError, _ours)
    app.add_exception_handler(LakeError, _lake)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
