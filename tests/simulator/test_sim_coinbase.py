"""Coinbase simulated: messages shaped like recorded ones, one count per socket, the maker's side, commands and their limits, REST."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simulator.faults import Faults, make
from simulator.instruments import Instrument
from simulator.market import Market
from simulator.streams import Hub, Socket
from simulator.venues.coinbase import catalogue, frames, rest
from simulator.venues.coinbase.venue import Coinbase
from tests.simulator.shapes import NUMBER, decode, recorded, same_shape

START = 1_763_700_000_000_000
STREAMS = "coinbase/advanced_level2_trades_ticker_candles_20260809.jsonl.gz"
PRODUCTS = "coinbase/rest_advanced_products_20260809.jsonl.gz"
SAMPLES = "coinbase/message_samples.jsonl"


def instrument(symbol: str = "BTC/USD") -> Instrument:
    return next(item for item in catalogue.CATALOGUE if item.symbol == symbol)


@pytest.fixture
def market() -> Market:
    return Market(instrument(), seed=1, start_us=START)


SPELLING = catalogue.Spelling(instrument())


def without_digits(value: Any) -> Any:
    """Numbers in text as one and the same: the venue leaves trailing zeros out, so decimals differ from value to value."""
    if isinstance(value, dict):
        return {key: without_digits(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_digits(item) for item in value]
    return "1" if isinstance(value, str) and NUMBER.fullmatch(value) else value


def numbers(value: Any) -> list[str]:
    """Every number in text."""
    if isinstance(value, dict | list):
        return [text for item in (value.values() if isinstance(value, dict) else value) for text in numbers(item)]
    return [value] if isinstance(value, str) and NUMBER.fullmatch(value) else []


def alike(mine: str, theirs: Any) -> None:
    message = decode(mine)
    same_shape(without_digits(message), without_digits(theirs))
    rows, theirs_rows = message["events"][0], theirs["events"][0]
    assert list(rows) == list(theirs_rows)
    for name in ("trades", "updates"):
        if name in rows:
            assert list(rows[name][0]) == list(theirs_rows[name][0])
    assert [text for text in numbers(message) if "." in text and text.endswith("0")] == []


def event(channel: str, kind: str) -> Callable[[Any], bool]:
    return lambda message: message.get("channel") == channel and message["events"][0].get("type") == kind


@pytest.mark.parametrize("kind", ["snapshot", "update"])
def test_trades_look_like_recorded_ones_newest_first_with_the_makers_side(recordings: Path, market: Market, kind: str) -> None:
    fills = [fill for step in range(9) for fill in market.order(START + step * 1_000_500, dollars=90_000.0)]
    text = frames.trades(SPELLING, fills, kind=kind, now_us=START).numbered(7)

    alike(text, recorded(recordings / STREAMS, event("market_trades", kind)))
    rows = decode(text)["events"][0]["trades"]
    assert [int(row["trade_id"]) for row in rows] == sorted((fill.trade_id for fill in fills), reverse=True)
    assert {row["side"] for row, fill in zip(rows, reversed(fills), strict=True) if fill.buy} == {"SELL"}


@pytest.mark.parametrize("kind", ["snapshot", "update"])
def test_books_look_like_recorded_ones_bids_before_offers(recordings: Path, market: Market, kind: str) -> None:
    image = market.image()
    bids, asks = (image.bids, image.asks) if kind == "snapshot" else ([(6_400_000, 0)], [(6_400_100, 5)])
    text = frames.book(SPELLING, kind=kind, bids=bids, asks=asks, time_us=START + 1, now_us=START).numbered(8)

    alike(text, recorded(recordings / STREAMS, event("l2_data", kind)))
    updates = decode(text)["events"][0]["updates"]
    assert [row["side"] for row in updates] == ["bid"] * len(bids) + ["offer"] * len(asks)
    if kind == "update":
        assert [(row["price_level"], row["new_quantity"]) for row in updates] == [("64000", "0"), ("64001", "0.00000005")]


def test_acknowledgements_heartbeats_and_times_look_like_recorded_ones(recordings: Path) -> None:
    held = {"market_trades": ["BTC-USD", "ETH-USD"], "candles": ["ETH-USD", "BTC-USD"]}
    theirs = recorded(recordings / STREAMS, lambda message: "candles" in str(message["events"]) and message["channel"] == "subscriptions")
    alike(frames.subscriptions(held, START).numbered(2), theirs)
    beat = recorded(recordings / STREAMS, lambda message: message["channel"] == "heartbeats")
    mine = frames.heartbeat(41_691, START + 854_840).numbered(35)
    alike(mine, beat)
    current = decode(mine)["events"][0]["current_time"]
    assert current.partition(" m=")[0] == "2025-11-21 04:40:00.854840360 +0000 UTC"
    assert len(current) == len(beat["events"][0]["current_time"])
    assert [frames.event_time(START + micros) for micros in (0, 500_000, 42)] == [
        "2025-11-21T04:40:00Z",
        "2025-11-21T04:40:00.5Z",
        "2025-11-21T04:40:00.000042Z",
    ]


def test_products_look_like_recorded_ones_and_futures_tell_their_contracts(recordings: Path) -> None:
    theirs = recorded(recordings / PRODUCTS, lambda body: "products" in body, http=True)
    mine = decode(rest.products(catalogue.CATALOGUE, {}, {}))
    real = {row["product_id"]: row for row in theirs["products"]}

    assert list(mine) == list(theirs)
    for row in mine["products"]:
        if row["product_type"] == "SPOT" and row["product_id"] in real:
            reference = real[row["product_id"]]
            assert list(row) == list(reference)
            for key in ("base_increment", "price_increment", "base_currency_id", "quote_currency_id", "alias", "alias_to", "status"):
                assert row[key] == reference[key], (row["product_id"], key)
    futures = {row["product_id"]: row for row in decode(rest.products(catalogue.CATALOGUE, {}, {"product_type": "FUTURE"}))["products"]}
    assert len(futures) == 22
    assert futures["BIP-20DEC30-CDE"]["future_product_details"]["contract_size"] == "0.01"
    assert catalogue.Spelling(instrument("BTC/USD:USD-301220")).size(7) == "7"


def test_rest_trades_and_depth_look_like_documented_ones(recordings: Path, market: Market) -> None:
    market.order(START + 1)
    body = rest.ticker(SPELLING, market, {"limit": "10"}).body
    row = {"trade_id", "product_id", "price", "size", "time", "side", "bid", "ask", "exchange"}
    assert set(decode(body)["trades"][0]) == row
    theirs = recorded(recordings / SAMPLES, lambda found: "pricebook" in found, http=True)
    same_shape(without_digits(decode(rest.product_book(SPELLING, market.image(), limit=5))), without_digits(theirs))


class Wire:
    """A socket's transport that keeps what is written."""

    def __init__(self) -> None:
        self.data = b""
        self.cut = False

    def write(self, data: bytes) -> None:
        self.data += data

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.cut

    def abort(self) -> None:
        self.cut = True


