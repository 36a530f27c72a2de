"""The pretended outside sources: rows shaped as recorded ones, limits, and what they say to a wrong question."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable, Coroutine
from typing import Any

from tests.simulator.shapes import lines


def to_the_end(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test that awaits in a loop of its own."""

    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        asyncio.run(test(**fixtures))

    return run


def url(sim: Any, path: str) -> str:
    return f"http://127.0.0.1:{sim.server.port}{path}"


MARKETS = "/coingecko/api/v3/coins/markets?vs_currency=usd&per_page=250&page="


@to_the_end
async def test_a_coin_has_the_fields_of_a_recorded_one_in_their_order(simulate, recordings) -> None:
    first = next(lines(recordings / "coingecko" / "coins_markets_usd_20210624.jsonl"))
    recorded = json.loads(first["raw"])

    async with simulate("--exchanges", "binance") as sim:
        rows = (await sim.get(url(sim, MARKETS + "1"))).json()

    wanted = [name for name in recorded[0] if name != "price_change_percentage_1y_in_currency"]
    assert list(rows[0]) == wanted
    for name in wanted:
        seen = {type(row[name]) for row in recorded if row[name] is not None}
        made = {type(row[name]) for row in rows if row[name] is not None}
        assert {"number" if kind in {int, float} else kind for kind in made} <= {
            "number" if kind in {int, float} else kind for kind in seen
        }, name


@to_the_end
async def test_pages_follow_each_other_and_end(simulate) -> None:
    async with simulate("--exchanges", "binance") as sim:
        pages = [(await sim.get(url(sim, f"{MARKETS}{page}"))).json() for page in (1, 2, 10, 11)]

    assert [len(page) for page in pages] == [250, 250, 50, 0]
    assert [pages[0][0]["market_cap_rank"], pages[1][0]["market_cap_rank"]] == [1, 251]
    assert any(row["ath"] is None for page in pages for row in page) or any(row["fully_diluted_valuation"] is None for row in pages[0])


@to_the_end
async def test_more_calls_a_minute_than_allowed_are_refused_with_a_time_to_wait(simulate) -> None:
    async with simulate("--exchanges", "binance") as sim:
        answers = [await sim.get(url(sim, "/coingecko/api/v3/coins/markets?vs_currency=usd&per_page=1")) for _ in range(102)]

    refused = [answer for answer in answers if answer.status_code == 429]
    # The minute of the clock may turn meanwhile, and then all are allowed.
    assert all(int(answer.headers["Retry-After"]) <= 60 for answer in refused)
    assert {answer.status_code for answer in answers} <= {200, 429}


@to_the_end
async def test_wrong_questions_get_the_answers_of_the_source(simulate) -> None:
    async with simulate("--exchanges", "binance") as sim:
        too_many = await sim.get(url(sim, "/coingecko/api/v3/coins/markets?vs_currency=usd&per_page=251"))
        no_key = await sim.get(url(sim, "/coinglass/api/futures/open-interest/aggregated-history?symbol=BTC&interval=4h"))
        absent = await sim.get(url(sim, "/coingecko/api/v3/none"))

    assert (too_many.status_code, no_key.status_code, absent.status_code) == (422, 200, 404)
    assert no_key.json() == {"code": "401", "msg": "API key missing."}


@to_the_end
async def test_no_candle_opens_in_a_hole(simulate) -> None:
    async with simulate("--exchanges", "binance", "--symbols", "BTC/USDT") as sim:
        path = "/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=1795000020000&endTime=1795000560000"
        before = (await sim.get(sim.url("binance", "spot_rest", path))).json()
        await sim.control("hole", exchange="binance", symbol="BTC/USDT", start=1795000080, seconds=120)
        after = (await sim.get(sim.url("binance", "spot_rest", path))).json()

    assert [row for row in before if not 1795000080000 <= row[0] < 1795000200000] == after
    assert len(before) - len(after) == 2
