"""Gate.io simulated: messages shaped like recorded ones, books that clients need not trim, refusals, REST pages and limits."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.market import Market, Trade
from simulator.venues.edged import Edged
from simulator.venues.gateio import catalogue, frames, rest
from simulator.venues.gateio.catalogue import Spelling, plain
from tests.simulator.shapes import decode, recorded, shape

START = 1_763_700_000_000_000
SAMPLES = "gateio/message_samples.jsonl"
SPOT_RUN = "gateio/spot_v4_orderbookupdate_trades_candles_20210422.jsonl.gz"
FUTURES_RUN = "gateio/futures_v4_orderbookupdate_20230524.jsonl.gz"


def instrument(market: str, base: str = "BTC") -> Any:
    return next(item for item in catalogue.CATALOGUE if (item.market, item.base) == (market, base))


def living(market: str, base: str = "BTC") -> tuple[Spelling, Market]:
    item = instrument(market, base)
    return Spelling(item), Market(item, seed=1, start_us=START)


def kinds(value: Any) -> Any:
    """Like `shape`, but the venue writes numbers without zeros behind, so that their decimals say nothing."""
    return json.loads(re.sub(r" with \d+ decimals", " number", json.dumps(shape(value))))


def same_kinds(mine: Any, theirs: Any, *, newer: frozenset[str] = frozenset(), older: frozenset[str] = frozenset()) -> None:
    """Same keys in the same order and same kinds of values, up to fields that came (`newer`) or went since the recording."""
    mine, theirs = kinds(mine), kinds(theirs)
    if isinstance(mine, list):
        (mine,), (theirs,) = mine, theirs
    mine = {key: item for key, item in mine.items() if key not in newer}
    theirs = {key: item for key, item in theirs.items() if key not in older}
    assert list(mine.items()) == list(theirs.items())


def channel(name: str, event: str = "update") -> Callable[[Any], bool]:
    return lambda body: isinstance(body, dict) and body.get("channel") == name and body.get("event") == event


def test_trades_look_like_recorded_ones(recordings: Path) -> None:
    spelling, market = living("spot")
    mine = decode(frames.spot_trade(spelling, market.order(START)[0]))
    theirs = recorded(recordings / SAMPLES, lambda body: channel("spot.trades")(body) and "time_ms" in body)
    same_kinds({**mine, "result": 0}, {**theirs, "result": 0})
    same_kinds(mine["result"], theirs["result"], newer=frozenset({"id_market", "range"}))

    spelling, market = living("usdt")
    mine = decode(frames.futures_trades(spelling, market.order(START)))
    theirs = recorded(recordings / SAMPLES, lambda body: channel("futures.trades")(body) and "create_time_ms" in body["result"][0])
    # Sizes became text with the decimals that a client asks for.
    mine["result"] = [row | {"size": float(row["size"])} for row in mine["result"]]
    theirs["result"] = [row | {"size": float(row["size"])} for row in theirs["result"]]
    same_kinds(mine["result"], theirs["result"])


def test_books_look_like_recorded_ones(recordings: Path) -> None:
    spelling, market = living("spot")
    whole = {"bids": market.book.bids.levels(400), "asks": market.book.asks.levels(400), "sequence": 5, "time_us": START}
    same_kinds(
        decode(frames.whole_book(spelling, 400, **whole)),
        recorded(recordings / SAMPLES, lambda b: channel("spot.obu")(b) and "result" in b),
    )

    spelling, market = living("usdt")
    theirs = recorded(recordings / SAMPLES, channel("futures.obu"))
    # The documented example shows a first number beside `full`; nothing needs it.
    del theirs["result"]["U"]
    same_kinds(decode(frames.whole_book(spelling, 50, **whole)), theirs)


def test_acknowledgements_look_like_recorded_ones(recordings: Path) -> None:
    def ack(identity: str) -> Any:
        payload = '["ob.MAF_USDT.400"]'
        return decode(frames.answered("spot.obu", "subscribe", identity=identity, payload=payload, connection=7, time_us=START))

    same_kinds(ack(""), recorded(recordings / SAMPLES, channel("spot.obu", "subscribe")))
    numbered = recorded(recordings / SAMPLES, lambda body: channel("spot.tickers", "subscribe")(body) and "conn_id" in body)
    same_kinds(ack("1"), numbered)


def test_tickers_look_like_recorded_ones(recordings: Path) -> None:
    spelling, _ = living("usdt")
    mine = frames.ticker(spelling, last=640_005, mark=64_000.5, index=63_990.25, funding=0.0001, open_lots=123_456, time_us=START)
    theirs = recorded(recordings / SAMPLES, lambda body: channel("futures.tickers")(body) and "time_ms" in body)
    same_kinds(decode(mine), theirs)


def test_rest_answers_look_like_recorded_ones(recordings: Path) -> None:
    spot, spot_market = living("spot")
    futures, futures_market = living("usdt")
    listed = recorded(recordings / SPOT_RUN, lambda body: isinstance(body, list), http=True)
    (theirs,) = [row for row in listed if row["id"] == "BTC_USDT"]
    same_kinds(decode(rest.currency_pairs([spot.instrument]))[0], theirs)

    theirs = recorded(recordings / SAMPLES, lambda body: isinstance(body, list) and "quanto_multiplier" in body[0], http=True)
    same_kinds(decode(rest.contracts([instrument("usdt", "ETH")], START)), theirs)

    for spelling, market, file in ((spot, spot_market, SPOT_RUN), (futures, futures_market, FUTURES_RUN)):
        theirs = recorded(recordings / file, lambda body: isinstance(body, dict) and "asks" in body, http=True)
        mine = decode(rest.depth(spelling, market.image(), limit=100, with_id=True, now_us=START + 123_000))
        # The recording client of futures kept no order of keys and got whole contracts as numbers.
        assert theirs.keys() <= mine.keys()
        assert [len(level) for level in mine["asks"]] == [2] * 100
        assert type(mine["asks"][0]) is type(theirs["asks"][0])
        if spelling.spot:
            assert kinds(mine["bids"]) == kinds(theirs["bids"])
        else:
            assert mine["asks"][0].keys() == theirs["asks"][0].keys()
            assert kinds(mine["current"]) == kinds(theirs["current"])

    spot_market.order(START)
    theirs = recorded(recordings / SAMPLES, lambda body: isinstance(body, list) and "sequence_id" in body[0], http=True)
    same_kinds(decode(rest.trades(spot, spot_market, {})), theirs)


def test_liquidations_have_the_orders_sign_on_the_stream_and_the_positions_over_rest() -> None:
    spelling, _ = living("usdt", "ETH")
    (streamed,) = decode(frames.liquidation(spelling, price=310_000, lots=125, buy=False, time_us=START))["result"]
    (stored,) = decode(rest.forced_orders(spelling, [rest.Forced(START, 125, 310_000, False)], {}))

    assert streamed == {"price": "3100", "size": "-12.5", "time": START // 1000, "contract": "ETH_USDT"}
    assert (stored["size"], stored["order_size"], stored["time"]) == ("12.5", "-12.5", START // 1_000_000)


@given(st.integers(-(10**12), 10**12), st.integers(0, 8))
def test_numbers_are_written_without_zeros_behind(number: int, decimals: int) -> None:
    text = plain(number, decimals)
    assert round(float(text) * 10**decimals) == number
    assert not ("." in text and text.endswith(("0", ".")))


@settings(deadline=None, max_examples=30)
@given(st.sampled_from([1, 3, 25, 50, 400]), st.integers(0, 1000), st.integers(2, 40), st.integers(1, 5))
def test_a_client_that_never_trims_holds_the_top_of_the_book(depth: int, seed: int, steps: int, every: int) -> None:
    market = Market(instrument("spot"), seed=seed, start_us=START)
    edged = Edged(market.book, depth)
    held = (dict(market.book.bids.levels(depth)), dict(market.book.asks.levels(depth)))

    for step in range(1, steps * every + 1):
        if step % 3 == 2:
            market.order(START + step * 7_000_000, dollars=50_000.0)
        market.move(START + step * 7_000_000, churn=6)
        changes = market.take()
        if changes is not None:
            edged.note(changes)
        if step % every:
            continue
        for side, levels in zip(held, edged.take(), strict=True):
            side.update(levels)
            for price in [price for price, amount in side.items() if not amount]:
                del side[price]
        assert sorted(held[0].items(), reverse=True) == market.book.bids.levels(depth)
        assert sorted(held[1].items()) == market.book.asks.levels(depth)


class Client:
    """One socket with the commands of the venue's format."""

    def __init__(self, socket: Any, prefix: str) -> None:
        self.socket, self.prefix, self.number = socket, prefix, 0

    async def command(self, name: str, payload: list[str], *, event: str = "subscribe", at: int | None = None) -> Any:
        self.number += 1
        sent = {"time": int(time.time()) if at is None else at, "id": self.number, "channel": f"{self.prefix}.{name}"}
        await self.socket.send(json.dumps(sent | {"event": event, "payload": payload}))
        return await self.next(lambda body: body.get("id") == self.number)

    async def next(self, wanted: Callable[[Any], bool]) -> Any:
        async with asyncio.timeout(8):
            while not wanted(body := json.loads(await self.socket.recv())):
                pass
            return body


