"""Backup and recovery of a lake: each event once in what is restored, whatever was going on and wherever it was killed."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lake import layout, query
from lake.backup import Taken, damages, restore, take
from lake.backup_store import Store
from lake.cleanup import remove_superseded
from lake.errors import BackupError, LakeFormatError
from lake.parts import seal_segment
from lake.paths import Home
from lake.verify import verify
from lake.wal import WalWriter, open_segments
from tests.lake.laying import LaidLake
from tests.lake.making import HOUR, START, rows, trade


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which nothing has landed: making one takes longer than copying one."""
    root = tmp_path_factory.mktemp("empty") / "home"
    layout.ensure(Home(root))
    return root


@pytest.fixture
def laid(empty: Path, tmp_path: Path) -> Iterator[LaidLake]:
    """Trades of two hours: the first compacted, with a candle; then a part; then rows in the log only."""
    shutil.copytree(empty, tmp_path / "home")
    lake = LaidLake(tmp_path / "home")
    lake.land("trades", *(trade(number) for number in range(3)))
    lake.compact("trades", START)
    lake.materialise(START, ("1m",))
    lake.land("trades", *(trade(number, at=START + HOUR) for number in range(3, 5)))
    lake.log("trades", *(trade(number, at=START + HOUR) for number in range(5, 9)))
    yield lake
    lake.close()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "backups")


def back_up(lake: LaidLake, store: Store) -> Taken:
    return take(lake.home, store, clock=lake.clock)


def trade_ids(home: Home) -> list[int]:
    table = query.run_sql(home, "select trade_id from trades", with_wal=True, limit=1000).table
    return sorted(int(each) for each in table["trade_id"].to_pylist())


def laid_down(store: Store, root: Path) -> Home:
    home = Home(root)
    restore(store, home)
    return home


def test_a_restored_lake_holds_every_event_once_and_verifies(laid: LaidLake, store: Store, tmp_path: Path) -> None:
    back_up(laid, store)

    home = laid_down(store, tmp_path / "new")

    assert trade_ids(home) == list(range(9))
    report = verify(home)
    assert (report.problems, report.segments) == ([], 1)
    assert query.run_sql(home, "select count(*) as n from candles_1m", with_wal=False, limit=1).table["n"].to_pylist() == [1]


def test_a_collector_goes_on_in_a_restored_lake_without_repeating_a_row_or_a_number(laid: LaidLake, store: Store, tmp_path: Path) -> None:
    back_up(laid, store)
    home = laid_down(store, tmp_path / "new")

    writer = WalWriter(home, "main")
    for segment in open_segments(home, "main"):
        seal_segment(home, segment, visible_after=0.5, clock=laid.clock)
    writer.append("trades", rows("trades", trade(9, at=START + HOUR)))
    writer.close()

    assert trade_ids(home) == list(range(10))
    assert verify(home).ok


def test_superseded_files_are_left_out(laid: LaidLake, store: Store) -> None:
    taken = back_up(laid, store)

    kinds = sorted(Path(name).name.split("-")[0] for name in taken.snapshot.contents if name.startswith("lake/trades/"))
    assert kinds == ["hour", "part"]
    assert len(list((laid.home.lake / "trades").glob("date=2026*/*/part-*"))) == 2


def test_a_second_backup_takes_in_only_what_is_new(laid: LaidLake, store: Store) -> None:
    first = back_up(laid, store)
    again = back_up(laid, store)
    laid.land("trades", trade(20, at=START + HOUR))
    third = back_up(laid, store)

    assert first.new_files == len(first.snapshot.contents)
    assert (again.new_files, again.new_bytes) == (0, 0)
    # One part of what had been in the log and of the new row; the number that was reserved has not changed.
    assert third.new_files == 1
    assert set(third.snapshot.contents) > {name for name in first.snapshot.contents if not name.startswith("wal/")}


def test_what_is_backed_up_before_is_not_read_again(laid: LaidLake, store: Store) -> None:
    first = back_up(laid, store)
    part = next(name for name in first.snapshot.contents if "/part-" in name)
    seen: list[str] = []

    original = Store.put

    def put(self: Store, source: Path) -> object:
        seen.append(source.name)
        return original(self, source)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "put", put)
        back_up(laid, store)

    assert Path(part).name not in seen
    assert any(name.endswith(".arrow") for name in seen)


class Killed(BaseException):
    """Stands for a process that ends here."""


def killing_after(files: int) -> Callable[[int, int, str], None]:
    count = itertools.count()

    def progress(done: int, total: int, name: str) -> None:
        if next(count) == files:
            raise Killed

    return progress


def test_a_backup_killed_anywhere_leaves_the_one_before_and_goes_on_where_it_was(laid: LaidLake, store: Store, tmp_path: Path) -> None:
    total = len(back_up(laid, store).snapshot.contents)
    shutil.rmtree(store.root)

    for number in range(total):
        with pytest.raises(Killed):
            take(laid.home, store, clock=laid.clock, progress=killing_after(number))
        assert store.names() == []
    with pytest.raises(BackupError, match="holds no finished backup"):
        store.read()
    last = back_up(laid, store)

    assert last.new_files <= 1
    assert trade_ids(laid_down(store, tmp_path / "new")) == list(range(9))


