"""`tickhouse timescale`, typed on a real server over a small lake."""

from __future__ import annotations

import json

import pytest

from lake.paths import Home
from lake.timescale.tables import tables
from orchestration.cli.app import main
from tests.lake.timescale_lake import execute, lay


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return lay(tmp_path_factory.mktemp("typed") / "home")


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Type a command; its exit code and what it printed."""

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["tickhouse", "timescale", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out + told.err

    return run


def test_migrate_sync_and_status(home: Home, timescale_dsn: str, typed) -> None:
    place = ("--dsn", timescale_dsn, "--home", str(home.root))

    before = typed("status", *place)
    migrated = typed("migrate", "--dsn", timescale_dsn)
    synced = typed("sync", "trade_events", "flags", "logs", "--check", "--json", *place)
    again = typed("sync", "trade_events", "--from", "2026-11-20T01:00", "--to", "2026-11-20T02:00", "--json", *place)
    state = json.loads(typed("status", "--json", *place)[1])

    assert before[0] == 0
    assert "without a schema yet: run `tickhouse timescale migrate`" in before[1]
    assert migrated[0] == 0
    assert "schema version 1: applied tables" in migrated[1]
    assert synced[0] == 0
    assert json.loads(synced[1]) | {"partitions": 0} == {
        "partitions": 0,
        "rows_read": 203,
        "rows_written": 203,
        "rows_deleted": 0,
        "problems": [],
    }
    assert json.loads(again[1]) == {"partitions": 1, "rows_read": 40, "rows_written": 0, "rows_deleted": 0, "problems": []}
    assert [each["table"] for each in state["tables"]] == [each.name for each in tables()]
    assert {each["table"]: each["rows"] for each in state["tables"]}["trade_events"] == 200
    assert state["edition"] in typed("status", *place)[1]


def test_a_database_that_is_not_there_is_one_sentence(home: Home, timescale_dsn: str, typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKHOUSE_TIMESCALE_ATTEMPTS", "1")

    code, told = typed("sync", "flags", "--dsn", "postgresql://u:hunter2@127.0.0.1:1/d", "--home", str(home.root))

    assert code == 2
    assert told.startswith("tickhouse: syncing flags of 2026-11-20 00:00 on 127.0.0.1:1/d was tried once and failed: ")
    assert "hunter2" not in told


def test_what_differs_after_a_sync_is_said_with_exit_code_1(home: Home, timescale_dsn: str, typed) -> None:
    typed("migrate", "--dsn", timescale_dsn)
    execute(
        timescale_dsn,
        "CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.price := round(NEW.price, 2); RETURN NEW; END'; "
        "CREATE TRIGGER cut BEFORE INSERT ON trade_events FOR EACH ROW EXECUTE FUNCTION cut()",
    )

    code, told = typed("sync", "trade_events", "--check", "--dsn", timescale_dsn, "--home", str(home.root))

    assert code == 1
    assert "trade_events of 2026-11-20 00:00 differs from the lake in price" in told
