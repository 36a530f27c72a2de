"""Faults: each kind does what it says, to whom it names, and leaves a row in the ledger."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from simulator.errors import InvalidFault
from simulator.faults import Faults, make, parse
from simulator.streams import Hub, Socket, Stream, spoil_checksum


class Sink:
    """A wire that keeps what is written."""

    def __init__(self) -> None:
        self.data = b""
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.data += data

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True


def publish(kind: str, messages: list[str], *, duration: float = 0.0, channel: str = "book") -> tuple[list[bytes], list[bool]]:
    """What a client gets of messages on a book stream while a fault is armed, and what `publish` said of each."""
    faults = Faults()
    hub = Hub(faults)
    wire = Sink()
    socket = Socket(wire, exchange="kraken", market="spot", identity=1)
    stream = Stream("book", exchange="kraken", market="spot", symbol="BTC/USD", channel="book")
    stream.bare.add(socket)
    faults.arm(make(kind, exchange="kraken", symbol="BTC/USD", channel=channel, duration_s=duration), now_us=1_000)
    said = [hub.publish(stream, message) for message in messages]
    socket.flush()
    return payloads(wire.data), said


def payloads(data: bytes) -> list[bytes]:
    """Payloads of short frames."""
    received = []
    while data:
        assert data[1] < 126
        received.append(data[2 : 2 + data[1]])
        data = data[2 + data[1] :]
    return received


def test_drop_removes_one_message() -> None:
    assert publish("drop_delta", ["a", "b", "c"]) == ([b"b", b"c"], [False, True, True])


def test_duplicate_repeats_one_message() -> None:
    assert publish("duplicate", ["a", "b"])[0] == [b"a", b"a", b"b"]


def test_reorder_swaps_two_messages() -> None:
    assert publish("reorder", ["a", "b", "c"])[0] == [b"b", b"a", b"c"]


def test_corrupt_replaces_one_message_with_bytes_that_are_no_json() -> None:
    received, said = publish("corrupt", ['{"a":1}', "b"])
    assert said == [False, True]
    assert received[1] == b"b"
    with pytest.raises(ValueError, match=r"codec|Expecting"):
        json.loads(received[0])


def test_bad_checksum_changes_the_checksum_alone() -> None:
    text = '{"data":[{"asks":[],"checksum":123,"timestamp":"t"}]}'
    received, _ = publish("bad_checksum", [text, text])
    spoiled = json.loads(received[0])
    assert spoiled["data"][0].pop("checksum") != 123
    assert spoiled == {"data": [{"asks": [], "timestamp": "t"}]}
    assert received[1] == text.encode()
    assert spoil_checksum(b'{"no":1}') == b'{"no":1}'


def test_stall_silences_for_its_whole_duration() -> None:
    assert publish("stall", ["a", "b"], duration=5.0)[0] == []


def test_a_fault_of_another_channel_does_nothing() -> None:
    assert publish("duplicate", ["a", "b"], channel="trades")[0] == [b"a", b"b"]


def test_faults_begin_and_end_on_time() -> None:
    started: list[str] = []
    faults = Faults(on_start=lambda fault, now: started.append(f"{fault.kind}@{now}"))
    faults.arm(make("stall", exchange="kraken", after_s=2.0, duration_s=3.0), now_us=0)

    states = []
    for second in (1, 2, 4, 5):
        faults.tick(second * 1_000_000)
        states.append(faults.judge("kraken", "BTC/USD", "trades"))

    assert states == [None, "stall", "stall", None]
    assert started == ["stall@2000000"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("stall:binance:BTC/USDT:trade:5:10", ("stall", "binance", "BTC/USDT", "trades", 5.0, 10.0)),
        ("drop_delta:binance:BTC/USDT:USDT:depth:1.5", ("drop_delta", "binance", "BTC/USDT:USDT", "book", 1.5, 0.0)),
        ("disconnect:kraken:*:*:0", ("disconnect", "kraken", "*", "*", 0.0, 0.0)),
        ("refuse:kraken:*:*:3", ("refuse", "kraken", "*", "*", 3.0, 5.0)),
    ],
)
def test_command_line_form(text: str, expected: tuple[Any, ...]) -> None:
    fault = parse(text)
    assert (fault.kind, fault.exchange, fault.symbol, fault.channel, fault.after_s, fault.duration_s) == expected


@pytest.mark.parametrize(
    "text", ["stall", "stall:binance:BTC/USDT:trades", "explode:binance:*:*:1", "stall:binance:*:candles:1", "stall:binance:*:book:-1"]
)
def test_unreadable_faults_are_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(InvalidFault, match="expected"):
        parse(text)


def rows(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_dropped_delta_breaks_the_chain_of_a_real_client(simulate: Any, dial: Any, tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            simulate("--rate", "600", "--ledger", str(tmp_path)) as sim,
            dial(sim.url("binance", "spot_ws", "/ws/btcusdt@depth@100ms")) as socket,
        ):
            before = json.loads(await socket.recv())
            armed = await sim.control("fault", kind="drop_delta", exchange="binance", symbol="BTC/USDT", channel="book")
            assert armed["armed"]
            broken = False
            async with asyncio.timeout(5):
                while not broken:
                    frame = json.loads(await socket.recv())
                    broken = frame["U"] != before["u"] + 1
                    before = frame

    asyncio.run(run())
    (row,) = rows(tmp_path / "faults.jsonl")
    assert (row["kind"], row["exchange"], row["symbol"], row["channel"]) == ("drop_delta", "binance", "BTC/USDT", "book")


def test_disconnect_cuts_only_sockets_that_listen_to_what_is_named(simulate: Any, dial: Any, drain: Any, until: Any) -> None:
    async def run() -> None:
        async with simulate("--rate", "600", "--fault", "disconnect:binance:BTC/USDT:trades:0.6") as sim:
            hit = await dial(sim.url("binance", "spot_ws", "/ws/btcusdt@trade"))
            spared = await dial(sim.url("binance", "spot_ws", "/ws/ethusdt@trade"))
            with pytest.raises(ConnectionClosed):
                await drain(hit, [])
            await until(spared, lambda message: message["s"] == "ETHUSDT")
            await spared.close()
            again = await dial(sim.url("binance", "spot_ws", "/ws/btcusdt@trade"))
            await until(again, lambda message: message["s"] == "BTCUSDT")
            await again.close()

    asyncio.run(run())


def test_stall_silences_one_channel_of_one_symbol(simulate: Any, dial: Any, until: Any) -> None:
    async def run() -> None:
        arguments = ("--exchanges", "kraken", "--symbols", "BTC/USD,ETH/USD", "--rate", "800")
        async with simulate(*arguments) as sim, dial(sim.url("kraken", "spot_ws")) as socket:
            await socket.send(json.dumps({"method": "subscribe", "params": {"channel": "trade", "symbol": ["BTC/USD", "ETH/USD"]}}))
            await until(socket, lambda message: message.get("channel") == "trade" and message["data"][0]["symbol"] == "BTC/USD")
            await sim.control("fault", kind="stall", exchange="kraken", symbol="BTC/USD", channel="trade", duration=2)
            seen: list[str] = []

            def collect(message: Any) -> bool:
                if message.get("channel") == "trade":
                    seen.append(message["data"][0]["symbol"])
                return len(seen) > 50

            await until(socket, collect)
            silent = seen[20:]
            assert set(silent) == {"ETH/USD"}
            await until(socket, lambda message: message.get("channel") == "trade" and message["data"][0]["symbol"] == "BTC/USD")

    asyncio.run(run())


def test_bad_checksum_reaches_a_kraken_client_once(simulate: Any, dial: Any, kraken_book: Any) -> None:
    async def run() -> None:
        async with simulate("--exchanges", "kraken", "--rate", "300") as sim, dial(sim.url("kraken", "spot_ws")) as socket:
            await socket.send(json.dumps({"method": "subscribe", "params": {"channel": "book", "symbol": ["BTC/USD"]}}))
            await sim.control("fault", kind="bad_checksum", exchange="kraken", symbol="BTC/USD")
            client = kraken_book(10, 1)
            async with asyncio.timeout(10):
                while not client.failed or client.verified < 20:
                    message = json.loads(await socket.recv(), parse_float=Decimal)
                    if message.get("channel") == "book":
                        client.feed(message)
            assert client.failed == 1

    asyncio.run(run())


def test_corrupt_sends_a_binary_frame(simulate: Any, dial: Any) -> None:
    async def run() -> None:
        async with simulate("--rate", "600") as sim, dial(sim.url("binance", "spot_ws", "/ws/btcusdt@trade")) as socket:
            await sim.control("fault", kind="corrupt", exchange="binance", symbol="BTC/USDT", channel="trade")
            async with asyncio.timeout(5):
                while isinstance(message := await socket.recv(), str):
                    pass
            assert message.startswith(b"\x00\xff")

    asyncio.run(run())


def test_http_429_and_refuse_last_their_duration(simulate: Any, dial: Any) -> None:
    async def run() -> None:
        async with simulate() as sim:
            depth = sim.url("binance", "spot_rest", "/api/v3/depth?symbol=BTCUSDT")
            await sim.control("fault", kind="http_429", exchange="binance", symbol="BTC/USDT", duration=1)
            limited = await sim.get(depth)
            assert (limited.status_code, limited.headers["Retry-After"]) == (429, "1")
            await sim.control("fault", kind="refuse", exchange="kraken", duration=1)
            with pytest.raises(InvalidStatus, match="503"):
                await dial(sim.url("kraken", "spot_ws"))
            assert (await sim.get(sim.url("kraken", "spot_rest", "/0/public/AssetPairs"))).status_code == 503
            async with asyncio.timeout(8):
                while (await sim.get(depth)).status_code != 200:
                    pass
                while (await sim.get(sim.url("kraken", "spot_rest", "/0/public/AssetPairs"))).status_code != 200:
                    pass
            async with dial(sim.url("kraken", "spot_ws")) as socket:
                assert "status" in await socket.recv()

    asyncio.run(run())


def test_stale_and_slow_snapshots(simulate: Any, dial: Any) -> None:
    async def run() -> None:
        async with simulate("--rate", "600") as sim, dial(sim.url("binance", "spot_ws", "/ws/btcusdt@depth@100ms")) as socket:
            for _ in range(3):
                first = json.loads(await socket.recv())
            depth = sim.url("binance", "spot_rest", "/api/v3/depth?symbol=BTCUSDT&limit=1000")
            await sim.control("fault", kind="stale_snapshot", exchange="binance", symbol="BTC/USDT")
            stale, fresh = (await sim.get(depth)).json(), (await sim.get(depth)).json()
            assert stale["lastUpdateId"] < first["U"] <= fresh["lastUpdateId"]
            loop = asyncio.get_running_loop()
            begin = loop.time()
            await sim.control("fault", kind="slow_snapshot", exchange="binance", symbol="BTC/USDT", duration=0.6)
            await sim.get(depth)
            assert 0.4 < loop.time() - begin < 5
            begin = loop.time()
            await sim.get(depth)
            assert loop.time() - begin < 0.4

    asyncio.run(run())


def test_a_slow_kraken_snapshot_comes_after_its_acknowledgement(simulate: Any, dial: Any, until: Any) -> None:
    async def run() -> None:
        async with simulate("--rate", "600") as sim, dial(sim.url("kraken", "spot_ws")) as socket:
            await sim.control("fault", kind="slow_snapshot", exchange="kraken", symbol="BTC/USD", duration=0.6)
            loop = asyncio.get_running_loop()
            await socket.send(json.dumps({"method": "subscribe", "params": {"channel": "book", "symbol": ["BTC/USD"]}}))
            await until(socket, lambda message: message.get("success"))
            begin = loop.time()
            book = await until(socket, lambda message: message.get("channel") == "book")
            assert book["type"] == "snapshot"
            assert 0.3 < loop.time() - begin < 5

    asyncio.run(run())


def test_calm_ends_every_fault(simulate: Any) -> None:
    async def run() -> None:
        async with simulate() as sim:
            await sim.control("fault", kind="stall", duration=60)
            await sim.control("fault", kind="refuse", duration=60, after=30)
            assert await sim.control("calm") == {"ended": 2}
            assert await sim.control("calm") == {"ended": 0}

    asyncio.run(run())


@pytest.mark.parametrize("query", ["kind=explode", "kind=stall&exchange=nowhere", "kind=stall&duration=soon", "kind=stall&channel=candles"])
def test_control_refuses_what_it_cannot_do(simulate: Any, query: str) -> None:
    async def run() -> None:
        async with simulate() as sim:
            answer = await sim.get(f"http://127.0.0.1:{sim.server.port}/control/fault?{query}")
        assert answer.status_code == 400
        assert answer.json()["error"]

    asyncio.run(run())


def test_ledger_holds_exactly_what_a_client_was_sent(simulate: Any, dial: Any, tmp_path: Path) -> None:
    received: dict[str, tuple[float, float, str]] = {}

    async def run() -> None:
        async with simulate("--rate", "1500", "--ledger", str(tmp_path), "--symbols", "BTC/USDT", "--exchanges", "binance") as sim:
            async with dial(sim.url("binance", "spot_ws", "/ws/btcusdt@trade")) as socket:
                await sim.control("fault", kind="drop_delta", exchange="binance", symbol="BTC/USDT", channel="trades", after=0.3)
                async with asyncio.timeout(10):
                    while len(received) < 300:
                        trade = json.loads(await socket.recv())
                        received[str(trade["t"])] = (float(trade["p"]), float(trade["q"]), "sell" if trade["m"] else "buy")
            stats = await sim.control("stats")
            assert stats["trades"] >= stats["trades_delivered"] >= 300
            assert stats["faults"] == 1

    asyncio.run(run())
    ledger = [row for row in rows(tmp_path / "trades.jsonl") if row["market"] == "spot"]
    first, last = int(min(received)), int(max(received))
    between = [row for row in ledger if first <= int(row["trade_id"]) <= last]
    assert {row["trade_id"]: (row["price"], row["amount"], row["side"]) for row in between if row["delivered"]} == received
    assert len([row for row in between if not row["delivered"]]) == last - first + 1 - len(received)
    perpetual = [row for row in rows(tmp_path / "trades.jsonl") if row["market"] == "usdm"]
    assert {row["symbol"] for row in perpetual} == {"BTC/USDT:USDT"}
    assert not any(row["delivered"] for row in perpetual)


def test_each_socket_gets_its_own_numbers_also_for_a_lost_message() -> None:
    faults = Faults()
    hub = Hub(faults)
    wires = [Sink(), Sink()]
    sockets = [Socket(wire, exchange="e", market="spot", identity=number) for number, wire in enumerate(wires, start=1)]
    stream = Stream("s", exchange="e", market="spot", symbol="A/B", channel="book")
    numbers = {1: 10, 2: 20}

    def render(socket: Socket) -> str:
        numbers[socket.identity] += 1
        return str(numbers[socket.identity])

    for socket in sockets:
        hub.add(socket)
        hub.attach(socket, stream)
    hub.publish(stream, "", render=render)
    faults.arm(make("drop_delta"), now_us=1)
    assert not hub.publish(stream, "", render=render)
    faults.tick(2)
    hub.publish(stream, "", render=render)
    hub.flush()

    assert [payloads(wire.data) for wire in wires] == [[b"11", b"13"], [b"21", b"23"]]
