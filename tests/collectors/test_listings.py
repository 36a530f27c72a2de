"""Instrument lists over time: what lands of them, what becomes of symbols that vanish, change or come back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from collectors.backoff import BackoffPolicy
from collectors.errors import ConfigError
from collectors.http import RestClient
from collectors.instruments import InstrumentList
from collectors.listings import Lister, Listings
from collectors.rows import EventBuffer
from collectors.venue import ConnectionPlan, HttpGet, Instrument, Limits, Stream, Wanted
from lake.paths import DAY_US, Home
from tests.collectors.simulating import Running, Simulator, until

T0 = 1_795_219_200_000_000
LIMITS = Limits(connects=1, connects_per_seconds=1, rest_weight=1000, rest_weight_per_seconds=1)


def instrument(base: str, **more: object) -> Instrument:
    known = {"symbol": f"{base}/USDT", "native": f"{base}USDT", "market": "spot", "base": base, "quote": "USDT", "tick_size": 0.01}
    return Instrument(exchange="toy", **{**known, **more})


def listed(*instruments: Instrument) -> dict[str, Instrument]:
    return {each.symbol: each for each in instruments}


class Landed:
    """A `Listings` and the rows it landed."""

    def __init__(self) -> None:
        self.events = EventBuffer()
        self.listings = Listings(self.events.writer("toy", "toy-instruments"), {})

    def take(self, *instruments: Instrument, now: int = T0) -> list[tuple[str, str, object]]:
        """Symbol, status and tick of what lands of a list."""
        rows = self.listings.take(listed(*instruments), ["spot"], now=now)
        batch = self.events.drain().get("listings")
        found = [] if batch is None else batch.to_pylist()
        assert len(found) == rows
        return [(row["symbol"], row["status"], row["tick_size"]) for row in found]


def test_a_first_list_lands_whole_and_the_same_list_not_again() -> None:
    landed = Landed()

    assert landed.take(instrument("BTC"), instrument("ETH", active=False)) == [("BTC/USDT", "trading", 0.01), ("ETH/USDT", "halted", 0.01)]
    assert landed.take(instrument("BTC"), instrument("ETH", active=False), now=T0 + DAY_US // 2) == []


def test_only_what_changed_lands_and_everything_once_a_day() -> None:
    landed = Landed()
    landed.take(instrument("BTC"), instrument("ETH"))

    assert landed.take(instrument("BTC", tick_size=0.1), instrument("ETH"), now=T0 + 1) == [("BTC/USDT", "trading", 0.1)]
    again = landed.take(instrument("BTC", tick_size=0.1), instrument("ETH"), now=T0 + DAY_US)
    assert again == [("ETH/USDT", "trading", 0.01)]


def test_what_vanishes_lands_as_gone_once_and_as_trading_when_it_comes_back() -> None:
    landed = Landed()
    landed.take(instrument("BTC"), instrument("ETH"), instrument("XRP"))

    assert landed.take(instrument("BTC"), instrument("ETH"), now=T0 + 1) == [("XRP/USDT", "gone", 0.01)]
    assert landed.take(instrument("BTC"), instrument("ETH"), now=T0 + 2) == []
    assert landed.take(instrument("BTC"), instrument("ETH"), instrument("XRP"), now=T0 + 3) == [("XRP/USDT", "trading", 0.01)]


def test_a_list_that_lost_more_than_half_says_nothing_of_what_it_lacks() -> None:
    landed = Landed()
    landed.take(*(instrument(base) for base in "ABCDEF"))

    assert landed.take(instrument("A"), now=T0 + 1) == []


class Toy:
    """A venue whose REST lists bases, and whose sockets take two symbols each."""

    exchange = "toy"

    def market_of(self, symbol: str) -> str:
        del symbol
        return "spot"

    def instrument_requests(self, endpoints, markets):
        del markets
        return [HttpGet(url=f"{endpoints['rest']}/spot", purpose="instruments")]

    def parse_instruments(self, request, body):
        del request
        return [instrument(base, contract_size=size) for base, size in json.loads(body).items()]

    def plan(self, wanted, instruments):
        for symbol in wanted.symbols:
            if symbol not in instruments:
                raise ConfigError(f"symbol {symbol} is not listed")
        chosen = [instruments[symbol] for symbol in wanted.symbols]
        return [
            ConnectionPlan(
                name=f"toy-{start // 2}",
                exchange="toy",
                market="spot",
                url="ws://toy",
                streams=tuple(Stream("trades", each.symbol) for each in chosen[start : start + 2]),
                instruments=tuple(chosen[start : start + 2]),
            )
            for start in range(0, len(chosen), 2)
        ]


class Connected(SimpleNamespace):
    """As much of a connection as a lister sees: its plan, and that it is asked for another socket."""

    def replace(self, reason: str) -> None:
        self.reasons.append(reason)


async def lists(home: Home, *bodies: dict[str, float]) -> tuple[Lister, list[InstrumentList | Exception], EventBuffer]:
    """A lister that has fetched each of these lists in turn."""
    answers = list(bodies)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = json.dumps(answers.pop(0)).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    endpoints = {"rest": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"}
    events = EventBuffer()
    wanted = Wanted(symbols=("BTC/USDT", "ETH/USDT", "XRP/USDT"), channels=("trades",))
    async with server, RestClient("toy", LIMITS, timeout=1, backoff=BackoffPolicy(first_seconds=0.001, cap_seconds=0.002)) as rest:
        listings = Listings(events.writer("toy", "toy-instruments"), {})
        lister = Lister(venue=Toy(), wanted=wanted, endpoints=endpoints, rest=rest, home=home, listings=listings)
        return lister, [await lister.fetch() for _ in bodies], events


ALL = {"BTC": 1.0, "ETH": 1.0, "XRP": 1.0}


def test_a_wanted_symbol_that_was_never_listed_stops_the_start(tmp_path: Path) -> None:
    lister, (found,), _ = asyncio.run(lists(Home(tmp_path), {"BTC": 1.0, "ETH": 1.0}))

    with pytest.raises(ConfigError, match="XRP/USDT is not listed"):
        lister.plans(found)


def test_a_wanted_symbol_that_was_listed_once_is_left_out_of_the_plans(tmp_path: Path) -> None:
    asyncio.run(lists(Home(tmp_path), ALL))
    lister, (found,), _ = asyncio.run(lists(Home(tmp_path), {"BTC": 1.0, "ETH": 1.0}))

    plans = lister.plans(found)

    assert [each.symbol for plan in plans for each in plan.instruments] == ["BTC/USDT", "ETH/USDT"]
    assert lister.unlisted == {"XRP/USDT"}


def test_a_symbol_that_vanishes_while_we_run_is_noted_and_nothing_else_happens(tmp_path: Path) -> None:
    lister, (first, second), _ = asyncio.run(lists(Home(tmp_path), ALL, {"BTC": 1.0, "ETH": 1.0}))
    connections = [Connected(plan=plan, reasons=[]) for plan in lister.plans(first)]

    lister.update({each.plan.name: [each] for each in connections}, second)

    assert lister.unlisted == {"XRP/USDT"}
    assert [each.reasons for each in connections] == [[], []]


def test_a_changed_contract_size_reaches_the_connection_that_goes_by_it(tmp_path: Path) -> None:
    lister, (first, second), _ = asyncio.run(lists(Home(tmp_path), ALL, {**ALL, "ETH": 10.0}))
    connections = [Connected(plan=plan, reasons=[]) for plan in lister.plans(first)]

    lister.update({each.plan.name: [each] for each in connections}, second)

    assert [each.contract_size for each in connections[0].plan.instruments] == [1.0, 10.0]
    assert [each.reasons for each in connections] == [["1 of its instruments changed, the first is ETH/USDT"], []]


def test_a_symbol_that_is_listed_again_gets_a_connection_of_its_own(tmp_path: Path) -> None:
    home = Home(tmp_path)
    asyncio.run(lists(home, ALL))

    async def started() -> list[ConnectionPlan]:
        bodies = [{"BTC": 1.0, "ETH": 1.0}, ALL]
        began: asyncio.Future[list[ConnectionPlan]] = asyncio.get_running_loop().create_future()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            body = json.dumps(bodies.pop(0) if len(bodies) > 1 else bodies[0]).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        endpoints = {"rest": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"}
        wanted = Wanted(symbols=("BTC/USDT", "ETH/USDT", "XRP/USDT"), channels=("trades",))
        async with server, RestClient("toy", LIMITS, timeout=1) as rest:
            listings = Listings(EventBuffer().writer("toy", "toy-instruments"), {})
            lister = Lister(venue=Toy(), wanted=wanted, endpoints=endpoints, rest=rest, home=home, listings=listings)
            lines = {plan.name: [Connected(plan=plan, reasons=[])] for plan in lister.plans(await lister.fetch())}

            def start(plans: list[ConnectionPlan]) -> list:
                lines.update({plan.name: [Connected(plan=plan, reasons=[])] for plan in plans})
                began.set_result(plans)
                return [asyncio.sleep(60) for _ in plans]

            keeping = asyncio.create_task(lister.keep(lines, 0.05, start=start))
            found = await asyncio.wait_for(began, 10)
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            return found

    (plan,) = asyncio.run(started())

    assert plan.name == "toy-0-again1"
    assert [each.symbol for each in plan.instruments] == ["XRP/USDT"]


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    """Whatever a test starts is dead when it ends."""
    with ExitStack() as stack:
        yield stack


def test_the_lists_of_every_exchange_land_once_and_are_not_landed_again_by_a_restart(processes: ExitStack, tmp_path: Path) -> None:
    simulated = Simulator(tmp_path, rate=50)
    processes.callback(simulated.kill)
    running = Running(tmp_path, simulated.endpoints, settings={"TICKHOUSE_INSTRUMENTS_HOURS": "0.0002"})
    processes.callback(running.kill)
    state = "select exchange, symbol, native, market, settle, contract, is_spot, tick_size, status, active from listings_now order by all"
    until(lambda: {row["exchange"] for row in running.sql(state)} == {"binance", "kraken"}, what="both lists", seconds=60)
    running.wait_live()
    assert running.stop() == 0
    first = running.sql("select count(*) as n from listings")[0]["n"]

    running = Running(tmp_path, simulated.endpoints, settings={"TICKHOUSE_INSTRUMENTS_HOURS": "0.0002"})
    processes.callback(running.kill)
    running.wait_live()
    assert running.stop() == 0

    rows = running.sql(state)
    assert len(rows) == first == running.sql("select count(*) as n from listings")[0]["n"]
    perpetual = next(row for row in rows if row["symbol"] == "BTC/USDT:USDT")
    assert perpetual == {
        "exchange": "binance",
        "symbol": "BTC/USDT:USDT",
        "native": "BTCUSDT",
        "market": "usdm",
        "settle": "USDT",
        "contract": True,
        "is_spot": False,
        "tick_size": 0.1,
        "status": "trading",
        "active": True,
    }
    counted = running.sql("select sum(rows_landed)::bigint as n from ledger where dataset = 'listings'")
    assert counted[0]["n"] == first


def test_a_delisted_symbol_shows_as_unlisted_and_the_others_flow(processes: ExitStack, tmp_path: Path) -> None:
    wanted = {"binance": ["BTC/USDT", "ETH/USDT"]}
    full = Simulator(tmp_path, rate=50, exchanges="binance", arguments=["--symbols", "BTC/USDT,ETH/USDT"])
    processes.callback(full.kill)
    running = Running(tmp_path, full.endpoints, symbols=wanted)
    processes.callback(running.kill)
    running.wait_live()
    assert running.stop() == 0
    full.kill()
    smaller = Simulator(tmp_path / "later", rate=50, exchanges="binance", arguments=["--symbols", "BTC/USDT,SOL/USDT"])
    processes.callback(smaller.kill)

    running = Running(tmp_path, smaller.endpoints, symbols=wanted)
    processes.callback(running.kill)

    def states() -> dict[tuple[str, str], str]:
        state = running.status()
        return {} if state is None else {(each.symbol, each.channel): each.state for each in state.streams}

    until(lambda: states().get(("BTC/USDT", "trades")) == "live", what="the symbol that is left", seconds=60)
    assert {state for (symbol, _), state in states().items() if symbol == "ETH/USDT"} == {"unlisted"}
    assert running.stop() == 0
    gone = running.sql("select status, active from listings_now where symbol = 'ETH/USDT'")
    assert gone == [{"status": "gone", "active": False}]
