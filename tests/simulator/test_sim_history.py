"""History: hours of frames in order, books that can be rebuilt without a gap, gaps where they are asked for."""

from __future__ import annotations

import io
import itertools
import json
from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest

from simulator.cli import main, select
from simulator.errors import InvalidGap
from simulator.history import Span, parse_gap, write_history
from simulator.market import Market

END_US = 1_795_230_000_000_000
HOUR_US = 3_600_000_000


def history(hours: float = 1.0, *, gaps: tuple[str, ...] = (), seed: int = 7, symbols: list[str] | None = None) -> list[dict[str, Any]]:
    sink = io.StringIO()
    count = write_history(
        sink,
        select(["binance", "kraken"], symbols),
        span=Span(END_US - int(hours * HOUR_US), END_US),
        seed=seed,
        trades_per_minute=30.0,
        books_per_minute=12.0,
        gaps=[parse_gap(text) for text in gaps],
    )
    lines = sink.getvalue().splitlines()
    assert len(lines) == count
    return [json.loads(line, parse_float=Decimal) for line in lines]


@pytest.fixture(scope="module")
def hour() -> list[dict[str, Any]]:
    return history()


def messages(lines: list[dict[str, Any]], suffix: str) -> dict[str, list[tuple[Decimal, Any]]]:
    """Binance payloads by stream whose name ends so, with their receive times; depth snapshots under `snapshot`."""
    found: dict[str, list[tuple[Decimal, Any]]] = defaultdict(list)
    for line in lines:
        if "binance" not in line["conn"] or line.get("kind") or "stream" not in line["raw"]:
            continue
        body = json.loads(line["raw"])
        if body["stream"].endswith(suffix):
            found[f"{line['conn'].split('/')[2]} {body['stream']}"].append((line["ts"], body["data"]))
    return found


def test_lines_are_in_time_order_within_the_span_and_formed_as_recordings(hour: list[dict[str, Any]]) -> None:
    times = [line["ts"] for line in hour]
    assert times == sorted(times)
    assert times[0] == Decimal(END_US - HOUR_US) / 1_000_000
    assert Decimal(END_US) / 1_000_000 - 5 < times[-1] < Decimal(END_US) / 1_000_000
    assert {line.get("kind") for line in hour} == {None, "http", "connect"}
    assert all(line["dir"] == ("out" if line.get("kind") == "connect" else "in") for line in hour)
    assert {line["conn"] for line in hour if line.get("kind") == "connect"} == {
        "wss://stream.binance.com:9443/stream",
        "wss://fstream.binance.com/public/stream",
        "wss://fstream.binance.com/market/stream",
        "wss://ws.kraken.com/v2",
    }
    for line in hour:
        if "raw" in line:
            json.loads(line["raw"])


def test_rates_are_as_asked(hour: list[dict[str, Any]]) -> None:
    for name, trades in messages(hour, "@trade").items():
        assert 0.75 * 1800 < len(trades) < 1.25 * 1800, name
    for name, frames in messages(hour, "@depth@100ms").items():
        assert 0.9 * 720 < len(frames) <= 721, name
    marks = messages(hour, "@markPrice@1s")
    assert {len(rows) for rows in marks.values()} == {59}
    assert 1 <= sum(len(rows) for rows in messages(hour, "@forceOrder").values()) < 60


def test_trade_ids_have_no_hole(hour: list[dict[str, Any]]) -> None:
    for suffix, key in (("@trade", "t"), ("@aggTrade", "a")):
        for rows in messages(hour, suffix).values():
            ids = [data[key] for _, data in rows]
            assert ids == list(range(ids[0], ids[0] + len(ids)))


def rebuild(lines: list[dict[str, Any]], host: str, symbol: str) -> tuple[int, int, int]:
    """Follow one Binance book by the venue's rules: (frames applied, gaps met, snapshots used)."""
    spot = host.startswith("stream")
    applied = gaps = snapshots = 0
    last: int | None = None
    fresh = False
    book: dict[str, dict[str, str]] = {"b": {}, "a": {}}
    for line in lines:
        if line.get("kind") == "http" and "/depth?" in line["conn"] and f"symbol={symbol}&" in line["conn"]:
            if ("fapi" in line["conn"]) == spot:
                continue
            body = json.loads(line["raw"])
            book = {"b": dict(body["bids"]), "a": dict(body["asks"])}
            last, fresh = body["lastUpdateId"], True
            snapshots += 1
            continue
        if line.get("kind") or f"//{host}" not in line["conn"] or f"{symbol.lower()}@depth" not in line["raw"]:
            continue
        data = json.loads(line["raw"])["data"]
        if last is None or data["u"] <= last:
            continue
        chained = data["U"] == last + 1 if spot else data["pu"] == last or (fresh and data["U"] <= last <= data["u"])
        if not chained:
            gaps += 1
            last = None
            continue
        last, fresh = data["u"], False
        for side in "ba":
            for price, amount in data[side]:
                if float(amount):
                    book[side][price] = amount
                else:
                    book[side].pop(price, None)
        applied += 1
        assert max(map(float, book["b"])) < min(map(float, book["a"]))
    return applied, gaps, snapshots


@pytest.mark.parametrize("host", ["stream.binance.com", "fstream.binance.com"])
@pytest.mark.parametrize("symbol", ["BTCUSDT", "SOLUSDT"])
def test_binance_books_rebuild_without_a_gap(hour: list[dict[str, Any]], host: str, symbol: str) -> None:
    applied, gaps, snapshots = rebuild(hour, host, symbol)
    assert applied > 600
    assert (gaps, snapshots) == (0, 1)