class Client:
    """One socket of a venue that stands still until told."""

    def __init__(self, *symbols: str) -> None:
        self.hub = Hub(Faults())
        self.venue = Coinbase([Market(instrument(name), seed=1, start_us=START) for name in symbols], hub=self.hub, faults=self.hub.faults)
        self.wire = Wire()
        self.socket = Socket(self.wire, exchange="coinbase", market="", identity=1)
        session = self.venue.connect("/spot/ws", "", self.socket)
        assert session is not None
        self.session = session
        self.hub.add(self.socket)
        self.session.opened(START)

    def send(self, kind: str, channel: str, *products: str, at: int = START) -> list[Any]:
        self.session.command(json.dumps({"type": kind, "channel": channel, "product_ids": list(products)}), at)
        return self.messages()

    def messages(self) -> list[Any]:
        self.socket.flush()
        data, self.wire.data = self.wire.data, b""
        found = []
        while data:
            size, start = data[1], 2
            if size in {126, 127}:
                start = 4 if size == 126 else 10
                size = int.from_bytes(data[2:start], "big")
            found.append(json.loads(data[start : start + size]))
            data = data[start + size :]
        return found


def test_every_message_of_a_socket_counts_up_whatever_its_channel() -> None:
    client = Client("BTC/USD", "ETH/USD")
    for market in client.venue.markets:
        market.order(START)
        market.take()
    seen = client.send("subscribe", "heartbeats")
    seen += client.send("subscribe", "market_trades", "BTC-USD", "ETH-USD")
    seen += client.send("subscribe", "level2", "BTC-USD")
    for market in client.venue.markets:
        client.venue.trades(market, market.order(START + 10_000))
        changes = market.take()
        assert changes is not None
        client.venue.changes(market, changes)
    client.venue.clock(START + 60_000)
    seen += client.messages()

    assert [message["sequence_num"] for message in seen] == list(range(len(seen)))
    assert [message["channel"] for message in seen] == [
        *("subscriptions", "market_trades", "market_trades", "subscriptions", "l2_data", "subscriptions"),
        *("market_trades", "market_trades", "l2_data", "heartbeats"),
    ]
    assert seen[5]["events"][0]["subscriptions"] == {
        "heartbeats": ["heartbeats"],
        "level2": ["BTC-USD"],
        "market_trades": ["BTC-USD", "ETH-USD"],
    }


