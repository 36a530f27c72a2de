"""Bybit simulated: messages shaped like recorded ones, books that count by one, commands refused whole, REST and its ban."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simulator.faults import Faults
from simulator.instruments import Instrument
from simulator.market import Market, Trade
from simulator.streams import Hub, Socket
from simulator.venues.bybit import catalogue, frames, rest
from simulator.venues.bybit.feed import BookTopic, Feed, told
from simulator.venues.bybit.venue import Bybit
from tests.simulator.shapes import decode, recorded, same_shape

START = 1_763_700_000_000_000
SPOT = "bybit/v5_spot_btc_20260809.jsonl.gz"
LINEAR = "bybit/v5_linear_btc_eth_20260809.jsonl.gz"
INSTRUMENTS = "bybit/rest_instruments_info_20260809.jsonl.gz"
SAMPLES = "bybit/message_samples.jsonl"


def instrument(market: str, base: str = "BTC") -> Instrument:
    return next(item for item in catalogue.CATALOGUE if (item.market, item.base) == (market, base))


def topic(name: str, kind: str) -> Callable[[Any], bool]:
    return lambda message: message.get("topic", "").startswith(name) and message.get("type") == kind


def fully_spelled(data: Any) -> bool:
    """Whether the first levels of both sides need all decimals, which neither a deleted level nor one that spot shortens does."""
    return all(data[side] and len(data[side][0][1].partition(".")[2]) in {3, 6} and "." in data[side][0][0] for side in "ba")


def answer_to_ping(*, numbered: bool) -> Callable[[Any], bool]:
    return lambda message: message.get("op") == "ping" and ("req_id" in message) == numbered


def full_book(kind: str) -> Callable[[Any], bool]:
    return lambda message: topic("orderbook.200.BTC", kind)(message) and fully_spelled(message["data"])


class Wire:
    """A socket's transport that keeps what is written."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        raise AssertionError("the socket was cut")

    def messages(self) -> list[Any]:
        """Text frames so far, which are forgotten."""
        found, data = [], self.data
        while data:
            size, start = data[1], 2
            if size == 126:
                size, start = int.from_bytes(data[2:4], "big"), 4
            elif size == 127:
                size, start = int.from_bytes(data[2:10], "big"), 10
            found.append(json.loads(data[start : start + size]))
            data = data[start + size :]
        self.data = b""
        return found


class Client:
    """A client of a venue without a network."""

    def __init__(self, market: str, *bases: str) -> None:
        self.markets = [Market(instrument(market, base), seed=1, start_us=START) for base in bases or ("BTC",)]
        self.hub, self.faults, self.wire = Hub(Faults()), Faults(), Wire()
        self.venue = Bybit(self.markets, hub=self.hub, faults=self.faults)
        self.socket = Socket(self.wire, exchange="bybit", market=market, identity=1)
        session = self.venue.connect(f"/v5/public/{market}", "", self.socket)
        assert session is not None
        self.session = session
        self.hub.add(self.socket)
        self.now = START
        self.session.opened(self.now)

    def say(self, **message: Any) -> list[Any]:
        self.session.command(json.dumps(message), self.now)
        self.socket.flush()
        return self.wire.messages()

    def live(self, seconds: float, *, churn: int = 4) -> list[Any]:
        for _ in range(int(seconds * 50)):
            self.now += 20_000
            for market in self.markets:
                market.move(self.now, churn=churn)
                changes = market.take()
                if changes is not None:
                    self.venue.changes(market, changes)
            self.venue.run_due(self.now)
            self.venue.clock(self.now)
            self.hub.flush()
        return self.wire.messages()


