"""Bybit's past: books whose counts have no hole but where nobody listened, and a snapshot after each."""

from __future__ import annotations

import io
import itertools
import json
from typing import Any

import pytest

from simulator.cli import select
from simulator.history import Span, parse_gap, write_history

END_US = 1_795_230_000_000_000
MINUTE_US = 60_000_000


def frames(*gaps: str) -> list[dict[str, Any]]:
    """Messages of ten minutes of one pair, each with the time it was received, microseconds."""
    sink = io.StringIO()
    span = Span(END_US - 10 * MINUTE_US, END_US)
    write_history(
        sink,
        select(["bybit"], ["ETH/USDT"]),
        span=span,
        seed=7,
        trades_per_minute=30.0,
        books_per_minute=12.0,
        gaps=[parse_gap(text) for text in gaps],
    )
    lines = [json.loads(line) for line in sink.getvalue().splitlines()]
    assert [line["ts"] for line in lines] == sorted(line["ts"] for line in lines)
    heard = [line for line in lines if line.get("kind") is None]
    return [{**json.loads(line["raw"]), "received": round(line["ts"] * 1_000_000)} for line in heard]


def books(found: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(each["type"], each["data"]["u"]) for each in found if str(each.get("topic")).startswith("orderbook.")]


def test_a_book_is_one_snapshot_and_counted_deltas() -> None:
    told = books(frames())

    first = told[0][1]
    assert told == [("snapshot", first), *(("delta", first + number) for number in range(1, len(told)))]
    assert len(told) > 100


def test_trades_have_ids_of_their_own_and_lie_in_the_span() -> None:
    trades = [row for each in frames() if str(each.get("topic")).startswith("publicTrade.") for row in each["data"]]

    ids = [int(row["i"]) for row in trades]
    assert ids == sorted(set(ids))
    assert all(END_US - 10 * MINUTE_US <= row["T"] * 1000 < END_US for row in trades)
    assert 150 < len(trades) < 450


@pytest.mark.parametrize("symbol", ["ETH/USDT", "*"])
def test_after_a_gap_the_client_hears_a_hole_in_the_count_or_a_new_socket_and_gets_a_snapshot(symbol: str) -> None:
    begins, ends = END_US - 6 * MINUTE_US, END_US - 5 * MINUTE_US
    found = frames(f"bybit:{symbol}:2026-11-21T02:54:00Z:60")

    hidden = [each for each in found if begins <= each["received"] < ends]
    told = books(found)
    holes = [number for number, (one, other) in enumerate(itertools.pairwise(told)) if other[1] != one[1] + 1]
    again = [number for number, (kind, _) in enumerate(told) if kind == "snapshot"]
    assert hidden == []
    assert len(again) == 2
    # Where the socket stayed open the hole is heard first and the snapshot repeats its count; a new socket begins with one.
    assert holes
    assert again[1] in {holes[0] + 1, holes[0] + 2}
