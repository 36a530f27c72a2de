"""Kraken Futures simulated: messages shaped like recorded ones, counts of levels and trades, commands, history over REST."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from simulator.instruments import Instrument
from simulator.market import Market
from simulator.venues.kraken import catalogue, futures_rest
from simulator.venues.kraken import futures_frames as frames
from simulator.venues.kraken.futures_catalogue import PERPETUALS, Contract
from tests.simulator.shapes import decode, recorded, same_shape, shape

START = 1_763_700_000_000_000
RUN = "kraken/futures_book_trade_ticker_20210722.jsonl.gz"
SAMPLES = "kraken/message_samples.jsonl"


def perpetual(base: str = "BTC") -> Instrument:
    return next(item for item in PERPETUALS if item.base == base)


@pytest.fixture
def market() -> Market:
    return Market(perpetual(), seed=1, start_us=START)


CONTRACT = Contract(perpetual())


def whole(value: Any) -> Any:
    """Numbers by being numbers: how many decimals a double has depends on its value."""
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole(item) for item in value]
    return re.sub(r"number with \d+ decimals", "number", value) if isinstance(value, str) else value


def alike(mine: str, theirs: Any) -> None:
    message = decode(mine)
    assert whole(shape(message)) == whole(shape(theirs))
    assert list(message) == list(theirs)
    for name in ("trades", "bids", "asks"):
        if name in theirs:
            assert list(message[name][0]) == list(theirs[name][0])


def feed(name: str) -> Callable[[Any], bool]:
    return lambda message: message.get("feed") == name and "event" not in message


def test_trades_and_their_snapshot_look_like_recorded_ones(recordings: Path, market: Market) -> None:
    fills = [fill for step in range(5) for fill in market.order(START + step * 1_000_000, dollars=90_000.0)]
    alike(frames.trade(CONTRACT, fills[0], kind="fill"), recorded(recordings / RUN, feed("trade")))
    text = frames.trade_snapshot(CONTRACT, fills, {fills[1].trade_id})
    alike(text, recorded(recordings / RUN, feed("trade_snapshot")))
    rows = decode(text)["trades"]
    assert [row["seq"] for row in rows] == [fill.trade_id for fill in reversed(fills)]
    assert [row["type"] for row in rows].count("liquidation") == 1
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", row["uid"]) for row in rows)
    assert len({row["uid"] for row in rows}) == len(rows)


def test_books_look_like_recorded_ones(recordings: Path, market: Market) -> None:
    image = market.image()
    mine = frames.book_snapshot(CONTRACT, bids=image.bids, asks=image.asks, sequence=7, time_us=START)
    alike(mine, recorded(recordings / RUN, feed("book_snapshot")))
    mine = frames.book(CONTRACT, side="sell", level=(640_000, 0), sequence=8, time_us=START)
    alike(mine, recorded(recordings / RUN, feed("book")))
    assert '"price":64000.0,"qty":0.0,' in mine


def test_tickers_and_events_look_like_recorded_ones(recordings: Path) -> None:
    theirs = recorded(
        recordings / SAMPLES, lambda body: isinstance(body, dict) and feed("ticker")(body) and body["product_id"] == "PI_BCHUSD"
    )
    mine = frames.ticker(CONTRACT, bid=(640_000, 15_000), ask=(640_010, 20_000), mark=64_000.5, index=63_990.25, interest=5.5, now_us=START)
    assert list(decode(mine)) == list(theirs)
    assert decode(mine)["next_funding_rate_time"] == 1_763_701_200_000
    subscribed = recorded(recordings / RUN, lambda message: message.get("event") == "subscribed")
    same_shape(decode(frames.acknowledged("subscribed", "book", "PF_XBTUSD")), subscribed)
    assert decode(frames.INFO) == recorded(recordings / RUN, lambda message: message.get("event") == "info")


def test_instruments_look_like_documented_ones_and_spot_is_left_out(recordings: Path) -> None:
    theirs = recorded(recordings / SAMPLES, lambda body: "instruments" in body, http=True)
    reference = next(row for row in theirs["instruments"] if row["symbol"] == "PF_ETHUSD")
    rows = {row["symbol"]: row for row in futures_rest.instruments(PERPETUALS)["instruments"]}
    assert list(rows["PF_ETHUSD"]) == list(reference)
    assert (rows["PF_ETHUSD"]["tickSize"], rows["PF_ETHUSD"]["contractValueTradePrecision"]) == (0.1, 3)
    assert len(rows) == 20
    assert {item.market for item in catalogue.CATALOGUE} == {"spot", "futures"}


def test_history_goes_back_a_hundred_trades_at_a_time(market: Market) -> None:
    fills = [fill for step in range(200) for fill in market.order(START + step * 2_000)]
    seen: list[str] = []
    before = START + 1_000_000
    while len(seen) < len(fills):
        moment = datetime.fromtimestamp(before / 1e6, UTC).isoformat(timespec="milliseconds")
        answer = json.loads(futures_rest.history(CONTRACT, market, {"lastTime": moment}, forced=set(), now_us=START).body)
        assert len(answer["history"]) <= 100
        seen += [row["uid"] for row in answer["history"] if row["uid"] not in seen]
        before = round(datetime.fromisoformat(answer["history"][-1]["time"]).timestamp() * 1_000_000) + 1_000
    assert seen == [CONTRACT.uid(fill.trade_id) for fill in reversed(fills)]


def test_each_product_is_answered_by_itself_and_counts_by_one(simulate: Any, dial: Any) -> None:
    async def run() -> None:
        async with simulate("--exchanges", "kraken", "--rate", "2000") as sim, dial(sim.url("kraken", "futures_ws")) as socket:
            messages: list[Any] = []

            async def take(count: int) -> None:
                async with asyncio.timeout(15):
                    for _ in range(count):
                        messages.append(json.loads(await socket.recv()))

            products = ["pf_xbtusd", "PF_NOPEUSD", "PF_ETHUSD"]
            await socket.send(json.dumps({"event": "subscribe", "feed": "book", "product_ids": products}))
            await socket.send(json.dumps({"event": "subscribe", "feed": "trade", "product_ids": ["PF_XBTUSD"]}))
            await socket.send(json.dumps({"event": "subscribe", "feed": "ticker", "product_ids": ["PF_XBTUSD"]}))
            await socket.send(json.dumps({"event": "subscribe", "feed": "book", "product_ids": ["PF_XBTUSD"]}))
            await socket.send(json.dumps({"event": "subscribe", "feed": "fills", "product_ids": ["PF_XBTUSD"]}))
            await socket.send("nonsense")
            await take(600)

        events = [(message["event"], message.get("message", message.get("product_ids"))) for message in messages if "event" in message]
        assert events == [
            ("info", None),
            ("subscribed", ["PF_XBTUSD"]),
            ("error", "Invalid product id"),
            ("subscribed", ["PF_ETHUSD"]),
            ("subscribed", ["PF_XBTUSD"]),
            ("subscribed", ["PF_XBTUSD"]),
            ("alert", "Already subscribed to feed, re-requesting"),
            ("error", "Invalid feed"),
            ("error", "Json Error"),
        ]
        for feeds in ({"book", "book_snapshot"}, {"trade"}):
            numbers: list[int] = []
            for message in messages:
                if message.get("feed") in feeds and message.get("product_id") == "PF_XBTUSD":
                    numbers.append(message["seq"])
            steps = {after - before for before, after in pairwise(numbers)}
            assert len(numbers) > 20
            assert steps <= {1, 0} if "book" in feeds else steps == {1}

    asyncio.run(run())


def test_forced_orders_stand_on_the_tape_as_liquidations(simulate: Any, dial: Any, until: Any) -> None:
    async def run() -> None:
        arguments = ("--exchanges", "kraken", "--rate", "300", "--symbols", "BTC/USD:USD", "--liquidations-per-minute", "600")
        async with simulate(*arguments) as sim, dial(sim.url("kraken", "futures_ws")) as socket:
            await socket.send(json.dumps({"event": "subscribe", "feed": "trade", "product_ids": ["PF_XBTUSD"]}))
            forced = await until(socket, lambda message: message.get("type") == "liquidation")
            base = sim.url("kraken", "futures_rest", "/derivatives/api/v3")
            history = (await sim.get(f"{base}/history?symbol=PF_XBTUSD")).json()["history"]
        found = {row["uid"]: row for row in history}[forced["uid"]]
        assert (found["type"], found["side"], found["price"], found["size"]) == (
            "liquidation",
            *(forced[key] for key in ("side", "price", "qty")),
        )

    asyncio.run(run())


def test_rest_over_http_with_its_errors_and_its_limit(simulate: Any) -> None:
    async def run() -> None:
        async with simulate("--exchanges", "kraken", "--rate", "100") as sim:
            base = sim.url("kraken", "futures_rest")
            listed = (await sim.get(f"{base}/derivatives/api/v3/instruments")).json()
            tickers = (await sim.get(f"{base}/derivatives/api/v3/tickers")).json()["tickers"]
            depth = (await sim.get(f"{base}/derivatives/api/v3/orderbook?symbol=PF_XBTUSD")).json()["orderBook"]
            rates = (await sim.get(f"{base}/derivatives/api/v3/historical-funding-rates?symbol=PF_XBTUSD")).json()["rates"]
            candles = (await sim.get(f"{base}/api/charts/v1/trade/PF_XBTUSD/1m?from=1763700000&to=1763703600")).json()["candles"]
            bad = await sim.get(f"{base}/derivatives/api/v3/history?symbol=PF_XBTUSD&lastTime=soon")
            unknown = await sim.get(f"{base}/derivatives/api/v3/history?symbol=PF_NOPEUSD")
            await sim.control("fault", kind="http_429", exchange="kraken", symbol="BTC/USD:USD")
            throttled = await sim.get(f"{base}/derivatives/api/v3/history?symbol=PF_XBTUSD")
            spot = await sim.get(sim.url("kraken", "spot_rest", "/0/public/AssetPairs"))

        assert (
            {row["symbol"] for row in listed["instruments"]}
            == {row["symbol"] for row in tickers}
            == {
                "PF_XBTUSD",
                "PF_ETHUSD",
                "PF_SOLUSD",
            }
        )
        assert depth["bids"][0][0] < depth["asks"][0][0]
        assert [row["timestamp"] for row in rates] == sorted(row["timestamp"] for row in rates)
        assert [row["time"] for row in candles] == list(range(1_763_700_000_000, 1_763_703_600_001, 60_000))
        assert (bad.status_code, unknown.json()["result"], throttled.status_code) == (400, "error", 429)
        assert int(throttled.headers["Retry-After"]) >= 1
        assert set(spot.json()["result"]) == {"XXBTZUSD", "XETHZUSD", "SOLUSD", "XBTUSDT"}

    asyncio.run(run())
