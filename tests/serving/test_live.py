"""The live feed, end to end: rows appended to the log come out of a WebSocket."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from lake import query
from lake.paths import Hour
from lake.transforms.timeframes import open_time
from serving.events import DECODER, Book, BookDelta, Candle, Dropped, Event, Failed, Indicators, Subscribed, Trade, Window
from serving.feed import Feed
from serving.meters import Meters
from serving.reader import Reader
from serving.settings import ServingSettings
from serving.times import now_us
from serving.topics import Pattern
from tests.lake.laying import LaidLake
from tests.lake.making import MINUTE
from tests.serving.world import PATIENCE, Served, book, eventually, serving, trades


async def subscribe(client: ClientConnection, *channels: dict[str, Any]) -> None:
    await client.send(json.dumps({"op": "subscribe", "id": 7, "channels": channels}))


async def events_until(client: ClientConnection, enough: Any) -> list[Event]:
    """Events until `enough(events)` is true."""
    found: list[Event] = []
    async with asyncio.timeout(PATIENCE):
        while not enough(found):
            found += DECODER.decode(await client.recv())
    return found


def of(kind: type[Any], events: list[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


@pytest.fixture
def lake(tmp_path: Path) -> Any:
    made = LaidLake(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def live(lake: LaidLake) -> Any:
    with serving(lake.home, live_stall_seconds=1.0, live_queue_events=2000) as running:
        yield running


def test_trades_of_all_who_are_wanted_come_once_and_in_order(lake: LaidLake, live: Served) -> None:
    async def scenario() -> list[Event]:
        async with connect(f"{live.ws}/v1/live") as client:
            await subscribe(client, {"channel": "trades", "symbol": "BTC-USDT"})
            await events_until(client, lambda found: of(Subscribed, found))
            for part in range(5):
                for exchange in ("binance", "kraken"):
                    lake.log("trades", *trades(exchange, start=now_us(), count=20, step=10, first=part * 20))
                lake.log("trades", *trades("okx", start=now_us(), count=3, step=10, symbol="ETH/USDT", first=part * 3))
                if part == 2:
                    lake.writer.roll()
            return await events_until(client, lambda found: len(of(Trade, found)) >= 200)

    found = of(Trade, asyncio.run(scenario()))

    for exchange in ("binance", "kraken"):
        assert [event.trade_id for event in found if event.exchange == exchange] == [str(number) for number in range(100)]
    assert {event.symbol for event in found} == {"BTC/USDT"}


def test_forming_candles_equal_the_candles_of_the_lake(lake: LaidLake, live: Served) -> None:
    # All within the day that runs, however young it is, and the last so lately that the minute it lies in can still change.
    now = now_us()
    start = max(now - 10 * MINUTE, open_time(now, "1d"))
    lake.log("trades", *trades("binance", start=start, count=50, step=max(1, (now - start) // 50)))

    async def scenario() -> list[Event]:
        async with connect(f"{live.ws}/v1/live") as client:
            await subscribe(
                client,
                *({"channel": "candles", "exchange": "binance", "symbol": "BTC/USDT", "timeframe": each} for each in ("1m", "1h", "1d")),
                {"channel": "indicators", "exchange": "binance", "symbol": "BTC/USDT", "timeframe": "1m"},
            )
            await events_until(client, lambda found: {"1m", "1h", "1d"} <= {event.timeframe for event in of(Candle, found)})
            lake.log("trades", *trades("binance", start=now_us() - 500_000, count=40, step=10_000, first=500))
            lake.log("trades", *trades("binance", start=now_us() - 500_000, count=40, step=10_000, first=500))
            # One that is late by minutes: the bars of it are taken from the lake anew.
            lake.log("trades", *trades("binance", start=start + (now - start) // 2 + 1, count=1, step=1, first=900))
            count = 50 + 40 + 1

            def whole(found: list[Event]) -> bool:
                days = [event for event in of(Candle, found) if event.timeframe == "1d"]
                newest = {event.timestamp: event.trade_count for event in days}
                return sum(newest.values()) == count and bool(of(Indicators, found))

            return await events_until(client, whole)

    found = asyncio.run(scenario())

    newest = {(event.timeframe, event.timestamp): event for event in of(Candle, found)}
    table = pl.DataFrame(query.run_sql(lake.home, "SELECT * FROM candles WHERE timeframe IN ('1h', '1d')").table)
    compared = 0
    for row in table.iter_rows(named=True):
        event = newest.get((row["timeframe"], int(row["timestamp"].timestamp()) * 1_000_000))
        if event is not None and event.trade_count >= row["trade_count"]:
            compared += 1
            assert (event.open, event.high, event.low, event.close) == (row["open"], row["high"], row["low"], row["close"])
            assert event.trade_count == row["trade_count"]
            assert event.volume == pytest.approx(row["volume"], rel=1e-12)
            assert event.vwap == pytest.approx(row["vwap"], rel=1e-12)
    assert compared


def test_a_book_begins_whole_and_its_changes_lead_to_the_book_of_the_lake(lake: LaidLake, live: Served) -> None:
    # A book is known from the snapshot that opens its hour: what came lies in the hour that runs, however young that is.
    now = now_us()
    start = max(now - 3 * MINUTE, Hour.of(now).start)
    step = max(1, (now - start) // 180)
    lake.log("book_deltas", *book("kraken", start=start, frames=30, step=step))

    async def scenario() -> list[Event]:
        async with connect(f"{live.ws}/v1/live") as client:
            await subscribe(client, {"channel": "books", "exchange": "kraken", "symbol": "BTC/USDT"})
            first = await events_until(client, lambda found: of(Book, found))
            for part in range(10):
                rows = book("kraken", start=start + (120 + part) * step, frames=6, step=max(1, step // 10), first=1000 + 100 * part)[20:]
                lake.log("book_deltas", *rows)
            return first + await events_until(client, lambda found: len(of(BookDelta, found)) >= 50)

    found = asyncio.run(scenario())

    sides: dict[str, dict[float, float]] = {"bid": {}, "ask": {}}
    for event in found:
        if isinstance(event, Book):
            sides = {"bid": dict(event.bids), "ask": dict(event.asks)}
        if isinstance(event, BookDelta):
            sides["bid"].update(event.bids)
            sides["ask"].update(event.asks)
    mine = {(side, price): amount for side, levels in sides.items() for price, amount in levels.items() if amount}
    rows = live.rows("/v1/book", exchange="kraken", symbol="BTC/USDT", levels=1000)
    assert mine == {(row["side"], row["price"]): row["amount"] for row in rows}


def test_a_window_counts_what_the_lake_held_and_what_comes(lake: LaidLake, live: Served) -> None:
    order = {"exchange": "binance", "side": "sell", "price": 100.0, "amount": 600.0, "value_usd": 60_000.0}
    lake.log("liquidations", {**order, "timestamp": now_us() - MINUTE, "liquidation_id": "a"})

    async def scenario() -> list[Event]:
        async with connect(f"{live.ws}/v1/live") as client:
            await subscribe(client, {"channel": "windows", "exchange": "binance", "symbol": "BTC/USDT"})
            await events_until(client, lambda found: [each for each in of(Window, found) if each.event_count == 1])
            lake.log(
                "liquidations",
                {**order, "timestamp": now_us(), "liquidation_id": "b"},
                {**order, "timestamp": now_us(), "liquidation_id": "a"},
            )
            return await events_until(client, lambda found: [each for each in of(Window, found) if each.event_count == 2])

    last = of(Window, asyncio.run(scenario()))[-1]

    assert (last.total_volume_usd, last.sell_volume_usd, last.severity) == (120_000.0, 120_000.0, "MEDIUM")


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("nonsense", "bad_request"),
        ('{"op": "subscribe", "channels": [{"channel": "nothing"}]}', "bad_request"),
        ('{"op": "subscribe", "channels": [{"channel": "books"}]}', "bad_request"),
        ('{"op": "subscribe", "channels": [{"channel": "trades", "symbol": "\'; DROP TABLE trades"}]}', "bad_request"),
        ('{"op": "subscribe", "channels": [{"channel": "candles", "symbol": "BTC/USDT", "timeframe": "../../etc"}]}', "bad_request"),
        ('{"op": "subscribe", "channels": [{"channel": "trades", "symbol": NaN}]}', "bad_request"),
    ],
)
def test_what_cannot_be_understood_is_answered_with_a_sentence(served: Served, asked: str, code: str) -> None:
    async def scenario() -> list[Event]:
        async with connect(f"{served.ws}/v1/live") as client:
            await client.send(asked)
            return await events_until(client, lambda found: of(Failed, found))

    refused = of(Failed, asyncio.run(scenario()))[0]

    assert refused.code == code
    assert "expected" in refused.message


def test_ten_thousand_subscriptions_are_refused_and_the_client_lives_on(served: Served) -> None:
    async def scenario() -> list[Event]:
        async with connect(f"{served.ws}/v1/live") as client:
            await subscribe(client, *({"channel": "trades", "symbol": f"C{number}/USDT"} for number in range(10_000)))
            refused = await events_until(client, lambda found: of(Failed, found))
            await subscribe(client, {"channel": "trades", "symbol": "BTC/USDT"})
            return refused + await events_until(client, lambda found: of(Subscribed, found))

    found = asyncio.run(scenario())

    assert of(Failed, found)[0].code == "too_many"
    assert of(Subscribed, found)[0].topics == ["trades|*|BTC/USDT"]


def test_a_receiver_that_is_slow_is_told_what_it_lost_and_nobody_else_loses_anything(lake: LaidLake) -> None:
    async def scenario() -> tuple[list[Event], list[Event]]:
        settings = ServingSettings(live_queue_events=500)
        reader = Reader(lake.home)
        feed = Feed(reader, settings, Meters(lake.home))
        await feed.start()
        slow, quick = feed.subscriber(), feed.subscriber()
        for each in (slow, quick):
            feed.subscribe(each, [Pattern("trades", "", "", "")])
        seen: list[Event] = []
        for part in range(20):
            lake.log("trades", *trades("okx", start=now_us(), count=100, step=10, first=part * 100))
            while len(seen) < (part + 1) * 100:
                seen += [event for chunk in await asyncio.wait_for(quick.take(), PATIENCE) for event in chunk.events]
        late = [event for chunk in await slow.take() for event in chunk.events]
        await feed.stop()
        reader.close()
        return seen, late

    seen, late = asyncio.run(scenario())

    lost = sum(event.count for event in of(Dropped, late))
    assert [event.trade_id for event in of(Trade, seen)] == [str(number) for number in range(2000)]
    assert not of(Dropped, seen)
    assert lost > 0
    assert lost + len(of(Trade, late)) == 2000


def test_a_book_that_a_slow_receiver_lost_changes_of_begins_anew(lake: LaidLake) -> None:
    lake.log("book_deltas", *book("okx", start=max(now_us() - MINUTE, Hour.of(now_us()).start), frames=3, step=10))

    async def scenario() -> list[Event]:
        reader = Reader(lake.home)
        feed = Feed(reader, ServingSettings(live_queue_events=50), Meters(lake.home))
        await feed.start()
        slow = feed.subscriber()
        feed.subscribe(slow, [Pattern("books", "okx", "BTC/USDT", "")])
        found: list[Event] = []
        async for events in slow:
            found += events
            if of(Book, events):
                break
        for part in range(6):
            lake.log("book_deltas", *book("okx", start=now_us(), frames=31, step=10, first=1000 + 100 * part)[20:])
        await eventually(lambda: slow.lost)
        found.clear()
        async for events in slow:
            found += events
            if of(Book, found):
                break
        await feed.stop()
        reader.close()
        return found

    found = asyncio.run(scenario())

    kinds = [type(event) for event in found]
    assert kinds[0] is Dropped
    assert Book in kinds
    assert BookDelta not in kinds[: kinds.index(Book)]


def test_a_client_that_never_reads_is_cut_and_others_go_on(lake: LaidLake, live: Served) -> None:
    feed: Feed = live.app.state.feed

    async def scenario() -> None:
        async with connect(f"{live.ws}/v1/live") as reads:
            await subscribe(reads, {"channel": "trades"})
            await events_until(reads, lambda found: of(Subscribed, found))
            deaf = await connect(f"{live.ws}/v1/live", max_queue=1)
            deaf.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await subscribe(deaf, {"channel": "trades"})
            await eventually(lambda: feed.clients == 2)
            deaf.transport.pause_reading()
            number, seen = 0, 0
            async with asyncio.timeout(PATIENCE):
                while feed.clients == 2:
                    lake.log("trades", *trades("okx", start=now_us(), count=1500, step=10, first=number))
                    number += 1500
                    while seen < number:
                        seen += len(of(Trade, DECODER.decode(await reads.recv())))
            assert seen == number
            deaf.transport.abort()

    asyncio.run(scenario())


def test_a_page_of_another_site_may_not_listen(served: Served) -> None:
    async def scenario() -> None:
        async with connect(f"{served.ws}/v1/live", origin="https://evil.example"):  # type: ignore[arg-type]
            pass

    with pytest.raises(Exception, match="403") as refused:
        asyncio.run(scenario())
    assert not isinstance(refused.value, ConnectionClosed)