def obu(body: Any) -> bool:
    return body.get("channel", "").endswith(".obu") and "result" in body and "u" in (body["result"] or {})


@pytest.mark.parametrize(("key", "prefix", "symbol"), [("spot_ws", "spot", "BTC/USDT"), ("usdt_ws", "futures", "BTC/USDT:USDT")])
def test_books_count_on_from_their_snapshot_and_a_late_client_disturbs_nobody(
    simulate: Any, dial: Any, key: str, prefix: str, symbol: str
) -> None:
    async def run() -> None:
        async with (
            simulate("--exchanges", "gateio", "--symbols", symbol, "--rate", "300") as sim,
            dial(sim.url("gateio", key)) as first,
            dial(sim.url("gateio", key)) as second,
        ):
            held: list[int] = []
            for socket in (first, second):
                client = Client(socket, prefix)
                await client.socket.send(
                    json.dumps({"time": int(time.time()), "channel": f"{prefix}.obu", "event": "subscribe", "payload": ["ob.BTC_USDT.50"]})
                )
                whole = (await client.next(obu))["result"]
                assert whole["full"] is True
                assert len(whole["b"]) == len(whole["a"]) == 50
                held.append(whole["u"])
            for _ in range(30):
                for place, socket in enumerate((first, second)):
                    delta = (await Client(socket, prefix).next(obu))["result"]
                    assert delta["U"] == held[place] + 1
                    assert delta.keys() & {"a", "b"}
                    held[place] = delta["u"]

    asyncio.run(run())


