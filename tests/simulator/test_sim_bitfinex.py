"""Bitfinex simulated: messages shaped like recorded ones, checksums, the count over a socket, channels, REST pages and limits."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.book import Book
from simulator.market import Market
from simulator.venues.bitfinex import catalogue, frames, rest
from simulator.venues.bitfinex.catalogue import Spelling, number
from tests.simulator.shapes import decode, lines, recorded

START = 1_763_700_000_000_000
VECTORS = "bitfinex/v2_book_checksum_vectors.jsonl"
RUN = "bitfinex/v2_book_trades_ticker_20250815.jsonl.gz"
NUMBERED = "bitfinex/v2_book_trades_ticker_seq_20210405.jsonl.gz"
SAMPLES = "bitfinex/message_samples.jsonl"
ALL_FLAGS = 229_376


def instrument(market: str = "spot", base: str = "BTC") -> Any:
    return next(item for item in catalogue.CATALOGUE if (item.market, item.base) == (market, base))


def living(market: str = "spot", base: str = "BTC") -> tuple[Spelling, Market]:
    item = instrument(market, base)
    return Spelling(item), Market(item, seed=1, start_us=START)


def kinds(value: Any) -> Any:
    """Numbers are as JavaScript prints them, so that 5 and 5.5 are of one kind."""
    if isinstance(value, list):
        return [kinds(item) for item in value]
    if isinstance(value, dict):
        return {key: kinds(item) for key, item in value.items()}
    return "text" if isinstance(value, str) else "null" if value is None else "number"


def same_kinds(mine: Any, theirs: Any) -> None:
    mine, theirs = kinds(mine), kinds(theirs)
    assert mine == theirs
    if isinstance(mine, dict):
        assert list(mine) == list(theirs)


def event(name: str, **fields: str) -> Callable[[Any], bool]:
    return lambda body: isinstance(body, dict) and body.get("event") == name and fields.items() <= body.items()


def array(kind: str | type, length: int) -> Callable[[Any], bool]:
    return lambda body: (
        isinstance(body, list) and len(body) == length and (body[1] == kind if isinstance(kind, str) else isinstance(body[1], kind))
    )


@pytest.mark.parametrize("case", [0, 1])
def test_the_checksum_is_that_of_the_recorded_vectors(recordings: Path, case: int) -> None:
    steps = list(lines(recordings / VECTORS))
    cases = sorted({line["case"] for line in steps})
    frames_of = [json.loads(line["raw"]) for line in steps if line["case"] == cases[case]]
    expected = next(line["expected_checksum"] for line in steps if line["case"] == cases[case] and "expected_checksum" in line)
    # Prices have eight decimals here and amounts too, whatever they are worth.
    spelling = Spelling(instrument())
    book = Book()
    raw = [line["raw"] for line in steps if line["case"] == cases[case]]
    for text, frame in zip(raw, frames_of, strict=True):
        if not isinstance(frame, list) or frame[1] == "cs":
            continue
        spelled = json.loads(text, parse_float=str, parse_int=str)[1]
        for price, count, amount in spelled if isinstance(frame[1][0], list) else [spelled]:
            side = book.asks if amount.startswith("-") else book.bids
            ticks, lots = (round(float(part.lstrip("-")) * 10**8) for part in (price, amount))
            side.set(side.sign * ticks, lots if int(count) else 0)

    class Tiny:
        def price(self, ticks: int) -> str:
            return number(ticks, 8)

        amount = staticmethod(spelling.amount)

    assert frames.checksum(Tiny(), book, 25) == expected  # type: ignore[arg-type]


@given(st.integers(-(10**14), 10**14), st.integers(0, 8))
def test_numbers_are_spelled_as_javascript_spells_them(value: int, decimals: int) -> None:
    text = number(value, decimals)
    assert round(float(text) * 10**decimals) == value
    assert ("e" in text) == (0 < abs(value) < 10 ** (decimals - 6))
    assert text in {"0", "-0"} or not (("." in text.partition("e")[0]) and text.partition("e")[0].endswith("0"))


def test_data_looks_like_recorded_data(recordings: Path) -> None:
    spelling, market = living()
    fills = market.order(START)
    (fill, *_) = fills
    same_kinds([1, "te", decode(frames.trade(spelling, fill))], recorded(recordings / RUN, array("te", 3)))
    same_kinds([1, "te", decode(frames.trade(spelling, fill)), 5], recorded(recordings / NUMBERED, array("te", 4)))
    snapshot = recorded(recordings / RUN, lambda body: array(list, 2)(body) and isinstance(body[1][0], list) and len(body[1][0]) == 4)
    assert [row[0] for row in snapshot[1]] == sorted((row[0] for row in snapshot[1]), reverse=True) or len(snapshot[1]) > 1
    same_kinds(decode(frames.trades(spelling, fills))[0], snapshot[1][0])
    book = recorded(recordings / RUN, lambda body: array(list, 2)(body) and isinstance(body[1][0], list) and len(body[1][0]) == 3)
    bids, asks = (json.loads(body) for body in frames.levels(spelling, bids=[(70_000, 5)], asks=[(70_001, 7)]))
    same_kinds(bids, book[1][0])
    assert asks[2] < 0
    gone = [json.loads(body) for body in frames.levels(spelling, bids=[(70_000, 0)], asks=[(70_001, 0)])]
    recorded_gone = recorded(recordings / RUN, lambda body: array(list, 2)(body) and len(body[1]) == 3 and body[1][1] == 0)
    assert gone == [[70_000, 0, 1], [70_001, 0, -1]]
    assert recorded_gone[1][2] in (1, -1)


def test_status_rows_look_like_recorded_ones(recordings: Path) -> None:
    spelling, _ = living("perp")
    mine = decode(
        frames.status(
            price="70000", spot="70001.5", mark="70000.25", funding="0.0001", open_interest="5000.5", next_us=START, time_us=START
        )
    )
    theirs = recorded(recordings / SAMPLES, lambda body: array(list, 4)(body) and len(body[1]) == 15)[1]
    same_kinds(mine[:15], theirs)
    assert (mine[3], mine[11], mine[14], mine[17]) == (70001.5, 0.0001, 70000.25, 5000.5) or float(mine[17]) == 5000.5

    announced = decode(frames.position(spelling, identity=7, lots=-5, base_price=70_000, acquired=None, time_us=START))
    executed = decode(frames.position(spelling, identity=7, lots=-5, base_price=70_000, acquired=70_100, time_us=START))

    def pos(row: Any) -> bool:
        return isinstance(row, list) and bool(row) and isinstance(row[0], list) and row[0][0] == "pos"

    same_kinds(announced, recorded(recordings / SAMPLES, lambda body: array(list, 6)(body) and pos(body[1]) and body[1][0][11] is None)[1])
    same_kinds(executed, recorded(recordings / SAMPLES, lambda body: array(list, 6)(body) and pos(body[1]) and body[1][0][8] == 1)[1])


class Client:
    """One socket that knows its channels and counts its frames."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.count: int | None = None
        self.arrays: list[Any] = []

    async def send(self, **command: Any) -> None:
        await self.socket.send(json.dumps(command))

    async def event(self, name: str) -> Any:
        async with asyncio.timeout(8):
            while True:
                body = await self.next()
                if isinstance(body, dict) and body.get("event") == name:
                    return body

    async def array(self, wanted: Callable[[Any], bool]) -> Any:
        async with asyncio.timeout(25):
            while True:
                body = await self.next()
                if isinstance(body, list) and wanted(body):
                    return body

    async def next(self) -> Any:
        return json.loads(await self.socket.recv(), parse_float=str)

    async def configured(self, flags: int = ALL_FLAGS) -> None:
        await self.send(event="conf", flags=flags)
        assert await self.event("conf") == {"event": "conf", "status": "OK", "flags": flags}

    async def subscribe(self, **command: Any) -> Any:
        await self.send(event="subscribe", **command)
        async with asyncio.timeout(8):
            while True:
                body = await self.next()
                if isinstance(body, dict) and body["event"] in {"subscribed", "error"}:
                    return body


