"""MEXC over real sockets: documented protobuf vectors, recorded shapes, versions, refusals, limits. Frames are read by field number."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from simulator.faults import Faults
from simulator.market import Market, Trade
from simulator.streams import BINARY, Hub, Socket
from simulator.venues.mexc import catalogue, protobuf, pushes, rest, session
from simulator.venues.mexc.board import Board
from simulator.venues.mexc.catalogue import Spelling
from tests.simulator.shapes import decode, lines, recorded

START = 1_764_000_000_123_000
SENT = 1_764_000_000_150_000
SAMPLES = "mexc/message_samples.jsonl"
DEALS = (
    "0a2f73706f74407075626c69632e61676772652e6465616c732e76332e6170692e7062403130306d7340425443555344541a07425443555344543096d1dfb4ab33d213480a1d0a07"
    "39313235302e351205302e303132180220fbd0dfb4ab332a023737122773706f74407075626c69632e61676772652e6465616c732e76332e6170692e7062403130306d73"
)
DEPTH = (
    "0a2f73706f74407075626c69632e61676772652e64657074682e76332e6170692e7062403130306d7340425443555344541a07425443555344543096d1dfb4ab33ca13510a0c0a07"
    "39313235302e36120130120e0a0739313235302e351203312e351a2773706f74407075626c69632e61676772652e64657074682e76332e6170692e7062403130306d732203313031"
    "2a03313035"
)
CHANNEL = "spot@public.aggre.{}.v3.api.pb@100ms"


def board(symbol: str) -> Board:
    item = next(item for item in catalogue.CATALOGUE if item.symbol == symbol)
    return Board(Market(item, seed=1, start_us=START), Hub(Faults()))


class Wire:
    """Keeps what a socket writes."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        self.written = b""

    def first(self) -> bytes:
        """Payload of the first binary WebSocket frame."""
        assert self.written[0] == BINARY
        size, start = self.written[1], 2
        if size == 126:
            size, start = int.from_bytes(self.written[2:4], "big"), 4
        return self.written[start : start + size]


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and values as they lie on the wire."""
    place = 0

    def varint() -> int:
        nonlocal place
        found = shift = 0
        while True:
            byte = data[place]
            place += 1
            found |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return found

    while place < len(data):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        else:
            assert key & 7 == 2
            size = varint()
            yield key >> 3, data[place : place + size]
            place += size


def opened(data: bytes) -> dict[int, Any]:
    """A wrapper by field number, its body opened, too."""
    found: dict[int, Any] = dict(fields(data))
    body = max(found)
    return found | {body: list(fields(found[body]))}


def test_the_documented_vectors_come_out_byte_for_byte() -> None:
    btc = next(item for item in catalogue.CATALOGUE if item.symbol == "BTC/USDT")
    spelling = Spelling(btc)
    head = protobuf.head(f"{CHANNEL.format('deals')}@BTCUSDT", "BTCUSDT")
    fill = Trade(0, 0, START, 9_125_050, 1_200_000, False)
    # The vector's id is of a form that the venue has not used in any recorded frame.
    one = protobuf.deals(spelling, [fill], event=CHANNEL.format("deals"))
    long = protobuf.text(5, protobuf.trade_id(fill))
    short = one.replace(long, protobuf.text(5, "77")).replace(bytes([0x0A, one[1]]), bytes([0x0A, one[1] - len(long) + 4]), 1)
    assert protobuf.frame(head, protobuf.AGGRE_DEALS, short, now_us=SENT).hex() == DEALS

    body = protobuf.depths(
        spelling, bids=[(9_125_050, 150_000_000)], asks=[(9_125_060, 0)], event=CHANNEL.format("depth"), first=101, last=105, time_us=0
    )
    head = protobuf.head(f"{CHANNEL.format('depth')}@BTCUSDT", "BTCUSDT")
    assert protobuf.frame(head, protobuf.AGGRE_DEPTHS, body, now_us=SENT).hex() == DEPTH


def spelled_like(mine: Any, theirs: Any) -> bool:
    """Whether two field values are of one kind: numbers, decimals as text, or messages of the same fields."""
    if isinstance(mine, int) or isinstance(theirs, int):
        return type(mine) is type(theirs)
    if mine[:1] == b"\n":
        return [number for number, _ in fields(mine)] == [number for number, _ in fields(theirs)]
    return bool(mine.replace(b".", b"").isdigit() == theirs.replace(b".", b"").isdigit())


@pytest.mark.parametrize(
    ("field", "name"), [(314, CHANNEL.format("deals")), (315, CHANNEL.format("bookTicker")), (303, "spot@public.limit.depth.v3.api.pb@5")]
)
def test_protobuf_frames_have_the_fields_of_recorded_ones(recordings: Path, field: int, name: str) -> None:
    found = [base64.b64decode(line["raw_b64"]) for line in lines(recordings / "mexc/v3_spot_protobuf_frames.jsonl") if "raw_b64" in line]
    theirs = next(wrapper for frame in found if field in (wrapper := opened(frame)))
    market, wire = board("BTC/USDT"), Wire()
    listener = Socket(wire, exchange="mexc", market="spot", identity=1)
    market.hub.attach(listener, market.streams[name])
    market.trades(market.market.order(START)[:1])
    market.clock(START + 1_000_000)
    listener.flush()
    mine = opened(wire.first())

    assert list(mine) == list(theirs)
    assert mine[1] == theirs[1]
    assert mine[3] == theirs[3]
    kinds = list(dict.fromkeys(number for number, _ in theirs[field]))
    assert list(dict.fromkeys(number for number, _ in mine[field])) == kinds
    for kind in kinds:
        ours, real = (next(value for number, value in body if number == kind) for body in (mine[field], theirs[field]))
        assert spelled_like(ours, real), (kind, ours, real)


def kinds(value: Any) -> Any:
    """Keys in order and kinds; whole and broken numbers are one, because the venue leaves out zeros at the end."""
    if isinstance(value, dict):
        return [(key, kinds(item)) for key, item in value.items()]
    if isinstance(value, list):
        return [kinds(value[0])] if value and isinstance(value[0], list | dict) else [kinds(item) for item in value]
    return "text" if isinstance(value, str) else type(value).__name__ if value is None or isinstance(value, bool) else "number"


def test_pushes_of_perpetuals_look_as_recorded(recordings: Path) -> None:
    perp = board("BTC/USDT:USDT")
    path = recordings / SAMPLES

    def sample(channel: str, *keys: str) -> Any:
        def wanted(body: Any) -> bool:
            if not isinstance(body, dict) or body.get("channel") != channel:
                return False
            data = body["data"][0] if isinstance(body["data"], list) else body["data"]
            return all(data.get(key) for key in keys)

        return recorded(path, wanted)

    fills = perp.market.order(START)[:1]
    assert kinds(decode(pushes.deal(perp.spelling, fills))) == kinds(sample("push.deal", "i"))
    levels = perp.market.book.bids.levels(1), perp.market.book.asks.levels(1)
    depth = decode(pushes.depth(perp.spelling, bids=levels[0], asks=levels[1], first=5, last=5, now_us=START))
    assert kinds(depth) == kinds(sample("push.depth", "begin", "asks", "bids"))
    for name, key in (("ticker", "contractId"), ("funding.rate", "nextSettleTime"), ("fair.price", "price"), ("index.price", "price")):
        assert kinds(decode(perp._state(name, START))) == kinds(sample(f"push.{name}", key))
    assert kinds(decode(pushes.acknowledged("sub.depth", "BTC_USDT"))) == kinds(
        recorded(path, lambda body: isinstance(body, dict) and body.get("channel") == "rs.sub.depth")
    )


def test_rest_answers_look_as_recorded(recordings: Path) -> None:
    spot, perp = board("BTC/USDT"), board("BTC/USDT:USDT")
    path = recordings / SAMPLES
    for each in (spot, perp):
        each.market.order(START + 1)
    info = decode(rest.exchange_info(catalogue.CATALOGUE[:20], now_us=START).body)
    assert kinds(info) == kinds(recorded(path, lambda body: isinstance(body, dict) and "symbols" in body, http=True))
    detail = decode(rest.contract_detail(catalogue.CATALOGUE[20:]).body)

    def listed(key: str) -> Any:
        return lambda body: isinstance(body, dict) and isinstance(body.get("data"), list) and key in body["data"][0]

    assert kinds(detail) == kinds(recorded(path, listed("contractSize"), http=True))
    deals = decode(rest.perp_deals(perp.spelling, perp.market, limit=1).body)
    assert kinds(deals) == kinds(recorded(path, listed("p"), http=True))
    depth = decode(rest.perp_depth(perp.spelling, perp.market.image(), limit=3).body)
    assert kinds(depth) == kinds(
        recorded(
            path,
            lambda body: isinstance(body, dict) and isinstance(body.get("data"), dict) and "asks" in body["data"] and "success" in body,
        )
    )
    assert decode(rest.spot_trades(spot.spelling, spot.market, limit=1))[0]["id"] is None
    rows = json.loads(rest.spot_klines(spot.spelling, spot.market, {"interval": "60m", "limit": "3"}, now_us=START).body)
    assert [len(row) for row in rows] == [8, 8, 8]
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)


def test_spot_depth_continues_its_versions_from_the_snapshot(simulate: Any, dial: Any) -> None:
    async def run() -> None:
        async with (
            simulate("--rate", "2000", "--exchanges", "mexc", "--symbols", "BTC/USDT") as sim,
            dial(sim.url("mexc", "spot_ws", "/ws")) as socket,
        ):
            name = f"{CHANNEL.format('depth')}@BTCUSDT"
            await socket.send(json.dumps({"method": "SUBSCRIPTION", "params": [name]}))
            spans: list[tuple[int, int]] = []
            snapshot = 0
            async with asyncio.timeout(15):
                while len(spans) < 25:
                    message = await socket.recv()
                    if isinstance(message, str):
                        assert json.loads(message) == {"id": 0, "code": 0, "msg": name}
                        continue
                    body = dict(opened(message)[313])
                    spans.append((int(body[4]), int(body[5])))
                    if len(spans) == 5:
                        url = sim.url("mexc", "spot_rest", "/api/v3/depth?symbol=BTCUSDT&limit=5")
                        snapshot = (await sim.get(url)).json()["lastUpdateId"]
            assert all(first == before + 1 for (_, before), (first, _) in pairwise(spans))
            assert sum(first <= snapshot + 1 <= last for first, last in spans) == 1

    asyncio.run(run())


def test_what_sockets_are_told(simulate: Any, dial: Any, until: Any) -> None:
    async def run() -> None:
        async with simulate("--exchanges", "mexc", "--symbols", "BTC/USDT") as sim:
            async with dial(sim.url("mexc", "spot_ws", "/ws")) as socket:
                await socket.send('{"method":"PING"}')
                assert await socket.recv() == '{"id":0,"code":0,"msg":"PONG"}'
                good, bad = f"{CHANNEL.format('deals')}@BTCUSDT", f"{CHANNEL.format('deals')}@NOPE"
                await socket.send(json.dumps({"method": "SUBSCRIPTION", "params": [good, bad]}))
                taken = await until(socket, lambda message: message["msg"] == good)
                blocked = await until(socket, lambda message: "Blocked!" in message["msg"])
                await socket.send(json.dumps({"method": "SUBSCRIPTION", "params": [good.replace("100ms", "10ms")] * 2}))
                await until(socket, lambda message: "10ms" in message["msg"])
                sockets = await sim.control("sockets")
            async with dial(sim.url("mexc", "perp_ws", "/edge")) as socket:
                await socket.send('{"method":"ping"}')
                assert (await until(socket, lambda message: True))["channel"] == "pong"
                for native in ("BTC_USDT", "NOPE_USDT"):
                    await socket.send(json.dumps({"method": "sub.ticker", "param": {"symbol": native}}))
                ack = await until(socket, lambda message: message["channel"].startswith("rs."))
                push = await until(socket, lambda message: message["channel"] == "push.ticker")
                refusal = await until(socket, lambda message: message["channel"] == "rs.error")

        assert (taken["code"], blocked["code"]) == (0, 0)
        assert f"[{bad}]" in blocked["msg"]
        assert sockets[0]["streams"] == ["trades BTC/USDT", "trades BTC/USDT"]
        assert ack == {"channel": "rs.sub.ticker", "param": {"symbol": "BTC_USDT"}}
        assert push["symbol"] == "BTC_USDT"
        assert "NOPE_USDT" in refusal["data"]

    asyncio.run(run())


def test_unused_sockets_and_those_that_do_not_ping_are_cut(simulate: Any, dial: Any, drain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        monkeypatch.setattr(session, "UNSUBSCRIBED_US", 300_000)
        monkeypatch.setattr(session, "SILENCE_US", 600_000)
        monkeypatch.setattr(session, "COMMANDS_PER_SECOND", 3)
        async with simulate("--exchanges", "mexc", "--symbols", "BTC/USDT") as sim:
            for key, path, commands in (
                ("spot_ws", "/ws", []),
                ("perp_ws", "/edge", ['{"method":"sub.deal","param":{"symbol":"BTC_USDT"}}']),
                ("perp_ws", "/edge", ['{"method":"ping"}'] * 4),
            ):
                async with dial(sim.url("mexc", key, path)) as socket:
                    for command in commands:
                        await socket.send(command)
                    with pytest.raises(ConnectionClosed):
                        await drain(socket, [])

    asyncio.run(run())


def test_thirty_subscriptions_a_spot_socket(simulate: Any, dial: Any, until: Any) -> None:
    async def run() -> None:
        symbols = ",".join(item.symbol for item in catalogue.CATALOGUE[:16])
        async with simulate("--exchanges", "mexc", "--symbols", symbols) as sim, dial(sim.url("mexc", "spot_ws", "/ws")) as socket:
            names = [f"{CHANNEL.format(kind)}@{item.base}USDT" for item in catalogue.CATALOGUE[:16] for kind in ("deals", "depth")]
            await socket.send(json.dumps({"method": "SUBSCRIPTION", "params": names}))
            blocked = await until(socket, lambda message: "Blocked!" in message["msg"])
        assert f"[{names[30]},{names[31]}]" in blocked["msg"]

    asyncio.run(run())


def test_rest_limits_and_unknown_symbols(simulate: Any) -> None:
    async def run() -> None:
        async with simulate("--exchanges", "mexc", "--symbols", "BTC/USDT") as sim:
            spot = await sim.get(sim.url("mexc", "spot_rest", "/api/v3/depth?symbol=NOPE"))
            perp = await sim.get(sim.url("mexc", "perp_rest", "/api/v1/contract/depth/NOPE"))
            await sim.control("fault", kind="http_429", exchange="mexc", symbol="BTC/USDT", duration=2)
            limited = await sim.get(sim.url("mexc", "spot_rest", "/api/v3/depth?symbol=BTCUSDT"))
        assert (spot.status_code, spot.json()["code"]) == (400, -1121)
        assert (perp.json()["success"], perp.json()["code"]) == (False, 1001)
        assert limited.status_code == 429
        assert 1 <= int(limited.headers["Retry-After"]) <= 2

    asyncio.run(run())
