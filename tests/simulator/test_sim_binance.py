"""Binance over real sockets: bridging, silent acknowledgements, commands, limits, REST."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedError

Book = tuple[dict[str, str], dict[str, str]]


def as_book(snapshot: Any) -> Book:
    return dict(snapshot["bids"]), dict(snapshot["asks"])


def apply(book: Book, frame: Any) -> None:
    for side, levels in zip(book, (frame["b"], frame["a"]), strict=True):
        for price, amount in levels:
            if float(amount):
                side[price] = amount
            else:
                side.pop(price, None)


def uncrossed(book: Book) -> bool:
    return max(map(float, book[0])) < min(map(float, book[1]))


def test_spot_snapshot_bridges_and_frames_chain(simulate: Any, dial: Any) -> None:
    async def run() -> None:
        async with (
            simulate("--rate", "600", "--exchanges", "binance") as sim,
            dial(sim.url("binance", "spot_ws", "/stream?streams=btcusdt@depth@100ms")) as socket,
        ):
            frames = [json.loads(await socket.recv())["data"] for _ in range(3)]
            snapshot = (await sim.get(sim.url("binance", "spot_rest", "/api/v3/depth?symbol=BTCUSDT&limit=5000"))).json()
            while frames[-1]["u"] <= snapshot["lastUpdateId"] + 50 or len(frames) < 15:
                frames.append(json.loads(await socket.recv())["data"])

        assert all(later["U"] == earlier["u"] + 1 for earlier, later in itertools.pairwise(frames))
        assert frames[0]["U"] <= snapshot["lastUpdateId"]
        kept = [frame for frame in frames if frame["u"] > snapshot["lastUpdateId"]]
        assert kept[0]["U"] <= snapshot["lastUpdateId"] + 1 <= kept[0]["u"]
        book = as_book(snapshot)
        for frame in kept:
            apply(book, frame)
            assert uncrossed(book)

    asyncio.run(run())


def test_usdm_frames_chain_by_pu_and_skip_numbers(simulate: Any, dial: Any) -> None:
    async def run() -> None:
        async with simulate("--rate", "600") as sim, dial(sim.url("binance", "usdm_ws", "/public/ws/ethusdt@depth@100ms")) as socket:
            frames = [json.loads(await socket.recv()) for _ in range(3)]
            snapshot = (await sim.get(sim.url("binance", "usdm_rest", "/fapi/v1/depth?symbol=ETHUSDT&limit=1000"))).json()
            while len(frames) < 15:
                frames.append(json.loads(await socket.recv()))

        pairs = list(itertools.pairwise(frames))
        assert all(later["pu"] == earlier["u"] for earlier, later in pairs)
        assert any(later["U"] > earlier["u"] + 1 for earlier, later in pairs)
        kept = [frame for frame in frames if frame["u"] >= snapshot["lastUpdateId"]]
        first = kept[0]
        assert first["U"] <= snapshot["lastUpdateId"] <= first["u"] or first["pu"] == snapshot["lastUpdateId"]
        book = as_book(snapshot)
        for frame in kept:
            apply(book, frame)
            assert uncrossed(book)

    asyncio.run(run())


def test_rebuilt_book_equals_the_one_the_simulator_holds(simulate: Any, dial: Any) -> None:
    async def run() -> None:
        async with (
            simulate("--rate", "300", "--symbols", "BTC/USDT", "--exchanges", "binance") as sim,
            dial(sim.url("binance", "spot_ws", "/ws/btcusdt@depth@100ms")) as socket,
        ):
            first = json.loads(await socket.recv())
            snapshot = (await sim.get(sim.url("binance", "spot_rest", "/api/v3/depth?symbol=BTCUSDT&limit=5000"))).json()
            book, last = as_book(snapshot), first["u"]
            while last < snapshot["lastUpdateId"] + 20:
                frame = json.loads(await socket.recv())
                if frame["u"] > snapshot["lastUpdateId"]:
                    apply(book, frame)
                last = frame["u"]
            sim.server._ticker.cancel()
            while True:
                try:
                    async with asyncio.timeout(0.3):
                        apply(book, json.loads(await socket.recv()))
                except TimeoutError:
                    break
            feed = next(iter(sim.server.venues["binance"].feeds.values()))
            left = feed.collected[1].due(1 << 62)
            held = await sim.book("binance", "spot", "BTC/USDT")
            if left is not None:
                spelling = feed.spelling
                apply(
                    book,
                    {
                        "b": [[spelling.price(p), spelling.amount(a)] for p, a in left.bids.items()],
                        "a": [[spelling.price(p), spelling.amount(a)] for p, a in left.asks.items()],
                    },
                )

        assert sorted(([float(p), float(a)] for p, a in book[0].items()), reverse=True) == held["bids"]
        assert sorted([float(p), float(a)] for p, a in book[1].items()) == held["asks"]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("path", "stream", "delivers"),
    [
        ("/public/stream", "btcusdt@aggTrade", False),
        ("/market/stream", "btcusdt@depth@100ms", False),
        ("/stream", "btcusdt@aggTrade", False),
        ("/stream", "btcusdt@depth@100ms", True),
        ("/market/stream", "btcusdt@aggTrade", True),
        ("/public/stream", "btcusdt@trade", True),
        ("/public/stream", "nosuchusdt@trade", False),
        ("/public/stream", "BTCUSDT@trade", False),
    ],
)
def test_every_subscription_is_acknowledged_but_only_the_right_path_delivers(
    simulate: Any, dial: Any, path: str, stream: str, delivers: bool
) -> None:
    async def run() -> None:
        async with simulate("--rate", "1000") as sim, dial(sim.url("binance", "usdm_ws", path)) as socket:
            await socket.send(json.dumps({"method": "SUBSCRIBE", "params": [stream], "id": 9}))
            assert json.loads(await socket.recv()) == {"result": None, "id": 9}
            await socket.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": "list"}))
            async with asyncio.timeout(5):
                while "result" not in (answer := json.loads(await socket.recv())):
                    pass
            assert answer == {"result": [stream], "id": "list"}
            try:
                async with asyncio.timeout(5 if delivers else 0.4):
                    message = json.loads(await socket.recv())
            except TimeoutError:
                message = None

        assert (message is not None and message["stream"] == stream) == delivers

    asyncio.run(run())


def test_unsubscribe_silences_and_bad_commands_are_answered(simulate: Any, dial: Any, until: Any) -> None:
    async def run() -> None:
        async with simulate("--rate", "1000") as sim, dial(sim.url("binance", "spot_ws", "/ws/btcusdt@trade")) as socket:
            trade = await until(socket, lambda message: message.get("e") == "trade")
            assert trade["s"] == "BTCUSDT"
            await socket.send(json.dumps({"method": "UNSUBSCRIBE", "params": ["btcusdt@trade"], "id": 1}))
            await until(socket, lambda message: message == {"result": None, "id": 1})
            await socket.send(json.dumps({"method": "LEAVE", "id": 2}))
            assert json.loads(await socket.recv())["error"]["code"] == 2
            await socket.send("not json")
            assert json.loads(await socket.recv())["error"]["code"] == 3
            await socket.send(json.dumps({"method": "SUBSCRIBE", "params": "btcusdt@trade", "id": 3}))
            answer = json.loads(await socket.recv())
            assert answer["id"] == 3
            assert answer["error"]["code"] == 2

    asyncio.run(run())


@pytest.mark.parametrize(("key", "path", "allowed"), [("spot_ws", "/ws", 5), ("usdm_ws", "/market/ws", 10)])
def test_too_many_commands_a_second_close_the_socket(simulate: Any, dial: Any, drain: Any, key: str, path: str, allowed: int) -> None:
    async def run() -> None:
        async with simulate() as sim, dial(sim.url("binance", key, path)) as socket:
            for number in range(allowed + 1):
                await socket.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": number}))
            answers: list[str] = []
            with pytest.raises(ConnectionClosedError) as closed:
                await drain(socket, answers)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008
            assert len(answers) == allowed

    asyncio.run(run())


def test_aggregates_cover_the_raw_trades(simulate: Any, dial: Any) -> None:
    async def run() -> None:
        async with (
            simulate("--rate", "2000") as sim,
            dial(sim.url("binance", "spot_ws", "/stream?streams=btcusdt@trade/btcusdt@aggTrade")) as socket,
        ):
            raw: dict[int, Any] = {}
            merged: list[Any] = []
            async with asyncio.timeout(10):
                while len(merged) < 150:
                    data = json.loads(await socket.recv())["data"]
                    if data["e"] == "trade":
                        raw[data["t"]] = data
                    else:
                        merged.append(data)

        assert [item["a"] for item in merged] == list(range(merged[0]["a"], merged[0]["a"] + len(merged)))
        assert all(later["f"] == earlier["l"] + 1 for earlier, later in itertools.pairwise(merged))
        assert any(item["l"] > item["f"] for item in merged)
        for item in merged:
            fills = [raw[identity] for identity in range(item["f"], item["l"] + 1)]
            assert sum(float(fill["q"]) for fill in fills) == pytest.approx(float(item["q"]))
            assert {(fill["p"], fill["m"]) for fill in fills} == {(item["p"], item["m"])}

    asyncio.run(run())


def test_marks_and_liquidations(simulate: Any, dial: Any, until: Any) -> None:
    async def run() -> None:
        async with (
            simulate("--liquidations-per-minute", "600") as sim,
            dial(sim.url("binance", "usdm_ws", "/market/stream?streams=btcusdt@markPrice@1s/!forceOrder@arr")) as socket,
        ):
            mark = await until(socket, lambda message: message["data"]["e"] == "markPriceUpdate")
            forced = await until(socket, lambda message: message["data"]["e"] == "forceOrder")

        assert mark["data"]["T"] % (8 * 3_600_000) == 0
        assert mark["data"]["E"] % 1000 == 0
        assert forced["stream"] == "!forceOrder@arr"
        assert forced["data"]["o"]["S"] in {"BUY", "SELL"}
        assert forced["data"]["o"]["X"] == "FILLED"

    asyncio.run(run())


def test_off_book_fills_are_raw_trades_only_and_leave_holes_in_the_ids(simulate: Any, dial: Any) -> None:
    async def run() -> None:
        async with (
            simulate("--liquidations-per-minute", "1200", "--symbols", "BTC/USDT", "--exchanges", "binance") as sim,
            dial(sim.url("binance", "usdm_ws", "/public/ws/btcusdt@trade")) as socket,
        ):
            kinds: dict[int, str] = {}
            async with asyncio.timeout(10):
                while "INSURANCE_FUND" not in kinds.values() or len(kinds) < 30:
                    data = json.loads(await socket.recv())
                    kinds[data["t"]] = data["X"]
        assert set(kinds.values()) == {"MARKET", "INSURANCE_FUND"}

    asyncio.run(run())


def test_rest_weights_lead_to_429_with_retry_after(simulate: Any) -> None:
    async def run() -> None:
        async with simulate("--weight-limit", "60") as sim:
            depth = sim.url("binance", "spot_rest", "/api/v3/depth?symbol=BTCUSDT&limit=1000")
            first, second = await sim.get(depth), await sim.get(depth)
            other = await sim.get(sim.url("binance", "usdm_rest", "/fapi/v1/depth?symbol=BTCUSDT&limit=500"))

        assert (first.status_code, first.headers["X-MBX-USED-WEIGHT-1M"]) == (200, "50")
        if second.status_code == 429:
            assert 1 <= int(second.headers["Retry-After"]) <= 60
            assert second.headers["X-MBX-USED-WEIGHT-1M"] == "100"
        else:
            # The clock minute turned between the two requests.
            assert second.headers["X-MBX-USED-WEIGHT-1M"] == "50"
        assert (other.status_code, other.headers["X-MBX-USED-WEIGHT-1M"]) == (200, "10")

    asyncio.run(run())


def test_rest_errors_and_trades_by_id(simulate: Any, dial: Any, until: Any) -> None:
    async def run() -> None:
        async with simulate("--rate", "1000") as sim:
            base = sim.url("binance", "spot_rest")
            unknown = await sim.get(f"{base}/api/v3/depth?symbol=NOPE")
            assert (unknown.status_code, unknown.json()["code"]) == (400, -1121)
            refused = await sim.get(sim.url("binance", "usdm_rest", "/fapi/v1/depth?symbol=BTCUSDT&limit=7"))
            assert (refused.status_code, refused.json()["code"]) == (400, -4021)
            assert (await sim.get(f"{base}/api/v3/klines?symbol=BTCUSDT&interval=7m")).json()["code"] == -1120
            assert (await sim.get(f"{base}/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=x")).json()["code"] == -1100
            assert (await sim.get(f"{base}/api/v3/nothing")).status_code == 404
            async with dial(sim.url("binance", "spot_ws", "/ws/btcusdt@trade")) as socket:
                trade = await until(socket, lambda message: True)
                await until(socket, lambda message: message["t"] >= trade["t"] + 20)
            rows = (await sim.get(f"{base}/api/v3/historicalTrades?symbol=BTCUSDT&fromId={trade['t']}&limit=10")).json()
            assert [row["id"] for row in rows] == list(range(trade["t"], trade["t"] + 10))
            assert (rows[0]["price"], rows[0]["qty"], rows[0]["isBuyerMaker"]) == (trade["p"], trade["q"], trade["m"])
            merged = (await sim.get(f"{base}/api/v3/aggTrades?symbol=BTCUSDT&limit=5")).json()
            again = (await sim.get(f"{base}/api/v3/aggTrades?symbol=BTCUSDT&fromId={merged[0]['a']}&limit=5")).json()
            assert again == merged
            spanned = (await sim.get(f"{base}/api/v3/aggTrades?symbol=BTCUSDT&startTime={merged[0]['T']}&endTime={merged[-1]['T']}")).json()
            assert {row["a"] for row in merged} <= {row["a"] for row in spanned}

    asyncio.run(run())


def test_klines_join_each_other_and_end_with_the_running_candle(simulate: Any) -> None:
    async def run() -> None:
        async with simulate() as sim:
            rows = (await sim.get(sim.url("binance", "spot_rest", "/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=120"))).json()
            spans = (await sim.get(sim.url("binance", "usdm_rest", "/fapi/v1/klines?symbol=BTCUSDT&interval=1w&limit=3"))).json()
            held = await sim.book("binance", "spot", "BTC/USDT")

        assert [later[0] - earlier[0] for earlier, later in itertools.pairwise(rows)] == [60_000] * 119
        assert all(float(row[3]) <= min(float(row[1]), float(row[4])) <= max(float(row[1]), float(row[4])) <= float(row[2]) for row in rows)
        assert all(float(earlier[4]) == pytest.approx(float(later[1]), rel=1e-6) for earlier, later in itertools.pairwise(rows))
        assert float(rows[-1][4]) == pytest.approx(held["bids"][0][0], rel=1e-3)
        # Weeks open on Monday; the epoch was a Thursday.
        assert all((row[0] // 86_400_000 + 3) % 7 == 0 for row in spans)

    asyncio.run(run())


def test_big_bodies_arrive_whole_over_many_connections(simulate: Any) -> None:
    async def run() -> None:
        async with simulate() as sim:
            url = sim.url("binance", "spot_rest", "/api/v3/klines?symbol=BTCUSDT&interval=1h&limit=1000")
            bodies = await asyncio.gather(*(sim.get(url) for _ in range(8)))

        assert all(len(body.json()) == 1000 for body in bodies)
        assert all(int(body.headers["Content-Length"]) == len(body.content) > 100_000 for body in bodies)

    asyncio.run(run())


def test_the_server_pings_as_the_venue_does(simulate: Any, dial: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from simulator.venues.binance.session import BinanceSession

    original = BinanceSession.__init__

    def faster(self: BinanceSession, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        self.ping_every_s = 0.05

    monkeypatch.setattr(BinanceSession, "__init__", faster)

    async def run() -> None:
        async with simulate() as sim, dial(sim.url("binance", "spot_ws", "/ws")) as socket:
            pinged = asyncio.Event()
            original_event = socket.process_event

            def watch(event: Any) -> None:
                if re.search("PING", repr(getattr(event, "opcode", ""))):
                    pinged.set()
                original_event(event)

            socket.process_event = watch
            async with asyncio.timeout(5):
                await pinged.wait()

    asyncio.run(run())