def test_refusals_name_what_is_wrong_and_leave_everything_else_as_it_was(simulate: Any, dial: Any) -> None:
    async def run() -> list[Any]:
        async with simulate("--exchanges", "gateio") as sim, dial(sim.url("gateio", "spot_ws")) as socket:
            client = Client(socket, "spot")
            return [
                (await client.command("trades", ["BTC_USDT", "NOPE_USDT"]))["error"],
                (await client.command("trades", ["BTC_USDT"], at=1_000_000_000))["error"]["code"],
                (await client.command("obu", ["ob.BTC_USDT.50"])).get("error"),
                (await client.command("obu", ["ob.BTC_USDT.50"]))["error"],
                (await client.command("trades", ["BTC_USDT"], event="unsubscribe"))["error"]["code"],
                (await client.command("obu", ["ob.BTC_USDT.50"], event="unsubscribe"))["result"],
                (await client.command("obu", ["ob.BTC_USDT.50"]))["result"],
                (await client.command("tickers", ["BTC_USDT"]))["error"]["message"],
            ]

    assert asyncio.run(run()) == [
        {"code": 2, "message": "unknown currency pair NOPE_USDT"},
        1,
        None,
        {"code": 2, "message": "Alert sub ob.BTC_USDT.50"},
        2,
        {"status": "success"},
        {"status": "success"},
        "unknown channel spot.tickers",
    ]


def test_pings_are_answered_and_shutdowns_announced(simulate: Any, dial: Any) -> None:
    async def run() -> None:
        async with simulate("--exchanges", "gateio") as sim, dial(sim.url("gateio", "usdt_ws")) as socket:
            client = Client(socket, "futures")
            await socket.send(json.dumps({"time": int(time.time()), "channel": "futures.ping"}))
            assert (await client.next(lambda body: "channel" in body))["channel"] == "futures.pong"
            await sim.control("fault", kind="shutdown", exchange="gateio")
            notice = await client.next(lambda body: True)
            assert notice["type"] == "upgrade"
            assert "channel" not in notice

    asyncio.run(run())


def test_restarted_numbers_come_with_the_whole_book(simulate: Any, dial: Any) -> None:
    async def run() -> None:
        async with simulate("--exchanges", "gateio", "--rate", "300") as sim, dial(sim.url("gateio", "spot_ws")) as socket:
            client = Client(socket, "spot")
            await client.command("obu", ["ob.BTC_USDT.400"])
            await client.next(obu)
            await sim.control("fault", kind="id_reset", exchange="gateio", symbol="BTC/USDT")
            whole = await client.next(lambda body: obu(body) and body["result"].get("full"))
            after = await client.next(obu)
            assert whole["result"]["u"] == 0
            assert after["result"]["U"] == 1

    asyncio.run(run())