class Kept:
    """A book of 25 levels kept by the documented rules, numbers as they came."""

    def __init__(self) -> None:
        self.bids: dict[str, str] = {}
        self.asks: dict[str, str] = {}
        self.verified = self.failed = 0

    def feed(self, body: Any) -> None:
        if body[1] == "cs":
            bids = sorted(self.bids.items(), key=lambda level: -float(level[0]))
            asks = sorted(self.asks.items(), key=lambda level: float(level[0]))
            text = ":".join(f"{price}:{amount}" for pair in zip(bids, asks, strict=True) for price, amount in pair)
            agrees = len(bids) == 25 and zlib.crc32(text.encode()) == body[2] % (1 << 32)
            self.verified, self.failed = self.verified + agrees, self.failed + (not agrees)
            return
        for price, count, amount in body[1] if isinstance(body[1][0], list) else [body[1]]:
            side = self.bids if float(amount) > 0 else self.asks
            if count:
                side[str(price)] = str(amount)
            else:
                assert amount in (1, -1)
                side.pop(str(price), None)


def test_greeting_answers_and_refusals(recordings: Path, simulate: Any, dial: Any) -> None:
    async def run() -> None:
        async with simulate("--exchanges", "bitfinex") as sim, dial(sim.url("bitfinex", "public_ws")) as socket:
            client = Client(socket)
            same_kinds(await client.event("info"), recorded(recordings / RUN, event("info")))
            same_kinds(
                await client.subscribe(channel="trades", symbol="tBTCUSD"),
                recorded(recordings / SAMPLES, event("subscribed", channel="trades")),
            )
            mine = await client.subscribe(channel="book", symbol="tBTCUSD", prec="P0", freq="F0", len="25", subId="one")
            same_kinds(mine, recorded(recordings / VECTORS, event("subscribed", channel="book", subId="sub1")))
            status = await client.subscribe(channel="status", key="deriv:tBTCF0:USTF0")
            same_kinds(status, recorded(recordings / SAMPLES, event("subscribed", channel="status")))
            refusals = [
                await client.subscribe(channel="trades", symbol="tNOPE"),
                await client.subscribe(channel="trades", symbol="tBTCUSD"),
                await client.subscribe(channel="candles", key="trade:1m:tBTCUSD"),
                await client.subscribe(channel="status", key="deriv:tBTCUSD"),
                await client.subscribe(channel="book", symbol="tBTCUSD", len="30"),
            ]
            assert [refusal["code"] for refusal in refusals] == [10300, 10301, 10302, 10300, 10300]
            assert refusals[0]["symbol"] == "tNOPE"
            await client.send(event="unsubscribe", chanId=mine["chanId"])
            assert (await client.event("unsubscribed"))["chanId"] == mine["chanId"]
            again = await client.subscribe(channel="book", symbol="tBTCUSD", prec="P0", freq="F0", len="25")
            assert again["chanId"] != mine["chanId"]
            await client.send(event="ping", cid=7)
            assert (await client.event("pong"))["cid"] == 7
            await sim.control("fault", kind="shutdown", exchange="bitfinex")
            assert (await client.event("info"))["code"] == 20051

    asyncio.run(run())


