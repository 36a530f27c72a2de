"""What recordings carry of earlier formats."""

from __future__ import annotations

import json

import pytest

from collectors.decode import Decoding
from collectors.errors import FrameError
from collectors.recording import Line
from tests.collectors.gateio_socket import MS, Socket


def decoded(*lines: tuple[str, object], conn: str | None = "wss://fx-ws.gateio.ws/v4/ws/usdt", timed: bool = True) -> Decoding:
    decoding = Decoding("gateio")
    for number, (channel, result) in enumerate(lines, start=1):
        if channel.startswith("https:"):
            line = Line(ts=MS / 1000 + number, dir="in", conn=channel, kind="http", raw=json.dumps(result))
        else:
            event = "all" if channel == "futures.order_book" and isinstance(result, dict) else "update"
            frame = result if channel == "v3" else {"time": MS // 1000, "channel": channel, "event": event, "result": result}
            line = Line(ts=MS / 1000 + number if timed else None, dir="in", conn=conn, raw=json.dumps(frame))
        decoding.take(line, file="test", number=number)
    assert decoding.dead == []
    return decoding


def test_a_diff_book_of_futures_bridges_its_rest_snapshot_and_lands_a_hole_as_a_gap() -> None:
    url = "https://api.gateio.ws/api/v4/futures/usdt/order_book?contract=BTC_USDT&limit=100&with_id=true"

    def update(first: int, last: int, size: int) -> tuple[str, object]:
        return "futures.order_book_update", {"t": MS, "s": "BTC_USDT", "U": first, "u": last, "b": [{"p": "100", "s": size}], "a": []}

    whole = {"id": 10, "current": 1.5, "asks": [{"p": "101", "s": 10000}], "bids": [{"p": "100", "s": 1}]}
    decoding = decoded(update(8, 11, 20000), (url, whole), update(12, 14, 30000))
    assert decoding.session.books()["BTC/USDT:USDT"].book.levels() == ([(100.0, 3.0)], [(101.0, 1.0)])
    (gap,) = decoded(update(8, 11, 20000), (url, whole), update(13, 14, 30000)).tables()["gaps"].to_pylist()
    assert (gap["from_sequence"], gap["to_sequence"]) == (11, 13)


def test_the_legacy_futures_book_tells_the_side_by_the_sign() -> None:
    whole = {"contract": "BTC_USDT", "asks": [{"p": "101", "s": 10000}], "bids": [{"p": "100", "s": 20000}], "t": MS, "id": 5}
    levels = [{"p": "99", "s": 10000, "c": "BTC_USDT", "id": 6}, {"p": "101", "s": 0, "c": "BTC_USDT", "id": 7}]
    levels.append({"p": "102", "s": -30000, "c": "BTC_USDT", "id": 8})
    decoding = decoded(("futures.order_book", whole), ("futures.order_book", levels))
    assert decoding.session.books()["BTC/USDT:USDT"].book.levels() == ([(100.0, 2.0), (99.0, 1.0)], [(102.0, 3.0)])


def test_v3_trades_come_newest_first_and_its_books_whole_or_in_parts() -> None:
    trades = [{"id": 877, "time": MS / 1000 + 0.775122, "price": "9137.38", "amount": "0.5", "type": "buy"}]
    trades.append({"id": 876, "time": MS / 1000 + 0.655988, "price": "9137.38", "amount": "0.25", "type": "sell"})
    depth = [True, {"asks": [["11", "2"]], "bids": [["10", "1"]], "id": 3}, "BTC_USDT"]
    part = [False, {"bids": [["10", "0"], ["9", "4"]]}, "BTC_USDT"]
    frames = [
        ("v3", {"method": name, "params": params, "id": None})
        for name, params in (("trades.update", ["BTC_USDT", trades]), ("depth.update", depth), ("depth.update", part))
    ]
    decoding = decoded(*frames, conn="wss://ws.gate.io/v3/")
    rows = decoding.tables()["trades"].to_pylist()
    assert [(row["trade_id"], row["side"], row["timestamp"].microsecond) for row in rows] == [
        ("876", "sell", 655988),
        ("877", "buy", 775122),
    ]
    assert decoding.session.books()["BTC/USDT"].book.levels() == ([(9.0, 4.0)], [(11.0, 2.0)])
    assert decoded(*frames, conn=None, timed=False).tables()["book_deltas"].num_rows == 0


def test_tickers_of_2021_come_wrapped_once_more() -> None:
    row = {"contract": "BSV_USDT", "mark_price": "244.78", "index_price": "244.75", "total_size": "417015", "funding_rate": "0.000962"}
    (landed,) = decoded(("futures.tickers", [[row]])).tables()["derivatives"].to_pylist()
    assert (landed["symbol"], landed["open_interest"]) == ("BSV/USDT:USDT", 4170.15)


def test_tickers_with_bare_numbers_are_read_and_words_are_a_frame_error() -> None:
    socket = Socket("futures")
    socket.feed("tickers", [{"contract": "BTC_USDT", "mark_price": 50000.5, "total_size": 10, "index_price": None}])
    assert [(row["mark_price"], row["open_interest"]) for row in socket.rows("derivatives")] == [(50000.5, 0.001)]
    with pytest.raises(FrameError):
        socket.feed("tickers", [{"contract": "BTC_USDT", "mark_price": "high"}])


def test_answers_of_v3_are_control() -> None:
    decoding = decoded(("v3", {"error": None, "result": {"status": "success"}, "id": 12}), conn="wss://ws.gate.io/v3/")
    assert decoding.report(decoding.tables()).control == 1
