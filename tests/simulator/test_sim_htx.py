"""HTX over real sockets: recorded shapes, gzip, pings that must be answered, books in step with their numbers, notifications, REST."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from simulator.faults import Faults
from simulator.market import Market
from simulator.numbers import fixed
from simulator.streams import Hub, Socket
from simulator.venues.htx import frames, rest
from simulator.venues.htx.catalogue import CATALOGUE, Spelling, double
from simulator.venues.htx.feed import Feed
from simulator.venues.htx.session import PING_US, MarketSession
from simulator.venues.htx.venue import Htx
from tests.simulator.shapes import decode, kind, recorded

START = 1_763_700_000_000_000
SPOT_RUN = "htx/spot_depth_step0_trade_20210417.jsonl.gz"
SWAP_RUN = "htx/linear_swap_depth_step0_trade_20220219.jsonl.gz"
SAMPLES = "htx/message_samples.jsonl"


def feed_of(market: str, base: str = "BTC") -> Feed:
    item = next(item for item in CATALOGUE if item.market == market and item.base == base)
    return Feed(Market(item, seed=1, start_us=START), hub=Hub(Faults()))


def channel(name: str) -> Callable[[Any], bool]:
    return lambda message: isinstance(message, dict) and str(message.get("ch", "")).endswith(name)


def topic(name: str) -> Callable[[Any], bool]:
    return lambda message: message.get("op") == "notify" and message["topic"] == name


def test_numbers_are_spelled_as_recorded() -> None:
    assert [double(value) for value in (0.078924, 716.0, 1.98e-4, 9.2e-7, 4.0e7)] == ["0.078924", "716.0", "1.98E-4", "9.2E-7", "4.0E7"]
    assert [fixed(*number) for number in ((202, 8), (41912, 5), (91440, 1), (40, 0), (4, -1), (0, 3))] == [
        *("0.00000202", "0.41912", "9144", "40", "40", "0"),
    ]
    spot, swap = feed_of("spot").spelling, feed_of("linear", "XRP").spelling
    assert spot.levels([(913861, 33785), (913600, 533), (914400, 0)]) == "[[9138.61,0.033785],[9136,5.33E-4],[9144,0]]"
    assert swap.levels([(41887, 250)]) == "[[0.41887,250]]"
    # Four contracts of ten at 0.41912, as recorded for another coin.
    assert (swap.base_units(4), swap.turnover(41912, 4)) == ("40", "16.7648")


@pytest.mark.parametrize("item", [item for item in CATALOGUE if item.market == "linear"], ids=lambda item: item.base)
def test_contracts_are_whole_and_of_the_listed_size(recordings: Path, item: Any) -> None:
    listed = recorded(recordings / SWAP_RUN, lambda body: body["data"][0]["contract_code"] == "BTC-USDT", http=True)["data"]
    real = {row["contract_code"]: row for row in listed}
    row = real.get(Spelling(item).native)
    if row is not None:
        assert float(row["contract_size"]) == item.contract_size
        assert float(row["price_tick"]) == pytest.approx(10.0**-item.tick_decimals)
    assert [item.amount(lots) for lots in (1, 7, 123_457)] == [float(fixed(lots, item.lot_decimals)) for lots in (1, 7, 123_457)]
    assert item.amount(1) == item.contract_size


@pytest.mark.parametrize(("market", "run"), [("spot", SPOT_RUN), ("linear", SWAP_RUN)])
def test_trades_full_books_pings_and_acknowledgements_look_recorded(recordings: Path, market: str, run: str) -> None:
    feed = feed_of(market)
    book = feed.market.book
    mine = decode(frames.trades(feed.spelling, feed.market.order(START), START))
    assert kind(mine) == kind(recorded(recordings / run, channel("trade.detail")))
    full = frames.step0(
        feed.spelling, bids=book.bids.levels(150), asks=book.asks.levels(150), engine_id=feed.market.sequence, time_us=START, now_us=START
    )
    assert kind(decode(full)) == kind(recorded(recordings / run, channel("depth.step0")))
    spot = market == "spot"
    answer = frames.subscribed("market.a.trade.detail", verb="subbed", identity="1" if spot else '"1"', spot=spot, now_us=START)
    theirs = recorded(recordings / run, lambda message: "subbed" in message)
    assert kind(decode(answer)) == kind(theirs)
    assert kind(decode(frames.ping(START))) == kind(recorded(recordings / run, lambda message: "ping" in message))


def test_mbp_looks_recorded(recordings: Path) -> None:
    feed = feed_of("spot")
    levels = feed.market.book.bids.levels(3)
    update = frames.mbp(feed.spelling, 150, bids=levels, asks=levels, first=5, last=9, now_us=START)
    assert kind(decode(update)) == kind(recorded(recordings / SAMPLES, channel("mbp.150")))
    one_side = frames.mbp(feed.spelling, 20, bids=[], asks=levels, first=5, last=9, now_us=START)
    assert kind(decode(one_side)) == kind(recorded(recordings / SAMPLES, channel("mbp.20")))
    snapshot = frames.mbp_snapshot(feed.spelling, 150, bids=levels, asks=levels, sequence=9, identity='"1"', now_us=START)
    assert kind(decode(snapshot)) == kind(recorded(recordings / SAMPLES, lambda message: "rep" in message))


def test_contract_books_states_and_notifications_look_recorded(recordings: Path) -> None:
    feed, samples = feed_of("linear"), recordings / SAMPLES
    spelling, levels = feed.spelling, feed.market.book.bids.levels(3)
    for event in ("snapshot", "update"):
        head, tail = frames.high_freq(spelling, 150, event=event, bids=levels, asks=levels, engine_id=7, time_us=START)
        theirs = recorded(
            samples,
            lambda message, event=event: (
                channel("BTC-USDT.depth.size_150.high_freq")(message) and message["tick"]["event"] == event and "tick" in list(message)[1]
            ),
        )
        assert kind(decode(f"{head}8{tail}")) == kind(theirs)
    basis = frames.basis(spelling, "close", index=19695.41, contract="19717.9", now_us=START)
    assert kind(decode(basis)) == kind(recorded(samples, channel("BTC-USDT.basis.1min.close")))
    funding = frames.notification("public.BTC-USDT.funding_rate", frames.funding_row(spelling, START), START)
    assert kind(decode(funding)) == kind(recorded(samples, topic("public.BTC-USDT.funding_rate")))
    forced = frames.liquidation_row(spelling, feed.market.order(START, buy=False, dollars=90_000.0))
    forced = frames.notification("public.BTC-USDT.liquidation_orders", forced, START)
    assert kind(decode(forced)) == kind(recorded(samples, topic("public.BTC-USDT.liquidation_orders")))
    answer = frames.notification_answer("sub", '"public.BTC-USDT.funding_rate"', cid='"1"', now_us=START)
    assert kind(decode(answer)) == kind(recorded(samples, lambda message: message.get("op") == "sub"))


def test_lists_look_recorded(recordings: Path) -> None:
    symbols = recorded(recordings / SPOT_RUN, lambda body: "data" in body, http=True)["data"]
    theirs = next(row for row in symbols if row["symbol"] == "btcusdt")
    mine = decode(rest.symbols(CATALOGUE[:1]))["data"][0]
    assert kind(mine) == kind(theirs)
    assert {key: mine[key] for key in ("symbol", "price-precision", "amount-precision")} == {
        key: theirs[key] for key in ("symbol", "price-precision", "amount-precision")
    }
    contracts = recorded(recordings / SWAP_RUN, lambda body: body["data"][0]["contract_code"] == "BTC-USDT", http=True)
    swaps = [item for item in CATALOGUE if item.market == "linear"]
    assert kind(decode(rest.contracts(swaps, {}, START).body)) == kind(contracts)


class Wire:
    """Keeps what is written."""

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


@pytest.mark.parametrize("answers", [True, False])
def test_a_client_that_answers_no_pings_is_cut(answers: bool) -> None:
    wire = Wire()
    hub = Hub(Faults())
    socket = Socket(wire, exchange="htx", market="", identity=1)
    session = Htx([], hub=hub, faults=hub.faults).connect("/spot/ws", "", socket)
    assert isinstance(session, MarketSession)
    session.opened(START)
    for number in range(1, 5):
        session.beat(START + number * PING_US)
        if answers:
            session.command('{"pong":1}', START + number * PING_US)
    assert wire.aborted is not answers


async def receive(socket: Any, wanted: Callable[[Any], bool], *, seconds: float = 8.0) -> Any:
    """The next message that is wanted; every frame is binary and a gzip stream of its own."""
    async with asyncio.timeout(seconds):
        while True:
            frame = await socket.recv()
            assert isinstance(frame, bytes)
            message = json.loads(gzip.decompress(frame), parse_float=Decimal)
            if wanted(message):
                return message


def levels_of(rows: Any) -> dict[float, float]:
    return {float(price): float(amount) for price, amount in rows}


def test_mbp_updates_follow_a_requested_snapshot_and_keep_the_top_of_the_book(simulate: Any, dial: Any) -> None:
    async def run() -> None:
        async with simulate("--rate", "600", "--exchanges", "htx") as sim, dial(sim.url("htx", "spot_ws", "/feed")) as socket:
            await socket.send('{"sub":"market.btcusdt.mbp.150","id":"b"}')
            await socket.send('{"req":"market.btcusdt.mbp.150","id":"r"}')
            assert (await receive(socket, lambda message: "subbed" in message))["status"] == "ok"
            sides: dict[str, dict[float, float]] = {}
            last, buffered = -1, []
            for _ in range(25):
                message = await receive(socket, lambda message: "tick" in message or "rep" in message)
                if "rep" in message:
                    last = message["data"]["seqNum"]
                    sides = {name: levels_of(message["data"][name]) for name in ("bids", "asks")}
                    assert {len(side) for side in sides.values()} == {150}
                    updates, buffered = [each for each in buffered if each["seqNum"] > last], []
                else:
                    updates = [message["tick"]]
                if last < 0:
                    buffered += updates
                    continue
                for tick in updates:
                    assert tick["prevSeqNum"] == last
                    last = tick["seqNum"]
                    for name, side in sides.items():
                        side.update(levels_of(tick.get(name, [])))
            await sim.control("pause")
            real = await sim.book("htx", "spot", "BTC/USDT")
            while last != real["sequence"]:
                tick = (await receive(socket, lambda message: "tick" in message))["tick"]
                last = tick["seqNum"]
                for name, side in sides.items():
                    side.update(levels_of(tick.get(name, [])))
            for name, side in sides.items():
                held = sorted(((price, amount) for price, amount in side.items() if amount), reverse=name == "bids")
                assert held[:100] == [tuple(level) for level in real[name][:100]]

    asyncio.run(run())


def test_each_socket_counts_a_contracts_book_for_itself(simulate: Any, dial: Any) -> None:
    name = "market.BTC-USDT.depth.size_150.high_freq"

    async def run() -> None:
        async with simulate("--rate", "600", "--exchanges", "htx") as sim:
            firsts = []
            for _ in range(2):
                async with dial(sim.url("htx", "linear_ws", "/linear-swap-ws")) as socket:
                    await socket.send(json.dumps({"sub": name, "data_type": "incremental", "id": "d"}))
                    ticks = [(await receive(socket, lambda message: "tick" in message))["tick"] for _ in range(12)]
                    assert [tick["event"] for tick in ticks] == ["snapshot"] + ["update"] * 11
                    versions = [tick["version"] for tick in ticks]
                    assert versions == list(range(versions[0], versions[0] + 12))
                    assert all(isinstance(amount, int) for tick in ticks for _, amount in tick["asks"] + tick["bids"])
                    firsts.append(versions[0])
            assert firsts[0] != firsts[1]

    asyncio.run(run())


def test_the_last_trades_come_with_a_subscription_and_rest_knows_them(simulate: Any, dial: Any) -> None:
    async def run() -> None:
        async with simulate("--rate", "800", "--exchanges", "htx") as sim:
            await asyncio.sleep(0.5)
            await sim.control("pause")
            async with dial(sim.url("htx", "spot_ws", "/ws")) as spot:
                await spot.send('{"sub":"market.btcusdt.trade.detail","id":1}')
                first, second = [await receive(spot, lambda message: "ping" not in message) for _ in range(2)]
            async with dial(sim.url("htx", "linear_ws", "/linear-swap-ws")) as swap:
                await swap.send('{"sub":"market.BTC-USDT.trade.detail","id":"1"}')
                third, fourth = [await receive(swap, lambda message: "ping" not in message) for _ in range(2)]
            assert ["subbed" in message for message in (first, second, third, fourth)] == [True, False, False, True]
            history = (await sim.get(sim.url("htx", "spot_rest", "/market/history/trade?symbol=btcusdt&size=5"))).json()
            swaps = (
                await sim.get(sim.url("htx", "linear_rest", "/linear-swap-ex/market/history/trade?contract_code=BTC-USDT&size=5"))
            ).json()
            wrong = (await sim.get(sim.url("htx", "spot_rest", "/market/history/trade?symbol=btcusdt&size=2001"))).json()
        assert [row["trade-id"] for row in history["data"][0]["data"]] == [row["tradeId"] for row in second["tick"]["data"]]
        assert [row["id"] for row in swaps["data"][0]["data"]] == [row["id"] for row in third["tick"]["data"]]
        assert [group["ts"] for group in history["data"]] == sorted((group["ts"] for group in history["data"]), reverse=True)
        assert (len(history["data"]), wrong["status"]) == (5, "error")
        for row in swaps["data"][0]["data"]:
            assert row["quantity"] == pytest.approx(row["amount"] * 0.001)
            assert row["trade_turnover"] == pytest.approx(row["quantity"] * row["price"])

    asyncio.run(run())


def test_what_is_refused_says_so(simulate: Any, dial: Any) -> None:
    async def run() -> None:
        async with simulate("--exchanges", "htx", "--weight-limit", "3") as sim:
            for place, path, command, reason in (
                ("spot_ws", "/feed", {"sub": "market.nopeusdt.mbp.150", "id": "2"}, "invalid mbp.150.symbol nopeusdt"),
                ("spot_ws", "/ws", {"sub": "market.btcusdt.mbp.150", "id": "2"}, "invalid topic market.btcusdt.mbp.150"),
                (
                    "spot_ws",
                    "/ws",
                    {"unsub": "market.btcusdt.trade.detail", "id": "2"},
                    "unsub with not subbed topic market.btcusdt.trade.detail",
                ),
                ("spot_ws", "/feed", {"req": "market.nopeusdt.mbp.150", "id": "2"}, "invalid mbp.150.symbol nopeusdt"),
            ):
                async with dial(sim.url("htx", place, path)) as socket:
                    await socket.send(json.dumps(command))
                    answer = await receive(socket, lambda message: "ping" not in message)
                assert list(answer) == ["ts", "status", "err-code", "err-msg", "id"]
                assert (answer["status"], answer["err-code"], answer["err-msg"], answer["id"]) == ("error", "bad-request", reason, "2")
            async with dial(sim.url("htx", "linear_ws", "/linear-swap-notification")) as socket:
                await socket.send('{"op":"sub","cid":"1","topic":"public.NOPE-USDT.funding_rate"}')
                assert (await receive(socket, lambda message: message["op"] == "sub"))["err-code"] != 0
                await socket.send('{"op":"sub","cid":"1","topic":"public.*.funding_rate"}')
                rates = await receive(socket, lambda message: message["op"] == "notify")
                assert {row["contract_code"] for row in rates["data"]} == {"BTC-USDT", "ETH-USDT"}
            answers = [await sim.get(sim.url("htx", "linear_rest", "/linear-swap-api/v1/swap_open_interest")) for _ in range(5)]
            # A clock minute may turn between the requests.
            assert {answer.status_code for answer in answers} == {200, 429}
            assert int(next(answer for answer in answers if answer.status_code == 429).headers["Retry-After"]) >= 1

    asyncio.run(run())


def test_candles_open_on_the_minute_and_days_at_midnight_of_shanghai(simulate: Any) -> None:
    async def run() -> None:
        async with simulate("--exchanges", "htx") as sim:
            minutes = (await sim.get(sim.url("htx", "spot_rest", "/market/history/kline?symbol=btcusdt&period=1min&size=5"))).json()["data"]
            days = (
                await sim.get(
                    sim.url("htx", "linear_rest", "/linear-swap-ex/market/history/kline?contract_code=BTC-USDT&period=1day&size=3")
                )
            ).json()["data"]
        assert [row["id"] % 60 for row in minutes] == [0] * 5
        assert [later["id"] - row["id"] for row, later in pairwise(minutes)] == [-60] * 4
        assert [row["id"] % 86_400 for row in days] == [57_600] * 3
        assert [later["id"] - row["id"] for row, later in pairwise(days)] == [86_400] * 2
        assert all(row["low"] <= row["open"] <= row["high"] for row in minutes + days)

    asyncio.run(run())
