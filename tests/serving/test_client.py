"""The Python client: now and the past in the same shape, and tables."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from serving.client import live, load, replay
from serving.errors import BadRequest, ClientError
from serving.events import Event, Subscribed, Trade
from serving.times import now_us
from tests.lake.laying import LaidLake
from tests.lake.making import START
from tests.serving.world import END, PATIENCE, Served, serving, trades

RANGE = {"start": str(START), "end": str(END)}


def test_tables_are_the_same_over_http_and_on_a_home_whatever_the_library(served: Served) -> None:
    asked = {**RANGE, "exchange": "okx", "symbol": "BTC-USDT"}

    there = load("trades", url=served.url, **asked, limit=200)
    here = load("trades", home=served.home.root, **asked, to="arrow")
    pandas = load("candles", url=served.url, **asked, timeframe="1h", to="pandas")

    assert isinstance(there, pl.DataFrame)
    assert isinstance(here, pa.Table)
    assert isinstance(pandas, pd.DataFrame)
    assert there.equals(pl.DataFrame(here))
    assert there.height == 1260
    assert list(pandas["trade_count"]) == [900, 360]


def test_a_refusal_is_an_error_with_the_servers_sentence(served: Served) -> None:
    with pytest.raises(ClientError, match="timeframe is '7m', expected one of 1m") as refused:
        load("candles", url=served.url, timeframe="7m")
    with pytest.raises(BadRequest, match="table is 'nothing', expected one of candles"):
        load("nothing", home=served.home.root)

    assert refused.value.answered == 400


def test_a_replay_is_the_same_over_a_socket_and_on_a_home(served: Served) -> None:
    async def gathered(**source: str | Path) -> list[Event]:
        return [event async for event in replay(["trades", "gaps"], symbol="BTC/USDT", speed=None, **RANGE, **source)]  # type: ignore[arg-type]

    there = asyncio.run(gathered(url=served.url))
    here = asyncio.run(gathered(home=served.home.root))

    assert [event for event in there if isinstance(event, Trade)] == [event for event in here if isinstance(event, Trade)]
    assert all(earlier.timestamp <= later.timestamp for earlier, later in pairwise(event for event in here if isinstance(event, Trade)))


def test_live_and_replay_give_equal_objects_for_the_same_trades(tmp_path: Path) -> None:
    lake = LaidLake(tmp_path)
    start = now_us()

    async def scenario(url: str) -> tuple[list[Event], list[Event]]:
        seen: list[Event] = []
        async with asyncio.timeout(PATIENCE):
            async for event in live(["trades"], symbol="BTC/USDT", url=url):
                if isinstance(event, Subscribed):
                    lake.log("trades", *trades("kraken", start=start, count=50, step=10))
                if isinstance(event, Trade):
                    seen.append(event)
                if len(seen) == 50:
                    break
        again = replay(["trades"], symbol="BTC/USDT", start=str(start), end=str(start + 1000), speed=None, url=url)
        return seen, [event async for event in again if isinstance(event, Trade)]

    with serving(lake.home, api_picture_seconds=0.0) as running:
        seen, again = asyncio.run(scenario(running.url))
    lake.close()

    assert seen == again


def test_live_goes_on_after_the_server_came_back(tmp_path: Path) -> None:
    lake = LaidLake(tmp_path)

    async def scenario() -> int:
        subscribed = 0
        first = serving(lake.home)
        running = await asyncio.to_thread(first.__enter__)
        port = int(running.url.rpartition(":")[2])
        async with asyncio.timeout(PATIENCE):
            async for event in live(["trades"], url=running.url):
                if isinstance(event, Subscribed):
                    subscribed += 1
                    if subscribed == 1:
                        await asyncio.to_thread(first.__exit__, None, None, None)
                        second = serving(lake.home, api_port=port)
                        await asyncio.to_thread(second.__enter__)
                    else:
                        lake.log("trades", *trades("okx", start=now_us(), count=1, step=1))
                if isinstance(event, Trade):
                    break
        await asyncio.to_thread(second.__exit__, None, None, None)
        return subscribed

    assert asyncio.run(scenario()) == 2
    lake.close()
