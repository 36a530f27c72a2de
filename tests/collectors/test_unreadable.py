"""When trades are fetched behind frames that nobody could read."""

from __future__ import annotations

from collectors.unreadable import EVERY, SOON, LookBehind

T0 = 1_787_348_155_000_000


def test_frames_that_come_together_are_looked_behind_once_and_later_ones_again() -> None:
    looked: list[int] = []
    now = T0
    behind = LookBehind(lambda: looked.append(now))
    behind.tick(now)
    for _ in range(3):
        behind.unreadable(now)
    for now in (T0 + SOON - 1, T0 + SOON, T0 + SOON + 1):
        behind.tick(now)
    assert looked == [T0 + SOON]
    behind.unreadable(now)
    for now in (T0 + 2 * SOON + 2, T0 + SOON + EVERY - 1, T0 + SOON + EVERY, T0 + SOON + EVERY + 1):
        behind.tick(now)
    assert looked == [T0 + SOON, T0 + SOON + EVERY]
    now = T0 + 10 * EVERY
    behind.unreadable(now)
    now += SOON
    behind.tick(now)
    assert looked[-1] == now


def test_a_recording_without_a_clock_fetches_nothing() -> None:
    looked: list[int] = []
    behind = LookBehind(lambda: looked.append(0))
    behind.unreadable(None)
    behind.tick(T0)
    assert looked == []
