"""When trades are fetched behind frames that nobody could read, and how old they may be."""

from __future__ import annotations

from collectors.unreadable import BEHIND, EVERY, SOON, LookBehind

T0 = 1_787_348_155_000_000
SYMBOL = "BTC/USDT"


class Looking:
    """A socket that notes when its newest trades were asked for."""

    def __init__(self) -> None:
        self.now = T0
        self.looked: list[int] = []
        self.behind = LookBehind(self._fetch)

    def _fetch(self) -> list[str]:
        self.looked.append(self.now)
        return [SYMBOL]

    def tick(self, *times: int) -> None:
        for self.now in times:
            self.behind.tick(self.now)


def test_frames_that_come_together_are_looked_behind_once_and_later_ones_again() -> None:
    socket = Looking()
    socket.tick(T0)
    for _ in range(3):
        socket.behind.unreadable(T0)
    socket.tick(T0 + SOON - 1, T0 + SOON, T0 + SOON + 1)
    assert socket.looked == [T0 + SOON]
    socket.behind.unreadable(socket.now)
    socket.tick(T0 + 2 * SOON + 2, T0 + SOON + EVERY - 1, T0 + SOON + EVERY, T0 + SOON + EVERY + 1)
    assert socket.looked == [T0 + SOON, T0 + SOON + EVERY]
    socket.behind.unreadable(T0 + 10 * EVERY)
    socket.tick(T0 + 10 * EVERY + SOON)
    assert socket.looked[-1] == socket.now


def test_a_recording_without_a_clock_fetches_nothing() -> None:
    socket = Looking()
    socket.behind.unreadable(None)
    socket.tick(T0)
    assert socket.looked == []


def test_trades_of_a_while_before_the_first_frame_count_but_none_of_before_the_socket() -> None:
    socket = Looking()
    socket.behind.opened(T0)
    socket.behind.unreadable(T0 + 10)
    socket.behind.unreadable(T0 + SOON // 2)
    assert socket.behind.since(SYMBOL) is None
    socket.tick(T0 + 2 * SOON)
    assert socket.behind.since(SYMBOL) == T0
    assert socket.behind.since(SYMBOL) is None, "told once"
    socket.behind.unreadable(T0 + 5 * EVERY)
    socket.tick(T0 + 6 * EVERY)
    assert socket.behind.since(SYMBOL) == T0 + 5 * EVERY - BEHIND
