"""Where the server is and what it keeps: read from the names people have, and never told aloud."""

from __future__ import annotations

import socket

import asyncpg
import pytest

from lake.timescale.errors import ServerUnavailable, TimescaleSettingError
from lake.timescale.server import Server, passes, run
from lake.timescale.settings import TimescaleSettings, timescale_settings
from lake.timescale.status import status

VARIABLES = ("TIMESCALE_DSN", "DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "DB_PASSWORD")


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, *(f"TICKHOUSE_{each}" for each in VARIABLES), "POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB"):
        monkeypatch.delenv(name, raising=False)


def test_without_an_address_there_is_the_lake_alone() -> None:
    assert timescale_settings().dsn is None
    with pytest.raises(TimescaleSettingError, match="no address of a TimescaleDB is set, expected TICKHOUSE_TIMESCALE_DSN"):
        _ = timescale_settings().required_dsn


def test_an_address_is_made_of_the_names_people_have(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "DB_HOST": "db",
        "POSTGRES_DB": "market",
        "POSTGRES_USER": "ann",
        "POSTGRES_PASSWORD": "a/b@c",
        "DB_PORT": "5433",
    }.items():
        monkeypatch.setenv(name, value)

    assert timescale_settings().dsn == "postgresql://ann:a%2Fb%40c@db:5433/market"


def test_the_whole_address_goes_before_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_HOST", "db")
    monkeypatch.setenv("DB_NAME", "market")
    monkeypatch.setenv("TICKHOUSE_TIMESCALE_DSN", "postgresql://other/market")

    assert timescale_settings().dsn == "postgresql://other/market"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"timescale_dsn": "mysql://u:hunter2@h/d"}, "allowed is an address that begins with postgresql://"),
        ({"db_host": "db", "db_password": "hunter2"}, "expected DB_HOST together with DB_NAME"),
        ({"timescale_retention_days": "trades=30"}, "allowed is TABLE=DAYS pairs of the tables h1_data, h2_data"),
        ({"timescale_retention_days": "trade_events"}, "allowed is TABLE=DAYS pairs, comma separated, as trade_events=30"),
        ({"timescale_retention_days": "trade_events=-1"}, "allowed is at least 1 day for trade_events"),
        ({"timescale_retention_days": "h1_data=2"}, "allowed is at least 10 days for h1_data"),
        ({"timescale_retention_days": "d1_data=30"}, "allowed is at least 400 days for d1_data"),
        ({"timescale_attempts": 0}, "setting TICKHOUSE_TIMESCALE_ATTEMPTS has the value 0, allowed is"),
    ],
)
def test_a_wrong_setting_is_one_sentence_without_secrets(given: dict[str, object], sentence: str) -> None:
    with pytest.raises(TimescaleSettingError) as raised:
        timescale_settings(**given)

    assert sentence in str(raised.value)
    assert "hunter2" not in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("address", ["postgresql://u:hunter2@127.0.0.1:54x/d", "postgresql://u:hunter2@127.0.0.1:5432/d?sslmode=loud"])
def test_an_address_that_is_none_is_not_told(address: str) -> None:
    with pytest.raises(TimescaleSettingError, match="TICKHOUSE_TIMESCALE_DSN") as raised:
        status(address, settings=TimescaleSettings(timescale_attempts=1))

    assert "hunter2" not in str(raised.value)


def test_secrets_are_told_neither_by_settings_nor_by_errors() -> None:
    settings = timescale_settings(timescale_dsn="postgresql://u:hunter2@127.0.0.1:1/d", db_password="hunter2", timescale_attempts=1)
    with pytest.raises(ServerUnavailable) as raised:
        status(settings.required_dsn, settings=settings)

    assert "hunter2" not in f"{settings!r} {settings} {raised.value} {raised.value.__cause__}"


def test_a_server_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"postgresql://u@127.0.0.1:{mute.getsockname()[1]}/d"

        with pytest.raises(ServerUnavailable, match="was tried 2 times and failed: no answer in time"):
            status(address, settings=TimescaleSettings(timescale_attempts=2, timescale_connect_seconds=0.5, timescale_backoff_seconds=0.01))


def test_a_refresh_that_met_another_is_tried_again_under_whatever_code() -> None:
    met = asyncpg.InvalidParameterValueError("materialization range overlaps with existing range")
    met.detail = "A concurrent refresh is working on this range."
    other = asyncpg.InvalidParameterValueError("refresh window too small")

    assert (passes(met), passes(other), passes(asyncpg.AdminShutdownError("going")), passes(asyncpg.InvalidPasswordError("no"))) == (
        True,
        False,
        True,
        False,
    )


def test_what_a_statement_meets_behind_the_farewell_of_a_server_is_tried_again() -> None:
    tried = 0

    async def work() -> int:
        nonlocal tried
        tried += 1
        if tried == 1:
            raise asyncpg.InternalClientError("cannot switch to state 11; another operation (2) is in progress")
        return tried

    server = Server("postgresql://u@127.0.0.1/d", TimescaleSettings(timescale_attempts=2, timescale_backoff_seconds=0.01))

    assert run(server.attempt("asking", work)) == 2


def test_retention_is_days_by_table() -> None:
    assert timescale_settings(timescale_retention_days="trade_events=30, heatmap_data=1.5").retention_days == {
        "trade_events": 30,
        "heatmap_data": 1.5,
    }


def test_a_server_is_named_by_host_port_and_database() -> None:
    assert Server("postgresql://u:p@db:5433/market", TimescaleSettings()).address == "db:5433/market"
    assert Server("postgresql://db", TimescaleSettings()).address == "db:5432/(default database)"