@pytest.mark.parametrize(("market", "file"), [("spot", SPOT), ("linear", LINEAR)])
def test_trades_and_books_are_shaped_like_recorded_ones(recordings: Path, market: str, file: str) -> None:
    spelling, lived = catalogue.Spelling(instrument(market)), Market(instrument(market), seed=1, start_us=START)
    # Spot leaves zeros at the end out, so the shape needs a price and an amount that end in none.
    fill = Trade(lived.order(START)[0].trade_id, 1, START, 651_403, 2_705, buy=True)
    mine = decode(frames.trades(spelling, [fill], sequence=1, now_ms=START // 1000))
    theirs = recorded(recordings / file, topic("publicTrade.BTC", "snapshot"))
    same_shape(mine, theirs)
    assert list(mine["data"][0]) == list(theirs["data"][0])
    for kind in ("snapshot", "delta"):
        both = recorded(recordings / file, full_book(kind))
        book = frames.book(
            spelling,
            depth=200,
            kind=kind,
            bids=[(651_404, 885_797)],
            asks=[(651_546, 99_481)],
            update=1,
            sequence=2,
            matched_ms=START // 1000,
            now_ms=START // 1000,
        )
        same_shape(decode(book), both)
        assert list(decode(book)["data"]) == list(both["data"])


def test_a_deleted_level_is_a_bare_zero_on_both_markets() -> None:
    assert catalogue.Spelling(instrument("linear")).levels([(651_166, 0), (651_168, 2)]) == '[["65116.60","0"],["65116.80","0.002"]]'
    assert catalogue.Spelling(instrument("spot")).levels([(652_390, 0), (651_457, 30_000)]) == '[["65239","0"],["65145.7","0.03"]]'


def test_tickers_liquidations_and_answers_are_shaped_like_recorded_ones(recordings: Path) -> None:
    market = Market(instrument("linear"), seed=1, start_us=START)
    feed = Feed(market, hub=Hub(Faults()))
    theirs = recorded(recordings / LINEAR, topic("tickers.BTC", "snapshot"))
    mine = decode(feed.ticker_snapshot(START))
    assert list(mine) == list(theirs)
    assert list(mine["data"]) == list(theirs["data"])
    same_shape({**mine["data"], "fundingRate": ""}, {**theirs["data"], "fundingRate": ""})
    forced = frames.liquidation(feed.spelling, bought=False, price=640_000, lots=12, time_ms=START // 1000, now_ms=START // 1000)
    sample = recorded(recordings / SAMPLES, topic("allLiquidation", "snapshot"))
    assert list(decode(forced)) == list(sample)
    assert list(decode(forced)["data"][0]) == list(sample["data"][0])
    for market_name, file in (("spot", SPOT), ("linear", LINEAR)):
        ack = recorded(recordings / file, lambda message: message.get("op") == "subscribe")
        word = "subscribe" if market_name == "spot" else ""
        mine = frames.answer(market=market_name, op="subscribe", success=True, message=word, connection="d8-1", identity=None)
        same_shape(decode(mine), ack)
        assert decode(mine)["ret_msg"] == ack["ret_msg"]
        pong = frames.answer(market=market_name, op="ping", success=True, message="pong", connection="d8-1", identity=None)
        same_shape(decode(pong), recorded(recordings / SAMPLES, answer_to_ping(numbered="req_id" in ack)))


def test_a_long_that_is_sold_is_called_a_buy() -> None:
    spelling = catalogue.Spelling(instrument("linear"))
    sold = decode(frames.liquidation(spelling, bought=False, price=640_000, lots=12, time_ms=1, now_ms=2))
    assert (sold["data"][0]["S"], sold["data"][0]["v"], sold["data"][0]["p"]) == ("Buy", "0.012", "64000.00")


@pytest.mark.parametrize("category", ["spot", "linear"])
def test_instrument_lists_have_the_recorded_rows(recordings: Path, category: str) -> None:
    theirs = recorded(recordings / INSTRUMENTS, lambda body: body["result"]["category"] == category, http=True)
    mine = decode(rest.answered(rest.instruments(catalogue.CATALOGUE, category, {}), START).body)
    assert list(mine) == list(theirs)
    assert list(mine["result"]) == list(theirs["result"])
    real = {row["symbol"]: row for row in theirs["result"]["list"]}
    for row in mine["result"]["list"]:
        reference = real[row["symbol"]]
        assert list(row) == list(reference)
        assert {key: type(value) for key, value in row.items()} == {key: type(value) for key, value in reference.items()}
        assert list(row["lotSizeFilter"]) == list(reference["lotSizeFilter"])
        assert row["priceFilter"]["tickSize"] == reference["priceFilter"]["tickSize"] or row["symbol"] == "SUIUSDT"


def test_klines_and_recent_trades_have_the_recorded_rows(recordings: Path) -> None:
    market = Market(instrument("linear"), seed=1, start_us=START)
    spelling = catalogue.Spelling(market.instrument)
    for step in range(4):
        market.order(START + step)
    kline = recorded(recordings / SAMPLES, lambda body: "retCode" in body and isinstance(body["result"]["list"][0], list), http=True)
    mine = decode(json.dumps(rest.klines(spelling, market, {"interval": "30", "limit": "5"}, START)))
    assert list(mine) == list(kline["result"])
    assert len(mine["list"]) == 5
    assert [int(row[0]) for row in mine["list"]] == sorted((int(row[0]) for row in mine["list"]), reverse=True)
    assert [type(value) for value in mine["list"][0]] == [type(value) for value in kline["result"]["list"][0]]
    sample = recorded(recordings / SAMPLES, lambda body: "retCode" in body and "execId" in body["result"]["list"][0], http=True)
    trades = rest.recent_trades(spelling, market, {"limit": "3"})
    assert list(trades["list"][0])[:7] == list(sample["result"]["list"][0])
    assert [row["execId"] for row in trades["list"]] == [frames.trade_id(spelling, fill.trade_id) for fill in list(market.recent)[:-4:-1]]


def test_spot_serves_sixty_trades_at_most() -> None:
    market = Market(instrument("spot"), seed=1, start_us=START)
    while len(market.recent) < 100:
        market.order(START)
    assert len(rest.recent_trades(catalogue.Spelling(market.instrument), market, {"limit": "1000"})["list"]) == 60


@pytest.mark.parametrize("depth", [50, 200, 1000])
def test_deltas_count_by_one_and_keep_a_client_at_the_venues_window(depth: int) -> None:
    client = Client("linear")
    snapshot, ack = client.say(op="subscribe", req_id="s1", args=[f"orderbook.{depth}.BTCUSDT"])
    assert (snapshot["type"], ack["success"], ack["req_id"]) == ("snapshot", True, "s1")
    sides = [dict(map(tuple, snapshot["data"][side])) for side in "ba"]
    update = snapshot["data"]["u"]

    for message in client.live(3.0):
        assert (message["type"], message["data"]["u"]) == ("delta", update + 1)
        update += 1
        for side, name in zip(sides, "ba", strict=True):
            for price, amount in message["data"][name]:
                if amount == "0":
                    del side[price]
                else:
                    side[price] = amount

    assert update > snapshot["data"]["u"] + 10
    spelling, book = catalogue.Spelling(instrument("linear")), client.markets[0].book
    for side, real in zip(sides, (book.bids, book.asks), strict=True):
        assert side == {spelling.price(price): spelling.amount(lots) for price, lots in real.levels(depth)}


def test_one_level_comes_whole_each_time_and_again_after_three_quiet_seconds() -> None:
    client = Client("spot")
    client.say(op="subscribe", args=["orderbook.1.BTCUSDT"])
    client.live(0.1)
    moving = client.live(1.0)
    for _ in range(320):
        client.now += 10_000
        client.venue.clock(client.now)
    client.hub.flush()
    (repeated,) = client.wire.messages()

    assert {message["type"] for message in moving} == {"snapshot"}
    assert repeated["data"] == moving[-1]["data"]


def test_a_restart_is_a_snapshot_counted_one() -> None:
    client = Client("linear")
    client.say(op="subscribe", args=["orderbook.200.BTCUSDT"])
    client.venue.restart_sequence(client.markets[0], client.now)
    first, *rest_of_them = client.live(1.0)
    assert (first["type"], first["data"]["u"]) == ("snapshot", 1)
    assert [message["data"]["u"] for message in rest_of_them] == list(range(2, len(rest_of_them) + 2))


def test_one_bad_topic_refuses_the_whole_command() -> None:
    client = Client("spot", "BTC", "ETH")
    (bad,) = client.say(op="subscribe", args=["publicTrade.BTCUSDT", "publicTrade.NOPEUSDT"])
    assert (bad["success"], bad["ret_msg"]) == (False, "error:handler not found,topic:publicTrade.NOPEUSDT")
    (many,) = client.say(
        op="subscribe", args=[f"orderbook.{depth}.{base}USDT" for base in ("BTC", "ETH") for depth in (1, 50, 200, 1000)] * 2
    )
    assert many["ret_msg"] == "args size >10"
    (good,) = client.say(op="subscribe", args=["publicTrade.BTCUSDT"])
    (again,) = client.say(op="subscribe", args=["publicTrade.ETHUSDT", "publicTrade.BTCUSDT"])
    assert good["success"]
    assert again["ret_msg"] == "error:already subscribed,topic:publicTrade.BTCUSDT"
    client.venue.trades(client.markets[1], client.markets[1].order(START))
    client.hub.flush()
    assert client.wire.messages() == []


def test_pings_are_answered_and_a_silent_client_is_cut() -> None:
    client = Client("spot")
    (pong,) = client.say(op="ping", req_id="7")
    assert (pong["op"], pong["ret_msg"], pong["req_id"]) == ("ping", "pong", "7")
    client.now += 599_000_000
    client.venue.clock(client.now)
    client.now += 2_000_000
    with pytest.raises(AssertionError, match="was cut"):
        client.venue.clock(client.now)


def test_wire_ids_are_those_of_messages_and_of_rest() -> None:
    for market in ("spot", "linear"):
        client = Client(market)
        client.say(op="subscribe", args=["publicTrade.BTCUSDT"])
        fills = [fill for _ in range(20) for fill in client.markets[0].order(START)]
        assert client.venue.trades(client.markets[0], fills) == [True] * len(fills)
        client.socket.flush()
        (message,) = client.wire.messages()
        ids = client.venue.wire_ids(client.markets[0], fills)
        assert [row["i"] for row in message["data"]] == ids
        assert len(set(ids)) == len(ids)
        answer = client.venue.rest("/rest/v5/market/recent-trade", {"category": market, "symbol": "BTCUSDT", "limit": "60"}, START)
        assert answer is not None
        assert [row["execId"] for row in json.loads(answer.body)["result"]["list"]] == ids[::-1][:60]


def test_a_window_that_moves_deletes_what_leaves_it() -> None:
    assert told({5: 1, 4: 2}, [(6, 3), (5, 1)]) == [(4, 0), (6, 3)]


def test_a_stale_snapshot_is_followed_by_a_count_that_does_not_follow() -> None:
    market = Market(instrument("spot"), seed=1, start_us=START)
    book = BookTopic(market, catalogue.Spelling(market.instrument), 50)
    fresh, stale = json.loads(book.snapshot(START)), json.loads(book.stale(market.opening, START))
    assert stale["data"]["u"] + 1 < fresh["data"]["u"]


def test_errors_come_with_status_200_and_too_many_requests_ban_for_ten_minutes() -> None:
    client = Client("spot")

    def get(call: str, **params: str) -> Any:
        answer = client.venue.rest(f"/rest/v5/market/{call}", params, client.now)
        assert answer is not None
        return answer

    unknown = get("recent-trade", category="spot", symbol="NOPE")
    assert (unknown.status, json.loads(unknown.body)["retCode"]) == (200, 10001)
    assert json.loads(get("kline", category="spot", symbol="BTCUSDT", interval="7").body)["retCode"] == 10001
    assert json.loads(get("kline", category="nowhere", symbol="BTCUSDT").body)["retCode"] == 10001
    statuses = [get("time").status for _ in range(600)]
    assert statuses[:590] == [200] * 590
    assert statuses[-1] == 403
    client.now += 599_000_000
    assert get("time").status == 403
    client.now += 2_000_000
    assert get("time").status == 200


def test_contracts_are_listed_a_page_at_a_time() -> None:
    seen: list[str] = []
    params = {"category": "linear", "limit": "7"}
    while True:
        page = rest.instruments(catalogue.CATALOGUE, "linear", params)
        seen += [row["symbol"] for row in page["list"]]
        if not page["nextPageCursor"]:
            break
        params["cursor"] = page["nextPageCursor"]
    assert len(seen) == len(set(seen)) == 20


def test_a_slow_snapshot_comes_late_and_nothing_of_that_book_before_it(simulate: Any, dial: Any, until: Any) -> None:
    async def run() -> None:
        async with simulate("--exchanges", "bybit", "--rate", "600") as sim, dial(sim.url("bybit", "linear_ws")) as socket:
            await sim.control("fault", kind="slow_snapshot", exchange="bybit", symbol="BTC/USDT:USDT", duration=0.6)
            loop = asyncio.get_running_loop()
            begin = loop.time()
            await socket.send(json.dumps({"op": "subscribe", "args": ["orderbook.50.BTCUSDT"]}))
            first = await until(socket, lambda message: "topic" in message)
            assert first["type"] == "snapshot"
            assert 0.3 < loop.time() - begin < 5

    asyncio.run(run())
