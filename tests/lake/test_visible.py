from __future__ import annotations

from pathlib import Path

import pytest

from lake import layout
from lake.errors import LakeFormatError, UnknownDataset
from lake.parquet import HourShare, Metadata, write_parquet
from lake.paths import Home, Hour, PartName, SealedName
from lake.registry import DATASETS, dataset
from lake.visible import hour_watermark, landed_hours, visible_files
from tests.lake.making import HOUR, START

FIRST = Hour(START)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    layout.ensure(home)
    return home


def put(home: Home, name: PartName | SealedName, hour: Hour = FIRST) -> str:
    """An empty file of that name where it belongs."""
    day = isinstance(name, SealedName) and name.kind == "day"
    directory = home.day_dir("trades", hour.date) if day else home.hour_dir("trades", hour)
    directory.mkdir(parents=True, exist_ok=True)
    shares = {0: HourShare(inputs=("one-00000001",), watermark=10)} if day else {}
    spec = dataset("trades")
    write_parquet(spec, spec.schema.empty_table(), directory / str(name), Metadata(dataset="trades", hours=shares))
    return str(name)


def at(home: Home, instant: int) -> list[str]:
    return [file.path.name for file in visible_files(home, "trades", at_us=instant)]


def test_a_file_counts_from_its_instant(home: Home) -> None:
    part = put(home, PartName(10, "one", 1))
    assert (at(home, 9), at(home, 10)) == ([], [part])


def test_an_hour_file_supersedes_parts_up_to_its_watermark_once_it_counts(home: Home) -> None:
    first, second = put(home, PartName(10, "one", 1)), put(home, PartName(20, "one", 2))
    late = put(home, PartName(21, "two", 1))
    hour = put(home, SealedName("hour", 30, 20))
    assert at(home, 29) == [first, second, late]
    assert at(home, 30) == [hour, late]


def test_a_later_hour_file_supersedes_an_earlier_one(home: Home) -> None:
    first, second = put(home, SealedName("hour", 30, 20)), put(home, SealedName("hour", 40, 20))
    assert (at(home, 39), at(home, 40)) == ([first], [second])


def test_a_day_file_supersedes_parts_and_hours_of_its_day_up_to_its_watermark(home: Home) -> None:
    put(home, PartName(10, "one", 1))
    hour = put(home, SealedName("hour", 20, 10))
    other = put(home, PartName(15, "one", 1), Hour(START + HOUR))
    late = put(home, PartName(50, "one", 3), Hour(START + HOUR))
    tomorrow = put(home, PartName(15, "one", 1), Hour(START + 24 * HOUR))
    day = put(home, SealedName("day", 40, 20))
    assert at(home, 39) == [hour, other, tomorrow]
    assert at(home, 60) == [day, late, tomorrow]


def test_hours_narrow_the_list_and_bring_the_day_file_of_any_of_them(home: Home) -> None:
    hour = put(home, SealedName("hour", 20, 10), Hour(START + HOUR))
    day = put(home, SealedName("day", 40, 10), Hour(START + 24 * HOUR))
    every = (Hour(START + HOUR), Hour(START + 25 * HOUR))
    names = [file.path.name for file in visible_files(home, "trades", at_us=50, hours=every)]
    assert names == [hour, day]
    assert visible_files(home, "trades", at_us=50, hours=(FIRST, Hour(START + HOUR))) == []


def test_other_files_are_nobody(home: Home) -> None:
    put(home, PartName(10, "one", 1))
    directory = home.hour_dir("trades", FIRST)
    for name in (".tmp-1-abc", "notes.txt", "part-1.parquet", "day-0000000000000040-0000000000000010.parquet"):
        (directory / name).write_bytes(b"")
    assert len(at(home, 100)) == 1


def test_watermarks_of_hours_come_from_parts_hours_and_days(home: Home) -> None:
    put(home, PartName(10, "one", 1))
    assert landed_hours(home, "trades", at_us=10) == {FIRST: 10}
    put(home, SealedName("hour", 20, 10))
    assert landed_hours(home, "trades", at_us=20) == {FIRST: 10}
    put(home, SealedName("day", 40, 20))
    assert landed_hours(home, "trades", at_us=40) == {FIRST: 10}
    assert hour_watermark(home, "trades", FIRST, 40) == 10
    assert hour_watermark(home, "trades", Hour(START + 48 * HOUR), 40) is None


def test_an_unknown_dataset_is_refused(home: Home) -> None:
    with pytest.raises(UnknownDataset):
        visible_files(home, "trade", at_us=0)


def test_an_empty_lake_has_a_sentinel_for_each_dataset_and_tier_and_shows_none(home: Home) -> None:
    for name, spec in DATASETS.items():
        tiers = {home.lake_glob(name, "part"): spec.landed, home.lake_glob(name, "hour"): spec.span == "hour", home.day_glob(name): True}
        for pattern, has in tiers.items():
            assert len(list(Path("/").glob(pattern[1:]))) == has
        assert visible_files(home, name, at_us=1 << 60) == []
    layout.ensure(home)


@pytest.mark.parametrize("text", ['{"format": 2}', "{}", "nonsense", '{"format": "x"}'])
def test_a_lake_of_another_format_is_refused_with_what_was_found(home: Home, text: str) -> None:
    home.format_file.write_text(text)
    with pytest.raises(LakeFormatError, match="reads up to format 1"):
        layout.ensure(home)


def test_a_directory_that_is_no_lake_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LakeFormatError, match=r"there is no format\.json"):
        layout.check_format(Home(tmp_path / "elsewhere"))