def follow_kraken(kraken_book: Any, lines: list[dict[str, Any]], symbol: str, decimals: int) -> tuple[int, int, int]:
    """Follow one Kraken book: (checksums verified, failed, snapshots)."""
    client = kraken_book(100, decimals)
    snapshots = 0
    for line in lines:
        raw = line.get("raw", "")
        if line["conn"] == "wss://ws.kraken.com/v2" and '"channel":"book","type"' in raw and f'"{symbol}"' in raw:
            message = json.loads(raw, parse_float=Decimal)
            snapshots += message["type"] == "snapshot"
            client.feed(message)
    return client.verified, client.failed, snapshots


@pytest.mark.parametrize(("symbol", "decimals"), [("BTC/USD", 1), ("ETH/USD", 2)])
def test_kraken_checksums_all_verify(hour: list[dict[str, Any]], kraken_book: Any, symbol: str, decimals: int) -> None:
    verified, failed, snapshots = follow_kraken(kraken_book, hour, symbol, decimals)
    assert verified > 600
    assert (failed, snapshots) == (0, 1)


def test_a_gap_of_one_symbol_leaves_out_its_frames_and_a_snapshot_heals_the_book(kraken_book: Any) -> None:
    start = (END_US - HOUR_US // 4) // 1_000_000
    moment = "2026-11-21T02:45:00Z"
    lines = history(
        0.5, gaps=(f"binance:BTC/USDT:{moment}:120", f"kraken:BTC/USD:{moment}:120"), symbols=["BTC/USDT", "BTC/USD", "ETH/USDT"]
    )

    silent = [line for line in lines if start <= line["ts"] < start + 120 and not line.get("kind")]
    assert silent
    assert not any('"btcusdt@' in line["raw"] or '"BTC/USD"' in line["raw"] for line in silent)
    assert any('"ethusdt@' in line["raw"] for line in silent)
    for host in ("stream.binance.com", "fstream.binance.com"):
        assert rebuild(lines, host, "BTCUSDT")[1:] == (1, 2)
        assert rebuild(lines, host, "ETHUSDT")[1:] == (0, 1)
    _, failed, snapshots = follow_kraken(kraken_book, lines, "BTC/USD", 1)
    assert (failed, snapshots) == (1, 2)
    ids = [data["t"] for _, data in messages(lines, "btcusdt@trade")["stream.binance.com:9443 btcusdt@trade"]]
    jumps = [later - earlier for earlier, later in itertools.pairwise(ids) if later != earlier + 1]
    assert len(jumps) == 1
    assert 30 < jumps[0] < 120


def test_a_gap_of_a_whole_exchange_opens_its_sockets_anew(kraken_book: Any) -> None:
    lines = history(0.5, gaps=("kraken:*:2026-11-21T02:45:00:90",), symbols=["BTC/USD", "ETH/USD"])

    start = (END_US - HOUR_US // 4) // 1_000_000
    assert not [line for line in lines if start <= line["ts"] < start + 90]
    assert len([line for line in lines if line.get("kind") == "connect"]) == 2
    assert follow_kraken(kraken_book, lines, "BTC/USD", 1)[1:] == (0, 2)


def test_the_same_seed_gives_the_same_lines_and_another_gives_others() -> None:
    first, second, other = (history(0.1, seed=seed) for seed in (1, 1, 2))
    assert first == second
    assert first != other


def test_a_later_history_joins_an_earlier_one() -> None:
    early = history(0.1, symbols=["BTC/USDT"])
    sink = io.StringIO()
    write_history(
        sink,
        select(["binance"], ["BTC/USDT"]),
        span=Span(END_US, END_US + 60_000_000),
        seed=7,
        trades_per_minute=30.0,
        books_per_minute=12.0,
    )
    late = [json.loads(line, parse_float=Decimal) for line in sink.getvalue().splitlines()]
    name = "stream.binance.com:9443 btcusdt@trade"
    before, after = messages(early, "@trade")[name][-1][1], messages(late, "@trade")[name][0][1]

    assert after["t"] > before["t"]
    assert float(after["p"]) == pytest.approx(float(before["p"]), rel=1e-3)
    item = next(item for item in select(["binance"], ["BTC/USDT"])["binance"] if item.market == "spot")
    live = Market(item, seed=7, start_us=END_US)
    assert item.price(live.book.bids.best()[0]) == pytest.approx(float(before["p"]), rel=1e-3)


@pytest.mark.parametrize(
    "text",
    [
        "binance:BTC/USDT:yesterday:60",
        "nowhere:BTC/USDT:2026-11-21T02:45:00:60",
        "binance:2026-11-21T02:45:00",
        "binance:BTC/USDT:2026-13-45T99:00:00:60",
    ],
)
def test_unreadable_gaps_are_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(InvalidGap, match="expected EXCHANGE:SYMBOL"):
        parse_gap(text)


def test_an_unknown_symbol_or_exchange_is_refused_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "--symbols", "FOO/BAR"]) == 2
    assert "unknown symbol 'FOO/BAR': expected one of" in capsys.readouterr().err
    assert main(["history", "--exchanges", "nowhere"]) == 2
    assert "unknown exchange 'nowhere': expected one of binance, bybit, kraken" in capsys.readouterr().err
