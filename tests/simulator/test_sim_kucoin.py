"""KuCoin over real sockets: recorded shapes, welcome, acknowledgements, books that follow from number to number, REST."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from simulator.faults import Faults
from simulator.market import Market
from simulator.streams import Hub, Socket
from simulator.venues.kucoin import frames, rest
from simulator.venues.kucoin.catalogue import CATALOGUE, Spelling
from simulator.venues.kucoin.feed import Feed
from simulator.venues.kucoin.session import PATIENCE_US, KucoinSession
from simulator.venues.kucoin.venue import Kucoin
from tests.simulator.shapes import decode, kind, recorded

START = 1_763_700_000_000_000
SAMPLES = "kucoin/message_samples.jsonl"
SPOT_RUN = "kucoin/spot_level2_match_ticker_candles_20210425.jsonl.gz"


def feed_of(market: str, base: str = "BTC") -> Feed:
    item = next(item for item in CATALOGUE if item.market == market and item.base == base)
    return Feed(Market(item, seed=1, start_us=START), hub=Hub(Faults()))


def obeys(**fields: Any) -> Callable[[Any], bool]:
    return lambda message: isinstance(message, dict) and all(message.get(key) == value for key, value in fields.items())


def test_frames_look_recorded(recordings: Path) -> None:
    feed, samples = feed_of("futures", "ETH"), recordings / SAMPLES
    mine = decode(frames.trade(feed.spelling, feed.market.order(START)[0]))
    theirs = recorded(samples, obeys(T="trade.FUTURES"))
    assert kind(mine) == kind(theirs)
    assert len(str(mine["P"])) == len(str(theirs["P"])) == 19
    levels = feed.market.book.bids.levels(1)
    times = {"time_us": START, "now_us": START}
    book = frames.book(feed.spelling, depth="1", kind="snapshot", bids=levels, asks=levels, first=7, last=7, **times)
    assert kind(decode(book)) == kind(recorded(samples, obeys(T="obu.FUTURES")))
    assert kind(decode(frames.welcome(1))) == kind(recorded(samples, obeys(message="welcome")))
    assert kind(decode(frames.pong(identity='"366142583719543"', now_us=START))) == kind(
        recorded(samples, lambda message: message.get("type") == "pong" and "ts" in message)
    )


def test_a_spot_trade_has_the_keys_of_the_notes() -> None:
    feed = feed_of("spot")
    (fill, *_) = feed.market.order(START)
    mine = decode(frames.trade(feed.spelling, fill))
    assert (mine["T"], list(mine["d"])) == ("trade.SPOT", ["E", "M", "S", "p", "q", "s", "ti"])
    assert (mine["d"]["ti"], mine["d"]["M"]) == (str(mine["d"]["E"]), START * 1000)
    assert len(mine["d"]["ti"]) == 17


def test_lists_look_recorded(recordings: Path) -> None:
    listed = recorded(recordings / SPOT_RUN, lambda body: isinstance(body.get("data"), list), http=True)["data"]
    theirs = next(row for row in listed if row["symbol"] == "BTC-USDT")
    mine = decode(rest.symbols(CATALOGUE[:1]).body)["data"][0]
    assert kind(mine) == kind(theirs)
    assert (mine["priceIncrement"], mine["baseIncrement"]) == (theirs["priceIncrement"], theirs["baseIncrement"])
    contracts = recorded(recordings / SAMPLES, lambda body: '"multiplier"' in json.dumps(body, default=str) and "code" in body)["data"]
    feed = feed_of("futures")
    item = feed.market.instrument
    answer = decode(rest.contracts([item], {item: feed.market}, START).body)["data"][0]
    assert kind(answer) == kind(next(row for row in contracts if row["symbol"] == "XBTUSDTM"))
    assert float(answer["multiplier"]) == item.contract_size == 0.001


@pytest.mark.parametrize("item", [item for item in CATALOGUE if item.market == "futures"], ids=lambda item: item.base)
def test_a_lot_is_a_contract(item: Any) -> None:
    assert item.amount(1) == item.contract_size
    spelling = Spelling(item)
    assert spelling.amount(41) == "41"
    assert spelling.native == ("XBTUSDTM" if item.base == "BTC" else f"{item.base}USDTM")


class Wire:
    """Keeps whether it was cut."""

    def __init__(self) -> None:
        self.aborted = False

    def write(self, data: bytes) -> None:
        del data

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True


def test_a_client_that_says_nothing_is_cut() -> None:
    wire, hub = Wire(), Hub(Faults())
    session = Kucoin([], hub=hub, faults=hub.faults).connect("/spot", "", Socket(wire, exchange="kucoin", market="", identity=1))
    assert isinstance(session, KucoinSession)
    session.opened(START)
    session.beat(START + PATIENCE_US)
    session.command('{"id":"1","type":"ping"}', START + PATIENCE_US)
    session.beat(START + 2 * PATIENCE_US)
    assert not wire.aborted
    session.beat(START + 2 * PATIENCE_US + 1)
    assert wire.aborted


def wish(channel: str, symbol: str, **more: str) -> str:
    kind_of = "FUTURES" if symbol.endswith("M") else "SPOT"
    return json.dumps({"id": "7", "action": "subscribe", "channel": channel, "tradeType": kind_of, "symbol": symbol, **more})


@pytest.mark.parametrize(("market", "native", "symbol"), [("spot", "BTC-USDT", "BTC/USDT"), ("futures", "XBTUSDTM", "BTC/USDT:USDT")])
@pytest.mark.parametrize("depth", ["increment", "increment@10ms"])
def test_a_book_begins_whole_and_each_delta_follows_the_last(
    simulate: Any, dial: Any, market: str, native: str, symbol: str, depth: str
) -> None:
    async def run() -> None:
        async with simulate("--rate", "800", "--exchanges", "kucoin") as sim, dial(sim.url("kucoin", f"{market}_ws")) as socket:
            assert json.loads(await socket.recv())["message"] == "welcome"
            await socket.send(wish("obu", native, depth=depth))
            assert json.loads(await socket.recv()) == {"id": "7", "result": True}
            sides: dict[str, dict[str, str]] = {}
            last = 0

            async def take() -> None:
                nonlocal last
                async with asyncio.timeout(8):
                    message = json.loads(await socket.recv())
                data = message["d"]
                assert (message["dp"], data["s"]) == (depth, native)
                assert (message["t"] == "snapshot") == (last == 0)
                assert last == 0 or data["O"] == last + 1
                last = data["C"]
                for name in "ab":
                    side = sides.setdefault(name, {})
                    for price, size in data[name]:
                        side[price] = size

            for _ in range(40):
                await take()
            await sim.control("pause")
            real = await sim.book("kucoin", market, symbol)
            while last != real["sequence"]:
                await take()
            size = 0.001 if market == "futures" else 1.0
            for name, theirs in (("b", real["bids"]), ("a", real["asks"])):
                held = sorted(
                    ((float(price), float(text) * size) for price, text in sides[name].items() if text != "0"), reverse=name == "b"
                )
                assert [price for price, _ in held] == [price for price, _ in theirs]
                assert [amount for _, amount in held] == pytest.approx([amount for _, amount in theirs])

    asyncio.run(run())


def test_trades_are_the_newest_that_rest_lists(simulate: Any, dial: Any) -> None:
    async def run() -> None:
        async with simulate("--rate", "600", "--exchanges", "kucoin") as sim, dial(sim.url("kucoin", "futures_ws")) as socket:
            await socket.recv()
            await socket.send(wish("trade", "XBTUSDTM"))
            await socket.recv()
            async with asyncio.timeout(10):
                seen = [json.loads(await socket.recv())["d"] for _ in range(30)]
            await sim.control("pause")
            query = "/api/ua/v1/market/trade?tradeType=FUTURES&symbol=XBTUSDTM"
            rows = (await sim.get(sim.url("kucoin", "spot_rest", query))).json()["data"]["list"]
            unknown = (await sim.get(sim.url("kucoin", "spot_rest", "/api/ua/v1/market/trade?symbol=NOPE"))).json()
        listed = {row["tradeId"]: row for row in rows}
        assert len(rows) <= 100
        for trade in seen[-10:]:
            row = listed[trade["ti"]]
            assert (row["price"], row["size"], row["side"], row["ts"]) == (trade["p"], trade["q"], trade["S"], trade["M"])
        ids = [int(trade["ti"]) for trade in seen]
        assert all(later > earlier + 1 for earlier, later in pairwise(ids))
        assert unknown == {"code": "900001", "msg": "symbol not exists"}

    asyncio.run(run())


def test_tops_are_whole_each_time(simulate: Any, dial: Any) -> None:
    async def run() -> None:
        async with simulate("--rate", "400", "--exchanges", "kucoin") as sim, dial(sim.url("kucoin", "spot_ws")) as socket:
            await socket.recv()
            await socket.send(wish("obu", "ETH-USDT", depth="5"))
            await socket.recv()
            async with asyncio.timeout(8):
                tops = [json.loads(await socket.recv()) for _ in range(3)]
        assert {(top["t"], len(top["d"]["a"]), len(top["d"]["b"])) for top in tops} == {("snapshot", 5, 5)}

    asyncio.run(run())


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (wish("trade", "NOPE-USDT"), "topic trade.NOPE-USDT does not exist"),
        (wish("liquidation", "BTC-USDT"), "topic liquidation.BTC-USDT does not exist"),
        (wish("obu", "BTC-USDT", depth="7"), "topic obu.BTC-USDT.7 does not exist"),
        (wish("trade", "XBTUSDTM"), "tradeType is not SPOT"),
        ('{"id":"7"}', "unknown action"),
    ],
)
def test_what_is_refused_says_why(simulate: Any, dial: Any, command: str, reason: str) -> None:
    async def run() -> None:
        async with simulate("--exchanges", "kucoin") as sim, dial(sim.url("kucoin", "spot_ws")) as socket:
            await socket.recv()
            await socket.send(command)
            assert json.loads(await socket.recv()) == {"id": "7", "result": False, "message": reason}

    asyncio.run(run())


def test_candles_in_the_venues_two_orders_and_limits_with_its_headers(simulate: Any) -> None:
    async def run() -> None:
        async with simulate("--exchanges", "kucoin", "--weight-limit", "6") as sim:
            spot = (await sim.get(sim.url("kucoin", "spot_rest", "/api/v1/market/candles?symbol=BTC-USDT&type=1min"))).json()["data"]
            futures = (await sim.get(sim.url("kucoin", "futures_rest", "/api/v1/kline/query?symbol=XBTUSDTM&granularity=60"))).json()[
                "data"
            ]
            token = (await sim.get(sim.url("kucoin", "spot_rest", "/api/v1/bullet-public"))).json()
            answers = [await sim.get(sim.url("kucoin", "futures_rest", "/api/v1/contracts/active")) for _ in range(4)]
        assert (len(spot), len(futures)) == (1500, 500)
        assert {int(later[0]) - int(row[0]) for row, later in pairwise(spot)} == {-60}
        assert {later[0] - row[0] for row, later in pairwise(futures)} == {3_600_000}
        assert all(float(row[4]) <= min(float(row[1]), float(row[2])) <= float(row[3]) for row in spot)
        assert all(row[3] <= min(row[1], row[4]) <= max(row[1], row[4]) <= row[2] for row in futures)
        assert token == {"msg": "Method Not Allowed", "code": "405000"}
        # A clock minute may turn between the requests.
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.json()["code"] == "429000"
        assert int(refused.headers["gw-ratelimit-reset"]) >= 1000

    asyncio.run(run())
