from __future__ import annotations

import asyncio

import httpx
import pytest
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosedError, InvalidStatus, InvalidURI
from websockets.http11 import Response

from collectors.classify import Verdict, classify, is_expected, is_refusal
from collectors.errors import ConfigError, ConnectionLost, FrameError, Refused, UnknownSymbol
from lake.errors import WalError


def rejected(status: int) -> InvalidStatus:
    return InvalidStatus(Response(status, "X", Headers()))


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (FrameError("kraken", "no JSON"), Verdict.RESYNC),
        (ConnectionLost("gone"), Verdict.RETRY),
        (Refused("banned"), Verdict.RETRY),
        (ConnectionClosedError(None, None), Verdict.RETRY),
        (rejected(503), Verdict.RETRY),
        (ConnectionRefusedError(), Verdict.RETRY),
        (TimeoutError(), Verdict.RETRY),
        (httpx.ReadTimeout("slow"), Verdict.RETRY),
        (KeyError("a mistake in a venue's code"), Verdict.RETRY),
        (ConfigError("wrong"), Verdict.FATAL),
        (UnknownSymbol("kraken", "X/Y", ["BTC/USD"]), Verdict.FATAL),
        (InvalidURI("nonsense", "not a URI"), Verdict.FATAL),
        (WalError("disk full"), Verdict.FATAL),
        (MemoryError(), Verdict.FATAL),
        (KeyboardInterrupt(), Verdict.FATAL),
        (asyncio.CancelledError(), Verdict.FATAL),
    ],
)
def test_each_error_has_one_verdict(error, verdict):
    assert classify(error) is verdict


def test_a_refusal_is_told_from_a_failure():
    assert [is_refusal(error) for error in (Refused("x"), rejected(451), rejected(403), rejected(503), ConnectionLost("x"))] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_only_mistakes_of_our_own_are_logged_with_their_traceback():
    assert is_expected(ConnectionResetError())
    assert is_expected(rejected(503))
    assert not is_expected(KeyError("x"))