def test_a_socket_takes_thirty_channels(simulate: Any, dial: Any) -> None:
    async def run() -> None:
        symbols = ",".join(item.symbol for item in catalogue.CATALOGUE if item.market == "spot")
        async with simulate("--exchanges", "bitfinex", "--symbols", symbols) as sim, dial(sim.url("bitfinex", "public_ws")) as socket:
            client = Client(socket)
            spot = [Spelling(item).symbol for item in catalogue.CATALOGUE if item.market == "spot"]
            answers = [await client.subscribe(channel=channel, symbol=symbol) for channel in ("trades", "book") for symbol in spot]
            assert [answer["event"] for answer in answers[:30]] == ["subscribed"] * 30
            assert answers[30]["code"] == 10305

    asyncio.run(run())


@pytest.mark.parametrize(("symbol", "native"), [("BTC/USD", "tBTCUSD"), ("XRP/USDT", "tXRPUST"), ("DOGE/USDT:USDT", "tDOGEF0:USTF0")])
def test_every_frame_is_counted_and_every_checksum_verifies(simulate: Any, dial: Any, symbol: str, native: str) -> None:
    async def run() -> None:
        arguments = ("--exchanges", "bitfinex", "--symbols", symbol, "--rate", "600")
        async with simulate(*arguments) as sim, dial(sim.url("bitfinex", "public_ws")) as socket:
            client = Client(socket)
            await client.configured()
            trades = (await client.subscribe(channel="trades", symbol=native))["chanId"]
            chan = (await client.subscribe(channel="book", symbol=native, prec="P0", freq="F0", len="25"))["chanId"]
            book = Kept()
            last, te, tu = None, [], []
            async with asyncio.timeout(20):
                while book.verified < 150 or not set(te[:5]) <= set(tu):
                    body = await client.next()
                    if isinstance(body, dict):
                        continue
                    *_, sequence, milliseconds = body
                    assert last is None or sequence == last + 1
                    last = sequence
                    assert milliseconds > 1_700_000_000_000
                    if body[0] == trades and body[1] in {"te", "tu"}:
                        (te if body[1] == "te" else tu).append(body[2][0])
                    if body[0] == chan:
                        book.feed(body)
            assert book.failed == 0
            assert te == sorted(te)

    asyncio.run(run())


def test_without_flags_frames_are_bare_and_without_checksums(simulate: Any, dial: Any) -> None:
    async def run() -> None:
        async with simulate("--exchanges", "bitfinex", "--rate", "600") as sim, dial(sim.url("bitfinex", "public_ws")) as socket:
            client = Client(socket)
            chan = (await client.subscribe(channel="book", symbol="tBTCUSD", prec="P0", freq="F0", len="25"))["chanId"]
            for _ in range(60):
                body = await client.array(lambda body: body[0] == chan)
                assert len(body) == 2
                assert body[1] != "cs"

    asyncio.run(run())


