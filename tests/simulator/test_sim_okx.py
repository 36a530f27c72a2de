"""OKX over real sockets: recorded shapes, linked books of 400 levels, merged trades, refusals, silence, REST pages and limits."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from simulator.faults import Faults
from simulator.market import Market
from simulator.streams import Hub
from simulator.venues.okx import board as module
from simulator.venues.okx import catalogue, frames, rest, session
from simulator.venues.okx.board import Board
from tests.simulator.shapes import decode, recorded, same_shape, shape

START = 1_783_079_411_000_000
SAMPLES = "okx/message_samples.jsonl"


def board(symbol: str) -> Board:
    item = next(item for item in catalogue.CATALOGUE if item.symbol == symbol)
    return Board(Market(item, seed=1, start_us=START), Hub(Faults()))


def of_channel(name: str, *, action: str = "", newest: bool = True) -> Any:
    def wanted(body: Any) -> bool:
        found = (
            isinstance(body, dict) and body.get("arg", {}).get("channel") == name and body.get("action", "") == action and "data" in body
        )
        return found and (not newest or "prevSeqId" in body["data"][0] or "seqId" in body["data"][0])

    return wanted


def kinds(value: Any) -> Any:
    """Keys in order and types, however many decimals a number has: the venue leaves out zeros at the end."""
    if isinstance(value, dict):
        return [(key, kinds(item)) for key, item in value.items()]
    if isinstance(value, list):
        return [kinds(value[0])] if value and isinstance(value[0], list | dict) else [kinds(item) for item in value]
    return type(value).__name__


def test_books_and_trades_look_as_recorded_in_2026(recordings: Any) -> None:
    swap = board("BTC/USDT:USDT")
    bids, asks = swap.market.book.bids.levels(3), swap.market.book.asks.levels(3)
    for action, previous in (("snapshot", -1), ("update", 5)):
        mine = decode(
            frames.book(swap.spelling, action=action, bids=bids, asks=asks, time_us=START, sequence=327904047995, previous=previous)
        )
        theirs = recorded(recordings / SAMPLES, of_channel("books", action=action))
        assert kinds(mine) == kinds(theirs)
    trade = decode(frames.trade(swap.spelling, swap.market.order(START)[:1], sequence=327904048741))
    assert kinds(trade) == kinds(recorded(recordings / SAMPLES, of_channel("trades")))
    deleted = json.loads(swap.spelling.levels([(620105, 0)]))
    assert deleted == [["62010.5", "0", "0", "0"]]


def test_forced_orders_states_and_events_look_as_recorded(recordings: Any) -> None:
    swap = board("ETH/USDT:USDT")
    path = recordings / SAMPLES
    forced = decode(frames.liquidation(swap.spelling, swap.market.order(START, buy=True, dollars=50_000.0), now_us=START))
    theirs = recorded(path, of_channel("liquidation-orders", newest=False))
    assert kinds(forced) == kinds(theirs)
    assert forced["data"][0]["details"][0] | {"bkPx": "", "sz": "", "ts": ""} == theirs["data"][0]["details"][0] | {
        "bkPx": "",
        "sz": "",
        "ts": "",
    }
    same_shape(decode(swap.state_row("funding-rate", START)), recorded(path, _row("premium"), http=True)["data"][0])
    assert list(decode(swap.state_row("open-interest", START))) == list(recorded(path, _row("oiUsd"), http=True)["data"][0])
    for channel in ("mark-price", "index-tickers"):
        mine = decode(swap.state(channel, START))
        assert kinds(mine) == kinds(recorded(path, of_channel(channel, newest=False)))
    ack = frames.acknowledged(
        "subscribe", {"channel": "books", "instId": "BTC-USDT-SWAP"}, identity=None, connection=frames.connection_id(1)
    )
    same_shape(decode(ack), recorded(path, lambda body: isinstance(body, dict) and body.get("event") == "subscribe" and "connId" in body))
    refusal = frames.refused(60012, "Invalid request: {}", identity=None, connection="a4d3ae55")
    same_shape(decode(refusal), recorded(path, lambda body: isinstance(body, dict) and body.get("event") == "error"))


def _row(key: str) -> Any:
    return lambda body: isinstance(body, dict) and bool(body.get("data")) and isinstance(body["data"][0], dict) and key in body["data"][0]


def test_rest_answers_look_as_recorded(recordings: Any) -> None:
    spot, swap = board("BTC/USDT"), board("BTC/USDT:USDT")
    path = recordings / SAMPLES
    theirs = {row["instId"]: row for row in recorded(path, _row("instIdCode"), http=True)["data"]}
    mine = {row["instId"]: row for row in decode(rest.instruments(catalogue.CATALOGUE).body)["data"]}
    reference = theirs["BTC-USDT-SWAP"]
    assert len(mine) == 40
    for row in mine.values():
        assert kinds(row | {"tradeQuoteCcyList": []}) == kinds(reference)
    for native in ("BTC-USDT-SWAP", "ETH-USDT-SWAP"):
        for key in ("ctVal", "ctMult", "ctType", "ctValCcy", "lotSz", "tickSz", "uly", "instFamily", "settleCcy", "state"):
            assert mine[native][key] == theirs[native][key]
    spot.market.order(START + 1)
    trades = decode(rest.trades(spot.spelling, spot.market, {"limit": "1"}, most=100).body)
    assert kinds(trades["data"]) == kinds(recorded(path, _row("tradeId"), http=True)["data"][:1])
    candles = decode(rest.kline(swap.spelling, swap.market, {"limit": "3"}, now_us=START, history=False).body)["data"]
    real = recorded(path, lambda body: isinstance(body, dict) and isinstance(body.get("data", [{}])[0], list), http=True)["data"]
    assert shape(candles[0])[:1] == shape(real[0])[:1]
    assert [type(item) for item in candles[0]] == [type(item) for item in real[0]]


def test_candles_are_newest_first_paged_backwards_and_long_ones_open_in_china() -> None:
    swap = board("BTC/USDT:USDT")

    def times(**params: str) -> list[int]:
        body = rest.kline(swap.spelling, swap.market, params, now_us=START, history=False).body
        return [int(row[0]) for row in json.loads(body)["data"]]

    newest = times(bar="1H", limit="3")
    assert newest == sorted(newest, reverse=True)
    assert times(bar="1H", after=str(newest[-1]), limit="2") == [newest[-1] - 3_600_000, newest[-1] - 7_200_000]
    assert times(bar="1H", before=str(newest[-1])) == newest[:2]
    assert times(bar="1D", limit="1")[0] % 86_400_000 == 16 * 3_600_000
    assert times(bar="1Dutc", limit="1")[0] % 86_400_000 == 0
    assert json.loads(rest.kline(swap.spelling, swap.market, {"bar": "7m"}, now_us=START, history=False).body)["code"] == "51000"


async def _subscribe(socket: Any, *args: dict[str, str], identity: str = "7") -> None:
    await socket.send(json.dumps({"id": identity, "op": "subscribe", "args": list(args)}))


def test_a_book_holds_400_levels_and_each_update_names_the_one_before(simulate: Any, dial: Any) -> None:
    async def run() -> None:
        async with simulate("--rate", "3000", "--exchanges", "okx", "--symbols", "BTC/USDT:USDT") as sim:
            async with dial(sim.url("okx", "public_ws")) as socket:
                await _subscribe(socket, {"channel": "books", "instId": "BTC-USDT-SWAP"})
                held: dict[str, dict[float, float]] = {"bids": {}, "asks": {}}
                sequence, updates = 0, 0
                async with asyncio.timeout(15):
                    while updates < 30:
                        message = json.loads(await socket.recv())
                        if "data" not in message:
                            continue
                        (row,) = message["data"]
                        if message["action"] == "snapshot":
                            assert (row["prevSeqId"], sequence) == (-1, 0)
                        else:
                            assert row["prevSeqId"] == sequence < row["seqId"]
                            updates += 1
                        sequence = row["seqId"]
                        for side, levels in held.items():
                            for price, size, _, orders in row[side]:
                                assert (orders == "0") == (size == "0")
                                levels[float(price)] = float(size)
                                if size == "0":
                                    del levels[float(price)]
                        assert (len(held["bids"]), len(held["asks"])) <= (400, 400)
            book = await sim.book("okx", "swap", "BTC/USDT:USDT")
            assert max(held["bids"]) < min(held["asks"])
            assert len(book["bids"]) > 300

    asyncio.run(run())


def test_merged_trades_leave_no_id_out(simulate: Any, dial: Any) -> None:
    async def run() -> None:
        async with (
            simulate("--rate", "3000", "--exchanges", "okx", "--symbols", "ETH/USDT") as sim,
            dial(sim.url("okx", "public_ws")) as socket,
        ):
            await _subscribe(socket, {"channel": "trades", "instId": "ETH-USDT"})
            rows: list[dict[str, str]] = []
            async with asyncio.timeout(15):
                while len(rows) < 200:
                    rows += json.loads(await socket.recv()).get("data", [])
            last = rows[-1]["tradeId"]
            path = "/api/v5/market/history-trades?instId=ETH-USDT&type=1"
            page = (await sim.get(sim.url("okx", "rest", f"{path}&after={int(last) + 1}&limit=5"))).json()["data"]

        assert all(int(row["tradeId"]) - int(row["count"]) == int(before["tradeId"]) for before, row in pairwise(rows))
        assert any(row["count"] != "1" for row in rows)
        assert [int(row["tradeId"]) for row in page] == list(range(int(last), int(last) - 5, -1))

    asyncio.run(run())


def test_what_a_socket_is_refused(simulate: Any, dial: Any) -> None:
    async def run() -> None:
        async with simulate("--exchanges", "okx", "--symbols", "BTC/USDT") as sim, dial(sim.url("okx", "public_ws")) as socket:
            await socket.send("ping")
            assert await socket.recv() == "pong"
            await socket.send("{not json")
            assert json.loads(await socket.recv())["code"] == "60012"
            await _subscribe(
                socket,
                {"channel": "trades", "instId": "NOPE-USDT"},
                {"channel": "trades-all", "instId": "BTC-USDT"},
                {"channel": "trades", "instId": "BTC-USDT"},
            )
            answers: list[dict[str, str]] = []
            async with asyncio.timeout(5):
                while len(answers) < 3:
                    message = json.loads(await socket.recv())
                    if "event" in message:
                        answers.append(message)
        assert [(each["event"], each["id"]) for each in answers] == [("error", "7"), ("error", "7"), ("subscribe", "7")]
        assert "instId:NOPE-USDT doesn't exist" in answers[0]["msg"]
        assert answers[0]["code"] == answers[1]["code"] == "60018"

    asyncio.run(run())


def test_a_reset_names_the_old_number_and_a_notice_comes_before_the_end(simulate: Any, dial: Any, until: Any) -> None:
    async def run() -> None:
        async with (
            simulate("--rate", "500", "--exchanges", "okx", "--symbols", "BTC/USDT") as sim,
            dial(sim.url("okx", "public_ws")) as socket,
        ):
            await _subscribe(socket, {"channel": "books", "instId": "BTC-USDT"})
            await until(socket, lambda message: message.get("action") == "update")
            await sim.control("fault", kind="id_reset", exchange="okx")
            reset = await until(
                socket, lambda message: message.get("action") == "update" and message["data"][0]["seqId"] < message["data"][0]["prevSeqId"]
            )
            after = await until(socket, lambda message: message.get("action") == "update")
            await sim.control("fault", kind="shutdown", exchange="okx")
            notice = await until(socket, lambda message: message.get("event") == "notice")

        assert after["data"][0]["prevSeqId"] == reset["data"][0]["seqId"]
        assert notice["code"] == "64008"

    asyncio.run(run())


def test_a_book_that_stands_still_is_confirmed_by_an_empty_update(
    simulate: Any, dial: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        monkeypatch.setattr(module, "QUIET_US", 300_000)
        async with (
            simulate("--rate", "500", "--exchanges", "okx", "--symbols", "BTC/USDT") as sim,
            dial(sim.url("okx", "public_ws")) as socket,
        ):
            await _subscribe(socket, {"channel": "books", "instId": "BTC-USDT"})
            await until(socket, lambda message: message.get("action") == "snapshot")
            await sim.control("pause")
            quiet = await until(socket, lambda message: message.get("action") == "update" and not message["data"][0]["bids"])
        (row,) = quiet["data"]
        assert (row["asks"], row["seqId"]) == ([], row["prevSeqId"])

    asyncio.run(run())


def test_one_forced_order_a_second_is_published_and_the_last_one_again_to_newcomers(simulate: Any, dial: Any, until: Any) -> None:
    async def run() -> None:
        options = ("--liquidations-per-minute", "600", "--exchanges", "okx", "--symbols", "BTC/USDT:USDT")
        async with simulate(*options) as sim:
            wanted = {"channel": "liquidation-orders", "instType": "SWAP"}
            seconds: list[int] = []
            async with dial(sim.url("okx", "public_ws")) as socket:
                await _subscribe(socket, wanted)
                while len(seconds) < 3:
                    message = await until(socket, lambda message: "data" in message)
                    seconds += [int(row["details"][0]["ts"]) // 1000 for row in message["data"]]
            await sim.control("pause")
            async with dial(sim.url("okx", "public_ws")) as socket:
                await _subscribe(socket, wanted)
                cached = await until(socket, lambda message: "data" in message)
        assert len(set(seconds)) == 3
        assert int(cached["data"][0]["details"][0]["ts"]) // 1000 >= seconds[-1]

    asyncio.run(run())


def test_a_socket_that_is_sent_nothing_is_cut_and_commands_are_counted(
    simulate: Any, dial: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        monkeypatch.setattr(session, "SILENCE_US", 300_000)
        monkeypatch.setattr(session, "COMMANDS_PER_HOUR", 2)
        async with simulate("--exchanges", "okx", "--symbols", "BTC/USDT") as sim:
            async with dial(sim.url("okx", "public_ws")) as socket:
                with pytest.raises(ConnectionClosed):
                    async with asyncio.timeout(5):
                        await socket.recv()
            async with dial(sim.url("okx", "public_ws")) as socket:
                for _ in range(3):
                    await _subscribe(socket, {"channel": "trades", "instId": "BTC-USDT"})
                refusal = await until(socket, lambda message: message.get("event") == "error")
        assert refusal["code"] == "60014"

    asyncio.run(run())


def test_rest_counts_each_call_and_knows_its_instruments(simulate: Any) -> None:
    async def run() -> None:
        async with simulate("--exchanges", "okx", "--weight-limit", "1", "--symbols", "BTC/USDT") as sim:
            unknown = await sim.get(sim.url("okx", "rest", "/api/v5/market/history-trades?instId=NOPE-USDT"))
            wrong = await sim.get(sim.url("okx", "rest", "/api/v5/public/instruments?instType=NOPE"))
            statuses = [(await sim.get(sim.url("okx", "rest", "/api/v5/market/candles?instId=BTC-USDT"))) for _ in range(3)]

        assert unknown.json()["code"] == "51001"
        assert (wrong.status_code, wrong.json()["code"]) == (400, "51000")
        # The window of two seconds may turn once between the requests.
        assert {answer.status_code for answer in statuses} == {200, 429}
        assert next(answer for answer in statuses if answer.status_code == 429).json()["code"] == "50011"

    asyncio.run(run())