def test_trades_of_a_pair_count_by_one_and_rest_knows_them_by_both_numbers(simulate: Any, dial: Any) -> None:
    async def run() -> None:
        async with simulate("--exchanges", "gateio", "--rate", "800") as sim:
            async with dial(sim.url("gateio", "spot_ws")) as socket:
                client = Client(socket, "spot")
                await client.command("trades", ["BTC_USDT", "ETH_USDT"])
                streamed = [(await client.next(channel("spot.trades")))["result"] for _ in range(60)]
            rows = (await sim.get(sim.url("gateio", "rest", "/spot/trades?currency_pair=BTC_USDT&limit=1000"))).json()

        own = [row for row in streamed if row["currency_pair"] == "BTC_USDT"]
        numbers = [row["id_market"] for row in own]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        known = {int(row["sequence_id"]): row for row in rows}
        assert [int(row["sequence_id"]) for row in rows] == sorted(known, reverse=True)
        for row in own:
            stored = known[row["id_market"]]
            assert (int(stored["id"]), stored["side"], stored["price"], stored["amount"], stored["create_time_ms"]) == (
                *(row["id"], row["side"], row["price"], row["amount"]),
                row["create_time_ms"],
            )

    asyncio.run(run())


def test_pages_of_trades_hold_a_span_newest_first() -> None:
    spelling, market = living("usdt", "ETH")
    market.recent.extend(Trade(number, number, START + number * 400_000, 310_000, 10, number % 2 == 0) for number in range(10))
    second = START // 1_000_000

    def ids(**params: str) -> list[int]:
        return [row["id"] for row in json.loads(rest.trades(spelling, market, params))]

    assert ids() == list(range(9, -1, -1))
    assert ids(**{"from": str(second + 1), "to": str(second + 2)}) == [7, 6, 5, 4, 3]
    assert ids(**{"from": str(second + 1), "to": str(second + 2), "limit": "2", "offset": "2"}) == [5, 4]
    newest = json.loads(rest.trades(spelling, market, {"limit": "1"}))[0]
    assert (newest["size"], newest["create_time_ms"]) == ("-1", (START + 3_600_000) // 1000 / 1000)
    with pytest.raises(ValueError, match="limit"):
        ids(limit="1001")


def test_rest_limits_errors_and_candles(simulate: Any) -> None:
    async def run() -> None:
        async with simulate("--exchanges", "gateio", "--weight-limit", "3") as sim:

            async def get(path: str) -> Any:
                return await sim.get(sim.url("gateio", "rest", path))

            unknown = await get("/spot/order_book?currency_pair=NOPE")
            contract = await get("/futures/usdt/order_book?contract=NOPE")
            span = await get("/spot/candlesticks?currency_pair=BTC_USDT&interval=1m&limit=3&from=1")
            spot = (await get("/spot/candlesticks?currency_pair=BTC_USDT&interval=1m&limit=3")).json()
            futures = (await get("/futures/usdt/candlesticks?contract=BTC_USDT&interval=7d&limit=2")).json()
            answers = [await get("/spot/trades?currency_pair=BTC_USDT") for _ in range(8)]
            await sim.control("fault", kind="http_429", exchange="gateio", duration=5)
            throttled = await get("/futures/usdt/trades?contract=BTC_USDT")

        assert (unknown.status_code, unknown.json()["label"]) == (400, "INVALID_CURRENCY_PAIR")
        assert contract.json()["label"] == "CONTRACT_NOT_FOUND"
        assert span.status_code == 400
        assert [len(row) for row in spot] == [8, 8, 8]
        assert [row[7] for row in spot] == ["true", "true", "false"]
        assert float(spot[0][4]) <= float(spot[0][2]) <= float(spot[0][3])
        assert list(futures[0]) == ["t", "v", "c", "h", "l", "o", "sum"]
        # Ten seconds may turn between the requests, once.
        refused = [answer for answer in answers if answer.status_code == 429]
        assert 2 <= len(refused) <= 5
        assert refused[0].headers["x-gate-ratelimit-requests-remain"] == "0"
        assert refused[0].headers["x-gate-ratelimit-limit"] == "3"
        assert throttled.status_code == 429
        assert int(throttled.headers["x-gate-ratelimit-reset-timestamp"]) > time.time()

    asyncio.run(run())
