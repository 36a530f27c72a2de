"""The catalog file: read-only, whole, replaced under readers, and with every column described."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
import threading

import duckdb
import pytest

from lake.catalog import publish
from lake.dictionary import PAGE, render
from lake.errors import CatalogError, LakeFormatError
from lake.paths import Home
from lake.registry import DATASETS
from lake.views import views
from tests.lake.laying import LaidLake
from tests.lake.making import trade


@pytest.fixture
def home(tmp_path) -> Home:
    laid = LaidLake(tmp_path / "home")
    laid.land("trades", trade(1), trade(2))
    laid.close()
    return laid.home


def test_the_catalog_is_read_only_small_and_without_rows(home):
    path = publish(home)

    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert path.stat().st_size < 2_000_000
    with duckdb.connect(str(path), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM duckdb_tables()").fetchone() == (0,)
        with pytest.raises(duckdb.Error, match="read-only"):
            connection.execute("CREATE TABLE mine (i INT)")


def test_another_program_opens_it_with_nothing_set_up(home, tmp_path):
    path = publish(home)
    program = f"import duckdb; print(duckdb.connect({str(path)!r}, read_only=True).execute('SELECT count(*) FROM trades').fetchone()[0])"

    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "2"


def test_publishing_again_leaves_open_readers_alone_and_nothing_behind(home):
    publish(home)
    with duckdb.connect(str(home.catalog), read_only=True) as reader:
        before = home.catalog.stat().st_ino
        publish(home)

        assert home.catalog.stat().st_ino != before
        assert reader.execute("SELECT count(*) FROM trades").fetchone() == (2,)
    assert [path.name for path in home.root.iterdir() if "duckdb" in path.name] == ["lake.duckdb"]


def test_a_stale_log_beside_the_catalog_is_removed(home):
    publish(home)
    log = home.catalog.with_name("lake.duckdb.wal")
    with duckdb.connect(str(home.root / "other.duckdb")) as other:
        other.execute("CREATE TABLE t AS SELECT 1 i")
        shutil.copy(home.root / "other.duckdb.wal", log)
    with pytest.raises(duckdb.Error):
        duckdb.connect(str(home.catalog), read_only=True)

    publish(home)

    assert not log.exists()
    with duckdb.connect(str(home.catalog), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM trades").fetchone() == (2,)


def test_many_publish_at_once_while_readers_come_and_go(home):
    publish(home)
    program = f"from pathlib import Path; from lake.paths import Home; from lake.catalog import publish\nfor _ in range(2): publish(Home(Path({str(home.root)!r})))"
    publishers = [subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True) for _ in range(2)]
    seen = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            with duckdb.connect(str(home.catalog), read_only=True) as connection:
                seen.add(connection.execute("SELECT count(*) FROM trades").fetchone())

    reader = threading.Thread(target=watch)
    reader.start()
    publish(home)
    publish(home)
    failures = [publisher.communicate(timeout=60)[1] for publisher in publishers]
    stop.set()
    reader.join()

    assert failures == ["", ""]
    assert seen == {(2,)}
    assert sorted(path.name for path in home.root.iterdir() if "duckdb" in path.name) == ["lake.duckdb"]


def test_every_view_and_column_is_described(home):
    publish(home)
    with duckdb.connect(str(home.catalog), read_only=True) as connection:
        described = dict(connection.execute("SELECT view_name, comment FROM duckdb_views() WHERE NOT internal").fetchall())
        columns = connection.execute("SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal").fetchall()

    assert set(described) == set(views(home))
    assert all(described.values())
    assert [(table, column) for table, column, comment in columns if not comment] == []
    comments = {(table, column): comment for table, column, comment in columns}
    assert comments["trades", "amount"] == DATASETS["trades"].column("amount").comment


def test_a_newer_lake_is_refused(home):
    home.format_file.write_text('{"format": 99}')
    with pytest.raises(LakeFormatError, match="format 99"):
        publish(home)


def test_a_lake_that_cannot_be_read_names_the_catalog(home):
    (sentinel,) = (home.lake / "trades").glob("date=1970-01-01/*/part-*.parquet")
    sentinel.write_bytes(b"no parquet at all")

    with pytest.raises(CatalogError, match=r"lake\.duckdb cannot be built: "):
        publish(home)
    assert [path.name for path in home.root.iterdir() if "duckdb" in path.name] == []


def test_the_data_dictionary_page_is_that_of_the_registry():
    assert PAGE.read_text(encoding="utf-8") == render(), "docs/data-dictionary.md is behind the registry: run python -m lake.dictionary"


def test_the_data_dictionary_names_every_dataset_and_column():
    page = render()
    together = "candles_1m … candles_1month"
    for name, spec in DATASETS.items():
        heading = together if name.startswith("candles_") else name
        section = page.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
        assert spec.description in section
        assert all(f"| `{column.name}` |" in section for column in spec.columns)