def test_a_lost_message_leaves_a_hole_in_the_count() -> None:
    client = Client("BTC/USD")
    client.send("subscribe", "market_trades", "BTC-USD")
    (market,) = client.venue.markets
    client.hub.faults.arm(make("corrupt", exchange="coinbase", channel="trades"), now_us=START)
    lost = client.venue.trades(market, market.order(START))
    client.socket.flush()
    client.wire.data = b""
    client.hub.faults.tick(START + 1)
    delivered = client.venue.trades(market, market.order(START + 1))
    assert (set(lost), set(delivered)) == ({False}, {True})
    assert [message["sequence_num"] for message in client.messages()] == [2]


def test_a_command_is_refused_whole_and_an_alias_answers_under_the_usd_id() -> None:
    client = Client("BTC/USD")
    assert client.send("subscribe", "level2", "BTC-USD", "NOPE-USD") == [{"type": "error", "message": "NOPE-USD is not a valid product"}]
    snapshot, acknowledged = client.send("subscribe", "level2", "BTC-USDC")
    assert snapshot["events"][0]["product_id"] == "BTC-USD"
    assert acknowledged["events"] == [{"subscriptions": {"level2": ["BTC-USD"]}}]
    assert [message["channel"] for message in client.send("subscribe", "level2", "BTC-USD")] == ["subscriptions"]
    assert client.send("unsubscribe", "level2", "BTC-USD")[0]["events"] == [{"subscriptions": {}}]
    assert [client.send("subscribe", channel)[0]["type"] for channel in ("level2", "nonsense", "")] == ["error"] * 3


def test_more_than_eight_commands_a_second_are_refused() -> None:
    client = Client("BTC/USD")
    answers = [client.send("subscribe", "heartbeats", at=START + number)[0] for number in range(9)]
    assert [answer.get("message") for answer in answers] == [None] * 8 + ["rate limit exceeded"]


def test_who_never_subscribes_or_hears_nothing_is_hung_up_on() -> None:
    silent, quiet, kept = Client("BTC/USD"), Client("BTC/USD"), Client("BTC/USD")
    quiet.send("subscribe", "market_trades", "BTC-USD")
    kept.send("subscribe", "market_trades", "BTC-USD")
    kept.send("subscribe", "heartbeats")
    ends = {}
    for second in range(100):
        for name, client in (("silent", silent), ("quiet", quiet), ("kept", kept)):
            client.venue.clock(START + second * 1_000_000)
            client.socket.flush()
            if client.wire.cut:
                ends.setdefault(name, second)
    assert ends == {"silent": 6, "quiet": 76}