def test_a_spoiled_checksum_is_the_only_one_that_fails(simulate: Any, dial: Any) -> None:
    async def run() -> None:
        async with simulate("--exchanges", "bitfinex", "--rate", "600") as sim, dial(sim.url("bitfinex", "public_ws")) as socket:
            client, book = Client(socket), Kept()
            await client.configured()
            chan = (await client.subscribe(channel="book", symbol="tBTCUSD", prec="P0", freq="F0", len="25"))["chanId"]
            await sim.control("fault", kind="bad_checksum", exchange="bitfinex", symbol="BTC/USD")
            while book.verified < 60:
                book.feed(await client.array(lambda body: body[0] == chan))
            assert book.failed == 1

    asyncio.run(run())


def test_silent_channels_are_kept_warm(simulate: Any, dial: Any) -> None:
    async def run() -> Any:
        async with simulate("--exchanges", "bitfinex", "--rate", "0.001") as sim, dial(sim.url("bitfinex", "public_ws")) as socket:
            client = Client(socket)
            await client.configured()
            chan = (await client.subscribe(channel="trades", symbol="tBTCUSD"))["chanId"]
            venue = sim.server.venues["bitfinex"]
            # As if nothing had been said on it for fourteen of the fifteen seconds.
            venue._spoken[venue.feeds[instrument()].trades_stream] = sim.server.faults.now_us - 14_000_000
            return chan, await client.array(lambda body: body[1] == "hb")

    chan, beat = asyncio.run(run())
    assert beat[0] == chan
    assert len(beat) == 4


def test_trades_begin_with_the_newest_and_rest_pages_both_ways(simulate: Any, dial: Any) -> None:
    async def run() -> None:
        async with simulate("--exchanges", "bitfinex", "--rate", "1500") as sim:
            market = sim.server.venues["bitfinex"].markets[0]
            for _ in range(40):
                market.order(market.time_us + 1_000)
            async with dial(sim.url("bitfinex", "public_ws")) as socket:
                client = Client(socket)
                await client.subscribe(channel="trades", symbol="tBTCUSD")
                snapshot = (await client.array(lambda body: isinstance(body[1], list)))[1]

            async def get(query: str) -> Any:
                return (await sim.get(sim.url("bitfinex", "rest", f"/v2/trades/tBTCUSD/hist?{query}"))).json()

            newest = await get("limit=5")
            oldest = await get("limit=5&sort=1&start=0")
            within = await get(f"start={snapshot[18][1]}&end={snapshot[5][1]}&limit=10000&sort=1")

        ids = [row[0] for row in snapshot]
        # Whole orders only.
        assert 20 < len(ids) <= 30
        assert ids == sorted(ids, reverse=True)
        assert [row[0] for row in newest] == sorted((row[0] for row in newest), reverse=True)
        assert [row[0] for row in oldest] == sorted(row[0] for row in oldest)
        assert {row[0] for row in snapshot[5:19]} <= {row[0] for row in within}

    asyncio.run(run())


def test_rest_lists_candles_limits_and_errors(recordings: Path, simulate: Any) -> None:
    async def run() -> None:
        async with simulate("--exchanges", "bitfinex", "--weight-limit", "4") as sim:

            async def get(path: str) -> Any:
                return await sim.get(sim.url("bitfinex", "rest", f"/v2/{path}"))

            pairs, info, codes = (await get("conf/pub:list:pair:exchange,pub:info:pair:futures,pub:map:currency:sym")).json()
            unknown = await get("trades/tNOPE/hist")
            candles = (await get("candles/trade:1m:tBTCUSD/hist?limit=3")).json()
            status = (await get("status/deriv?keys=tBTCF0:USTF0")).json()
            book = (await get("book/tBTCUSD/P0?len=25")).json()
            throttled = [await get("trades/tBTCUSD/hist") for _ in range(9)]

        real = recorded(recordings / "bitfinex/rest_conf_lists_20210417.jsonl", lambda body: "BTCUSD" in body[0], http=True)[0]
        assert {"BTCUSD", "BTCUST"} <= set(pairs) & set(real)
        assert info[0][0] == "BTCF0:USTF0"
        assert ["UST", "USDt"] in codes
        assert (unknown.status_code, unknown.json()) == (500, ["error", 10020, "symbol: invalid"])
        assert [row[0] for row in candles] == sorted((row[0] for row in candles), reverse=True)
        assert all(row[3] >= max(row[1], row[2]) and row[4] <= min(row[1], row[2]) for row in candles)
        assert (status[0][0], len(status[0])) == ("tBTCF0:USTF0", 24)
        assert len(book) == 50
        # A minute may turn between the requests, once.
        refused = [answer for answer in throttled if answer.status_code == 429]
        assert 1 <= len(refused) <= 6
        assert refused[0].json() == ["error", 11010, "ratelimit: error"]

    asyncio.run(run())


def test_a_limit_above_the_venues_is_refused() -> None:
    spelling, market = living()
    with pytest.raises(ValueError, match="limit"):
        rest.trades(spelling, market, {"limit": "10001"})