def test_a_restore_killed_anywhere_is_refused_by_everyone_and_goes_on_where_it_was(laid: LaidLake, store: Store, tmp_path: Path) -> None:
    home = Home(tmp_path / "new")
    total = len(back_up(laid, store).snapshot.contents)

    for number in range(total):
        with pytest.raises(Killed):
            restore(store, home, progress=killing_after(number))
        with pytest.raises(LakeFormatError, match="being restored"):
            layout.ensure(home)
    restore(store, home)

    assert trade_ids(home) == list(range(9))
    assert verify(home).ok


def test_files_that_go_while_they_are_copied_are_replaced_by_what_took_their_place(laid: LaidLake, store: Store, tmp_path: Path) -> None:
    swept = itertools.count()

    def sweep(done: int, total: int, name: str) -> None:
        if "/part-" in name and next(swept) == 0:
            laid.compact("trades", START + HOUR)
            laid.clock.advance(5)
            remove_superseded(laid.home, grace=1, clock=laid.clock)

    take(laid.home, store, clock=laid.clock, progress=sweep)

    assert next(swept) > 0
    assert trade_ids(laid_down(store, tmp_path / "new")) == list(range(9))


def test_a_part_that_no_sealed_file_took_in_is_kept_though_it_does_not_count(laid: LaidLake, store: Store, tmp_path: Path) -> None:
    # As if it had appeared late, behind the watermark of its hour.
    laid.compact("trades", START + HOUR)
    hour = next(path for path in (laid.home.lake / "trades").glob("*/*/hour-*") if "-0000" not in path.name)
    late = hour.with_name(f"part-{int(hour.name.split('-')[1]) - 2_000_000:016d}-other-00000001.parquet")
    part = next(path for path in (laid.home.lake / "trades").glob("*/*/part-*-main-*"))
    shutil.copy(part, late)

    taken = back_up(laid, store)

    assert late.relative_to(laid.home.root).as_posix() in taken.snapshot.contents


def test_damage_is_found_by_a_check_and_stops_a_restore(laid: LaidLake, store: Store, tmp_path: Path) -> None:
    taken = back_up(laid, store)
    name, content = next((name, content) for name, content in taken.snapshot.contents.items() if "/part-" in name)
    damaged = store.object(content)
    bytes_ = bytearray(damaged.read_bytes())
    bytes_[len(bytes_) // 2] ^= 1
    damaged.write_bytes(bytes_)

    assert [content.sha256 in sentence for sentence in damages(store)] == [True]
    with pytest.raises(BackupError, match="with its own name"):
        laid_down(store, tmp_path / "new")
    assert not (tmp_path / "new" / name).exists()


def test_older_snapshots_go_when_asked_and_the_rest_stays_whole(laid: LaidLake, store: Store, tmp_path: Path) -> None:
    for number in range(3):
        laid.land("trades", trade(30 + number, at=START + HOUR))
        laid.compact("trades", START + HOUR)
        back_up(laid, store)
    before = sum(1 for _ in (store.root / "objects").glob("*/*"))

    with store.held():
        gone, freed = store.forget(1)

    assert gone == 2
    assert freed > 0
    assert sum(1 for _ in (store.root / "objects").glob("*/*")) < before
    assert damages(store) == []
    assert trade_ids(laid_down(store, tmp_path / "new")) == [*range(9), 30, 31, 32]


def test_places_that_would_be_spoilt_are_refused(laid: LaidLake, store: Store, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letters.txt").touch()
    back_up(laid, store)

    with pytest.raises(BackupError, match="holds other things"):
        take(laid.home, Store(tmp_path / "other"), clock=laid.clock)
    with pytest.raises(BackupError, match="lies inside the home"):
        take(laid.home, Store(laid.home.root / "backups"), clock=laid.clock)
    with pytest.raises(BackupError, match="is not empty"):
        restore(store, Home(tmp_path / "other"))
    with pytest.raises(BackupError, match="is not empty"):
        restore(store, laid.home)
    with pytest.raises(BackupError, match="holds no backup"):
        restore(Store(tmp_path / "nothing"), Home(tmp_path / "new"))


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "lake/../../outside"])
def test_a_snapshot_that_points_out_of_the_home_is_refused(laid: LaidLake, store: Store, tmp_path: Path, name: str) -> None:
    taken = back_up(laid, store)
    path = store.root / "snapshots" / f"{taken.snapshot.name}.json"
    told = json.loads(path.read_text())
    told["files"][0][0] = name
    path.write_text(json.dumps(told))

    with pytest.raises(BackupError, match="below the home"):
        restore(store, Home(tmp_path / "new"))
