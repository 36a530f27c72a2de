"""Instruments from a real local REST server, and from the cache once it is gone."""

from __future__ import annotations

import asyncio
import json

import pytest

from collectors.backoff import BackoffPolicy
from collectors.errors import ConnectionLost, FrameError
from collectors.http import RestClient
from collectors.instruments import InstrumentList, cache_path, fetch
from collectors.venue import HttpGet, Instrument, Limits
from lake.paths import Home

LIMITS = Limits(connects=1, connects_per_seconds=1, rest_weight=1000, rest_weight_per_seconds=1)
FAST = BackoffPolicy(first_seconds=0.001, cap_seconds=0.002)


class Toy:
    exchange = "toy"

    def instrument_requests(self, endpoints, markets):
        return [HttpGet(url=f"{endpoints['rest']}/{market}", purpose="instruments") for market in markets]

    def parse_instruments(self, request, body):
        market = request.url.rpartition("/")[2]
        try:
            names = json.loads(body)
        except ValueError as error:
            raise FrameError("toy", str(error)) from error
        return [Instrument(exchange="toy", symbol=f"{name}/USDT", native=name, market=market, base=name, quote="USDT") for name in names]


async def ask(home: Home, body: bytes | None, *, now: int, markets: list[str]) -> InstrumentList:
    """Fetch from a server that answers `body`, or that is gone for None."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body or b"") + (body or b""))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    endpoints = {"rest": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"}
    if body is None:
        server.close()
    async with server, RestClient("toy", LIMITS, timeout=1, backoff=FAST) as rest:
        return await fetch(Toy(), endpoints, markets, rest=rest, home=home, now=now)


def test_an_answer_is_used_and_kept_by_market(tmp_path):
    found = asyncio.run(ask(Home(tmp_path), b'["BTC", "ETH"]', now=5, markets=["spot", "usdm"]))

    assert found.stale_since is None
    assert set(found.instruments) == {"BTC/USDT", "ETH/USDT"}
    assert cache_path(Home(tmp_path), "toy", "spot").exists()
    assert cache_path(Home(tmp_path), "toy", "usdm").exists()


@pytest.mark.parametrize("body", [None, b"<html>maintenance</html>"])
def test_while_the_rest_is_down_the_cache_answers_and_says_how_old_it_is(tmp_path, body):
    home = Home(tmp_path)
    asyncio.run(ask(home, b'["BTC"]', now=5, markets=["spot"]))

    found = asyncio.run(ask(home, body, now=99, markets=["spot"]))

    assert set(found.instruments) == {"BTC/USDT"}
    assert found.instruments["BTC/USDT"].native == "BTC"
    assert found.stale_since == 5
    assert "toy" in found.failure


def test_without_a_cache_the_failure_is_raised(tmp_path):
    with pytest.raises(ConnectionLost, match="toy gave no instruments"):
        asyncio.run(ask(Home(tmp_path), None, now=1, markets=["spot"]))


def test_a_cache_of_another_market_does_not_do(tmp_path):
    asyncio.run(ask(Home(tmp_path), b'["BTC"]', now=5, markets=["spot"]))

    with pytest.raises(ConnectionLost):
        asyncio.run(ask(Home(tmp_path), None, now=9, markets=["spot", "usdm"]))


def test_a_torn_cache_file_is_no_cache(tmp_path):
    home = Home(tmp_path)
    asyncio.run(ask(home, b'["BTC"]', now=5, markets=["spot"]))
    path = cache_path(home, "toy", "spot")
    path.write_bytes(path.read_bytes()[:20])

    with pytest.raises(ConnectionLost):
        asyncio.run(ask(home, None, now=9, markets=["spot"]))


def test_an_empty_list_is_never_kept(tmp_path):
    with pytest.raises(ConnectionLost, match="toy listed no instrument of market 'spot'"):
        asyncio.run(ask(Home(tmp_path), b"[]", now=5, markets=["spot"]))
    assert not cache_path(Home(tmp_path), "toy", "spot").exists()
