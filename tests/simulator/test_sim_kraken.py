"""Kraken over real sockets: checksums, windows of every depth, acknowledgements, heartbeats, REST."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.book import Book
from simulator.market import Market
from simulator.venues.kraken import catalogue, frames
from simulator.window import Window

START = 1_763_700_000_000_000
# The venue's documented example: ten asks, ten bids, 3310070434.
ASKS = "45285.2 0.00100000, 45286.4 1.54571953, 45286.6 1.54571109, 45289.6 1.54560911, 45290.2 0.15890660, 45291.8 1.54553491, 45294.7 0.04454749, 45296.1 0.35380000, 45297.5 0.09945542, 45299.5 0.18772827"
BIDS = "45283.5 0.10000000, 45283.4 1.54582015, 45282.1 0.10000000, 45281.0 0.10000000, 45280.3 1.54592586, 45279.0 0.07990000, 45277.6 0.03310103, 45277.5 0.30000000, 45277.3 1.54602737, 45276.6 0.15445238"


def decode(text: Any) -> Any:
    return json.loads(text, parse_float=Decimal)


def test_documented_checksum_vector() -> None:
    book = Book()
    for side, text in ((book.asks, ASKS), (book.bids, BIDS)):
        for level in text.split(", "):
            price, amount = map(Decimal, level.split())
            side.set(side.sign * int(price * 10), int(amount * 10**8))

    assert frames.checksum(book) == 3310070434


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(catalogue.CATALOGUE), st.sampled_from([1, 3, 10, 25, 100]), st.integers(0, 1000), st.integers(2, 40))
def test_a_client_that_truncates_always_holds_the_top_of_the_book(instrument: Any, depth: int, seed: int, steps: int) -> None:
    market = Market(instrument, seed=seed, start_us=START)
    window = Window(market.book, depth)
    held = (dict(market.book.bids.levels(depth)), dict(market.book.asks.levels(depth)))

    for step in range(steps):
        if step % 3 == 2:
            market.order(START + step * 7_000_000, dollars=50_000.0)
        market.move(START + step * 7_000_000, churn=6)
        changes = market.take()
        if changes is None:
            continue
        told = window.update(changes)
        for index, (side, levels) in enumerate(zip(held, told, strict=True)):
            for price, amount in levels:
                if amount:
                    side[price] = amount
                else:
                    side.pop(price, None)
            kept = sorted(side.items(), reverse=index == 0)[:depth]
            side.clear()
            side.update(kept)
        assert list(held[0].items()) == market.book.bids.levels(depth)
        assert list(held[1].items()) == market.book.asks.levels(depth)


@pytest.mark.parametrize("depth", [10, 25, 100, 500, 1000])
def test_every_checksum_verifies_at_every_depth(simulate: Any, dial: Any, kraken_book: Any, depth: int) -> None:
    async def run() -> None:
        async with simulate("--rate", "2000", "--exchanges", "kraken") as sim, dial(sim.url("kraken", "spot_ws")) as socket:
            await socket.send(json.dumps({"method": "subscribe", "params": {"channel": "book", "symbol": ["BTC/USD"], "depth": depth}}))
            client = kraken_book(depth, 1)
            async with asyncio.timeout(15):
                while client.verified + client.failed < 120:
                    message = decode(await socket.recv())
                    if message.get("channel") == "book":
                        client.feed(message)
            assert (client.verified, client.failed) == (120, 0)
            assert max(client.bids) < min(client.asks)

    asyncio.run(run())


def test_status_first_then_one_acknowledgement_per_symbol(simulate: Any, dial: Any) -> None:
    async def run() -> None:
        async with simulate("--exchanges", "kraken") as sim, dial(sim.url("kraken", "spot_ws")) as socket:
            assert json.loads(await socket.recv())["channel"] == "status"
            wanted = {"channel": "trade", "symbol": ["BTC/USD", "XBT/USD", "ETH/USD"], "snapshot": False}
            await socket.send(json.dumps({"method": "subscribe", "params": wanted, "req_id": 7}))
            answers = []
            async with asyncio.timeout(5):
                while len(answers) < 3:
                    message = json.loads(await socket.recv())
                    if message.get("method") == "subscribe":
                        answers.append(message)

        assert [answer["success"] for answer in answers] == [True, False, True]
        assert all(answer["req_id"] == 7 for answer in answers)
        assert answers[0]["result"] == {"channel": "trade", "snapshot": False, "symbol": "BTC/USD"}
        assert answers[1]["error"] == "Currency pair not supported XBT/USD"
        assert answers[1]["symbol"] == "XBT/USD"

    asyncio.run(run())


def test_ping_instruments_and_refusals(simulate: Any, dial: Any, until: Any) -> None:
    async def run() -> None:
        async with simulate("--exchanges", "kraken") as sim, dial(sim.url("kraken", "spot_ws")) as socket:
            for request in (
                {"method": "ping", "req_id": 101},
                {"method": "subscribe", "params": {"channel": "instrument", "snapshot": True}},
                {"method": "subscribe", "params": {"channel": "book", "symbol": ["BTC/USD"], "depth": 17}, "req_id": 2},
                {"method": "subscribe", "params": {"channel": "candles", "symbol": ["BTC/USD"]}, "req_id": 3},
                {"method": "unsubscribe", "params": {"channel": "book", "symbol": ["BTC/USD"]}, "req_id": 4},
            ):
                await socket.send(json.dumps(request))
            pong = await until(socket, lambda message: message.get("method") == "pong")
            instruments = await until(socket, lambda message: message.get("channel") == "instrument")
            refusals = [await until(socket, lambda message, number=number: message.get("req_id") == number) for number in (2, 3, 4)]

        assert pong["req_id"] == 101
        pairs = {pair["symbol"]: pair for pair in instruments["data"]["pairs"]}
        assert pairs["BTC/USD"]["price_precision"] == 1
        assert pairs["BTC/USD"]["qty_precision"] == 8
        assert not any(refusal["success"] for refusal in refusals)

    asyncio.run(run())


def test_heartbeats_fill_the_silence_once_subscribed(simulate: Any, dial: Any, until: Any) -> None:
    async def run() -> None:
        async with simulate("--exchanges", "kraken", "--rate", "0.001") as sim, dial(sim.url("kraken", "spot_ws")) as socket:
            await socket.send(json.dumps({"method": "subscribe", "params": {"channel": "trade", "symbol": ["BTC/USD"]}}))
            begin = asyncio.get_running_loop().time()
            for _ in range(2):
                await until(socket, lambda message: message == {"channel": "heartbeat"})
            assert 1.5 < asyncio.get_running_loop().time() - begin < 4.0

    asyncio.run(run())


def test_trade_ids_rise_by_one_and_the_snapshot_holds_the_last_fifty(simulate: Any, dial: Any, until: Any) -> None:
    async def run() -> None:
        async with simulate("--exchanges", "kraken", "--rate", "2000") as sim:
            async with dial(sim.url("kraken", "spot_ws")) as socket:
                await socket.send(json.dumps({"method": "subscribe", "params": {"channel": "trade", "symbol": ["BTC/USD"]}}))
                ids: list[int] = []
                while len(ids) < 80:
                    message = await until(socket, lambda message: message.get("channel") == "trade")
                    ids += [row["trade_id"] for row in message["data"]]
            async with dial(sim.url("kraken", "spot_ws")) as socket:
                await socket.send(
                    json.dumps({"method": "subscribe", "params": {"channel": "trade", "symbol": ["BTC/USD"], "snapshot": True}})
                )
                snapshot = await until(socket, lambda message: message.get("channel") == "trade")
            rest = (await sim.get(sim.url("kraken", "spot_rest", "/0/public/Trades?pair=XBTUSD&since=0"))).json()["result"]

        assert ids == list(range(ids[0], ids[0] + len(ids)))
        assert snapshot["type"] == "snapshot"
        assert len(snapshot["data"]) == 50
        assert set(ids) <= {row[6] for row in rest["XXBTZUSD"]}
        assert rest["last"].isdigit()

    asyncio.run(run())


def test_rest_limits_and_unknown_pairs(simulate: Any) -> None:
    async def run() -> None:
        async with simulate("--exchanges", "kraken", "--weight-limit", "2") as sim:
            pairs = await sim.get(sim.url("kraken", "spot_rest", "/0/public/AssetPairs"))
            unknown = await sim.get(sim.url("kraken", "spot_rest", "/0/public/Trades?pair=NOPE"))
            third = await sim.get(sim.url("kraken", "spot_rest", "/0/public/AssetPairs"))

        assert {"XXBTZUSD", "XETHZUSD", "SOLUSD", "XBTUSDT"} == set(pairs.json()["result"])
        assert unknown.json() == {"error": ["EQuery:Unknown asset pair"]}
        # A clock minute may turn between the requests.
        assert third.status_code in {200, 429}
        if third.status_code == 429:
            assert int(third.headers["Retry-After"]) >= 1

    asyncio.run(run())
