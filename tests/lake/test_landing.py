from __future__ import annotations

import threading
from pathlib import Path

import pytest

import lake.landing
from lake.errors import LakeFormatError, SealError, WalLocked
from lake.landing import Landing
from lake.settings import LakeSettings
from lake.visible import visible_files, wal_rows
from lake.wal import WalWriter, list_segments, open_segments
from tests.lake.making import Clock, level, rows, trade


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(tmp_path: Path) -> LakeSettings:
    return LakeSettings(home=tmp_path, roll_seconds=45)


def test_what_is_appended_is_in_the_log_at_once_and_in_parts_after_the_roll(settings: LakeSettings, clock: Clock) -> None:
    landing = Landing(settings, "one", clock=clock)
    landing.append({"trades": rows("trades", trade(1)), "book_deltas": rows("book_deltas", level(1))})
    assert wal_rows(landing.home, "trades", at_us=clock.us).num_rows == 1
    landing.roll()
    landing.wait_sealed()
    clock.advance(settings.visible_after_seconds)
    assert wal_rows(landing.home, "trades", at_us=clock.us).num_rows == 0
    for name in ("trades", "book_deltas"):
        assert [file.kind for file in visible_files(landing.home, name, at_us=clock.us)] == ["part"]
    landing.drain_and_close()


def test_it_rolls_when_the_time_has_come_and_not_before(settings: LakeSettings, clock: Clock) -> None:
    landing = Landing(settings, "one", clock=clock)
    landing.append({"trades": rows("trades", trade(1))})
    clock.advance(44.9)
    assert not landing.maybe_roll()
    clock.advance(0.2)
    assert landing.maybe_roll()
    assert not landing.maybe_roll()
    landing.drain_and_close()


def test_it_rolls_early_when_the_log_has_grown_large(tmp_path: Path, clock: Clock) -> None:
    landing = Landing(LakeSettings(home=tmp_path, roll_seconds=45, roll_bytes=65_536), "one", clock=clock)
    landing.append({"trades": rows("trades", trade(1))})
    assert not landing.maybe_roll()
    landing.append({"trades": rows("trades", *(trade(number) for number in range(2, 2_000)))})
    assert landing.maybe_roll()
    landing.wait_sealed()
    assert not landing.maybe_roll()
    landing.drain_and_close()


def test_the_lag_counts_from_the_oldest_row_that_is_not_in_parts(settings: LakeSettings, clock: Clock) -> None:
    landing = Landing(settings, "one", clock=clock)
    assert landing.lag().seconds == 0
    landing.append({"trades": rows("trades", trade(1))})
    clock.advance(7)
    landing.append({"trades": rows("trades", trade(2))})
    assert landing.lag().seconds == pytest.approx(7)
    assert landing.lag().bytes == sum(segment.path.stat().st_size for segment in list_segments(landing.home))
    landing.roll()
    landing.wait_sealed()
    assert landing.lag() == lake.landing.Lag(0.0, 0)
    landing.drain_and_close()


def test_appending_goes_on_while_a_seal_takes_long(settings: LakeSettings, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    real = lake.landing.seal_segment

    def slow(*args: object, **more: object) -> list[Path]:
        assert go.wait(30)
        return real(*args, **more)

    monkeypatch.setattr(lake.landing, "seal_segment", slow)
    landing = Landing(settings, "one", clock=clock)
    landing.append({"trades": rows("trades", trade(1))})
    landing.roll()
    landing.append({"trades": rows("trades", trade(2))})
    assert wal_rows(landing.home, "trades", at_us=clock.us).num_rows == 2
    assert len(open_segments(landing.home, "one")) == 2
    go.set()
    landing.drain_and_close()
    assert open_segments(landing.home, "one") == []


def test_a_failed_seal_is_raised_once_and_tried_again(settings: LakeSettings, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    real = lake.landing.seal_segment
    broken = True

    def sometimes(*args: object, **more: object) -> list[Path]:
        if broken:
            raise OSError(28, "No space left on device")
        return real(*args, **more)

    monkeypatch.setattr(lake.landing, "seal_segment", sometimes)
    landing = Landing(settings, "one", clock=clock)
    landing.append({"trades": rows("trades", trade(1))})
    landing.roll()
    with pytest.raises(SealError, match="No space left"):
        landing.wait_sealed()
    assert not landing.maybe_roll()
    assert landing.lag().bytes > 0
    broken = False
    landing.roll()
    landing.wait_sealed()
    assert open_segments(landing.home, "one") == []
    landing.drain_and_close()


def test_closing_raises_what_stays_unsealed(settings: LakeSettings, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> list[Path]:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(lake.landing, "seal_segment", broken)
    landing = Landing(settings, "one", clock=clock)
    landing.append({"trades": rows("trades", trade(1))})
    with pytest.raises(SealError, match="Input/output error"):
        landing.drain_and_close()
    landing.drain_and_close()
    WalWriter(landing.home, "one").close()


def test_what_a_dead_predecessor_left_is_sealed(settings: LakeSettings, clock: Clock) -> None:
    dead = WalWriter(settings.house, "one")
    dead.append("trades", rows("trades", trade(1), trade(2)))
    path = list_segments(settings.house)[0].path
    with path.open("ab") as file:
        file.write(b"\xff\xff\xff\xff\x00\x01torn")
    dead.close()
    landing = Landing(settings, "one", clock=clock)
    assert landing.recover() == 1
    assert landing.recover() == 0
    clock.advance(settings.visible_after_seconds)
    assert wal_rows(landing.home, "trades", at_us=clock.us).num_rows == 0
    assert len(visible_files(landing.home, "trades", at_us=clock.us)) == 1
    landing.drain_and_close()


def test_recovery_seals_the_rest_when_one_segment_cannot_be(settings: LakeSettings, clock: Clock) -> None:
    dead = WalWriter(settings.house, "one")
    dead.append("trades", rows("trades", trade(1)))
    dead.append("book_deltas", rows("book_deltas", level(1)))
    dead.close()
    first, second = list_segments(settings.house)
    foreign = first.path.parent.parent / "ledger" / first.path.name
    foreign.parent.mkdir()
    first.path.rename(foreign)
    landing = Landing(settings, "one", clock=clock)
    with pytest.raises(SealError, match="has columns"):
        landing.recover()
    assert second.marker.exists()
    landing.drain_and_close()


def test_one_name_lands_once(settings: LakeSettings) -> None:
    landing = Landing(settings, "one")
    with pytest.raises(WalLocked):
        Landing(settings, "one")
    landing.drain_and_close()


def test_a_newer_lake_is_refused(settings: LakeSettings) -> None:
    settings.house.format_file.write_text('{"format": 2}')
    with pytest.raises(LakeFormatError, match="has format 2, this version of Tickhouse reads up to format 1"):
        Landing(settings, "one")