def test_rest_pages_trades_by_whole_seconds_newest_first(market: Market) -> None:
    fills = [fill for second in range(5) for fill in market.order(START + second * 1_000_000 + 1)]
    start = START // 1_000_000
    found = decode(rest.ticker(SPELLING, market, {"limit": "1000", "start": str(start + 1), "end": str(start + 3)}).body)["trades"]
    wanted = [fill.trade_id for fill in fills if START + 1_000_000 <= fill.time_us <= START + 3_000_000]
    assert [int(row["trade_id"]) for row in found] == wanted[::-1]
    assert len(decode(rest.ticker(SPELLING, market, {"limit": "2"}).body)["trades"]) == 2
    assert rest.ticker(SPELLING, market, {}).status == 400


def test_rest_over_http_with_its_errors_and_its_limit(simulate: Any) -> None:
    async def run() -> None:
        async with simulate("--exchanges", "coinbase", "--rate", "200") as sim:
            base = sim.url("coinbase", "spot_rest", "/api/v3/brokerage/market")
            listed = (await sim.get(f"{base}/products?product_type=SPOT")).json()
            unknown = await sim.get(f"{base}/products/NOPE-USD/ticker?limit=5")
            bad = await sim.get(f"{base}/products/BTC-USD/ticker?limit=many")
            span = "granularity=ONE_MINUTE&start=1763700000&end=1763703600"
            candles = (await sim.get(f"{base}/products/BTC-USD/candles?{span}")).json()["candles"]
            await sim.control("fault", kind="http_429", exchange="coinbase", symbol="BTC/USD")
            throttled = await sim.get(f"{base}/products/BTC-USD/ticker?limit=5")

        assert {row["product_id"] for row in listed["products"]} >= {"BTC-USD", "BTC-USDC", "SOL-USD"}
        assert (unknown.status_code, bad.status_code, throttled.status_code) == (404, 400, 429)
        assert int(throttled.headers["Retry-After"]) >= 1
        assert [int(row["start"]) for row in candles] == list(range(1_763_703_600, 1_763_699_999, -60))
        assert list(candles[0]) == ["start", "low", "high", "open", "close", "volume"]

    asyncio.run(run())


def test_a_client_that_follows_the_socket_holds_the_book(simulate: Any, dial: Any) -> None:
    async def run() -> None:
        async with simulate("--rate", "2000", "--exchanges", "coinbase") as sim, dial(sim.url("coinbase", "spot_ws")) as socket:
            await socket.send(json.dumps({"type": "subscribe", "channel": "level2", "product_ids": ["BTC-USD"]}))
            sides: dict[str, dict[float, float]] = {"bid": {}, "offer": {}}
            updates = 0

            async def take() -> None:
                nonlocal updates
                message = json.loads(await socket.recv())
                for found in message["events"] if message["channel"] == "l2_data" else ():
                    updates += found["type"] == "update"
                    for row in found["updates"]:
                        sides[row["side"]][float(row["price_level"])] = float(row["new_quantity"])

            async with asyncio.timeout(20):
                while updates < 60:
                    await take()
                await sim.control("pause")
                real = await sim.book("coinbase", "spot", "BTC/USD")
                while not _same(sides, real):
                    await take()

    asyncio.run(run())


def _same(sides: dict[str, dict[float, float]], real: Any) -> bool:
    bids = sorted(((price, amount) for price, amount in sides["bid"].items() if amount), reverse=True)
    asks = sorted((price, amount) for price, amount in sides["offer"].items() if amount)
    return [list(level) for level in bids] == real["bids"][: len(bids)] and [list(level) for level in asks] == real["asks"][: len(asks)]
