"""A replay gives the rows of the range query, whatever its speed, its pauses and its jumps."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect

from lake.paths import Home
from serving import expand, replay
from serving.books import LiveBook
from serving.errors import BadRequest, Conflict
from serving.events import DECODER, Book, BookDelta, Candle, Event, Gap, MarketEvent, ReplayState, Trade
from serving.reader import Reader
from serving.replay import Script
from serving.session import Session
from tests.lake.making import HOUR, MINUTE, START
from tests.serving.world import END, EXCHANGES, PATIENCE, Served

CHANNELS = ("trades", "books", "gaps", "liquidations")


def script(**more: Any) -> Script:
    given: dict[str, Any] = {"start": START, "end": END, "channels": CHANNELS, **more}
    return Script(**given)


_QUERIED: dict[tuple[Script, str], list[MarketEvent]] = {}


def asked(reader: Reader, wanted: Script, channel: str) -> list[tuple[Any, ...]]:
    """The rows of the range query, cut from one over the whole past, which is asked once."""
    whole = replace(wanted, start=START, end=END, channels=())
    if (whole, channel) not in _QUERIED:
        question = whole.question(channel)
        table = reader.rows_now(*question.statement()).select(question.table.columns)
        _QUERIED[whole, channel] = expand.events(question.table.spec.name, table)
    return rows_of([event for event in _QUERIED[whole, channel] if wanted.start <= time_of(wanted, event) < wanted.end])


def time_of(wanted: Script, event: Any) -> int:
    if wanted.by == "receive":
        return int(event.local_timestamp)
    return int(event.from_time if isinstance(event, Gap) else event.timestamp)


def rows_of(events: list[MarketEvent]) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    for event in events:
        if isinstance(event, Book | BookDelta):
            if isinstance(event, Book) and event.origin == "rebuilt":
                continue
            at = (event.exchange, event.symbol, event.timestamp, event.local_timestamp, event.sequence)
            found += [(*at, side, *level) for side, levels in (("bid", event.bids), ("ask", event.asks)) for level in levels]
        else:
            found.append(tuple(getattr(event, name) for name in event.__struct_fields__))
    return found


def channel_of(event: Event) -> str:
    names = {Trade: "trades", Book: "books", BookDelta: "books", Gap: "gaps"}
    return names.get(type(event), "liquidations")


def same(reader: Reader, wanted: Script, events: list[Event]) -> None:
    """Assert that the market events are the rows of the range queries of a script, and in order of time."""
    market = [event for event in events if not isinstance(event, ReplayState)]
    for channel in wanted.channels:
        mine = rows_of([event for event in market if channel_of(event) == channel])
        assert mine == asked(reader, wanted, channel), channel


async def played(reader: Reader, wanted: Script, speed: float | None, moves: list[tuple[str, int]]) -> list[Event]:
    """All events of a session that is moved so, and then let run to its end."""
    session = Session(reader, wanted, speed=speed)
    stream = session.stream()
    session.start()
    found: list[Event] = []
    for move, value in moves:
        if session.state == "ended":
            break
        if move == "pause" and session.state == "running":
            session.pause()
            session.step(1)
        elif move == "step" and session.state == "paused":
            session.step(value)
        elif move == "seek":
            session.seek(min(wanted.end, wanted.start + value * MINUTE // 2))
        elif move == "speed":
            session.set_speed(value)
        else:
            session.start()
            for _ in range(value if move == "take" else 1):
                found += await asyncio.wait_for(anext(stream, []), PATIENCE)
    if session.state != "ended":
        session.start()
    async for batch in stream:
        found += batch
    await session.close()
    return found


Moves = st.lists(
    st.one_of(
        st.tuples(st.just("pause"), st.just(0)),
        st.tuples(st.just("step"), st.integers(1, 400)),
        st.tuples(st.just("seek"), st.integers(0, 119)),
        st.tuples(st.just("speed"), st.sampled_from([None, 100_000.0, 1_000_000.0])),
        st.tuples(st.just("take"), st.integers(1, 3)),
    ),
    max_size=6,
)


@settings(max_examples=6, deadline=None)
@given(
    first=st.integers(0, 110),
    minutes=st.integers(1, 50),
    by=st.sampled_from(["exchange", "receive"]),
    speed=st.sampled_from([None, 20_000.0, 1_000_000.0]),
    exchanges=st.sampled_from([(), EXCHANGES, ("kraken",), ("okx", "binance")]),
    moves=Moves,
)
def test_a_replay_equals_the_range_query(
    reader: Reader, first: int, minutes: int, by: Any, speed: float | None, exchanges: tuple[str, ...], moves: list[tuple[str, int]]
) -> None:
    start = START + first * MINUTE
    wanted = script(
        start=start,
        end=min(END, start + minutes * MINUTE),
        by=by,
        exchanges=exchanges,
        symbols=("BTC/USDT",),
        channels=("trades", "books", "gaps"),
    )

    events = asyncio.run(played(reader, wanted, speed, moves))

    jumps = [number for number, event in enumerate(events) if isinstance(event, ReplayState) and event.state == "seeked"]
    begun = wanted.start
    for start_at, end_at in zip([0, *jumps], [*jumps, len(events)], strict=True):
        part = events[start_at:end_at]
        if start_at:
            state = part[0]
            assert isinstance(state, ReplayState)
            begun = state.position
        rest = replace(wanted, start=begun)
        if end_at == len(events):
            same(reader, rest, part)
            continue
        for channel in wanted.channels:
            mine = rows_of([event for event in part if not isinstance(event, ReplayState) and channel_of(event) == channel])
            whole = asked(reader, rest, channel)
            assert mine == whole[: len(mine)]


def test_several_exchanges_and_channels_come_in_one_order_of_time(reader: Reader) -> None:
    wanted = script(channels=("trades", "books", "gaps", "candles"), symbols=("BTC/USDT",))
    times = [time for chunk in replay.chunks(reader, wanted, size=300) for time, _ in chunk]

    assert times == sorted(times)
    assert len(times) > 4000


def test_candles_come_when_they_close_and_are_those_of_the_range(reader: Reader) -> None:
    wanted = script(channels=("candles", "trades"), timeframe="15m")
    latest = 0
    opened = Counter[int]()
    for chunk in replay.chunks(reader, wanted):
        for _, event in chunk:
            if isinstance(event, Trade):
                latest = event.timestamp
            elif isinstance(event, Candle):
                opened[event.timestamp] += 1
                assert latest < event.timestamp + 15 * MINUTE

    # The last bucket without a trade of an exchange has no candle.
    assert set(opened.values()) <= {1, 2, 3}
    assert sum(opened.values()) == len(reader.rows_now(*wanted.question("candles").statement()))


@pytest.mark.parametrize("by", ["exchange", "receive"])
def test_a_book_that_is_sought_begins_as_it_stood(reader: Reader, by: Any) -> None:
    moment = START + 47 * MINUTE + 11
    wanted = script(start=moment, end=moment + 1, channels=("books",), exchanges=("okx",), symbols=("BTC/USDT",), by=by)

    first = next(replay.chunks(reader, wanted))[0][1]

    whole = LiveBook("okx", "BTC/USDT")
    for chunk in replay.chunks(
        reader, script(start=START - MINUTE, end=moment, channels=("books",), exchanges=("okx",), symbols=("BTC/USDT",), by=by)
    ):
        for _, event in chunk:
            assert isinstance(event, Book | BookDelta)
            whole.apply(event)
    assert isinstance(first, Book)
    assert (first.bids, first.asks) == (whole.snapshot().bids, whole.snapshot().asks)


def test_gaps_and_disconnects_are_among_the_events(reader: Reader) -> None:
    found = [event for chunk in replay.chunks(reader, script(channels=("gaps", "trades"))) for _, event in chunk]

    gaps = [(event.exchange, event.kind) for event in found if isinstance(event, Gap)]
    assert sorted(gaps) == [("kraken", "disconnect"), ("okx", "stall")]
    at = next(number for number, event in enumerate(found) if isinstance(event, Gap))
    assert found[at - 1].timestamp <= START + 20 * MINUTE <= found[at + 2].timestamp  # type: ignore[operator]


def test_speed_paces_the_events(reader: Reader) -> None:
    async def scenario() -> tuple[int, int]:
        session = Session(reader, script(channels=("trades",), exchanges=("okx",)), speed=1.0)
        stream = session.stream()
        session.start()
        await anext(stream)
        await asyncio.wait_for(anext(stream), PATIENCE)
        slow = session.sent
        session.set_speed(None)
        while not any(isinstance(event, ReplayState) for event in await anext(stream)):
            pass
        await stream.aclose()  # type: ignore[attr-defined]
        await session.close()
        return slow, session.sent

    slow, all_of_them = asyncio.run(scenario())

    assert slow < 100
    assert all_of_them == 1260


def test_a_paused_replay_steps_as_many_events_as_it_is_told(reader: Reader) -> None:
    async def scenario() -> list[int]:
        session = Session(reader, script(channels=("trades",)), speed=0.1)
        stream = session.stream()
        counts = []
        for count in (1, 7, 2500):
            session.step(count)
            taken = 0
            while taken < count:
                taken += len(await asyncio.wait_for(anext(stream), PATIENCE))
            counts.append(taken)
        await stream.aclose()  # type: ignore[attr-defined]
        await session.close()
        return counts

    assert asyncio.run(scenario()) == [1, 7, 2500]


@pytest.mark.parametrize("speed", [0.0, 0.09, -1.0, float("nan"), float("inf"), 2e6])
def test_a_speed_that_is_none_is_refused(reader: Reader, speed: float) -> None:
    with pytest.raises(BadRequest, match=r"expected 0\.1 to 1e\+06"):
        Session(reader, script(), speed=speed)


def test_a_replay_is_controlled_over_rest_and_streams_over_a_socket(served: Served) -> None:
    created = served.http.post(
        "/v1/replays",
        json={
            "start": str(START),
            "end": str(END),
            "channels": ["trades", "gaps"],
            "exchange": "kraken",
            "symbol": "BTC-USDT",
            "speed": None,
        },
    )
    number = created.json()["id"]
    sought = served.http.post(f"/v1/replays/{number}/seek", json={"to": str(START + HOUR)})
    too_early = served.http.post(f"/v1/replays/{number}/pause")

    async def scenario() -> list[Event]:
        found: list[Event] = []
        async with connect(f"{served.ws}/v1/replays/{number}/stream", max_size=None) as stream:
            await asyncio.to_thread(served.http.post, f"/v1/replays/{number}/start")
            async for message in stream:
                found += DECODER.decode(message)
        return found

    found = asyncio.run(scenario())
    stopped = served.http.post(f"/v1/replays/{number}/stop")

    assert (created.status_code, sought.status_code, too_early.status_code, stopped.status_code) == (201, 200, 409, 200)
    assert [event.state for event in found if isinstance(event, ReplayState)] == ["seeked", "running", "ended"]
    rows = served.rows("/v1/trades", start=START + HOUR, end=END, exchange="kraken", limit=10_000)
    assert [event.trade_id for event in found if isinstance(event, Trade)] == [row["trade_id"] for row in rows]
    assert served.get(f"/v1/replays/{number}").status_code == 404


def test_a_second_receiver_of_one_replay_is_refused(reader: Reader) -> None:
    async def scenario() -> None:
        session = Session(reader, script(channels=("trades",)), speed=None)
        stream = session.stream()
        session.start()
        await anext(stream)
        with pytest.raises(Conflict, match="one receiver"):
            await anext(session.stream())
        await stream.aclose()  # type: ignore[attr-defined]
        await session.close()

    asyncio.run(scenario())


def test_the_command_prints_the_events_as_json_lines(past: Home) -> None:
    from tests.orchestration.test_cli import process

    done = process(
        "replay",
        "--home",
        str(past.root),
        "--from",
        "2026-11-21T00:19:00",
        "--to",
        "2026-11-21T00:22:00",
        "--channels",
        "trades,gaps",
        "--exchange",
        "kraken",
    )

    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert Counter(line["type"] for line in lines) == {"trade": 45, "gap": 1}
