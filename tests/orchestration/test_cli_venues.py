"""`tickhouse venues` and `tickhouse check`: the table of what venues publish, and one of them tried over real sockets."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import Result
from typer.testing import CliRunner

from collectors.errors import UnknownSymbol
from collectors.registry import VENUES
from orchestration.cli.app import app
from tests.collectors.simulating import SYMBOLS, Simulator, toml


@pytest.fixture(autouse=True)
def logging_of_the_verb_ends_with_the_test() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with ExitStack() as stack:
        started = Simulator(tmp_path_factory.mktemp("simulator"))
        stack.callback(started.kill)
        yield started


@pytest.fixture
def config(simulated: Simulator, tmp_path: Path) -> Path:
    path = tmp_path / "tickhouse.toml"
    path.write_text(toml(simulated.endpoints, SYMBOLS))
    return path


def check(config: Path, exchange: str, *words: str, seconds: float = 3) -> Result:
    return CliRunner().invoke(app, ["check", "--exchange", exchange, "--seconds", str(seconds), "--config", str(config), *words])


def report(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_the_table_names_every_venue_and_market() -> None:
    table = CliRunner().invoke(app, ["venues"])
    found = CliRunner().invoke(app, ["venues", "--json"])

    assert (table.exit_code, found.exit_code) == (0, 0)
    rows = json.loads(found.stdout)
    assert {(row["exchange"], row["market"]) for row in rows} == {
        (name, market.market) for name, venue in VENUES.items() for market in venue.facts.markets
    }
    kraken = next(row for row in rows if (row["exchange"], row["market"]) == ("kraken", "spot"))
    assert kraken["channels"] == ["trades", "book"]
    assert kraken["integrity"] == "checksum"
    assert kraken["backfill"].startswith("Trades")
    assert {row["socket_hours"] for row in rows if row["exchange"] == "bitget"} == {23.0}
    assert all(name in table.stdout for name in VENUES)


def test_a_venue_that_delivers_is_reported_stream_by_stream(config: Path) -> None:
    result = check(config, "kraken", "--json")

    assert result.exit_code == 0, result.output
    found = report(result)
    assert found["problems"] == []
    assert {(each["symbol"], each["channel"]) for each in found["streams"]} == {
        (symbol, channel) for symbol in SYMBOLS["kraken"] for channel in ("trades", "book")
    }
    for stream in found["streams"]:
        assert stream["subscribed"]
        assert stream["acknowledged"]
        assert stream["rows"] > 0
        assert stream["gaps"] == 0
        assert stream["last_message_seconds"] < 3
        assert stream["refused"] == ""
    (connection,) = found["connections"]
    assert connection["state"] == "connected"
    assert connection["checksums_verified"] > 10
    assert connection["checksums_failed"] == 0


def test_the_symbols_of_the_command_line_count(config: Path) -> None:
    result = check(config, "binance", "--symbols", "ETH/USDT")

    assert result.exit_code == 0, result.output
    assert "ETH/USDT" in result.stdout
    assert "BTC/USDT" not in result.stdout
    assert "All is well." in result.stdout


def test_a_symbol_the_venue_does_not_list_is_named(config: Path) -> None:
    result = check(config, "kraken", "--symbols", "XYZ/USD")

    assert isinstance(result.exception, UnknownSymbol)
    assert "'XYZ/USD'" in str(result.exception)


def test_a_stream_that_stays_silent_is_a_problem(simulated: Simulator, config: Path) -> None:
    simulated.fault("stall", exchange="binance", symbol="BTC/USDT", channel="book", duration=6)

    result = check(config, "binance", "--symbols", "BTC/USDT", "--json")

    assert result.exit_code == 1
    assert report(result)["problems"] == ["book of BTC/USDT was acknowledged, but no book has come"]


def test_a_gap_is_a_problem(simulated: Simulator, config: Path) -> None:
    drop = {"kind": "drop_delta", "exchange": "binance", "symbol": "ETH/USDT", "channel": "book"}
    timer = threading.Timer(1.5, simulated.fault, kwargs=drop)
    timer.start()

    result = check(config, "binance", "--symbols", "ETH/USDT", "--json", seconds=4)
    timer.join()

    assert result.exit_code == 1
    assert report(result)["problems"] == ["book of ETH/USDT had 1 gap"]


def test_a_venue_that_cannot_be_reached_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "tickhouse.toml"
    absent = {"spot_ws": "ws://127.0.0.1:9/v2", "spot_rest": "http://127.0.0.1:9"}
    path.write_text(toml({"kraken": absent}, SYMBOLS))

    result = check(path, "kraken", "--json", seconds=1)

    assert result.exit_code == 1
    assert report(result)["connections"] == []
    assert report(result)["problems"][0].startswith("kraken told no instruments in 1 seconds")
